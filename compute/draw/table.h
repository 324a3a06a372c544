// Tables of a page: cells wrap, and what does not fit is continued elsewhere with the head
// repeated. Thread-safety: one thread a pen.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/draw/pen.h"
#include "compute/findings/findings.h"

#define TABLE_COLUMNS_MAX 24 // further ones are left out, and the title says so
#define TABLE_LINES_MAX   12 // of one cell; the last one ends with an ellipsis

// Draws rows from *row on (0: a new table) between x and x + room, from *y down to end at most, and
// moves *row and *y to what is next. True: the table is done. Columns of numbers are set flush
// right, so that digits of one place stand below each other.
bool table_draw(struct pen *pen, const struct page_table *t, double x, double room, double *y,
                double end, uint32_t *row);
