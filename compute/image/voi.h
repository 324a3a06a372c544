// How modality values become grey: the window or the table that an image's header asks for.
// Sources: PS3.3 C.11.2.1.1 (VOI LUT), C.11.2.1.2 (window), C.11.2.1.3 (VOI LUT Function), C.11.6
// (Presentation LUT: what it inverts is image_frame.inverted). Thread-safety: any number of
// readers.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum voi_kind {
    VOI_NONE, // the header asks for nothing that can be used
    VOI_LINEAR,
    VOI_LINEAR_EXACT,
    VOI_SIGMOID,
    VOI_TABLE,
};

// All zero: VOI_NONE.
struct voi {
    enum voi_kind kind;
    double scale, offset; // scale * value + offset is what window and table take: the output of the
                          // rescale, which may be another than the modality value
    double centre, width; // of a window
    int32_t first;        // of a table: what its first entry stands for
    uint32_t count;       // its entries; each >= 1
    unsigned bits;        // of an entry, 8..16
    uint16_t *table;      // owned; malloc
    char unusable[64];    // what makes no sense and was passed over: "Window Width 0"; "" nothing
};

// Whether a window of this kind can be: LINEAR has a width of 1 or more, the others one above 0.
bool voi_window_usable(enum voi_kind kind, double centre, double width);

// 0 is black (of MONOCHROME1: white), 1 is white. NAN: the value is NAN, or VOI_NONE.
double voi_grey(const struct voi *v, double value);

// For people: "centre 40, width 400", "table of 4096 entries from -1024", "from the least to the
// most value" and what was passed over. Returns text.
const char *voi_text(const struct voi *v, char *text, size_t size);

void voi_finish(struct voi *v);

#ifdef __cplusplus
}
#endif
