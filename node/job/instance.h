// The files of a job or a folder as their headers describe them: never their pixels.
// Process: worker, analyze, inspect. Thread-safety: an instance belongs to one thread at a time;
// several may be read at once.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attrs.h"
#include "base/err.h"
#include "base/uid.h"
#include "compute/image/image.h"
#include "dimse/read/object.h"
#include "node/job/analysis.h"

#define INSTANCE_FRAMES_MAX 65536 // of one instance, and of all that are split together

// Why an instance is no slice and stands aside of those that are.
enum instance_aside {
    INSTANCE_SLICE,     // it does not
    INSTANCE_NO_PIXELS, // reports, key objects, documents, raw data, headers alone
    INSTANCE_NO_PLACE,  // claims no place in space, and cannot be read
};

struct instance {
    const struct analysis_file *file; // borrowed
    uint32_t input;                   // index of the analysis_input; the caller's
    struct object_ids ids;
    uint8_t digest[DIGEST_SIZE];
    bool readable;              // ids and attributes are filled
    struct attrs attrs;         // of the instance; owned
    struct image_frame *frames; // [frame_count]; owned
    struct attrs *own;          // [frame_count] what functional groups say of each; owned
    uint32_t frame_count;
    char remark[200];          // of object_remark(); "": none
    bool damaged;              // the file has another digest than was given
    enum instance_aside aside; // then it has no frames
    struct err err; // why it cannot be part of an image; ERR_NONE: it can, and all frames are
                    // there, or it stands aside
};

// Fills all but file and input, which are given. What is wrong is in e->err: the errors of
// object_open(), object_digest() and object_frame(); ERR_INPUT: the digest is not the one given,
// and nothing else was read; ERR_UNSUPPORTED too many frames; those of object_identified(). What
// has no pixels stands aside, without an error. instance_finish() in any case.
void instance_read(struct instance *e);

// Readable ones first, by SOP Instance UID. Of several of one UID the first stays, by path; *count
// is what is left, *others how many went that were not the same to the byte: other attributes or
// another encoding of the same image.
//   ERR_INPUT same UID, another image: what differs is named; ERR_NOMEM
bool instances_sort(struct instance *list, size_t *count, size_t *others, struct err *err);
// Sets aside, of one input, what is no slice among those that are. placed: slices have a place in
// space; then what claims none and cannot be read has nothing to do with them either. The err of
// those set aside is cleared.
//   ERR_INPUT  nothing is left: what the instances are, with their number
bool instances_set_aside(struct instance *list, size_t count, uint32_t input, bool placed,
                         struct err *err);
// The place of an instance without pixels that claims to be a slice; false: it claims none.
bool instance_lost_place(const struct instance *e, double mm[3]);
// What was done in spite of a defect of some instances, and which were set aside, each kind with
// their number, as sentences; "" nothing. others: of instances_sort().
void instances_remark(const struct instance *list, size_t count, size_t others, char *out,
                      size_t size);
void instance_finish(struct instance *e); // {0} is fine
