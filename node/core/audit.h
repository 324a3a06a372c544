// The audit trail: who opened an association or was refused, which studies came from and went to
// whom, when the node started, stopped or took another configuration, as audit messages
// (node/core/audit_message.h) into a file, to a syslog receiver by TLS, or both (section audit).
// The core never waits for them: each destination has a clerk (node/proc/clerk.h), and a message is
// kept until each has it. Where AUDIT_WAITING wait, more are not kept: they are counted, said in
// the log, in `anode status` and, once there is room, in a message of their own. What waits when
// the core ends is lost.
// Process: core.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>
#include "node/core/audit_message.h"
#include "node/core/core.h"
#include "node/proc/msg.h"

#define AUDIT_WAITING       4096
#define AUDIT_TRANSFERS_MAX 64 // studies of one association before they are told
#define AUDIT_GATHER_S      60 // and the longest that they wait for it while it goes on

struct audit *audit_create(struct core *core, struct err *err);
void audit_destroy(struct audit *a); // ends clerks, says what was not written; NULL is fine

// AUDIT_STARTED, AUDIT_STOPPED (told once), AUDIT_CONFIGURED; the last one also looks at the new
// configuration.
void audit_application(struct audit *a, enum audit_kind kind);
// AUDIT_OPENED, AUDIT_CLOSED. text: "" or why it was not as it should be.
void audit_association(struct audit *a, enum audit_kind kind, enum audit_outcome outcome,
                       const struct msg_hello *peer, const char *text);
// Somebody was refused.
void audit_refused(struct audit *a, const struct msg_refused *refused);

// A question that goes to peer; what asked and the data set hold is what the process that asks
// says.
void audit_query(struct audit *a, const struct conf_peer *peer, const struct msg_asked *asked,
                 const void *query, size_t size);

struct audit_transfer;

// What goes over one association, gathered by study, patient and outcome.
struct audit_transfers {
    enum audit_kind kind;       // AUDIT_RECEIVED, AUDIT_SENT
    const char *peer, *address; // borrowed
    struct audit_transfer *list;
    size_t count;
    double since; // steady clock: the first of them
};

// Is anything written down at all? Callers need not look for what audit_moved() wants else. For
// this and what is told of associations and instances NULL is a trail that nobody wants.
bool audit_wanted(const struct audit *a);
// One instance more. text: a literal, what became of it where that is no success, or "".
void audit_moved(struct audit *a, struct audit_transfers *t, char action,
                 enum audit_outcome outcome, const char *text, const char *study,
                 const char *patient, const char *sop_class);
// Tells what was gathered, and forgets it.
void audit_tell(struct audit *a, struct audit_transfers *t);

// {waiting, lost, written, trouble}; NULL: no memory.
json_t *audit_status(const struct audit *a);

// Starts clerks and gives them work. Returns when to call again (CLOCK_MONOTONIC).
double audit_tick(struct audit *a);
bool audit_reaped(struct audit *a, pid_t pid, int status);
// Does nothing wait?
bool audit_idle(const struct audit *a);
