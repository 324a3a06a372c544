// Where in the heart a candidate lies: to its middle, its surface, the aortas and the spine; what
// that place speaks for, and of which artery it is. Internal to the stage.
// Thread-safety: one thread a search.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/anatomy/heart.h"
#include "compute/stages/calcium/calcium_candidate.h"

// In radii of the heart's largest ball from the middle of its core, along the patient's back and
// head: before the first is the chest wall, in which cartilage lies in fat; behind the second
// nothing is of the heart; arteries leave the aorta at 0.8 to 1.6 (in one scan at 1.8).
#define CALCIUM_CHEST_RADII (-1.35)
#define CALCIUM_BACK_RADII  1.6
#define CALCIUM_OSTIA_HIGH  1.25

// Around a disc of the aorta, outwards: error of its edge, which is found 1 mm too far out, and of
// its middle.
#define CALCIUM_WALL_MM 4.0

// The middle of the heart's core is known so well, in radii, in a small field of view: cut to 160
// mm chests had theirs up to 0.2 from where it is in the whole image.
#define CALCIUM_SHIFT_RADII 0.2
enum { CALCIUM_SHIFTS = 7 }; // not at all, and both ways along each axis

// How a component lies to the rim of the ascending aorta, slice by slice.
struct calcium_rim {
    bool known;
    double in_mm, out_mm; // 5 % lie farther in, or farther out: negative is within the disc
    double along_mm;      // how long it is along the rim
    double above_mm;      // its lowest voxel's height above the lowest disc seen
};

// Where a place lies in the heart.
struct calcium_bearing {
    double from[3];       // from the middle of the core, in radii
    double surface_mm;    // to the nearest fat or lung
    double bone_mm;       // to the nearest bone
    double above_mm;      // from the lowest disc of the ascending aorta
    double lowest_disc;   // its height from the middle of the core, radii
    double descending_mm; // from the edge of that aorta's disc
    struct calcium_rim rim;
    double front, left; // of the spine, radii; NAN: it is not seen
};

// at: grid indices. Without the rim.
struct calcium_bearing calcium_bearing_of(const struct anatomy_heart *h, const double at[3]);
// A place as it would be with the middle of the core beside where it is, in the n-th of
// CALCIUM_SHIFTS ways.
struct calcium_bearing calcium_bearing_shifted(const struct calcium_bearing *b, int n);
struct calcium_rim calcium_rim_of(const struct calcium_search *s, uint32_t n);
enum calcium_artery calcium_artery_of(const struct calcium_bearing *b);
// The same, unassigned where a shift would make it another one.
enum calcium_artery calcium_artery_sure(const struct calcium_bearing *b);
// Where the descending aorta is, whose wall is no coronary artery, yet near the circumflex.
bool calcium_is_behind(const struct calcium_bearing *b);
// Where arteries leave the aortic root.
bool calcium_at_root(const struct calcium_bearing *b);
// What speaks for the wall of an aorta, or for a place where no artery runs; CALCIUM_IN_FAT:
// nothing.
enum calcium_reason calcium_judge_place(const struct calcium_bearing *b);
