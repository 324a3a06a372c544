// What becomes of the series among some files: which analyses they get, and in which of their
// inputs. The same rules as the node's, without its waiting: what is not among the files does not
// come. Process: analyze. Thread-safety: one thread; object_init() has been called before.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "conf/conf.h"
#include "compute/stages/stage.h"
#include "node/job/gather.h"

struct plan_input {
    uint32_t slot; // index into stage->inputs
    const struct gather_series *series;
};

// One analysis to come: of one series, or of what one study of one patient has for a study's.
struct plan {
    const struct stage *stage;
    const struct conf_run *run; // of the route that was taken; NULL: none
    struct plan_input *inputs;  // in the order of slots, then of Series Instance UIDs; owned
    size_t input_count;
    char *remark; // what is missing and what was left out, for the results; NULL: nothing; owned
};

struct plans {
    struct plan *list;
    size_t count;
};

// conf   its routes decide, the first that matches; NULL: the first analysis that takes a series
// named  this analysis only, for each series that it takes, with the options of a route that
//        matches; NULL: any
// A series that gets no analysis, and one that is left out because another fills its input (see
// slots_rank_before()), is logged with the reason. plans_finish() in any case.
//   ERR_NOMEM
bool plans_make(const struct gather *gather, const struct conf *conf, const struct stage *named,
                struct plans *out, struct err *err);
void plans_finish(struct plans *p); // {0} is fine
