// The queue of jobs and the worker: which job runs, on what device, for how long, how often; what
// becomes of its results. A job whose attempts are used up becomes `failed: reason` and sends a
// report that says so, when that can be made.
// Process: core.
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>
#include "node/core/core.h"

// Puts the jobs that were running when the node died back in the queue.
struct jobs *jobs_create(struct core *core, struct err *err);
void jobs_destroy(struct jobs *j); // ends the worker

// Starts what can be started, kills what is past its deadline. Returns when to call again.
double jobs_tick(struct jobs *j);
bool jobs_reaped(struct jobs *j, pid_t pid, int status);
void jobs_wake(struct jobs *j); // there may be a new job

// There is a worker, with or without a job. While the core drains, one without a job ends.
bool jobs_busy(const struct jobs *j);
// The configuration has changed: a new worker after the present job.
void jobs_reload(struct jobs *j);
// Kills the worker and puts its job back; the attempt does not count.
void jobs_stop(struct jobs *j);

// By hand. Failed or discarded jobs run again; done ones send again what they have sent.
// ERR_INPUT: no such job, or not in that state.
bool jobs_retry(struct jobs *j, int64_t id, struct err *err);
bool jobs_discard(struct jobs *j, int64_t id, struct err *err);

// {"pid", "device", "job", "since"}; NULL: no memory.
json_t *jobs_worker(const struct jobs *j);
