// Asks the source of a series by C-FIND how many instances it has, says it to the core, ends. May
// have it send the series before, by C-MOVE.
// Process: asker (forked by the core for one question).
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "conf/conf.h"

struct tls_files;

struct asker {
    const struct conf *conf;
    const struct conf_peer *peer;
    const struct tls_files *tls; // kept open
    int64_t series;
    const char *study_instance_uid, *series_instance_uid;
    bool move; // it is to send the series before
};

// Body for child_start(); ctx is a struct asker. Sends one MSG_COUNT, before it MSG_ASKED where
// there is an audit trail.
int asker_run(void *ctx, int channel);
