// Earlier results of a patient, for jobs whose source is to be asked for them (peers[].earlier): a
// short-lived process each, a bounded wait, and what came is kept with the job, so that it has the
// same whenever it runs again. A job waits for completion.earlier_wait_s at most. Process: core.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "node/core/core.h"

// What results say where the wait was in vain.
#define EARLIER_LATE "the source did not answer in time"

struct earlier *earlier_create(struct core *core, struct err *err); // ERR_NOMEM
void earlier_destroy(struct earlier *e);

// A job has been added, in this transaction; 0: none was. source: AE title of the peer that sent
// its first series. It waits where the peer is to be asked.
bool earlier_want(struct earlier *e, int64_t job, const char *source, struct err *err);
void earlier_wake(struct earlier *e); // ... and committed

// Asks for what is wanted. Returns when to call again (CLOCK_MONOTONIC).
double earlier_tick(struct earlier *e);
// A process has ended. False: none of ours.
bool earlier_reaped(struct earlier *e, pid_t pid);
