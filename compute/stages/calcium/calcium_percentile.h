// Where a coronary calcium score stands among people of the same age and sex, by a table that the
// site supplies. None is built in: the published ones differ by up to a quarter, and none could be
// checked against its source. A text file (UTF-8, at most 64 KiB):
//
//   source: Anyone et al., Journal 2020;1:1 (asymptomatic adults, town, n 1000)
//   sex,age_from,age_to,p25,p50,p75,p90
//   M,45,54,0,5,60,210
//   F,45,54,0,0,3,40
//
// Lines that are empty or begin with # do not count. Ages are whole years, both ends included; rows
// of one sex do not overlap; percentiles are Agatston scores and do not fall from left to right.
// Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

enum { CALCIUM_PERCENTILES = 4 };

struct calcium_percentile_row {
    char sex; // 'M' or 'F'
    unsigned age_from, age_to;
    double score[CALCIUM_PERCENTILES]; // of the 25th, 50th, 75th, 90th percentile
};

struct calcium_percentile_table {
    const char *source; // what the file says of where its numbers come from
    const struct calcium_percentile_row *rows;
    size_t row_count;
};

// Everything goes into arena. False with *err: ERR_CONFIG, which names file, line and value;
// ERR_NOMEM.
bool calcium_percentile_read(const char *path, struct arena *arena,
                             struct calcium_percentile_table *out, struct err *err);
// Whether a file can be used: for who sets the node up. "" can: there is no table.
bool calcium_percentile_check(const char *path, struct err *err);

// The row for a sex and an age in years, or NULL.
const struct calcium_percentile_row *calcium_percentile_row(
    const struct calcium_percentile_table *table, char sex, unsigned age);

// "below the 25th percentile", "between the 50th and the 75th percentile", "at or above the 90th
// percentile": of a score that is known to lie between low and high (equal: it is known). A score
// of zero is below whatever percentile is above zero. Returns text.
const char *calcium_percentile_text(const struct calcium_percentile_row *row, double low,
                                    double high, char *text, size_t size);
