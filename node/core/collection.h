// When is there enough of a study for an analysis that takes several of its series together? A pure
// function of times and counts: no clock, no I/O.
// Process: core. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "compute/stages/stage.h"

struct collection_rules { // seconds, from the configuration
    double quiet_s;       // after the last instance of all series that are complete: more may begin
    double short_quiet_s; // the same where the source has confirmed the count of each series: it
                          // is quick to tell, and who sends them in a row has begun the next
    double study_wait_s;  // after the first one, for needed inputs that are missing
};

struct collection_slot {
    const struct stage_input_spec *spec;
    size_t complete;  // series that fill it
    size_t confirmed; // of these: the source said that it has no more of them
    size_t receiving; // series that would fill it and are still being received
};

// Times: seconds on one clock.
struct collection_evidence {
    double now, started; // the first series of this run was complete then
    double grown;        // the last instance came of those that are complete
    const struct collection_slot *slots;
    size_t slot_count;
};

enum collection_verdict {
    COLLECTION_WAITS,  // for what is missing, still being received, or may still begin
    COLLECTION_READY,  // every needed input is there
    COLLECTION_WAITED, // study_wait_s is over: the job is made of what there is
};

struct collection_decision {
    enum collection_verdict verdict;
    double wake; // look again at this time, if nothing happens before
};

void collection_decide(const struct collection_rules *rules, const struct collection_evidence *e,
                       struct collection_decision *out);
