#include "node/core/pool.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool contains(const char *text, const char *part)
{
    size_t len = strlen(part);
    for (; *text; text++) {
        if (strncasecmp(text, part, len) == 0)
            return true;
    }
    return false;
}

static bool is_meant(const struct msg_device *d, const char *want)
{
    return d->usable && (!*want || strcasecmp(want, d->uuid) == 0 || contains(d->name, want));
}

// The best device that is meant, or count. Kinds are in the order of preference.
static size_t best_device(const struct msg_device *devices, size_t count, const char *want)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        if (is_meant(&devices[i], want) && (best == count || devices[i].kind < devices[best].kind))
            best = i;
    }
    return best;
}

struct plan {
    const struct conf *conf;
    struct pool_place *places;
    size_t count;
};

static void add_device(struct plan *p, size_t device)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->places[i].device == device)
            return;
    }
    for (unsigned n = 0; n < p->conf->per_device && p->count < POOL_MAX; n++)
        p->places[p->count++] = (struct pool_place){device, n};
}

// What is wanted and not there, with what there is.
static void explain(const struct msg_device *devices, size_t count, const char *want, char why[256])
{
    size_t used = 0;
    if (*want)
        used = (size_t)snprintf(why, 256, "no usable Vulkan device is called \"%.80s\"; there %s",
                                want, count ? "are: " : "is none");
    else
        used =
            (size_t)snprintf(why, 256, "no usable Vulkan device%s", count ? "; there are: " : "");
    for (size_t i = 0; i < count && used < 255; i++)
        used += (size_t)snprintf(why + used, 256 - used, "%s%.60s%s%s", i ? ", " : "",
                                 devices[i].name, devices[i].usable ? "" : ": ",
                                 devices[i].usable ? "" : devices[i].why);
}

size_t pool_plan(const struct msg_device *devices, size_t count, const struct conf *conf,
                 struct pool_place places[POOL_MAX], char why[256])
{
    struct plan plan = {.conf = conf, .places = places};
    const char *single = conf->device;
    const char *const *wanted = (const char *const *)conf->devices.items;
    size_t wanted_count = conf->devices.count;
    why[0] = 0;
    if (wanted_count == 0) {
        wanted = &single;
        wanted_count = 1;
    }
    for (size_t i = 0; i < wanted_count; i++) {
        size_t before = plan.count, best = best_device(devices, count, wanted[i]);
        if (strcasecmp(wanted[i], "all") == 0) {
            for (size_t d = 0; d < count; d++) {
                if (devices[d].usable)
                    add_device(&plan, d);
            }
            if (plan.count == before)
                explain(devices, count, "", why);
        } else if (best < count) {
            add_device(&plan, best);
        } else {
            explain(devices, count, wanted[i], why);
        }
    }
    return plan.count;
}

struct pool_attempts pool_attempts(int64_t most, bool software, bool cpu, bool reserve)
{
    const bool apart = most > 1 && software;
    return (struct pool_attempts){.from = reserve ? most - 1 : 0,
                                  .below = apart && !cpu ? most - 1 : 0};
}

size_t pool_cpu(const struct msg_device *devices, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (devices[i].usable && devices[i].cpu)
            return i;
    }
    return count;
}
