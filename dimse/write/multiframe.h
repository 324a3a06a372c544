// C++, inside dimse only: what Segmentation and Parametric Map have in common: frames on the grid
// of a source image, described by functional groups. Plain data sets, since DCMTK's own classes for
// them refuse sources with broken UIDs or dates, and hold all pixels several times.
// Sources: PS3.3 C.7.6.16 (functional groups), C.7.6.17 (dimensions), C.12.2 (common references).
#pragma once
#include "dimse/write/identity.h"

// Where the frames of an object lie.
struct multiframe {
    const result_set &set;
    const struct image &image;
    std::vector<uint32_t> points; // of the image that a frame is made of
    struct code derivation;       // PS3.16 CID 7203: how
};

// Has image index of the set a place that a receiver can find: positions and a frame of reference?
bool multiframe_has_place(const result_set &set, uint32_t index);

// Indices that tell the frames apart; the last one is the position of the slice.
struct multiframe_index {
    DcmTagKey attribute, group;
    const char *label;
};

// Content identification, frame of reference, dimensions, references and the shared functional
// groups of planes, for a data set that identity_object() began. label: CS or near it. Returns the
// item of the shared groups.
DcmItem &multiframe_begin(DcmDataset &ds, const struct multiframe &of, const std::string &label,
                          const std::string &description,
                          const std::vector<struct multiframe_index> &indices);
// Appends the functional groups of a frame on a slice. indices: those before the position.
DcmItem &multiframe_add(DcmDataset &ds, const struct multiframe &of, uint32_t slice,
                        const std::vector<Uint32> &indices);
// Slices of an image in ascending position along the normal, row direction x column direction:
// viewers take frames in that order.
std::vector<uint32_t> multiframe_slices(const struct multiframe &of);
// Whether pixels of the source were lossy once: PS3.3 C.7.6.1.1.5.
void multiframe_put_lossy(DcmDataset &ds, const result_set &set);
// When all codes are in: says whose the private coding schemes are (PS3.3 C.12.1).
void multiframe_end(DcmDataset &ds);
