// Delivery of results: a queue a destination, a sender process a destination with work, retries
// with exponential back-off and jitter that outlive a restart. The objects of a job arrive in their
// order: one that is put off holds back those after it from the next association on. A destination
// that cannot be reached has one clock for all that waits for it; the first object that it takes
// again sets the rest going. What a destination refuses for good becomes `failed` with its reason
// after sending.retry_give_up_s. Process: core.
#pragma once
#include <stdint.h>
#include <sys/types.h>
#include "node/core/core.h"

struct commit_report;

struct outbox *outbox_create(struct core *core, struct err *err);
void outbox_destroy(struct outbox *o); // ends the senders

// Starts senders for what is due. Returns when to call again (CLOCK_MONOTONIC).
double outbox_tick(struct outbox *o);
bool outbox_reaped(struct outbox *o, pid_t pid, int status);
// What destination says of a request of storage commitment: for the sender that has made it.
void outbox_committed(struct outbox *o, const char *destination,
                      const struct commit_report *report);
void outbox_wake(struct outbox *o); // there may be new objects
bool outbox_busy(const struct outbox *o);

// Pause after the attempt of that number (1, 2, ...): between 0.8 and 1.2 times what the
// configuration says; chance from 0 to 1 decides. Pure.
double outbox_pause(const struct conf *conf, int64_t attempt, double chance);
