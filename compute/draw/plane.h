// A picture in two dimensions with its numbers: a slice of an image, of a map, or a section through
// a stack. Pixels are decoded when a plane is made and kept with it only.
// Process: worker, analyze. Thread-safety: one thread a plane.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "compute/findings/findings.h"
#include "compute/image/image.h"
#include "compute/image/voi.h"

struct plane {
    uint32_t columns, rows;
    double mm[2];       // between columns, between rows; 1 where not known
    bool scaled;        // mm holds
    char right, down;   // patient direction that columns and rows grow to, the first letter of it;
                        // ' ' not known
    bool inverted;      // the lowest value is white
    float *values;      // [rows][columns]; NAN: nothing there, or padding; owned
    struct voi voi;     // how the header wants it shown; VOI_NONE where it does not say
    uint16_t *labels;   // [rows][columns]: 0 or region index + 1; NULL: none; owned
    bool has_place;     // place holds: marks of it are drawn
    struct place place; // of a slice
};

// Each reads one plane; false with *err:
//   ERR_INPUT   there is no such image, slice, point or map, or no pixels of it
//   ERR_NOMEM   and what reading pixels says
// labels: with the label map of that image and point, where f has one.
bool plane_read_slice(struct plane *p, const struct image_set *set, const struct findings *f,
                      const struct place *place, bool labels, struct err *err);
// A slice of map `map` of f. set may lack pixels.
bool plane_read_map(struct plane *p, const struct image_set *set, const struct findings *f, int map,
                    const struct place *place, bool labels, struct err *err);
// Sections: columns are the columns (coronal to the grid) or the rows (sagittal) of the image, rows
// the slices, with what is nearer to the head, else to the front, above. A sheared stack (tilted
// gantry) is set straight. Every slice is decoded once for all sections of its image and point, one
// at a time. planes: [count], for plane_finish() each; one without values: there is no such
// section.
bool plane_read_sections(struct plane *planes, const struct image_set *set,
                         const struct findings *f, const struct page_section *sections,
                         uint32_t count, struct err *err);
void plane_finish(struct plane *p); // {0} is fine
