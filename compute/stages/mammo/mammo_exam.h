// The images of a mammography exam: which breast and view each shows by its header, whether it is
// one that the marks are meant for, which of the four views is missing.
// Sources: PS3.3 C.8.11.7 (Mammography Image), PS3.16 CID 4014 (views), 4015 (modifiers).
// Process: worker, analyze. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/stages/stage.h"

struct mammo_image {
    uint32_t image;       // index into the images of the set
    char side;            // 'L', 'R'; 0: not stated
    const char *view;     // "CC", "MLO"; "": not stated
    const char *name;     // "L CC", a second one "L CC 2"; unique in the exam
    double pixel_mm;      // of its pixels; 0: not known
    bool oblique;         // from the side: the pectoral muscle may be in it
    bool for_processing;  // Presentation Intent Type
    const char *aside;    // why it is not analysed; NULL: it is
    const char *doubtful; // what in its header contradicts itself; NULL: nothing
};

struct mammo_exam {
    struct mammo_image *images; // of the arena of the job
    uint32_t count;
    uint32_t analysed;   // images without aside
    const char *missing; // "R CC, R MLO": views of the four that no analysed image shows; ""
};

// Reads the images of the first slot. False: no memory.
// film_pixel_mm: what the site says of images whose header states no size of pixels; 0: nothing
bool mammo_exam_read(const struct stage_run *run, double film_pixel_mm, struct mammo_exam *out);

// What contradicts where the breast lies in the picture, for people; NULL: nothing does.
// lies: the chest wall is on the 'L' left or 'R' right of the image; 0: unclear.
const char *mammo_exam_contradiction(const struct stage_run *run, const struct mammo_image *m,
                                     char lies);
