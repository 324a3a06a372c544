#include "node/core/loop.h"
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include "base/clock.h"

#define LONGEST_WAIT_S 60 // whatever was computed: look again

struct entry {
    loop_fn *fn;
    void *ctx;
};

struct loop {
    struct pollfd *fds; // fd -1: removed while a round is on
    struct entry *entries;
    size_t count, room;
};

struct loop *loop_create(void)
{
    return calloc(1, sizeof(struct loop));
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    free(l->fds);
    free(l->entries);
    free(l);
}

static bool grow(struct loop *l)
{
    size_t room = l->room ? 2 * l->room : 32;
    struct pollfd *fds = realloc(l->fds, room * sizeof *fds);
    if (!fds)
        return false;
    l->fds = fds;
    struct entry *entries = realloc(l->entries, room * sizeof *entries);
    if (!entries)
        return false;
    l->entries = entries;
    l->room = room;
    return true;
}

bool loop_add(struct loop *l, int fd, short events, loop_fn *fn, void *ctx, struct err *err)
{
    if (l->count == l->room && !grow(l))
        return err_set(err, ERR_NOMEM, "no memory for a descriptor");
    l->fds[l->count] = (struct pollfd){.fd = fd, .events = events};
    l->entries[l->count++] = (struct entry){fn, ctx};
    return true;
}

static struct pollfd *find(struct loop *l, int fd)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->fds[i].fd == fd && fd >= 0)
            return &l->fds[i];
    }
    return NULL;
}

void loop_events(struct loop *l, int fd, short events)
{
    struct pollfd *p = find(l, fd);
    if (p)
        p->events = events;
}

void loop_remove(struct loop *l, int fd)
{
    struct pollfd *p = find(l, fd);
    if (p)
        p->fd = -1;
}

static void drop_removed(struct loop *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (l->fds[i].fd < 0)
            continue;
        l->fds[kept] = l->fds[i];
        l->entries[kept++] = l->entries[i];
    }
    l->count = kept;
}

void loop_run(struct loop *l, double until)
{
    drop_removed(l);
    double wait = until - clock_steady();
    if (!(wait < LONGEST_WAIT_S)) // also when it is no number
        wait = LONGEST_WAIT_S;
    if (wait < 0)
        wait = 0;
    if (poll(l->fds, l->count, (int)ceil(wait * 1000)) <= 0)
        return;
    size_t count = l->count; // what is added in this round waits for the next
    for (size_t i = 0; i < count; i++) {
        struct pollfd ready = l->fds[i];
        if (ready.fd >= 0 && ready.revents)
            l->entries[i].fn(l->entries[i].ctx, ready.fd, ready.revents);
    }
}
