// scp_serve() behind a listening socket on loopback, a process a connection, with a handler that
// keeps files in a folder and tells what happens, a line an event:
//   admit CALLING CALLED | open | room none at SIZE | commit UID STATUS | discard [SIZE]
//   end ok|bad ERR stored=N refused=N released=0|1 rejected=0|1 calling=AE: TEXT | exit STATUS
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "dimse/net/scp.h"

enum server_disk { DISK_SOUND, DISK_FULL, DISK_OPEN_FAILS, DISK_FILLS };

struct server_options {
    struct scp_config config; // what is 0 gets a default
    enum server_disk disk; // DISK_FULL: every write fails with ENOSPC; DISK_FILLS: there is no room
                           // for the second MiB
    enum scp_status commit; // what commit() answers
    const char *comment;    // with it; NULL: none
    bool sizes;             // also tells the size of a file that is discarded
};

struct server {
    pid_t pid;
    uint16_t port;
    int events;        // pipe
    char folder[4096]; // of received files: <pid>-<n>.dcm
    char buffer[8192]; // events not taken yet
    size_t used;
};

// Exits the test program when the machine does not let it (no sockets, no processes).
void server_start(struct server *s, const struct server_options *options);

// Waits at most 20 s for the next event; "" at the time-out. Valid until the next call.
const char *server_event(struct server *s);

// Takes events until one starts with prefix; asserts that it comes. Valid until the next call.
const char *server_expect(struct server *s, const char *prefix);

// Number of files in the folder.
int server_files(const struct server *s);

// Path of the only file in the folder, "" when there is not exactly one.
const char *server_file(const struct server *s);

void server_stop(struct server *s);
