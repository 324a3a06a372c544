// The page of a calcium report: tables of arteries, classes and lesions, and pictures of the
// slices. Private to the report. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include "compute/stages/calcium/calcium_writer.h"

// The table of the arteries and what the classes mean.
// False: out of memory.
bool calcium_page_add_scores(struct calcium_writer *w);

// Lesion by lesion, as they are numbered in the images; then slices with most calcium.
// False: out of memory.
bool calcium_page_add_lesions(struct calcium_writer *w);
