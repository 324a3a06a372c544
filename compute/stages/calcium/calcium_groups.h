// The measurements of a calcium report: a group for all arteries, one for each, one for each
// lesion; regions of the arteries' calcium and of what was searched, with their label map. Private
// to the report. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include "compute/stages/calcium/calcium_writer.h"

// Fills regions and groups, and what the writer knows of them.
// False: out of memory.
bool calcium_groups_add(struct calcium_writer *w);

// An Agatston score that belongs to no region.
struct measurement calcium_groups_score(double agatston);
