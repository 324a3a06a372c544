// What the instances of a series have in common: of each attribute the value that most of them
// have. What is set aside as no slice has no vote: localizers, and instances without pixels, unless
// there is nothing else. Of values that are equally frequent the first by its bytes counts, and any
// before none, so that the order of arrival does not.
// Process: core, analyze, route, inspect. Thread-safety: a tally belongs to one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/attrs.h"

struct tally; // opaque

struct tally *tally_create(void); // NULL: no memory
void tally_destroy(struct tally *t);
// Takes over the attributes of an instance, also on failure. False: no memory.
bool tally_add(struct tally *t, struct attrs *attrs);
// Adds the attributes of the series to out, which is empty. False: no memory.
bool tally_most(const struct tally *t, struct attrs *out);

// What an instance has other than base, which is another one of its series: keys with their values,
// "" for what it has not. False: no memory.
bool tally_delta(const struct attrs *base, const struct attrs *attrs, struct attrs *out);
// The attributes again. False: no memory.
bool tally_restore(const struct attrs *base, const struct attrs *delta, struct attrs *out);
