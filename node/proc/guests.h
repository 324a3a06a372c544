// The associations of a node: who has one, how long it has been silent, and whether there is room
// for another. A peer is an AE title at an address.
// Process: listener; an association writes its own activity.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "node/proc/lobby.h"

// What an association did last; shared by it and the listener.
struct guest_activity {
    _Atomic uint32_t at_ms;     // guests_clock_ms() when it began or an object ended
    _Atomic uint32_t receiving; // an object is on its way, or waits for its answer
    _Atomic uint32_t objects;   // that ended
};

struct guest {
    bool here; // else this is room for one
    pid_t pid;
    struct lobby_caller caller; // fd, identity: none
    struct guest_activity *activity;
    bool leaving; // was told to end: its place is given to another
};

struct guests {
    size_t most, most_of_peer; // associations at a time: in all, of one peer
    size_t room;
    struct guest *guests;              // room of them
    struct guest_activity *activities; // one for each, shared
};

// The steady clock in ms; begins again after 49 days, which is no matter.
uint32_t guests_clock_ms(void);

// False: no memory, and nothing to finish.
bool guests_init(struct guests *g, size_t most, size_t most_of_peer);
void guests_finish(struct guests *g);

enum guest_room { GUEST_WELCOME, GUEST_PEER_FULL, GUEST_ALL_FULL };

// Whether there is room for another association of a peer. A quarter of all places is kept for
// peers that have none. Where a limit is met, the association that has been silent longest gives
// its place away (*leaves, else NULL): of the peer where it has too many, else of whom has the
// most. It must have been silent for 0.5 s where it never sent an object, for 5 s where it did,
// and nothing of it is lost: no object is on its way.
enum guest_room guests_room(const struct guests *g, const struct lobby_caller *caller,
                            uint32_t now_ms, struct guest **leaves);

// A place for one that begins; NULL: all are taken. Its pid is the caller's to set.
struct guest *guests_add(struct guests *g, const struct lobby_caller *caller, uint32_t now_ms);
// The one that has ended, or NULL.
struct guest *guests_find(const struct guests *g, pid_t pid);
void guests_remove(struct guest *guest);
size_t guests_count(const struct guests *g);
