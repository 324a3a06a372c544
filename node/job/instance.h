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
    char remark[200]; // of object_remark(); "": none
    struct err err; // why it cannot be part of an image; ERR_NONE: it can, and all frames are there
};

// Fills all but file and input, which are given. What is wrong is in e->err: the errors of
// object_open(), object_digest() and object_frame(); ERR_UNSUPPORTED too many frames; those of
// object_identified(). instance_finish() in any case.
void instance_read(struct instance *e);

// Readable ones first, by SOP Instance UID. Of several of one UID the first stays, by path; *count
// is what is left, *others how many went that were not the same to the byte: other attributes or
// another encoding of the same image.
//   ERR_INPUT same UID, another image: what differs is named; ERR_NOMEM
bool instances_sort(struct instance *list, size_t *count, size_t *others, struct err *err);
// What was done in spite of a defect of some instances, each kind with their number, as sentences;
// "" nothing. others: of instances_sort().
void instances_remark(const struct instance *list, size_t count, size_t others, char *out,
                      size_t size);
void instance_finish(struct instance *e); // {0} is fine
