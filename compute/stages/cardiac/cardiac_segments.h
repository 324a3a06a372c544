// The wall of the left ventricle by the segments of the American Heart Association (Cerqueira et
// al., Circulation 2002;105:539): where the right ventricle is inserted, and how thick the wall is
// at end diastole and end systole. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include "compute/stages/cardiac/cardiac_ventricle.h"

// Segments 1 to 16; the 17th, the apical cap, is in no short-axis slice.
#define CARDIAC_SEGMENTS 16

struct cardiac_segment {
    const char *why;     // NULL: measured. Else why the numbers are NAN
    double ed_mm, es_mm; // mean thickness
    double thickening;   // % of ed_mm
};

// Angles are radians from the columns towards the rows, 0 to 2 pi.
struct cardiac_segments {
    // The insertions of the right ventricle, the middle between them, and how far (standard
    // deviation) slices differ in it. Where they are not found, all are NAN, and segments are
    // counted by angle from 0 on, six of 60 degrees in the base and in the middle, four of 90 in
    // the apex.
    const char *unknown; // why; NULL: they are found
    double anterior, inferior, septum, spread;
    int turn; // 1: from the septum to the anterior wall angles grow; -1: they fall
    // The slices of the base, the middle and the apex: thirds of those that count at end diastole.
    uint32_t first[3], count[3];
    struct cardiac_segment segment[CARDIAC_SEGMENTS];
};

// columns, rows  patient directions (LPS, unit) that columns and rows grow to
// False: no memory.
bool cardiac_segments_find(const struct cardiac_cine *c, const struct cardiac_ventricle *v,
                           const double columns[3], const double rows[3],
                           struct cardiac_segments *out);
