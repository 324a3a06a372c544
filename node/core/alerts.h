// What a person should hear of: each alert runs alerts.command once (node/proc/herald.h), one after
// the other. The same alert about the same thing is told once in alerts.pause_s, the next one says
// how many there were. More than ALERTS_WAITING that wait are not kept: the oldest goes. A command
// that hangs holds up other alerts for alerts.timeout_s, and nothing else.
// Process: core.
#pragma once
#include <sys/types.h>
#include "node/core/core.h"

#define ALERTS_WAITING 32

enum alert {
    ALERT_DEAD_LETTER,      // a result that its destination will never get by itself
    ALERT_JOB_FAILED,       // all attempts are used up
    ALERT_DISK_FULL,        // less than limits.min_free_mib is free: peers are refused
    ALERT_DESTINATION_DOWN, // it cannot be reached
    ALERT_DESTINATION_UP,   // again
};

struct alerts *alerts_create(struct core *core, struct err *err);
void alerts_destroy(struct alerts *a); // ends the command; NULL is fine

// subject: what it is about, an AE title, a job, a folder; text: one sentence without anything that
// identifies a patient. Both are copied.
void alerts_raise(struct alerts *a, enum alert alert, const char *subject, const char *text);

// Starts and ends commands, and looks at the disk. Returns when to call again (CLOCK_MONOTONIC).
double alerts_tick(struct alerts *a);
bool alerts_reaped(struct alerts *a, pid_t pid, int status);
