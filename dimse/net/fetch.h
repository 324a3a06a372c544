// Asks an archive for reports of earlier studies of a patient: C-FIND for studies and series, C-GET
// for the reports, over one association. Patient Root where the peer has it, else Study Root.
// Sources: PS3.4 C.4.1, C.4.3, C.6. Process: fetcher (short-lived). Thread-safety: one thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "dimse/net/scu.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FETCH_STUDIES_MAX 10   // that are looked into: the newest before the present one
#define FETCH_REPORTS_MAX 16   // series that are fetched
#define FETCH_MATCHES_MAX 2000 // answers that are read; what comes after them does not count

struct fetch_query {
    const char *patient_id;         // not empty, without wildcards
    const char *study_instance_uid; // of the present study, which is left out
    const char *study_date;         // of it: DA; "": not known
    long series_number;             // of the reports
    size_t bytes_most;              // of one report
};

// on_report gets the data set of each as it comes. True also where
// there is none. ERR_UNSUPPORTED: the peer has no C-FIND or C-GET of either model, or takes no
// reports; ERR_INPUT: a Patient ID that would match those of others; ERR_NET, ERR_TIMEOUT,
// ERR_NOMEM
bool fetch_reports(const struct scu_peer *peer, const struct fetch_query *query,
                   void (*on_report)(void *ctx, const uint8_t *data, size_t size,
                                     const char *transfer_syntax),
                   void *ctx, struct err *err);

#ifdef __cplusplus
}
#endif
