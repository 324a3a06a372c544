// Asks the source of a series for earlier reports of its patient, reads them, and gives the core
// what they say as plain text: the core parses nothing that came from a peer. Then it ends.
// Process: fetcher (forked by the core for one job).
#pragma once
#include <stdint.h>
#include "base/attrs.h"
#include "compute/stages/stage.h"
#include "conf/conf.h"

struct tls_files;

struct fetcher {
    const struct conf *conf;
    const struct conf_peer *peer;
    int64_t job;
    const struct stage *stage;
    const struct attrs *head;    // of the series: patient and study
    const struct tls_files *tls; // kept open
};

// Body for child_start(); ctx is a struct fetcher. Sends one MSG_PRIORS, before it
// MSG_ASKED for each C-FIND where there is an audit trail.
int fetcher_run(void *ctx, int channel);
