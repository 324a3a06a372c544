// What the core and a worker write for each other into the folder of a job: order.json says what is
// to be done, results.json what was made. Neither passes through the channel between them, so
// neither is limited by it nor waits for it. Whoever reads one checks all of it.
// Process: core, worker. Thread-safety: one thread an order.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/attrs.h"
#include "base/err.h"
#include "base/identity.h"
#include "base/uid.h"

#define ORDER_FILE   "order.json"
#define RESULTS_FILE "results.json"
#define DAMAGE_FILE  "damage.json"

struct order_file {                               // an instance
    int slot;                                     // which of the inputs that the analysis declares
    int position;                                 // among several series of one slot
    const char *path;                             // below the data folder
    const char *sop_instance_uid, *sop_class_uid; // as received
    uint8_t digest[DIGEST_SIZE];
};

// Texts are never NULL.
struct order {
    int64_t job;
    const char *stage;
    const char *parameters; // one JSON object (node/job/params.h)
    uint32_t results;       // enum result_kind bits
    const char *outcome;    // "": analyse; a verdict: only a report of it and of its reason
    const char *reason;
    const char *remark;     // a warning to be shown in the results; "": none
    const char *evidence;   // what decided that the inputs are complete
    const char *priors;     // earlier results of the patient: one JSON array (node/job/priors.h),
                            // or "", none
    const char *prior_note; // what became of the search for them; "": there was none
    bool has_predecessor;
    struct object_id predecessor; // the report that the one of this job replaces
    struct attrs head;            // of the first input as it was received: patient, study, series
    struct order_file *files;     // by slot, position, SOP Instance UID
    size_t file_count;
};

// Writes it to path, which must not exist. Not made durable: after a power cut no job is running.
//   ERR_FULL, ERR_IO, ERR_NOMEM; ERR_INTERNAL (parameters are no JSON)
bool order_write(const struct order *o, const char *path, struct err *err);

// Reads it; all that it points to belongs to arena, but for head: order_finish() in either case.
//   ERR_INTERNAL no order of this version; ERR_IO, ERR_NOMEM
bool order_read(const char *path, struct arena *arena, struct order *o, struct err *err);
void order_finish(struct order *o); // {0} is fine

// Files of the order that are missing or are not what was received, by their path below the data
// folder; written where there are some, whatever else becomes of the job. Not made durable.
//   ERR_FULL, ERR_IO, ERR_NOMEM
bool order_write_damage(const char *path, int64_t job, const char *const *files, size_t count,
                        struct err *err);
// Calls each() for each of them, until one returns false; never where there is no such file.
//   ERR_INTERNAL not what a worker writes for that job; ERR_IO, ERR_NOMEM
bool order_read_damage(const char *path, int64_t job, bool (*each)(void *ctx, const char *file),
                       void *ctx, struct err *err);

// A result of the job.
struct order_object {
    struct object_id id;
    char product[65]; // tells series of one kind apart; "" where there is only one
    char file[128];   // name in the folder of the job
    int rank;         // sent in this order: what others refer to goes first
};

// Durable. ERR_FULL, ERR_IO, ERR_NOMEM.
bool order_write_results(const char *path, int64_t job, const struct order_object *objects,
                         size_t count, struct err *err);
// *objects is malloc'd. ERR_INTERNAL: not what a worker writes for that job (a name with a slash, a
// UID that is none, ...); ERR_IO, ERR_NOMEM.
bool order_read_results(const char *path, int64_t job, struct order_object **objects, size_t *count,
                        struct err *err);
