// Delivers a batch of result objects to one destination and tells the core of each answer at once,
// so that nothing that was stored is sent again after a crash. One association; large images go by
// as many at a time as the peer takes (peers[].associations), each in a process of its own, before
// all that refers to them. Those that one of them does not get through go over the first. Process:
// sender (forked by the core for one batch).
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "conf/conf.h"
#include "dimse/net/scu.h"
#include "node/proc/datadir.h"

struct sender {
    const struct conf *conf;
    const struct datadir *dir; // holds the files
    const struct conf_peer *peer;
    const struct tls_files *tls; // kept open
    const struct scu_file *files;
    const int64_t *rows; // of the outbox, one a file
    size_t count;
};

// Body for child_start(); ctx is a struct sender. MSG_OUTCOME for each answer, then MSG_SENT.
int sender_run(void *ctx, int channel);
