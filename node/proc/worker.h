// Runs jobs, one at a time, on one Vulkan device, which it keeps open. It has no network and no
// database. When its device is warm it says MSG_READY; a MSG_JOB names the folder of a job, where
// order.json says what is to be done and where results.json and the result files go; MSG_DONE ends
// it. A device that cannot be opened, or is lost, ends the worker after it has said so. It ends in
// order when the channel does; past the deadline of a job the core replaces it.
// Process: worker (forked by the core).
#pragma once
#include <stdbool.h>
#include "conf/conf.h"
#include "node/proc/datadir.h"

struct worker {
    const struct conf *conf;
    const struct datadir *dir;
    const char *device; // UUID
    const char *desk;   // the one folder of the data folder that it writes results to
};

// Body for child_start(); ctx is a struct worker.
int worker_run(void *ctx, int channel);
