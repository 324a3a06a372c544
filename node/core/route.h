// From a complete series to a job: the first route that matches, its analysis with all parameters,
// where the results go, and the key that makes the same job the same.
// Process: core.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "conf/conf.h"
#include "node/core/state.h"

struct route_job {        // one analysis of the route
    struct state_job job; // to be added; its texts belong to the outcome
    struct state_input input;
    int64_t job_id;   // for the caller: what state_add_job() gave
    char *parameters; // owned
    char key[65];
};

struct route_outcome {
    const struct conf_route *route; // NULL: none matches
    char *why;                      // one line a route; owned
    char *destinations;             // owned
    struct route_job *jobs;         // owned
    size_t job_count;
};

// source: calling AE title of the series. Changes nothing in the state.
// ERR_DATABASE, ERR_NOMEM; ERR_INTERNAL (an option that the configuration had accepted).
bool route_series(const struct conf *conf, struct state *state, int64_t series, const char *source,
                  struct route_outcome *out, struct err *err);
void route_outcome_finish(struct route_outcome *out); // {0} is fine
