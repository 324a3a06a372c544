#include "node/job/json.h"
#include <math.h>
#include <stdlib.h>
#include "base/text.h"

json_t *json_text(const char *text)
{
    json_t *value = json_string(text ? text : "");
    if (value)
        return value;
    char *clean = text_utf8(text ? text : "");
    value = clean ? json_string(clean) : NULL;
    free(clean);
    return value;
}

// jansson's set functions take the reference and refuse NULL.
void json_put(json_t *object, const char *key, json_t *value, bool *ok)
{
    *ok = json_object_set_new(object, key, value) == 0 && *ok;
}

void json_put_text(json_t *object, const char *key, const char *text, bool *ok)
{
    json_put(object, key, json_text(text), ok);
}

void json_put_integer(json_t *object, const char *key, int64_t value, bool *ok)
{
    json_put(object, key, json_integer(value), ok);
}

void json_put_number(json_t *object, const char *key, double value, bool *ok)
{
    json_put(object, key, isfinite(value) ? json_real(value) : json_null(), ok);
}

void json_put_bool(json_t *object, const char *key, bool value, bool *ok)
{
    json_put(object, key, json_boolean(value), ok);
}

void json_add(json_t *array, json_t *value, bool *ok)
{
    *ok = json_array_append_new(array, value) == 0 && *ok;
}
