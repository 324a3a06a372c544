#include "node/proc/inflight.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct inflight_place {
    _Atomic int32_t pid; // whose it is; 0: nobody's
    bool writes;         // an object
    struct inflight_shared *shared;
    char names[INFLIGHT_FILES][DATADIR_NAME];
};

_Static_assert(sizeof(struct inflight_place) <= 4096, "a place has a page");

struct inflight_shared { // with what is forked; its page, then one for each place
    _Atomic uint32_t writing, missing;
};

struct inflight {
    size_t room, size;
    size_t page; // bytes: a place has one, so that each can be had alone
    struct inflight_shared *shared;
};

static struct inflight_place *place_at(const struct inflight *f, size_t index)
{
    return (void *)((char *)f->shared + (1 + index % f->room) * f->page);
}

// What the core reads here may come from an association that was taken over: no address is.
static void place_writes(struct inflight_shared *shared, struct inflight_place *place, bool writes)
{
    if (place->writes == writes)
        return;
    place->writes = writes;
    atomic_fetch_add(&shared->writing, writes ? 1 : UINT32_MAX);
}

struct inflight *inflight_create(size_t room, struct err *err)
{
    struct inflight *f = calloc(1, sizeof *f);
    if (!f) {
        err_set(err, ERR_NOMEM, "no memory");
        return NULL;
    }
    f->room = room;
    f->page = (size_t)sysconf(_SC_PAGESIZE);
    f->size = (1 + room) * f->page;
    f->shared = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (f->shared != MAP_FAILED)
        return f;
    err_set(err, ERR_NOMEM, "no memory for %zu associations", room);
    free(f);
    return NULL;
}

void inflight_destroy(struct inflight *f)
{
    if (!f)
        return;
    munmap(f->shared, f->size);
    free(f);
}

struct inflight_place *inflight_enter(struct inflight *f)
{
    const int32_t pid = (int32_t)getpid();
    for (size_t i = 0; i < f->room; i++) {
        struct inflight_place *place = place_at(f, (size_t)pid + i);
        int32_t nobody = 0;
        if (atomic_compare_exchange_strong(&place->pid, &nobody, pid)) {
            memset(place->names, 0, sizeof place->names);
            place->writes = false;
            place->shared = f->shared;
            return place;
        }
    }
    return NULL;
}

void inflight_alone(struct inflight *f, struct inflight_place *place)
{
    char *const first = (char *)place_at(f, 0), *const end = first + f->room * f->page;
    char *const mine = place ? (char *)place : end;
    if (mine > first)
        munmap(first, (size_t)(mine - first));
    if (mine + f->page < end)
        munmap(mine + f->page, (size_t)(end - mine) - f->page);
}

void inflight_note(struct inflight_place *place, size_t index, const char *name)
{
    if (place)
        snprintf(place->names[index], DATADIR_NAME, "%s", name);
}

void inflight_write(struct inflight_place *place, bool writes)
{
    if (place)
        place_writes(place->shared, place, writes);
}

uint32_t inflight_writing(const struct inflight *f)
{
    return atomic_load(&f->shared->writing);
}

void inflight_set_missing(struct inflight *f, uint32_t mib)
{
    atomic_store(&f->shared->missing, mib);
}

uint32_t inflight_missing(const struct inflight *f)
{
    return atomic_load(&f->shared->missing);
}

void inflight_leave(struct inflight_place *place)
{
    inflight_write(place, false);
    if (!place)
        return;
    memset(place->names, 0, sizeof place->names);
    atomic_store(&place->pid, 0);
}

bool inflight_left(struct inflight *f, pid_t pid, char names[INFLIGHT_FILES][DATADIR_NAME])
{
    memset(names, 0, (size_t)INFLIGHT_FILES * DATADIR_NAME);
    for (size_t i = 0; i < f->room; i++) {
        struct inflight_place *place = place_at(f, (size_t)pid + i);
        if (atomic_load(&place->pid) != (int32_t)pid)
            continue;
        for (size_t k = 0; k < INFLIGHT_FILES; k++)
            snprintf(names[k], DATADIR_NAME, "%.*s", DATADIR_NAME - 1, place->names[k]);
        memset(place->names, 0, sizeof place->names);
        place_writes(f->shared, place, false);
        atomic_store(&place->pid, 0);
        return true;
    }
    return false;
}
