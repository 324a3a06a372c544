// Runs jobs, one at a time, on one Vulkan device, which it keeps open. It has
// no network and no database: a job comes through its channel (MSG_JOB, its MSG_INPUTs), objects
// and a verdict go back (MSG_OBJECTs, MSG_DONE). It ends when the channel does; past the deadline
// of a job, or when the device is lost, the core replaces it.
// Process: worker (forked by the core).
#pragma once
#include <stdbool.h>
#include "conf/conf.h"
#include "node/proc/datadir.h"

struct worker {
    const struct conf *conf;
    const struct datadir *dir;
    bool cpu;  // the software device, whatever the configuration says
    bool warm; // opens the device and compiles before the first job comes
};

// Body for child_start(); ctx is a struct worker.
int worker_run(void *ctx, int channel);
