// What was measured of the left ventricle, as findings. Thread-safety: one thread a findings.
#pragma once
#include "compute/stages/cardiac/cardiac_segments.h"
#include "compute/stages/cardiac/cardiac_ventricle.h"
#include "compute/stages/stage.h"

struct cardiac_result {
    uint32_t image; // of the set
    uint32_t factor;
    const struct cardiac_cine *cine;
    const struct cardiac_ventricle *v;
    const struct cardiac_segments *segments;
    double rate; // beats a minute; NAN: not known
    const char *rate_from;
    double step_s;     // from a point of the curve to the next; NAN
    bool whole_beat;   // the points cover the beat: after the last comes the first again
    double surface_m2; // of the body (Mosteller, N Engl J Med 1987;317:1098); NAN
    bool all_phases;   // contours in every phase
};

// Adds regions, contours, numbers and the page, and sets the verdict. ERR_NOMEM.
bool cardiac_report(struct findings *f, const struct stage_run *run, const struct cardiac_result *r,
                    struct err *err);
