// What an analysis found, as plain data: the encoders in dimse/write turn it into DICOM, and no
// stage knows how. Everything lives in the findings' arena; texts are UTF-8. Coordinates on an
// image: pixels, column then row, the top left corner of the top left pixel is (0, 0), the centre
// of it (0.5, 0.5). Source: PS3.3 C.10.5.1.2 (PIXEL), C.18.6 (SCOORD). Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/identity.h"
#include "compute/image/image.h"

#ifdef __cplusplus
extern "C" {
#endif

enum verdict {
    VERDICT_DONE,
    VERDICT_NOTHING_FOUND, // evaluated, and there is nothing
    VERDICT_NOT_EVALUABLE, // must not be evaluated: the reason says why
    VERDICT_FAILED,        // should have worked
};
const char *verdict_name(enum verdict v); // "done", "nothing found", "not evaluable", "failed"

// Templates of PS3.16 that a report can follow.
enum report_template {
    REPORT_MEASUREMENTS, // TID 1500 Measurement Report
    REPORT_MAMMO_CAD,    // TID 4000 Mammography CAD Document Root
    REPORT_BASIC_TEXT,   // TID 2000 Basic Diagnostic Imaging Report
    REPORT_TEMPLATES,    // how many there are; none itself
};

struct code {
    const char *value, *scheme,
        *meaning; // "450360000", "SCT", "Coronary artery calcium score"; value NULL: none
};

// A frame of an image: where something is, what to look at.
struct place {
    uint32_t image; // index into the images of the set
    uint32_t slice, point;
};

// ---- Numbers and statements ---------------------------------------------------------------------

struct measurement {
    struct code concept;
    double value;
    bool ranged;            // only a range is known: low..high, value lies in it
    double low, high;       // where ranged
    const char *range_why;  // why; NULL: not said
    int decimals;           // digits after the point that are meant
    struct code unit;       // UCUM
    struct code method;     // measurement method; value NULL: none
    struct code derivation; // value NULL: none
    struct code phase;      // of the cardiac cycle, PS3.16 CID 12233; value NULL: none
    int region;             // index into regions, or -1
};

// A statement that is no number: concept = code or text.
struct evaluation {
    struct code concept;
    struct code value; // value.value NULL: text
    const char *text;
};

// Who found it, where that is not the analysis as a whole.
struct algorithm {
    const char *name, *version; // name NULL: the analysis
    const char *parameters;     // NULL: none
    struct code family;         // PS3.16 CID 7162: artificial intelligence, ...; value NULL: none
};

// What belongs together under one tracking identifier: an artery, a lesion, an organ.
struct finding_group {
    const char *label;      // tracking identifier, unique in the findings: "LAD lesion 2"
    struct code finding;    // what it is; value NULL: none
    struct code site;       // where; value NULL: none
    struct code laterality; // value NULL: none
    int region;             // index into regions, or -1
    int parent;             // group this one is part of (lesion -> artery), or -1
    bool has_key;           // key holds
    struct place key;       // where to look first
    bool has_center;        // center holds
    double center[2];       // of the finding, column and row on the frame of key
    double probability;     // 0..1; NAN: none
    struct algorithm algorithm;
    struct measurement *measurements;
    uint32_t measurement_count;
    struct evaluation *evaluations;
    uint32_t evaluation_count;
};

// A candidate that the method rejected, or an input that it left out: part of the result.
struct exclusion {
    const char *what;   // "bright spot near the LAD"
    const char *reason; // "no fat around it"
    bool has_place;
    struct place place;
    double box[4]; // first column, first row, columns, rows at that place; columns 0: none
    struct measurement value; // what it would have counted; concept.value NULL: none
};

// What was looked for, on which images, and whether that could be done: where nothing was found,
// this tells "looked, nothing there" from "not looked".
struct search {
    struct code what; // PS3.16 CID 6014 (detection) or 6043 (analysis)
    bool analysis;    // judges what is there; false: detects
    bool failed;      // it was tried and could not be done
    struct algorithm algorithm;
    const uint32_t *images; // indices into the images of the set
    uint32_t image_count;
};

// An earlier result that this one was compared with, or was not.
struct comparison {
    struct object_id with; // its report
    const char *text;      // what came of it, in a sentence
};

// ---- Graphics -----------------------------------------------------------------------------------

enum mark_kind { MARK_POINT, MARK_POLYLINE, MARK_ELLIPSE, MARK_TEXT };

// A graphic on a frame. A polyline is closed when its first point is repeated at the end.
struct mark {
    enum mark_kind kind;
    struct place place;
    int layer; // index into layers
    int group; // index into groups, or -1
    const float
        *points; // count pairs (column, row); text: one pair, its anchor, and one, its top left
    uint32_t count;
    const char *text; // MARK_TEXT: lines separated by '\n'
    bool symbol;      // stands for its group (a triangle for a cluster): no outline of it
};

struct layer {
    const char *name; // CS: upper case, digits, blank, underscore; at most 16
    const char *description;
    uint8_t rgb[3];
    int order; // drawn from the lowest up; equal ones in the order of layers
};

// ---- Regions, maps, curves ----------------------------------------------------------------------

enum region_role {
    REGION_FOUND,    // what was found, measured
    REGION_SEARCHED, // where was looked
};

// A segment.
struct region {
    const char *label;
    struct code category, type, site, laterality;
    uint8_t rgb[3];
    enum region_role role;
    int group;      // index into groups, or -1
    bool automatic; // no person had a part in it; false: semi-automatic
    struct algorithm algorithm;
};

// Regions on the grid of an image, at one point of its axis: voxel value n belongs to region n - 1.
// A region may occur in several maps (a phase each).
struct label_map {
    uint32_t image, point;
    uint16_t *labels; // [slices][rows][columns]: 0 or region index + 1
    // Labels lie in slices[0] <= k < slices[1] only: the others are not looked for regions. All,
    // unless who paints says less, which saves memory where few slices of many have labels.
    uint32_t slices[2];
};

// Membership of one region as a fraction.
struct fraction_map {
    uint32_t image, point;
    int region;
    bool probability; // false: occupancy
    uint8_t *values;  // [slices][rows][columns]: 255 is all
};

enum palette { PALETTE_GREY, PALETTE_HOT, PALETTE_PERFUSION, PALETTE_DIFFERENCE };

// A quantity a voxel, on the grid of an image.
struct value_map {
    const char *name;  // file name part, unique: "cbf"
    const char *title; // "Cerebral blood flow"
    uint32_t image;
    struct code quantity, unit, method; // method.value NULL: none
    struct code derivation;             // PS3.16 CID 7203; value NULL: none
    double window[2];                   // centre, width
    enum palette palette;
    float *values; // [slices][rows][columns]; NAN: no value
};

struct curve_line {
    const char *name;
    const double *x, *y; // count entries; NAN: a gap
    uint32_t count;
    uint8_t rgb[3];
    bool marks, bars; // points marked; drawn as a histogram
};

// A plot on the page. What of it is coded stands as measurements in groups.
struct curve {
    const char *title;
    const char *x_name, *x_unit, *y_name, *y_unit; // units for people
    struct curve_line *lines;
    uint32_t line_count;
    const double *guides; // x values of vertical lines
    const char *const *guide_names;
    uint32_t guide_count;
};

struct parameter_value {
    const char *name, *value, *unit; // as used, for the SR and report.json; unit "" when none
};

// Planes cut through a volume, parallel and evenly spaced, on a grid of their own: a series of
// images that viewers scroll through and measure in.
struct reformat {
    const char *name;      // [a-z0-9-], unique: "coronal"
    const char *title;     // "Coronal planes"
    const char *method;    // how samples of a slab became one value: "mean"
    uint32_t image;        // that they are cut from
    uint32_t dim[3];       // columns, rows, planes
    double spacing[3];     // mm between columns, rows, planes
    double thickness_mm;   // of the slab that a plane shows; 0: single samples
    double first[3];       // mm, LPS: centre of the first pixel of the first plane
    double axes[3][3];     // unit vectors, LPS: along a row, down a column, from plane to plane
    double window[2];      // centre, width, in modality units
    bool padded;           // pixels of the value padding lie outside the volume
    int16_t padding;       // no pixel inside has it
    int16_t *values;       // [planes][rows][columns] modality values
    uint32_t (*slices)[2]; // [planes] the first and the last slice of image that a plane is made of
};

// ---- Pictures and the page ----------------------------------------------------------------------

// One picture or the frames of one that moves. Pictures of one product make one secondary capture.
struct picture {
    const char *name;    // "page1": file name part, [a-z0-9-], unique
    const char *product; // "page", "cine": what belongs together in one object; [a-z0-9-]
    const char *title;
    uint32_t width, height;
    uint32_t frames;       // >= 1
    double frame_ms;       // time a frame is shown; 0: a page, stays
    char directions[2][4]; // patient directions of rows and columns ("L", "P"); "" not known
    const uint8_t *rgb;    // [frames][height][width][3]
};

// A document made of the pages, as it will be encapsulated.
struct document {
    const char *name, *title; // "report"
    const char *mime;         // "application/pdf"
    const uint8_t *bytes;
    size_t size;
};

// What the report page shows; compute/draw/page.h draws it. Every curve of the findings is drawn
// too.
struct page_table {
    const char *title;
    const char *const *cells; // [rows][columns]; the first row is the head
    uint32_t rows, columns;
    bool total; // the last row is the total
};
struct page_image {
    struct place place;
    double box[4];    // part shown: first column, first row, columns, rows (pixels); empty: all
    double window[2]; // centre, width, in modality units; width <= 0: as the header wants it, else
                      // from the least to the most
    const char *caption;
    int map;      // index into maps: its slice is shown in its palette instead; -1: none
    bool regions; // regions of the label map at that place are outlined in their colours
};
// A plane through the stack that is not one of its slices: rows are slices or columns of it.
struct page_section {
    uint32_t image, point;
    int axis;       // 0: sagittal to the grid (column index), 1: coronal to it (row index)
    uint32_t index; // of that axis
    double window[2];
    const char *caption;
    bool regions;
};
// A value for each of the 17 segments of the left ventricle (Cerqueira et al., Circulation
// 2002;105:539), as rings: the base outside, the apex inside, the anterior wall above, the septum
// to the left.
#define BULLSEYE_SEGMENTS 17
struct bullseye {
    const char *title, *unit;         // unit for people
    double values[BULLSEYE_SEGMENTS]; // of segment n + 1; NAN: not evaluable
    int decimals;
    double window[2]; // values of the first and the last colour
    enum palette palette;
};
struct page {
    const char *title;    // "Coronary calcium scoring"
    const char *headline; // "Agatston 605.9   CAC-DRS A3/N4"
    const char *const
        *warnings; // shown in a box: estimate, uncalibrated mass, not evaluable because ...
    uint32_t warning_count;
    struct page_table *tables;
    uint32_t table_count;
    struct page_image *images;
    uint32_t image_count;
    // So many of the first images are a mosaic beside the tables of the first page, instead of the
    // facts: small, so many a row, captions in their corners, regions filled. 0: none.
    uint32_t mosaic, mosaic_columns;
    struct page_section *sections;
    uint32_t section_count;
    struct bullseye *bullseyes;
    uint32_t bullseye_count;
    const char *const *facts; // scan and method, a line each: "kVp 120", "increment 3.0 mm"
    uint32_t fact_count;
};

// ---- All of it ----------------------------------------------------------------------------------

struct findings {
    struct arena *arena;
    enum verdict verdict;
    const char *reason;             // "" for VERDICT_DONE
    struct code procedure;          // procedure reported
    struct evaluation *evaluations; // of the whole: CAC-DRS class, estimate, warnings
    uint32_t evaluation_count;
    struct finding_group *groups;
    uint32_t group_count;
    struct exclusion *exclusions;
    uint32_t exclusion_count;
    struct search *searches;
    uint32_t search_count;
    bool searches_left_out; // of what such an analysis looks for something was tried on no image:
                            // the report never says that all of it succeeded
    struct comparison *comparisons;
    uint32_t comparison_count;
    struct layer *layers;
    uint32_t layer_count;
    struct mark *marks;
    uint32_t mark_count;
    struct region *regions;
    uint32_t region_count;
    struct label_map *labels;
    uint32_t label_count;
    struct fraction_map *fractions;
    uint32_t fraction_count;
    struct value_map *maps;
    uint32_t map_count;
    struct reformat *reformats;
    uint32_t reformat_count;
    struct curve *curves;
    uint32_t curve_count;
    struct parameter_value *parameters;
    uint32_t parameter_count;
    struct page page;
    struct picture *pictures;
    uint32_t picture_count;
    struct document *documents;
    uint32_t document_count;
    uint64_t device_peak_bytes; // most device memory in use at once
    bool no_memory;             // something could not be added: see findings_ok()
};

// An empty one with its arena, verdict VERDICT_FAILED, reason "no result". NULL: no memory.
struct findings *findings_create(void);
void findings_destroy(struct findings *f);

// Whoever adds need not look at every return value: what could not be added for lack of memory is
// remembered, and this is false with ERR_NOMEM from then on. The job asks it after run().
bool findings_ok(const struct findings *f, struct err *err);

// Each appends one entry, zeroed but for probability NAN, indices -1, frames 1, and returns it, or
// NULL: no memory. Pointers returned before stay valid only until the next call for the same array.
struct finding_group *findings_add_group(struct findings *f);
struct measurement *findings_add_measurement(struct findings *f, struct finding_group *g);
// With what most measurements have, and the region of the group. derivation NULL: none.
struct measurement *findings_add_number(struct findings *f, struct finding_group *g,
                                        const struct code *concept, double value, int decimals,
                                        const struct code *unit, const struct code *derivation);
struct evaluation *findings_add_evaluation(struct findings *f,
                                           struct finding_group *g); // g NULL: of the whole
struct exclusion *findings_add_exclusion(struct findings *f);
struct search *findings_add_search(struct findings *f);
struct comparison *findings_add_comparison(struct findings *f);
struct layer *findings_add_layer(struct findings *f);
struct mark *findings_add_mark(struct findings *f);
// A point in a layer; x, y: columns and rows from the outer edge of the first pixel.
struct mark *findings_add_point(struct findings *f, struct place place, int layer, double x,
                                double y);
struct region *findings_add_region(struct findings *f);
// With zeroed voxels for the image of the set.
struct label_map *findings_add_labels(struct findings *f, const struct image_set *set,
                                      uint32_t image, uint32_t point);
struct fraction_map *findings_add_fractions(struct findings *f, const struct image_set *set,
                                            uint32_t image, uint32_t point);
// With values of NAN.
struct value_map *findings_add_map(struct findings *f, const struct image_set *set, uint32_t image);
// With values and slices for so many columns, rows, planes.
struct reformat *findings_add_reformat(struct findings *f, uint32_t image, const uint32_t dim[3]);
struct curve *findings_add_curve(struct findings *f);
// x and y are copied.
struct curve_line *findings_add_line(struct findings *f, struct curve *c, const char *name,
                                     const double *x, const double *y, uint32_t count);
struct picture *findings_add_picture(struct findings *f);
struct document *findings_add_document(struct findings *f);
struct page_table *findings_add_table(struct findings *f, const char *title, uint32_t rows,
                                      uint32_t columns);
// Row and column from 0. The text is formatted.
bool findings_set_cell(struct findings *f, struct page_table *t, uint32_t row, uint32_t column,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));
struct page_image *findings_add_image(struct findings *f);
struct page_section *findings_add_section(struct findings *f);
// With values of NAN.
struct bullseye *findings_add_bullseye(struct findings *f);
bool findings_add_parameter(struct findings *f, const char *name, const char *unit,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));
bool findings_add_warning(struct findings *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool findings_add_fact(struct findings *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The label map of an image at a point, or NULL.
const struct label_map *findings_labels(const struct findings *f, uint32_t image, uint32_t point);

// Sets verdict and reason and drops every measurement, mark, region, map and picture: nothing half
// done is shown. Warnings, facts, parameters and exclusions stay.
void findings_refuse(struct findings *f, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
