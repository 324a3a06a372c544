// Which input of an analysis a series fills. An analysis declares its inputs as patterns on
// attributes (compute/stages/stage.h), written as the conditions of a route are; they are compiled
// once a process, when they are first asked for.
// Process: core, commands. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/attrs.h"
#include "base/err.h"
#include "compute/stages/stage.h"
#include "conf/conf.h"

// The first input whose patterns all match, or -1: the analysis does not take the series. why (may
// be NULL) then gets one line, without its end, of which attribute does not fit which input:
//   calcium does not take it: Modality is "MR", wanted CT
//   mammo does not take it: as cc left: ViewPosition is absent, wanted CC; as mlo left: ...
int slots_match(const struct stage *stage, const struct attrs *attrs, enum conf_values values,
                FILE *why);

// What gathers reports takes a series where another analysis does so. why (may be NULL) gets one
// line, without its end, in either case. Returns others.
bool slots_match_reports(const struct stage *stage, bool others, FILE *why);

// Where a series stands among those for an input that takes only one: the first one is kept.
struct slots_rank {
    int64_t number;  // Series Number; INT64_MAX: none that can be read
    const char *uid; // Series Instance UID; borrowed
};
struct slots_rank slots_rank(const struct attrs *attrs, const char *uid);
// The lowest Series Number comes first, one without comes last; equal ones go by their UID.
bool slots_rank_before(const struct slots_rank *a, const struct slots_rank *b);

// What an analysis declares can be used: every keyword is one of DICOM, every pattern compiles,
// also of what it prefers, and there is an input, only one for SCOPE_SERIES. ERR_INTERNAL: which
// does not, and why.
bool slots_check(const struct stage *stage, struct err *err);
