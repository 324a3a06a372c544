// When is a series complete? A pure function of times and evidence: no clock, no I/O.
// Process: core. Thread-safety: pure.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct series_rules {      // seconds, from the configuration
    double quiet_s;        // after the last instance
    double interrupted_s;  // the same, at least, where the transfer was interrupted
    double short_quiet_s;  // the same where the source confirms its count
    double longest_wait_s; // after the first instance, whatever the evidence
};

enum series_answer {
    SERIES_NOT_ASKED,
    SERIES_ASKING,
    SERIES_NO_ANSWER, // the source does not answer C-FIND, or not with a count
    SERIES_ANSWERED,
};

// Times: seconds on one steady clock.
struct series_evidence {
    double now, first, last; // first and last instance of this run
    unsigned open;           // associations that sent some of it and are not yet over
    bool interrupted;        // one ended without release, and none that came after it has ended
                             // in order: the peer has more, unless its source says otherwise
    unsigned long have;      // instances of the series that are here
    bool can_ask;            // the source is a peer that may be asked
    bool can_fetch;          // ... and that may be told to send the series, which it was not yet
    enum series_answer answer;
    double asked;       // when the last question was put; past answers are still evidence
    long source_count;  // that the source has; SERIES_ASKING: by its last answer, 0: no answer yet
    char no_answer[96]; // SERIES_NO_ANSWER: why
};

enum series_verdict {
    SERIES_RECEIVING,
    SERIES_COMPLETE,   // the source has as many
    SERIES_QUIET,      // nothing came for quiet_s: probably complete
    SERIES_INCOMPLETE, // longest_wait_s is over and the source has more
    SERIES_WAITED,     // longest_wait_s is over and instances still came
};
const char *series_verdict_name(enum series_verdict v); // "receiving", "complete", ...

struct series_decision {
    enum series_verdict verdict;
    bool ask;           // put the question now
    bool fetch;         // have the source send the series before
    double wake;        // look again at this time, if nothing happens before
    char evidence[256]; // one sentence for people, also while receiving
};

// The same for who reads of several series at a time: "complete, 8 instances, source has 8".
void series_describe(const struct series_evidence *e, enum series_verdict v, char out[160]);

void series_decide(const struct series_rules *rules, const struct series_evidence *e,
                   struct series_decision *out);
