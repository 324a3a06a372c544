#include "node/proc/scout.h"
#include <stdio.h>
#include <stdlib.h>
#include "compute/gpu/gpu.h"
#include "node/proc/cage.h"
#include "node/proc/msg.h"

static bool tell_device(int channel, const struct gpu_device *d, size_t count)
{
    struct msg_device m = {.count = (uint32_t)count,
                           .kind = (uint32_t)d->kind,
                           .cpu = d->kind == GPU_CPU,
                           .usable = d->usable};
    snprintf(m.name, sizeof m.name, "%.159s", d->name);
    snprintf(m.uuid, sizeof m.uuid, "%s", d->uuid);
    if (!d->usable)
        snprintf(m.why, sizeof m.why, "%s", d->why);
    return msg_send(channel, MSG_DEVICE, &m, NULL, 0, NULL);
}

int scout_run(void *ctx, int channel)
{
    struct gpu_device *list = NULL;
    struct err err = {0};
    size_t count = 0;
    bool ok = true;
    if (!cage_enter(CAGE_SCOUT, ctx, NULL, NULL, &err) || !gpu_list(NULL, &list, &count, &err) ||
        count == 0) {
        struct msg_device none = {0};
        snprintf(none.why, sizeof none.why, "%.159s", err.text);
        ok = msg_send(channel, MSG_DEVICE, &none, NULL, 0, NULL);
    }
    for (size_t i = 0; i < count && ok; i++)
        ok = tell_device(channel, &list[i], count);
    free(list);
    return ok ? 0 : 2;
}
