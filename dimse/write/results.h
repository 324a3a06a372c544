// Findings to DICOM files: SR (TID 1500), GSPS, Secondary Capture. One file a kind, ready to be
// sent. Sources: PS3.3 A.35.13, A.33.1, A.8.1, A.8.5; PS3.16 TID 1500, 1204, 1001, 1600, 1501,
// 1410, 4019. Process: worker, analyze. Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "compute/findings/findings.h"
#include "compute/stages/stage.h"
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

// One source instance. The array is in the order of the volume's input; results hold for any order.
struct result_source {
    const char *path; // its file
    char sop_instance_uid[65], sop_class_uid[65];
    uint8_t digest[32]; // SHA-256 of its data set
};

// An earlier set of results for the same series that this one replaces.
struct result_predecessor {
    char sop_class_uid[65], sop_instance_uid[65], series_instance_uid[65], study_instance_uid[65];
};

// Who made the results.
struct result_maker {
    const char *ae_title;
    const char *device_uid;  // of this node: results that come back are known by it
    const char *serial;      // Device Serial Number
    const char *software;    // "anode 0.1.0"
    const char *device_name; // Vulkan device: "llvmpipe (LLVM 15.0.6, 256 bits)"
    const char *timezone;    // Timezone Offset From UTC where the source has none, "+0100"; NULL:
                             // none is known
};

struct result_request {
    const struct stage *stage;
    const struct findings *findings;
    const struct volume *volume;       // NULL when none could be built (not evaluable, failed)
    const struct volume_slice *slices; // as given to volume_plan(); volume->source indexes it
    size_t slice_count;
    const struct result_source *sources; // every instance of the series
    size_t source_count;
    const uint32_t *slice_source; // [slice_count] index into sources
    const struct scan *scan;
    const char *options; // canonical "name=value;..." of all parameters: part of the UIDs
    struct result_maker maker;
    const struct result_predecessor *predecessor; // NULL: none
    struct timespec started; // when the analysis started: Content Date and Time
    unsigned kinds;          // enum stage_result bits wanted
    const char *folder;      // where the files go
};

struct result_object {
    enum stage_result kind;
    char path[4096];
    char sop_class_uid[65], sop_instance_uid[65], series_instance_uid[65], study_instance_uid[65];
    char transfer_syntax_uid[65];
};

// Writes <stage>-sr.dcm, -gsps.dcm, -sc.dcm into folder, durably, and fills out (room for 6).
// A GSPS is made only when there are marks, on exactly the slices that have some; an SC only when
// there are pictures: one is a single image, several are the frames of one. When findings could not
// be evaluated, the SR says why. UIDs: 2.25.<128 bits of SHA-256(sorted digests of the sources,
// stage, version, options, kind, index)>; those of VERDICT_FAILED differ from all others, since a
// later try that works must not be dropped by the archive as known. Identity is copied bit for bit
// from the first source (lowest SOP Instance UID) that can be read; broken source UIDs stay. Dates
// and times are in the source's time zone, or the machine's when it names none. Returns false with
// *err set and no file left: ERR_INPUT (no source's header can be read, or it names no study),
// ERR_IO, ERR_FULL, ERR_NOMEM, ERR_INTERNAL (DCMTK refused what we built, a measurement is no
// number, a mark is on no slice, a label comes twice; the text says what).
bool results_write(const struct result_request *request, struct result_object *out, size_t *count,
                   struct err *err);

#ifdef __cplusplus
}
#endif
