#include "node/proc/guests.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/clock.h"

#define KEPT_PART 4 // one of so many places is kept for peers that have none
#define SILENT_NEW_MS                                                                              \
    500                  // without an object so far: associations of viewers' and testers'
                         // pings and of those who only hold a place
#define SILENT_MS   5000 // a modality between two images, a router between two batches
#define LEAVING_MAX 64   // more that were told to end and have not yet

uint32_t guests_clock_ms(void)
{
    return (uint32_t)(uint64_t)(1000 * clock_steady());
}

bool guests_init(struct guests *g, size_t most, size_t most_of_peer)
{
    *g = (struct guests){.most = most, .most_of_peer = most_of_peer, .room = most + LEAVING_MAX};
    g->guests = calloc(g->room, sizeof *g->guests);
    g->activities = mmap(NULL, g->room * sizeof *g->activities, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (g->activities == MAP_FAILED)
        g->activities = NULL;
    if (g->guests && g->activities)
        return true;
    guests_finish(g);
    return false;
}

void guests_finish(struct guests *g)
{
    free(g->guests);
    if (g->activities)
        munmap(g->activities, g->room * sizeof *g->activities);
    *g = (struct guests){0};
}

static bool same_peer(const struct guest *guest, const struct lobby_caller *caller)
{
    return strcmp(guest->caller.address, caller->address) == 0 &&
           strcmp(guest->caller.calling, caller->calling) == 0;
}

static bool guest_stays(const struct guest *guest)
{
    return guest->here && !guest->leaving;
}

// Associations that do not leave.
static size_t guests_staying(const struct guests *g)
{
    size_t count = 0;
    for (size_t i = 0; i < g->room; i++)
        count += guest_stays(&g->guests[i]);
    return count;
}

// Those of a peer.
static size_t guests_of(const struct guests *g, const struct lobby_caller *peer)
{
    size_t count = 0;
    for (size_t i = 0; i < g->room; i++)
        count += guest_stays(&g->guests[i]) && same_peer(&g->guests[i], peer);
    return count;
}

// ms for which nothing came that counts; 0: not to be disturbed.
static uint32_t guest_silence(const struct guest *guest, uint32_t now_ms)
{
    struct guest_activity *a = guest->activity;
    if (!guest_stays(guest) || atomic_load(&a->receiving))
        return 0;
    // Negative: something ended after the listener looked at the clock.
    const int32_t silent = (int32_t)(now_ms - atomic_load(&a->at_ms));
    return silent >= (atomic_load(&a->objects) ? SILENT_MS : SILENT_NEW_MS) ? (uint32_t)silent : 0;
}

// The one of a peer that has been silent longest; NULL: none long enough.
static struct guest *guests_silent(const struct guests *g, const struct lobby_caller *peer,
                                   uint32_t now_ms)
{
    struct guest *longest = NULL;
    uint32_t most = 0;
    for (size_t i = 0; i < g->room; i++) {
        struct guest *guest = &g->guests[i];
        const uint32_t silent = same_peer(guest, peer) ? guest_silence(guest, now_ms) : 0;
        if (silent > most) {
            most = silent;
            longest = guest;
        }
    }
    return longest;
}

// The silent one of the peer with the most associations that has one, and more than `than`.
static struct guest *guests_spare(const struct guests *g, size_t than, uint32_t now_ms)
{
    struct guest *spare = NULL;
    for (size_t i = 0; i < g->room; i++) {
        if (!guest_stays(&g->guests[i]))
            continue;
        const size_t of_peer = guests_of(g, &g->guests[i].caller);
        struct guest *silent =
            of_peer > than ? guests_silent(g, &g->guests[i].caller, now_ms) : NULL;
        if (silent) {
            spare = silent;
            than = of_peer;
        }
    }
    return spare;
}

enum guest_room guests_room(const struct guests *g, const struct lobby_caller *caller,
                            uint32_t now_ms, struct guest **leaves)
{
    const size_t all = guests_staying(g), of_peer = guests_of(g, caller);
    const size_t room = g->most - (of_peer > 0 ? g->most / KEPT_PART : 0);
    *leaves = NULL;
    if (guests_count(g) == g->room)
        return GUEST_ALL_FULL;
    if (of_peer >= g->most_of_peer) {
        *leaves = guests_silent(g, caller, now_ms);
        return *leaves ? GUEST_WELCOME : GUEST_PEER_FULL;
    }
    if (all >= room) {
        *leaves = guests_spare(g, of_peer, now_ms);
        return *leaves ? GUEST_WELCOME : GUEST_ALL_FULL;
    }
    return GUEST_WELCOME;
}

struct guest *guests_add(struct guests *g, const struct lobby_caller *caller, uint32_t now_ms)
{
    for (size_t i = 0; i < g->room; i++) {
        struct guest_activity *activity = &g->activities[i];
        if (g->guests[i].here)
            continue;
        g->guests[i] = (struct guest){.here = true, .caller = *caller, .activity = activity};
        g->guests[i].caller.fd = -1;
        g->guests[i].caller.identity = NULL;
        atomic_store(&activity->receiving, 0);
        atomic_store(&activity->objects, 0);
        atomic_store(&activity->at_ms, now_ms);
        return &g->guests[i];
    }
    return NULL;
}

struct guest *guests_find(const struct guests *g, pid_t pid)
{
    for (size_t i = 0; i < g->room; i++) {
        if (g->guests[i].here && g->guests[i].pid == pid)
            return &g->guests[i];
    }
    return NULL;
}

size_t guests_count(const struct guests *g)
{
    size_t count = 0;
    for (size_t i = 0; i < g->room; i++)
        count += g->guests[i].here;
    return count;
}

void guests_remove(struct guest *guest)
{
    guest->here = false;
}
