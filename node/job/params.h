// The parameters of an analysis as one JSON object, {"threshold_hu":130,"heart_only":true}: how a
// job keeps them, how its order carries them, and what its key and the UIDs of its results follow
// from. There is one text for equal values: every parameter in the order of the table, numbers in
// the fewest digits that read back as the same number, whole ones without a point.
// Process: core, worker, analyze. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include <jansson.h>
#include "base/arena.h"
#include "base/err.h"
#include "compute/stages/stage.h"

// values: stage->param_count, checked. malloc'd; NULL: no memory.
char *params_text(const struct stage *stage, const struct param_value *values);

// Fills values, stage->param_count of them; what the object does not name has its default. Texts
// are kept in arena.
//   ERR_INPUT no object, no such parameter, a value of another type or outside its range
bool params_read(const struct stage *stage, const json_t *object, struct arena *arena,
                 struct param_value *values, struct err *err);
// The same from text. ERR_INPUT also: no JSON.
bool params_parse(const struct stage *stage, const char *text, struct arena *arena,
                  struct param_value *values, struct err *err);
