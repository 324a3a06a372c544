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
