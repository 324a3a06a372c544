// The core: the only process that opens the state database. It groups instances into series,
// decides that a series is complete, routes, schedules, and starts, watches and replaces every
// other process. It parses no input of a peer: what comes from associations are packets of ours.
// Its parts (arrivals, intake, jobs, outbox, control) share this struct; each is driven by the loop
// and by a tick, and says when it wants the next one.
// Process: core. Single-threaded.
#pragma once
#include <stdbool.h>
#include "conf/conf.h"
#include "node/proc/datadir.h"
#include "dimse/net/tls.h"
#include "node/core/loop.h"
#include "node/core/state.h"

struct alerts;
struct arrivals;
struct audit;
struct collections;
struct earlier;
struct inflight;
struct intake;
struct jobs;
struct outbox;

struct core {
    struct conf *conf; // replaced as a whole by a reload
    struct datadir dir;
    struct state *state;
    struct loop *loop;
    struct tls_files tls;      // of section tls; for children that speak it
    struct inflight *inflight; // what associations may leave behind
    struct alerts *alerts;
    struct audit *audit;
    struct arrivals *arrivals;
    struct collections *collections;
    struct earlier *earlier;
    struct intake *intake;
    struct jobs *jobs;
    struct outbox *outbox;
    double started;           // wall clock
    double reserve_at;        // reserve.h: when it is looked after
    uint32_t reserve_missing; // the same: MiB
    bool draining;            // going to stop: no new work
};

// Runs the node until SIGTERM or SIGINT. conf_path is read again on SIGHUP.
// Takes over conf. Returns the exit status.
int core_run(struct conf *conf);
