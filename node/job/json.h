// JSON objects put together from what peers and files say. Every text goes through json_text(), as
// jansson refuses text that is not UTF-8, and a single one would cost the whole answer.
// Process: any. Thread-safety: a value belongs to one thread.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

// The text as a JSON string; bytes that are not UTF-8 become '?'. NULL is "". NULL: no memory.
json_t *json_text(const char *text);

// Set a key, or append. The value's reference is taken over, also on failure; a value of NULL is a
// failure. Failures (no memory) add up in *ok, which is never set to true.
void json_put(json_t *object, const char *key, json_t *value, bool *ok);
void json_put_text(json_t *object, const char *key, const char *text, bool *ok);
void json_put_integer(json_t *object, const char *key, int64_t value, bool *ok);
// A number that JSON cannot hold (NAN, infinity) is null.
void json_put_number(json_t *object, const char *key, double value, bool *ok);
void json_put_bool(json_t *object, const char *key, bool value, bool *ok);
void json_add(json_t *array, json_t *value, bool *ok);
