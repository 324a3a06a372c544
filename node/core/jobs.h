// The queue of jobs and the pool of workers: which job runs, on what device, for how long, how
// often; what becomes of its results. Nothing here waits for a worker: one that warms up is not
// spoken to, one that is ready gets one small message.
//   What the machine could not (no space, I/O, no memory) is no attempt: the job waits, longer each
//   time, with its reason to be seen. What the input is at fault for is final at once, and a report
//   says so. An attempt is what a crash, a time-out or a lost device has ended; the last one runs
//   on the software device, where there is one, and then the job is `failed: reason`, with a report
//   that says so.
//   Without a usable Vulkan device the queue is held, which log and status say, and the devices are
//   looked for again.
// Process: core.
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>
#include "node/core/core.h"

// Puts the jobs that were running when the node died back in the queue.
struct jobs *jobs_create(struct core *core, struct err *err);
void jobs_destroy(struct jobs *j); // ends the workers

// Starts what can be started, kills what is past its deadline. Returns when to call again.
double jobs_tick(struct jobs *j);
bool jobs_reaped(struct jobs *j, pid_t pid, int status);
void jobs_wake(struct jobs *j); // there may be a new job

// There is a process, with or without a job. While the core drains, workers without a job end.
bool jobs_busy(const struct jobs *j);
// The configuration has changed: devices are looked for again, new workers after the present jobs.
void jobs_reload(struct jobs *j);
// Kills the workers and puts their jobs back; the attempts do not count.
void jobs_stop(struct jobs *j);

// By hand. Failed or discarded jobs run again; done ones send again what they have sent.
// ERR_INPUT: no such job, or not in that state.
bool jobs_retry(struct jobs *j, int64_t id, struct err *err);
bool jobs_retry_failed(struct jobs *j, int *count, struct err *err); // all failed ones
bool jobs_discard(struct jobs *j, int64_t id, struct err *err);

// For status. NULL: no memory.
// [{"number", "pid", "device", "uuid", "cpu", "state", "job", "seconds", "trouble"}]: state is
// "none", "warming", "idle", "running" or "ending"; trouble why there is no process.
json_t *jobs_workers(const struct jobs *j);
// [{"name", "uuid", "cpu", "usable", "why"}]: Vulkan devices as they were last seen.
json_t *jobs_devices(const struct jobs *j);
// Why the queue is held or a wanted device is not used; "": all is well.
const char *jobs_trouble(const struct jobs *j);
