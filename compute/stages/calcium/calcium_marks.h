// The marks of a calcium report: outlines and labels on the images, in a layer for each artery, for
// what is uncertain, not coronary, or too small; and what was left out, with its reason. Private to
// the report. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include "compute/stages/calcium/calcium_writer.h"

// After calcium_groups_add(), whose groups the marks belong to.
// False: out of memory.
bool calcium_marks_add(struct calcium_writer *w);
