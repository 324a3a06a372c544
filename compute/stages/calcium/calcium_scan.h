// How a CT of the heart was acquired, as far as its headers say. Thread-safety: pure.
#pragma once
#include "compute/image/image.h"

enum calcium_gating { CALCIUM_GATING_UNKNOWN, CALCIUM_NOT_GATED, CALCIUM_GATED };

struct calcium_scan {
    double kvp;          // kV; NAN: not stated, or it differs between slices
    double thickness_mm; // NAN: not stated
    const char *kernel;  // convolution kernel; "" not stated, or it differs
    const char *manufacturer, *model;
    const char *contrast;       // contrast agent that any slice names; "" none
    enum calcium_gating gating; // by ECG; unknown also where slices differ
    const char *gating_evidence;
};

// Borrows texts from the attributes of the set.
void calcium_scan_read(const struct image_set *set, const struct image *img,
                       struct calcium_scan *out);
