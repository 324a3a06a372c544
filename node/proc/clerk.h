// Writes audit messages down, in the order in which the core hands them over: into a file, one a
// line, synced before it is said that they are there; or to a syslog receiver by TLS (RFC 5425),
// of which the certificate must have its name. The core has the only copy until a message is
// answered by MSG_AUDITED, and starts another clerk where one has ended; a receiver by TLS answers
// nothing, so that what it was given just before it broke down may be lost. Process: clerk (forked
// by the core), without rights (node/proc/cage.h) before it takes the first message.
#pragma once
#include "conf/conf.h"
#include "dimse/net/tls.h"

enum clerk_kind { CLERK_FILE, CLERK_SYSLOG, CLERK_KINDS };

struct clerk {
    const struct conf *conf;
    const struct tls_files *tls; // CLERK_SYSLOG
    enum clerk_kind kind;
};

// Body for child_start(); ctx is a struct clerk. Ends, after a line in the log, when a message
// cannot be written, or when the core has no more. Returns the exit status.
int clerk_run(void *ctx, int channel);
