// The arithmetic of calcium scoring on islands that are known to be coronary calcium: Agatston
// score, volume, mass, CAC-DRS category. An island is a connected set of pixels in one slice.
//   Agatston = sum of area * weight * increment / 3 mm, over islands of at least min_area_mm2
//   volume   = voxels of these islands * voxel volume (no interpolation)
//   mass     = calibration factor * mean HU * volume
// Sources: Agatston et al., J Am Coll Cardiol 1990;15:827 (areas and weights, 3 mm slices);
// Ulzheimer and Kalender, Eur Radiol 2003;13:484 (mass); CAC-DRS, J Cardiovasc Comput Tomogr
// 2018;12:185. Sums are in integers. Thread-safety: pure functions.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calcium_rules {
    double threshold_hu;     // lowest value that counts; the weight steps scale with it (130 HU)
    double min_area_mm2;     // smaller islands do not count
    bool weight_from_lesion; // weight by the maximum of the whole lesion, not of the island
    double pixel_area_mm2, increment_mm; // increment: between slice centres, along the normal
    double mass_factor;                  // mg/cm3 a HU
};

struct calcium_island {
    uint32_t lesion; // index
    uint32_t slice, pixels;
    int32_t max; // HU
    int64_t sum; // HU
};

// Integer sums over counted islands.
struct calcium_amount {
    uint64_t pixels, weighted; // weighted: pixels times weight
    int64_t hu_sum;
    uint32_t islands, lesions;
    int32_t max; // HU; INT32_MIN while empty
};

// 0 below the threshold, then 1, 2, 3, 4 from 130, 200, 300, 400 HU (scaled).
unsigned calcium_weight(const struct calcium_rules *rules, double hu);
bool calcium_counts(const struct calcium_rules *rules, uint32_t pixels);

// amounts  lesion_count entries, overwritten: amounts[n] is of lesion n, its lesions field 1 when
//          at least one island counts
void calcium_score(const struct calcium_rules *rules, const struct calcium_island *islands,
                   size_t count, struct calcium_amount *amounts, size_t lesion_count);
void calcium_add(struct calcium_amount *total, const struct calcium_amount *part);

double calcium_agatston(const struct calcium_rules *rules, const struct calcium_amount *a);
double calcium_volume_mm3(const struct calcium_rules *rules, const struct calcium_amount *a);
double calcium_mass_mg(const struct calcium_rules *rules, const struct calcium_amount *a);

// "A0", "A1/N1" ... "A3/N4": A by the total (0, above 0, from 100, from 300), N the arteries with
// calcium (LM, LAD, LCX, RCA). text: at least 8 bytes.
void calcium_category(double agatston, unsigned arteries, char *text, size_t size);
