// A scalar image volume in patient space: host memory only, no Vulkan, no DICOM types.
// Source: PS3.3 C.7.6.2.1.1 (plane geometry), C.11.1.1.2 (Modality LUT).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

// What the dimse folder knows of one frame before its pixels are decoded.
struct volume_slice {
    char sop_instance_uid[65];
    char sop_class_uid[65];
    uint32_t frame;          // 1-based within its instance
    uint32_t columns, rows;  // voxels, each >= 1
    double pixel_spacing[2]; // mm, DICOM order: between rows, then between columns; > 0
    double position[3];      // mm, LPS: centre of the first voxel
    double orientation[6];   // unit cosines: along a row, then down a column
    double slope, intercept; // modality value = slope * stored + intercept
    uint16_t bits_stored;    // 1..32
    bool is_signed;
    bool localizer;                  // Image Type says LOCALIZER, or it is another kind of scout
    char frame_of_reference_uid[65]; // "" when absent
};

enum volume_type {
    VOLUME_I16, // int16_t stored values
    VOLUME_U16, // uint16_t stored values
    VOLUME_F32, // float modality values (slope 1, intercept 0): rescale differs between slices, or
                // > 16 bits
};

// What became of each slice that was offered.
enum volume_fate {
    VOLUME_USED,
    VOLUME_LOCALIZER, // set aside
    VOLUME_FOREIGN,   // other orientation, size or frame of reference than most: set aside
    VOLUME_DUPLICATE, // same position as one that is used: set aside
};

// A regular grid. Read-only once filled.
// Thread-safety: filling distinct slices from several threads is fine; then any number of readers.
struct volume {
    uint32_t dim[3];   // columns, rows, slices
    double spacing[3]; // mm between columns, rows, slices; [2] is the increment measured along the
                       // slice normal, never the slice thickness: the product is a voxel's volume
    double to_patient[3][4]; // voxel index (i, j, k, 1) -> mm, LPS; a tilted gantry shears the
                             // third column
    double tilt_deg;         // angle between the slice normal and the direction of the increment
    char unit[17];           // UCUM code: "[hnsf'U]" for CT, "1" when unitless
    enum volume_type type;
    double slope, intercept; // modality value = slope * stored + intercept, for all voxels
    void *stored;            // [slices][rows][columns] of type; owned
    uint32_t *source; // [slices] index of the slice in the array given to volume_plan(); owned
    enum volume_fate *fate; // [offered]; owned
    uint32_t offered;
    bool has_duplicates; // at least one VOLUME_DUPLICATE
    char remarks[512];   // what was set aside or noticed, one sentence each; "" when nothing
};

// Sorts slices along their normal by Image Position (Patient), checks them and allocates the voxels
// (zero). slices  count entries, any order; only read. Ties are broken by SOP Instance UID and
// frame, so the same
//         set gives the same volume in any order.
// unit    UCUM code of slope * stored + intercept
// Returns a volume for volume_fill() and volume_destroy(), or NULL with *err set:
//   ERR_INPUT        count is 0; a slice has no voxels, no finite geometry or spacing <= 0
//   ERR_GEOMETRY     a slice is missing or the distances differ (by more than 1 % of the increment
//   and
//                    0.05 mm); orientation or spacing are contradictory; fewer than 2 slices
//                    remain. The text names the place: "2 slices missing between 45.0 and 54.0 mm"
//   ERR_NOMEM        the voxels do not fit in memory, or their size overflows
struct volume *volume_plan(const struct volume_slice *slices, size_t count, const char *unit,
                           struct err *err);

// Copies the pixels of slice k (position in the volume) into the volume.
// values  [rows][columns] stored values as the decoder gives them
// slope, intercept  of that slice; used when type is VOLUME_F32
// False with ERR_INPUT when a value does not fit the type.
bool volume_fill(struct volume *v, uint32_t k, const int32_t *values, double slope,
                 double intercept, struct err *err);

void volume_destroy(struct volume *v); // NULL is fine

// One modality value; k < dim[2] and so on is the caller's business.
double volume_value(const struct volume *v, uint32_t i, uint32_t j, uint32_t k);

// Voxel index (fractions allowed) to mm, LPS.
void volume_to_patient(const struct volume *v, const double ijk[3], double mm[3]);

size_t volume_voxels(const struct volume *v); // dim[0] * dim[1] * dim[2]

#ifdef __cplusplus
}
#endif
