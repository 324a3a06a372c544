// Mosaics of Siemens MR: one frame shows all slices of a volume side by side, row by row, in as
// many tiles a row as rows. Image Position (Patient) is that of a picture of this size around the
// centre of the first slice. Which way the others lie from it, the header of the vendor says; how
// far, Spacing Between Slices and the places of the slices in the vendor's protocol. What does not
// say so, or contradicts itself, is no volume. Mosaics of United Imaging (UIH) have a private
// sequence instead with an item a slice, which has its place and time.
// Sources, read as facts: nibabel's documentation ("Siemens mosaic format", "Siemens format DICOM
// with CSA header"), Siemens' DICOM Conformance Statement syngo MR (private attributes).
#pragma once
#include <cstdint>
#include <vector>
#include "base/err.h"
#include "compute/image/image.h"

class DcmDataset;
class DcmItem;

struct mosaic {
    uint32_t slices;              // 0: no mosaic
    uint32_t columns, rows;       // pixels of a slice
    uint32_t across, down;        // tiles a row, and rows of tiles
    std::vector<DcmItem *> tiles; // what is said of each slice; borrowed; empty: what follows
    double normal[3];             // to the next slice, unit length
    double spacing_mm;            // between slices
    struct err fault;             // why it cannot be taken apart; then slices is 0
    std::vector<int32_t> picture; // decoded when the first slice is asked for
};

// Says in *out whether header is that of a mosaic: Image Type names it, or the vendor's attribute
// gives a number of slices, or has more than one item.
void mosaic_find(DcmDataset &header, uint32_t frames, struct mosaic *out);
// From the place of the picture in *out to that of slice (0-based). ERR_UNSUPPORTED: the direction
// of the slices is not that of the normal of its orientation
bool mosaic_place(const struct mosaic &m, uint32_t slice, struct image_frame *out, struct err *err);
// Cuts a slice out of the picture. ERR_INPUT: no such slice
bool mosaic_cut(const struct mosaic &m, uint32_t slice, int32_t *values, struct err *err);
