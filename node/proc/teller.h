// What the listener and the gatekeeper tell the core on the channel on which it says nothing: whom
// they have turned away. They never wait for the core; what does not fit is counted, and the next
// that fits says how many there were.
// Process: listener, gatekeeper.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct teller {
    int fd; // the channel, not owned
    uint32_t lost;
};

// Makes the channel non-blocking.
void teller_init(struct teller *t, int fd);
// calling: "" where it is not known. full: there was no place, else it was not wanted.
void teller_refused(struct teller *t, const char *calling, const char *address, const char *reason,
                    bool full);
