// Delivers a batch of result objects to one destination over one association and tells the core of
// each answer at once, so that nothing that was stored is sent again after a crash.
// Process: sender (forked by the core for one batch).
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
