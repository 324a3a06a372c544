// Which phase of the heart's cycle a frame of CT shows, in percent of the time from one R wave to
// the next. Thread-safety: pure.
//
// Sources, read as facts: PS3.3 C.7.6.18.1 and C.8.15.3.5 (Nominal Percentage of Cardiac Phase, RR
// Interval Time Nominal), C.7.6.18 (Trigger Time, Nominal Interval, Heart Rate); the data
// dictionary of DCMTK and pydicom for Toshiba's private attribute; names of series in public data,
// where Siemens writes "DS_CorCTA 0.6 Bv40 3 BestDiast 77 %" and GE "75%".
#pragma once
#include <stdbool.h>
#include "compute/image/image.h"

struct image_phase {
    double percent; // 0..100
    const char *by; // keyword of the attribute that says so
    bool computed; // from the delay and the length of a heart beat, which changes from beat to beat
};

// False: the frame does not say. Of several attributes the most explicit one counts: Nominal
// Percentage of Cardiac Phase, Toshiba's own, Image Comments with one percentage that is no
// strength of a reconstruction, Trigger Time with Nominal Interval, RR Interval Time Nominal or
// Heart Rate, and last Series Description, which rarely differs within a series.
bool image_frame_phase(const struct image_frame *f, struct image_phase *out);
