// Images: the frames of one or several series on their grids, with up to one axis more than space.
// A mammogram is an image of one slice and one point without a place in space; a CT is slices at
// one point; a perfusion study is slices x times, a cine stack slices x phases. Host memory holds
// the description only: pixels are decoded where they are used (compute/image/load.h), a point at a
// time. Sources: PS3.3 C.7.6.2.1.1 (plane geometry), C.7.6.16 (functional groups), C.11.1 (Modality
// LUT). Process: worker, analyze. Thread-safety: an image set is read-only once split; any number
// of readers.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/attrs.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IMAGE_NO_FRAME UINT32_MAX

// One frame before decoding; filled by dimse/read. Numbers that are not known are NAN, indices -1.
struct image_frame {
    uint32_t source;         // index into the instances of the job
    uint32_t number;         // 1-based within its instance
    bool of_many;            // its instance has more frames
    bool tiled;              // it is a part of the one frame of its instance: number is that of the
                             // part, which no reference names
    uint32_t pool;           // frames of different pools never share an image
    uint32_t columns, rows;  // pixels, each >= 1
    double pixel_mm[2];      // between columns, then between rows (not the order of Pixel Spacing)
    bool placed;             // position and orientation hold; false: projection, capture
    double position[3];      // mm, LPS: centre of the first pixel
    double orientation[6];   // unit cosines: along a row, then down a column
    double slope, intercept; // modality value = slope * stored + intercept
    bool no_slope, no_intercept; // the header lacks it, though its modality or the other one asks
                                 // for it: 1, 0 (see compute/image/rescale.h)
    char unit[17];               // UCUM of it: "[hnsf'U]" for CT, "1" when unitless or not known
    uint16_t bits_stored;        // 1..32
    bool is_signed;
    bool is_float; // stored values are floating point (Float Pixel Data)
    bool colour;   // RGB, YBR or a palette: pictures, no values that could be measured
    bool padded;   // stored values from padding[0] to padding[1] are no part of the image
    int32_t padding[2];
    bool inverted;  // MONOCHROME1: the lowest value is white
    bool localizer; // Image Type says LOCALIZER, or it is another kind of scout
    double time_s;  // of acquisition: since 1970 where the date is known, else of the day; or since
                    // the first frame of its instance
    double trigger_ms, echo_ms, b_value;
    double gradient[3]; // direction of diffusion weighting, in whatever frame the scanner has
    double
        written_mm[3]; // unit of the last decimal of each coordinate of position: 0.01 of "12.25"
    int32_t dimension; // order among the frames of an enhanced object by its dimensions but place
    int32_t temporal, stack; // Temporal Position Index or Identifier; Stack ID where a number
    int32_t instance_number; // Instance Number; -1
    char kind[96];    // what it is, in words of its functional groups or of the vendor: frames of
                      // different kinds share no image. "": attrs say it
    char variant[16]; // the same of a vendor, where no diffusion tells frames apart
    char frame_of_reference_uid[65]; // "" when absent
    char sop_instance_uid[65];
    const struct attrs *attrs; // of its instance, functional groups flattened; borrowed
};

// What tells the frames at one place apart.
enum image_axis {
    IMAGE_NO_AXIS,
    IMAGE_TIME,  // seconds since the earliest frame
    IMAGE_PHASE, // trigger delay in ms
    IMAGE_ECHO,  // echo time in ms
    IMAGE_B,     // b value in s/mm2; several directions of one are points too
    IMAGE_ORDER, // 0, 1, ...: turns of Instance Numbers (of dimensions) through all places, where
                 // nothing else tells frames apart
};
// "none", "time", "phase", "echo", "b value", "order"
const char *image_axis_name(enum image_axis axis);

// Says which phase of the heart's cycle a CT shows: frames that differ in it are of separate
// images, unless phases are wanted. Where it is absent, others may say it: compute/image/phase.h.
#define IMAGE_CARDIAC_PERCENT "NominalPercentageOfCardiacPhase"
#define IMAGE_TOSHIBA_PERCENT "7005,xx04[TOSHIBA_MEC_CT3]" // the same, of that maker

enum image_voxel {
    IMAGE_I16, // int16_t modality values, exact
    IMAGE_F32, // float modality values
};

// Frames on one grid.
struct image {
    uint32_t pool;
    uint32_t dim[4];         // columns, rows, slices, points; each >= 1
    bool placed;             // to_patient and spacing[2] hold
    bool colour;             // pictures, no values that could be measured
    double spacing[3];       // mm between columns, rows, slices; [2] is measured between the slices
                             // along their normal, whatever their thickness; a single slice has no
                             // neighbour, and the extent of its voxels is Slice Thickness; NAN
                             // where not known
    double to_patient[3][4]; // voxel index (i, j, k, 1) -> mm, LPS; a tilted gantry shears column 2
    double tilt_deg;         // angle between the slice normal and the direction of the increment
    char unit[17];           // UCUM of the modality values
    enum image_voxel type;   // IMAGE_I16 where that is exact for every frame
    enum image_axis axis;
    const double *at;      // [points][slices] position on the axis; NAN: missing, or not stated as
                           // times that are the same at all points; NULL without axis
    const uint32_t *frame; // [points][slices] index into frames; IMAGE_NO_FRAME: missing
    uint32_t missing;      // cells without a frame
    uint32_t duplicates;   // frames that nothing tells from one that is used: set aside
    double uneven_mm;      // the farthest that a slice lies from its place on the grid
    double gap_mm[2];      // the first missing slices lie between these, along the normal; NAN
    char defect[256];      // why the slices are no regular grid: "2 slices missing between 45.0 and
                           // 54.0 mm"; "" when they are
};

// What became of a frame.
enum image_fate {
    IMAGE_USED,      // in an image
    IMAGE_LOCALIZER, // set aside
    IMAGE_DUPLICATE, // nothing tells it from one that is used: set aside
};

struct image_pixels; // compute/image/load.h

struct image_set {
    const struct image_frame *frames; // as given to image_split(); borrowed
    uint32_t frame_count;
    struct image *images; // by pool, grey ones first, of these those with a place, then by frames
    uint32_t image_count;
    enum image_fate *fate; // [frame_count]
    uint32_t *twin;        // [frame_count] of duplicates: the frame that is used in place of it
    uint32_t localizers;   // frames set aside as such
    const struct image_pixels *pixels; // where pixels come from; set by the caller; NULL: nowhere
};

// Splits frames into images. Frames of one pool share an image when they have the same size, pixel
// spacing (0.1 %), orientation (0.5 degrees), stack, unit and colour or none, and the same frame of
// reference: its UIDs may differ or be empty on one even grid, unless two of them have a stack of
// three slices or more each. How even a grid has to be is told in compute/image/stack.h. At one
// place, several frames become points of an axis: of prefer[pool], b value with direction, echo,
// phase, time, order of Instance Numbers the first that tells all of them apart. Echo times and b
// values that are not the axis split the pool into images, as do Image Type, Complex Image
// Component, Convolution Kernel, KVP, Slice Thickness, Flip Angle and (in CT) the phase of the
// heart (compute/image/phase.h) where they differ at a place; kernels and phases also where their
// slices lie between each other, the others there where all slices are no even stack; and series
// and acquisition where nothing else tells frames apart. Phases within 4 % are one, unless they are
// stated for one place. Frames that differ in nothing but their instance are duplicates, whose
// pixels are still to be compared (compute/image/duplicate.h). Frames without a place are images of
// their own, those of one instance together as points in time. Ties are broken by SOP Instance UID
// and frame number: the same set gives the same images in any order.
//
// count   entries of frames; borrowed by the set
// prefer  [pool] for every pool number that occurs; NULL: no preference
// Everything else of *out lives in arena.
//   ERR_INPUT  more than 1024 groups of frames that could share an image; a frame has no pixels, or
//              a position, orientation, spacing or rescale that makes no sense (instance and frame
//              are named)
//   ERR_NOMEM
// What is no regular grid is no error: see struct image.defect.
bool image_split(const struct image_frame *frames, uint32_t count, const enum image_axis *prefer,
                 struct arena *arena, struct image_set *out, struct err *err);

// The one image a stage means that takes one placed image of a pool: the one with the most frames
// of those that have a place, if any has.
//   ERR_GEOMETRY  two are equally large, or its slices are no regular grid (its defect)
//   ERR_INPUT     there is none
const struct image *image_main(const struct image_set *set, uint32_t pool, struct err *err);

// What was set aside in a pool besides duplicates, as sentences for people: "Set aside as
// localizer: 1. Set aside in another orientation: 20."; "" when nothing was. main: the image that
// is used.
void image_remarks(const struct image_set *set, const struct image *main, char *text, size_t size);

// What several points of an image are, for people: "2 images of each place differ in nothing but
// their delay (ms), 325 to 650". Returns text.
const char *image_points_text(const struct image *img, char *text, size_t size);

// Whether it lies in a frame of reference: it has a place, and its frames name the same. Without,
// others cannot relate a segmentation or a map to it.
bool image_has_reference(const struct image_set *set, const struct image *img);

// Whether two images with a place differ in Acquisition Number and in nothing else that splits
// frames: the same was scanned again, or it is there twice.
bool image_is_other_acquisition(const struct image_set *set, const struct image *a,
                                const struct image *b);

// Index of the frame at (slice, point), or IMAGE_NO_FRAME.
uint32_t image_frame_at(const struct image *img, uint32_t slice, uint32_t point);

// How an attribute stands over the frames of an image.
enum image_attr {
    IMAGE_ATTR_ABSENT,  // no frame has a value
    IMAGE_ATTR_SAME,    // all have the same
    IMAGE_ATTR_DIFFERS, // they have several, or some have none
};

// Whether two values of an attribute, each perhaps of several with \ between, say the same: the
// same numbers ("3" and "3.0") or the same text.
bool image_same_value(const char *a, const char *b);

// What the frames of an image say of an attribute. Empty is absent.
struct image_said {
    enum image_attr state;
    const char *first; // value of the first frame (in order of points, then slices) that has one,
                       // borrowed; "" none
    double low, high;  // of those that are numbers, the first of several values each; NAN: none is
    bool comma;        // a number is written with a decimal comma: it has been read as a point
    uint32_t frames;   // of the image
    uint32_t without;  // frames without a value
    char text[256]; // for people: "B35f"; "3 in 24 images, 6 in 24 images"; "120 in 40 images, none
                    // in 6"; "not stated". As text_shown() writes them
};
void image_said(const struct image_set *set, const struct image *img, const char *keyword,
                struct image_said *out);
// The same as a number; NAN where absent or not a number. The first of several values counts.
enum image_attr image_number(const struct image_set *set, const struct image *img,
                             const char *keyword, double *value);
// The value where all frames have the same, or "".
const char *image_text(const struct image_set *set, const struct image *img, const char *keyword);

// Whether Image Type or Frame Type (all values, "ORIGINAL\\PRIMARY\\LOCALIZER") names a localizer
// or another kind of scout.
bool image_type_is_scout(const char *type); // compute/image/kind.c

// Voxel index (fractions allowed) to mm, LPS. Only where placed.
void image_to_patient(const struct image *img, const double ijk[3], double mm[3]);
// The patient direction (L, R, P, A, H, F; PS3.3 C.7.6.1.1.1) that an axis (0 columns, 1 rows,
// 2 slices) grows to, by its largest component; ' ' where not placed.
char image_direction(const struct image *img, int axis);
// How viewers name a frame: "image 34" by its Instance Number, "image 1 frame 7" in an instance of
// several, "image 1 tile 7" in a mosaic, where that has no number "frame 7", "tile 7" or "slice 3";
// "series 5 image 34" where the set has frames of several series. Returns text.
const char *image_place_name(const struct image_set *set, uint32_t image, uint32_t slice,
                             uint32_t point, char *text, size_t size);
size_t image_voxels(const struct image *img); // dim[0] * dim[1] * dim[2]: of one point

#ifdef __cplusplus
}
#endif
