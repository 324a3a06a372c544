// How noisy the heart is, and how many spots of false calcium its noise makes.
//
// Noise is as dark as it is bright: where blood is at 40 HU, noise that reaches 130 HU somewhere
// goes down to -50 HU as often, and nothing else does within blood and muscle. So the dark spots of
// the size that counts, in a part of the heart without fat, tell how many bright ones are none. It
// holds for any texture, also for that of iterative reconstruction, whose spots are larger than a
// standard deviation lets one think.
// Thread-safety: pure; one thread a measurement.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"

enum { CALCIUM_NOISE_BINS = 1024 };

struct calcium_noise_rules {
    uint32_t dim[2];     // columns and rows of the slices to come
    double spacing[3];   // mm
    double blood_hu;     // of the blood pool
    double threshold_hu; // of calcium
    double min_area_mm2; // of a spot that counts
};

struct calcium_noise_sums {
    struct calcium_noise_rules rules;
    uint8_t *dark;   // [rows][columns]
    uint32_t *stack; // of pixels
    size_t pixels;   // within the mask
    uint32_t spots, largest;
    uint32_t pixel[CALCIUM_NOISE_BINS], mean[CALCIUM_NOISE_BINS]; // differences, by size
};

struct calcium_noise {
    double sd_hu;       // standard deviation of pixels, trends taken off; NAN: too few
    double texture;     // sd_hu over that of the mean of 3 x 3 pixels: 3 for white noise
    double volume_ml;   // looked at
    double spots_ml;    // dark spots in a millilitre; NAN: nothing was looked at
    double largest_mm2; // of them
};

// Noise above which a score is given, yet no category: radiologists' target is 20 HU.
#define CALCIUM_CATEGORY_NOISE_HU  30
#define CALCIUM_TEXTURE_CORRELATED 2 // below, neighbours are alike

// A part of a heart's region without fat and calcium, on a coarse grid [z][y][x] of about 2.5 mm:
// cells that have only such of the region around them as are blood or muscle in the mean with their
// neighbours. core is overwritten: 1 there, 0 elsewhere.
void calcium_noise_core(const uint8_t *region, const int16_t *hu, const uint32_t dim[3],
                        double blood_hu, uint8_t *core);

// The rest lives in arena. False: no memory.
bool calcium_noise_init(struct calcium_noise_sums *s, const struct calcium_noise_rules *rules,
                        struct arena *arena);
// slice, mask  [rows][columns]: HU; 1 where to look
void calcium_noise_add(struct calcium_noise_sums *s, const float *slice, const uint8_t *mask);
void calcium_noise_measure(const struct calcium_noise_sums *s, struct calcium_noise *out);

// Whether a category may be given at a noise (HU): it stands for a risk, which noise must not
// decide.
bool calcium_noise_allows_category(double noise_hu);
