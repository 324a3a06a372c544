// What kind of image it is: whether its numbers are those of a scan as it was reconstructed. The
// one place that knows what attributes and makers say of it. Thread-safety: pure.
//
// Sources, read as facts: PS3.3 C.7.6.1.1.2, C.8.2.1.1.1, C.8.16.1 (Image Type, Frame Type and the
// terms of their values 3 and 4, also for multi-energy), C.8.16.2.1.2 and C.8.16.2.1.3 (Volumetric
// Properties, Volume Based Calculation Technique), C.8.15.3.2.1 (Acquisition Type), C.8.15.3.12
// (Monoenergetic Energy Equivalent), C.11.1.1.2 (Rescale Type); PS3.16 CID 7203 (Derivation Code);
// PS3.17 JJJJ (multi-energy: an image of atomic numbers may be ORIGINAL\PRIMARY\AXIAL).
// Further values of Image Type: Siemens syngo MMWP 2008B DICOM Conformance Statement, annex CT
// (MPR, PROJECTION IMAGE, OTHER); values seen in public headers (CSA MPR, CSA RESAMPLED, CT_SOM7
// VPCT\MIP and \AVG of Siemens, whose SNRG\DET_AB is one voltage on both detectors; AVERAGE,
// REFORMATTED of GE; REF_SURVIEW of Philips). Kernels of Siemens: Sa makes numbers of calcium those
// of 120 kV (Booij et al., Eur Radiol 2020;30:3346: Agatston scores within 8 % from 70 to 150 kV
// where the standard Qr36 is off by up to 40 %). DirectDensity makes numbers follow electron
// density (Appl Sci 2022;12:7845); its kernels are called Sd, which no public document that could
// be read says. Words of descriptions are used last: they are the only thing that older
// workstations say.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/image/image.h"

// Those below stray ever farther from a scan as it was reconstructed. Up to IMAGE_MIXED the numbers
// are attenuation, from neighbours or voltages averaged; behind it they are something else.
enum image_kind {
    IMAGE_ACQUIRED,   // reconstructed slices, or nothing says otherwise
    IMAGE_DERIVED,    // derived or secondary, and nothing says how
    IMAGE_RESAMPLED,  // reformatted, resampled, or the mean of slices
    IMAGE_FILTERED,   // smoothed or edges enhanced after reconstruction
    IMAGE_MIXED,      // several energies weighted to look like one
    IMAGE_MONO,       // as if at one photon energy
    IMAGE_DENSITY,    // electron density
    IMAGE_ATOMIC,     // effective atomic number
    IMAGE_MATERIAL,   // amount or share of a material: iodine, water
    IMAGE_REMOVED,    // a material removed or changed: virtual non-contrast
    IMAGE_COMPUTED,   // another quantity of each voxel: subtraction, blood flow
    IMAGE_PROJECTION, // maximum, minimum or sum along rays
    IMAGE_PICTURE,    // rendered, or a screen
    IMAGE_SCOUT,      // localizer
};

struct image_nature {
    enum image_kind kind; // the farthest of any frame
    uint32_t frames;      // of the image
    uint32_t count;       // of them of this kind
    double kev;           // IMAGE_MONO: of the first; NAN not stated
    bool multi_energy;    // a frame was acquired with several energies
    uint32_t as_120_kv;   // frames whose kernel gives the numbers of 120 kV at any tube voltage
    char reason[192]; // what says so: "Image Type is ORIGINAL\PRIMARY\AXIAL\VMI"; "" IMAGE_ACQUIRED
};

void image_nature(const struct image_set *set, const struct image *img, struct image_nature *out);
// "virtual monoenergetic image"
const char *image_kind_name(enum image_kind kind);
// Whether the kernel of a frame gives the numbers of 120 kV at any tube voltage.
bool image_frame_as_120_kv(const struct image_frame *frame);
// A sentence for people: "virtual monoenergetic image of 70 keV (Image Type is ...) in 24 of 48
// images"; "" for IMAGE_ACQUIRED. Returns text.
const char *image_nature_text(const struct image_nature *nature, char *text, size_t size);
