// Associations as requestor: C-STORE of files, C-FIND of a series' instance count, C-ECHO.
// Sources: PS3.4 B, C; PS3.7 9.1.
// Process: sender, asker (short-lived). Thread-safety: one thread a connection.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/identity.h"
#include "dimse/net/tls.h"

#ifdef __cplusplus
extern "C" {
#endif

// A question by C-FIND, as it goes out.
struct scu_question {
    const char *sop_class_uid, *transfer_syntax_uid;
    const uint8_t *data; // its data set
    size_t size;         // at most SCU_QUESTION_MAX
};
#define SCU_QUESTION_MAX 4096 // bytes: keys of a patient, a study and a series have some hundreds

struct scu_peer {
    const char *host;
    uint16_t port;
    const char *called, *calling; // AE titles
    uint32_t connect_timeout_s;   // also of the A-ASSOCIATE answer
    uint32_t dimse_timeout_s;
    uint32_t max_pdu;
    struct tls *tls; // by TLS (TLS_REQUESTOR), NULL: without
    // Certificates that it may show (tls_identity_is()); none: one that names host.
    const char *const *certificates;
    size_t certificate_count;
    // Told of each question before it is sent, for an audit trail; NULL: nobody is.
    void (*on_question)(void *ctx, const struct scu_question *question);
    void *question_ctx;
};

struct scu_file {
    const char *path;
    struct object_id id; // sop_class_uid, sop_instance_uid, transfer_syntax_uid are read
};

enum scu_fate {
    SCU_NOT_SENT,   // the association ended before
    SCU_SENT,       // success, warning, or the instance is there already, 0111 (status tells)
    SCU_REFUSED,    // the peer answered a failure that may pass: status
    SCU_REJECTED,   // the peer answered a failure that stays (PS3.4 B.2.3, PS3.7 C): status
    SCU_NO_CONTEXT, // the peer does not support this SOP class, nor one that stands for it
    SCU_BAD_FILE,   // ours: the file cannot be read
};

struct scu_outcome {
    enum scu_fate fate;
    uint16_t status;                                          // DIMSE status
    char sop_class_uid[UID_SIZE], sop_instance_uid[UID_SIZE]; // as it was sent
    char text[128]; // Error Comment or reason; with SCU_SENT: as what else it was sent; ""
};

// Sends count files over one association, in order. on_outcome is called after each answer, so that
// what was stored is recorded at once. Files whose syntax the peer does not take are offered
// uncompressed. A Comprehensive 3D SR goes as Comprehensive or Enhanced SR to a peer that has only
// those, if it holds nothing that they do not have; its SOP Instance UID is then another one, made
// from its own, and so are those of the predecessors that it names. Returns true when the
// association was opened and released (fates may still be failures); false with ERR_NET,
// ERR_TIMEOUT (connection, rejection with its reason, abort).
bool scu_store(const struct scu_peer *peer, const struct scu_file *files, size_t count,
               void (*on_outcome)(void *ctx, size_t index, const struct scu_outcome *outcome),
               void *ctx, struct err *err);

// Number of Series Related Instances (0020,1209) as the peer knows it, Study Root, series level.
// *count is -1 when the peer does not say. ERR_NET, ERR_TIMEOUT; ERR_UNSUPPORTED: no C-FIND there.
bool scu_find_series_count(const struct scu_peer *peer, const char *study_instance_uid,
                           const char *series_instance_uid, long *count, struct err *err);

// Has the peer send all of a series to us, by C-MOVE to peer->calling (Study Root, series level).
// True: it says that it has sent all. ERR_NET, ERR_TIMEOUT; ERR_UNSUPPORTED: no C-MOVE there.
bool scu_move_series(const struct scu_peer *peer, const char *study_instance_uid,
                     const char *series_instance_uid, struct err *err);

bool scu_echo(const struct scu_peer *peer, struct err *err);

#ifdef __cplusplus
}
#endif
