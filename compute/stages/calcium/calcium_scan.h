// How a CT of the heart was acquired, as far as its headers say, and what that is good for. Nothing
// here looks at pixels. Thread-safety: pure.
#pragma once
#include "compute/findings/findings.h"
#include "compute/image/convolution.h"
#include "compute/image/image.h"
#include "compute/image/kind.h"

// What would help where edges are enhanced.
#define CALCIUM_SOFT_KERNEL_NEEDED                                                                 \
    "a reconstruction with a soft kernel is needed, such as Qr36, B35f, STANDARD or FC12"

enum calcium_gating { CALCIUM_GATING_UNKNOWN, CALCIUM_NOT_GATED, CALCIUM_GATED, CALCIUM_GATINGS };

struct calcium_scan {
    struct image_said kvp, thickness, kernel, contrast, maker, model;
    struct image_nature nature;
    enum image_sharpness sharpness; // of the sharpest kernel of any slice
    // kV that the numbers are equivalent to, over the slices: of a kernel that gives the numbers of
    // 120 kV that, else the tube voltage. NAN: no slice says
    double kv_low, kv_high;
    uint32_t kv_unknown;              // slices that do not say
    uint32_t gating[CALCIUM_GATINGS]; // slices, by ECG
    const char *gating_evidence;      // keyword of the first slice that says; "" none does
};

// Borrows texts from the attributes of the set.
void calcium_scan_read(const struct image_set *set, const struct image *img,
                       struct calcium_scan *out);

// Whether all slices are gated.
bool calcium_scan_gated(const struct calcium_scan *s);

struct calcium_limits {
    double increment_mm; // from slice to slice
    double max_slice_mm; // thicker or wider spaced slices are refused
    double threshold_hu; // at 120 kV
    bool scale;          // at other tube voltages scale the threshold, do not refuse
};

// Judges what the slices are. Sets the threshold (HU) that holds for all of them. False: f is
// refused, as is what only a part of the slices is not fit for, or there is no memory
// (f->no_memory).
bool calcium_scan_judge(const struct calcium_scan *s, const struct calcium_limits *limits,
                        double *threshold_hu, struct findings *f);
// What the headers give reason to say beside a score, as warnings. False: no memory.
bool calcium_scan_warn(const struct calcium_scan *s, double increment_mm, struct findings *f);
// What the headers say, as facts. False: no memory.
bool calcium_scan_facts(const struct calcium_scan *s, struct findings *f);
