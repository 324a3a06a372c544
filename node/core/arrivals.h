// Series that are being received: when each is complete, which route it takes, what job that makes.
// The decision itself is in node/core/series.h; here are the times, the open associations, the
// question to the source (a short-lived process) and the one transaction that ends a run. Process:
// core.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "node/core/core.h"

// Loads what was being received when the node stopped; its quiet time starts anew, and what an open
// association was sending counts as interrupted.
struct arrivals *arrivals_create(struct core *core, struct err *err);
void arrivals_destroy(struct arrivals *a);

// An instance of series was committed. True: it begins a run; the caller then joins each open
// association that has ever sent some of the series.
bool arrivals_instance(struct arrivals *a, int64_t series);
// An instance that was here already has come again. True: its series is being received; the caller
// then joins the association, once.
bool arrivals_again(struct arrivals *a, int64_t series);
// An association that sent some of it is open, is over: in order, or interrupted. since: the steady
// time at which it sent the first; what was interrupted before then has gone on with it. A series
// that is not being received takes no notice.
void arrivals_join(struct arrivals *a, int64_t series);
void arrivals_leave(struct arrivals *a, int64_t series, double since, bool in_order);

// Ends what is complete, asks what must be asked. Returns when to call again (CLOCK_MONOTONIC).
double arrivals_tick(struct arrivals *a);
// A process has ended. False: none of ours.
bool arrivals_reaped(struct arrivals *a, pid_t pid, int status);

// What is known of a series that is being received, for `anode status`; "" when it is not.
void arrivals_evidence(struct arrivals *a, int64_t series, char out[256]);
