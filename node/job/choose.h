// Which of several images of one place an input of an analysis means: phases of the heart, kernels
// and reconstructions come in one series, and an analysis takes one of them. What it would rather
// have it declares itself (struct stage_preference in compute/stages/stage.h).
// Process: worker, analyze, inspect. Thread-safety: any thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "compute/image/image.h"
#include "compute/stages/stage.h"

// Chooses among the images of a pool, and puts the one that is meant before all others of it.
//
// Those may be meant that have a place, no colour and no defect, and lie over the same part of the
// body as the whole one (node/job/rival.h): others are cut short, or show something else. Each
// preference of the input in turn leaves those that fit it in every frame, where some do, and of
// these the nearest. Values of two attributes are what they are for the images, whether stated or
// not: NominalPercentageOfCardiacPhase as compute/image/phase.h has it, SpacingBetweenSlices as
// measured.
//
// set     of image_split(); its images change their order
// prefers NULL: as image_main()
// remark  for people: what was taken and what was left, with attribute, value and number of
//         frames, and what of the taken one is not as preferred; "" where there was no choice
// NULL: the errors of image_main(); ERR_GEOMETRY several are left, or none is whole: in what they
// differ, with values and numbers, and what would be preferred; ERR_NOMEM.
const struct image *choose_image(struct image_set *set, uint32_t pool,
                                 const struct stage_preference *prefers, struct arena *arena,
                                 char *remark, size_t size, struct err *err);

// What an input declares can be used: every keyword is one of DICOM, every pattern compiles, and
// there are no more than 8.
// prefers: NULL is fine. ERR_INTERNAL: which does not, and why.
bool choose_check(const struct stage_preference *prefers, struct err *err);
