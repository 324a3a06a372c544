// Findings to DICOM files, as a stream of objects ready to be sent: SR, GSPS, Secondary Capture,
// SEG, Parametric Map, Encapsulated PDF, planes as CT or MR. A series is one kind and product; its
// instances count. Sources: PS3.3 A.35.13, A.33.1, A.8.1, A.8.5, A.51, A.75, A.45.1, A.3, A.4;
// PS3.16 TID 1500, 1204, 1001, 1600, 1501, 1410, 1411, 4019, 4000 to 4021. Process: worker,
// analyze. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "base/attrs.h"
#include "base/err.h"
#include "base/identity.h"
#include "base/result.h"
#include "compute/findings/findings.h"
#include "compute/image/image.h"

#ifdef __cplusplus
extern "C" {
#endif

// One source instance.
struct result_source {
    const char *path; // its file
    char study_instance_uid[65], series_instance_uid[65];
    char sop_instance_uid[65], sop_class_uid[65];
    uint8_t digest[32]; // SHA-256 of its data set
    uint32_t frames;    // it has; 0: it is no image, and no place for one refers to it
    bool main;          // of an input that the analysis works on; false: context only
};

// Who made the results.
struct result_maker {
    const char *ae_title;
    const char *device_uid;  // of this node: results that come back are known by it
    const char *serial;      // Device Serial Number
    const char *software;    // "anode 0.1.0"
    const char *device_name; // Vulkan device: "llvmpipe (LLVM 15.0.6, 256 bits)"
    const char *timezone; // "+0100": of this node's site; NULL or "": Timezone Offset From UTC only
                          // where the source has it
};

// The analysis.
struct result_stage {
    const char *name, *title, *version;
    unsigned slot;
    enum report_template report;
};

struct result_request {
    struct result_stage stage;
    const struct findings *findings;
    const struct image_set *images;      // NULL when nothing could be split (not evaluable, failed)
    const struct result_source *sources; // every instance of the job; frames[].source indexes it
    size_t source_count;
    const struct attrs *head; // attributes of a source, when no source file can be read: identity
                              // is taken from it then, and sources may be without UIDs (they
                              // count by their digest only); NULL: none
    const char *identity; // what else determines the results (parameters, remarks), as text: part
                          // of the UIDs
    struct result_maker maker;
    const struct object_id *predecessor; // the report of an earlier set of results for the same
                                         // input, which this one replaces; NULL: none
    struct timespec started;             // when the analysis started: Content Date and Time
    unsigned kinds;                      // enum result_kind bits wanted
    const char *folder;                  // where the files go
};

struct result_object {
    enum result_kind kind;
    char product[32]; // "": the only one of its kind
    char path[4096];
    struct object_id id;
};

struct result_list {
    struct result_object *objects; // owned
    size_t count;
};
void result_list_finish(struct result_list *list); // {0} is fine

// Writes <stage>-sr.dcm, -gsps.dcm, -sc.dcm, -seg.dcm, -pmap-<name>.dcm, -pdf.dcm and the like into
// folder, durably, and appends them to out in the order in which they are to be sent: what is
// referred to comes first. One SR; a GSPS a source series with marks; an SC a product of pictures;
// a SEG an image and point with labels; a Parametric Map a map; a PDF when there are pages; an
// image a plane of a reformat.
// Evidence is grouped by study and series. When findings could not be evaluated, the SR (and page)
// says why. UIDs: 2.25.<128 bits of SHA-256(sorted digests of the sources, stage, version,
// identity, kind, product, index)>; those of VERDICT_FAILED differ from all others, since a later
// try that works must not be dropped by the archive as known. Patient and study are copied bit for
// bit from the first source (lowest SOP Instance UID) that can be read; broken source UIDs stay.
// Returns false with *err set and no file left: ERR_INPUT (no source's header can be read and there
// is no head, or it names no study), ERR_IO, ERR_FULL, ERR_NOMEM, ERR_INTERNAL (DCMTK refused what
// we built, a measurement is no number, a mark is on no frame, a label comes twice; the text says
// what).
bool results_write(const struct result_request *request, struct result_list *out, struct err *err);

#ifdef __cplusplus
}
#endif
