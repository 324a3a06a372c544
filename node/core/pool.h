// Which workers a node has: from the Vulkan devices that there are and from what the configuration
// asks for. The core never opens Vulkan: the devices come from a process of their own
// (node/proc/scout.h). Process: core. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "conf/conf.h"
#include "node/proc/msg.h"

#define POOL_MAX 64 // workers of a node

struct pool_place {  // a worker to be
    size_t device;   // index into the devices
    unsigned number; // of those on this device: 0, 1, ...
};

// worker.devices, each by a part of its name (any case) or its UUID, or "all"; where it is empty,
// worker.device, of which "" is the best one. A device that several entries name counts once. Each
// gets worker.per_device workers.
// why: "" or what is wanted and not there, for people.
// Returns how many places were filled, 0: nothing can run.
size_t pool_plan(const struct msg_device *devices, size_t count, const struct conf *conf,
                 struct pool_place places[POOL_MAX], char why[256]);

// Index of a usable software device, or count: for the last attempt of a job.
size_t pool_cpu(const struct msg_device *devices, size_t count);

// Jobs that a worker takes: those that have had from <= attempts < below; 0: no limit.
struct pool_attempts {
    int64_t from, below;
};

// The last attempt of a job runs on the software device, where there is one: a fault of another
// device or of its driver is not met again there.
// most      worker.job_attempts; a single attempt runs anywhere
// software  there is a software device
// cpu       the worker is on it
// reserve   the worker is there for last attempts only
struct pool_attempts pool_attempts(int64_t most, bool software, bool cpu, bool reserve);
