// What an analysis found, as plain data: the encoders in dimse/ turn it into DICOM, and no stage
// knows how. Everything lives in the findings' arena; texts are ASCII. Coordinates on an image:
// pixels, column then row, the top left corner of the top left pixel is (0, 0), the centre of it
// (0.5, 0.5). Source: PS3.3 C.10.5.1.2 (PIXEL), C.18.6 (SCOORD). Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "compute/image/volume.h"
#include "base/arena.h"
#include "base/err.h"

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

struct code {
    const char *value, *scheme,
        *meaning; // "450360000", "SCT", "Coronary artery calcium score"; value NULL: none
};

struct measurement {
    struct code concept;
    double value;
    int decimals;           // digits after the point that are meant
    struct code unit;       // UCUM
    struct code method;     // measurement method; value NULL: none
    struct code derivation; // value NULL: none
    int region;             // index into regions, or -1
};

// A statement that is no number: concept = code or text.
struct evaluation {
    struct code concept;
    struct code value; // value.value NULL: text
    const char *text;
};

enum mark_kind { MARK_POINT, MARK_POLYLINE, MARK_ELLIPSE, MARK_TEXT };

// A graphic on slice k of the volume. A polyline is closed when its first point is repeated at the
// end.
struct mark {
    enum mark_kind kind;
    uint32_t slice; // index in the volume
    int layer;      // index into layers
    int group;      // index into groups, or -1
    const float
        *points; // count pairs (column, row); text: one pair, its anchor, and one, its top left
    uint32_t count;
    const char *text; // MARK_TEXT: ASCII, lines separated by '\n'
};

struct layer {
    const char *name; // CS: upper case, digits, blank, underscore; at most 16
    const char *description;
    uint8_t rgb[3];
};

// What belongs together under one tracking identifier: an artery, a lesion, an organ.
struct finding_group {
    const char *label;      // tracking identifier, unique in the findings: "LAD lesion 2"
    struct code finding;    // what it is; value NULL: none
    struct code site;       // where; value NULL: none
    struct code laterality; // value NULL: none
    int region;             // index into regions, or -1
    int parent;             // group this one is part of (lesion -> artery), or -1
    uint32_t key_slice;     // where to look first; only when marks exist
    struct measurement *measurements;
    uint32_t measurement_count;
    struct evaluation *evaluations;
    uint32_t evaluation_count;
};

// A segment of the label map: voxels of value index + 1.
struct region {
    const char *label;
    struct code category, type, site;
    uint8_t rgb[3];
    int group; // index into groups, or -1
};

struct parameter_value {
    const char *name, *value, *unit; // as used, for the SR and report.json; unit "" when none
};

struct picture {
    const char *name; // "page1": file name part, [a-z0-9-]
    const char *title;
    uint32_t width, height;
    const uint8_t *rgb; // [height][width][3]
};

// What the report page shows; compute/draw/page.c draws it.
struct page_table {
    const char *title;
    const char *const *cells; // [rows][columns]; the first row is the head, the last one the total
    uint32_t rows, columns;
};
struct page_image {
    uint32_t slice;   // of the volume
    double box[4];    // part shown: first column, first row, columns, rows (pixels)
    double window[2]; // centre, width, in modality units
    const char *caption;
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
    const char *const *facts; // scan and method, a line each: "kVp 120", "increment 3.0 mm"
    uint32_t fact_count;
};

struct findings {
    struct arena *arena;
    enum verdict verdict;
    const char *reason;             // "" for VERDICT_DONE
    struct code procedure;          // procedure reported
    struct evaluation *evaluations; // of the whole study: CAC-DRS class, estimate, warnings
    uint32_t evaluation_count;
    struct finding_group *groups;
    uint32_t group_count;
    struct layer *layers;
    uint32_t layer_count;
    struct mark *marks;
    uint32_t mark_count;
    struct region *regions;
    uint32_t region_count;
    uint8_t *labels; // [slices][rows][columns]: 0 or region index + 1; NULL: none
    struct parameter_value *parameters;
    uint32_t parameter_count;
    struct page page;
    struct picture *pictures;
    uint32_t picture_count;
    uint64_t device_peak_bytes; // most device memory in use at once
};

// An empty one with its arena, verdict VERDICT_FAILED, reason "no result". NULL: no memory.
struct findings *findings_create(void);
void findings_destroy(struct findings *f);

// Each appends one zeroed entry and returns it, or NULL: no memory. Pointers returned before stay
// valid only until the next call for the same array.
struct finding_group *findings_add_group(struct findings *f);
struct measurement *findings_add_measurement(struct findings *f, struct finding_group *g);
struct evaluation *findings_add_evaluation(struct findings *f,
                                           struct finding_group *g); // g NULL: study
struct layer *findings_add_layer(struct findings *f);
struct mark *findings_add_mark(struct findings *f);
struct region *findings_add_region(struct findings *f);
struct picture *findings_add_picture(struct findings *f);
bool findings_add_parameter(struct findings *f, const char *name, const char *unit,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));
bool findings_add_warning(struct findings *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool findings_add_fact(struct findings *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Sets verdict and reason and drops every measurement, mark and region: nothing half done is shown.
void findings_refuse(struct findings *f, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
