// Runs the command of alerts.command for one alert: the program and its arguments as the
// configuration has them, without a shell, with the alert as JSON on standard input and nothing of
// a peer in arguments or environment. It runs in a process group of its own, without the data
// folder and the private key (node/proc/cage.h), its output goes nowhere. The core ends it when it
// takes too long. Process: herald (forked by the core for one alert), which becomes that program.
#pragma once
#include "conf/conf.h"
#include "node/proc/datadir.h"

struct herald {
    const struct conf *conf;
    const struct datadir *dir;
    const char *text; // JSON
};

#define HERALD_FAILED 127 // exit status where the program cannot be run

// Body for child_start(); ctx is a struct herald.
int herald_run(void *ctx, int channel);
