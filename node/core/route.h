// From a complete series to jobs: the first route that matches, each of its analyses that takes the
// series, with all parameters, where the results go, and the key that makes the same job the same.
// Process: core.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "compute/stages/stage.h"
#include "conf/conf.h"
#include "node/core/state.h"

struct route_job {                   // one analysis
    const struct stage *stage;       // SCOPE_STUDY: the series is collected, and job is empty
    int slot;                        // which of its inputs the series fills
    struct state_job job;            // to be added; its texts belong to this struct
    struct state_input input;        // SCOPE_SERIES: its only one
    int64_t job_id;                  // for the caller: what state_add_job() gave
    char *parameters, *destinations; // owned
    char key[65];
};
void route_job_finish(struct route_job *job); // {0} is fine

struct route_outcome {
    const struct conf_route *route; // NULL: none matches, or no analysis of it takes the series
    char *why;                      // a line a route and an analysis; owned
    struct route_job *jobs;         // owned
    size_t job_count;
};

// source: calling AE title of the series. Changes nothing in the state.
// ERR_DATABASE, ERR_NOMEM; ERR_INTERNAL (an option that the configuration had accepted).
bool route_series(const struct conf *conf, struct state *state, int64_t series, const char *source,
                  struct route_outcome *out, struct err *err);
void route_outcome_finish(struct route_outcome *out); // {0} is fine

// The job of an analysis on several series of a study, by slot and position. Sets last_instance of
// each input. source: where results go that return to the source. collection: whose reports it
// gathers, where it gathers reports. Errors as above.
bool route_study(const struct conf *conf, struct state *state, const struct conf_route *route,
                 const struct conf_run *run, const char *source, int64_t collection,
                 struct state_input *inputs, size_t count, struct route_job *out, struct err *err);
