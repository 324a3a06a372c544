// Storage commitment: what a peer says of instances that it was asked to keep.
// Sources: PS3.4 J (Storage Commitment Push Model), PS3.3 C.14.1.1 (Failure Reason).
// Process: association, sender; a report crosses from one to the other by way of the core.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/identity.h"
#include "dimse/net/scu.h"

#ifdef __cplusplus
extern "C" {
#endif

#define COMMIT_MAX 128 // instances of a request; of a longer report the rest is not looked at

struct commit_answer {
    char sop_instance_uid[UID_SIZE];
    uint16_t reason; // 0: it is kept; else Failure Reason (0008,1197), 0xFFFF where it has none
};

struct commit_report {
    char transaction_uid[UID_SIZE];
    uint32_t count;
    struct commit_answer answers[COMMIT_MAX];
};

enum confirm_verdict {
    CONFIRM_UNKNOWN, // nothing was said of it
    CONFIRM_KEPT,
    CONFIRM_LOST, // text says why
};

struct confirm_item {
    struct object_id id; // as it was sent: study, series, SOP class and instance are read
    enum confirm_verdict verdict;
    char text[64];
};

// Where a report comes from that the peer sends over an association of its own: waits at most
// wait_ms. True: *report is one.
struct confirm_source {
    bool (*next)(void *ctx, int wait_ms, struct commit_report *report);
    void *ctx;
};

// Asks a peer by N-ACTION to keep items (at most COMMIT_MAX), and waits at most wait_s for its
// N-EVENT-REPORT, on the same association or from source. Sets the verdicts.
//   ERR_UNSUPPORTED it has no storage commitment; ERR_TIMEOUT no report came; ERR_NET
bool confirm_by_commitment(const struct scu_peer *peer, struct confirm_item *items, size_t count,
                           unsigned wait_s, const struct confirm_source *source, struct err *err);

// Looks by C-FIND (Study Root, level IMAGE) whether items are there: kept, or lost.
//   ERR_UNSUPPORTED it has no C-FIND; ERR_NET, ERR_TIMEOUT
bool confirm_by_find(const struct scu_peer *peer, struct confirm_item *items, size_t count,
                     struct err *err);

#ifdef __cplusplus
}
#endif
