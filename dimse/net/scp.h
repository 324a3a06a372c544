// One association as acceptor, from A-ASSOCIATE-RQ to its end: C-ECHO, C-STORE.
// Data sets are received bit-preserving into a draft file, never decoded here. No file name comes
// from the peer. Sources: PS3.4 B (Storage), PS3.7 C (status), PS3.8 9.3.4 (rejection reasons).
// Process: association (one a peer connection, forked, single-threaded).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attrs.h"
#include "base/err.h"
#include "base/identity.h"
#include "base/uid.h"

#ifdef __cplusplus
extern "C" {
#endif

enum scp_status { // what a C-STORE is answered with
    SCP_SUCCESS = 0x0000,
    SCP_DUPLICATE = 0x0111,        // same SOP Instance UID, other content
    SCP_INVALID_INSTANCE = 0x0117, // SOP Instance UID is malformed
    SCP_NOT_AUTHORISED = 0x0124,
    SCP_OUT_OF_RESOURCES = 0xA700,
    SCP_MISMATCH = 0xA900, // data set does not match SOP class or the command's UIDs
    SCP_CANNOT_UNDERSTAND = 0xC000,
    SCP_NO_ANSWER = 0x10000, // none: the association is aborted, since nobody knows what holds
};

// An instance that is whole in its file, not yet durable. The file has a head with room
// (dimse/read/meta.h), of which nothing is used.
struct scp_instance {
    struct instance_id id;
    char device_uid[UID_SIZE];
    int32_t instance_number;
    uint64_t bytes;              // of the file
    uint8_t digest[DIGEST_SIZE]; // SHA-256 of the data set as received (without meta header)
    const struct attrs *attrs;   // top-level attributes; borrowed
};

struct commit_report;

struct scp_handler {
    void *ctx;
    // Who may connect. calling, called: AE titles without padding. 0: welcome, or the reason of a
    // permanent rejection by the service user (PS3.8 table 9-21): 3 calling, 7 called AE title not
    // recognised.
    int (*admit)(void *ctx, const char *calling, const char *called);
    // A descriptor for the file of an instance that starts now, to be written and read, or -1 with
    // *err (answered A700; the data set is swallowed). The file stays the handler's.
    int (*open)(void *ctx, struct err *err);
    // Whether there is room for what comes next, asked after each MiB of an instance. False, with
    // *err for the log: the file is emptied, the data set swallowed and answered A700.
    bool (*room)(void *ctx, struct err *err);
    // The whole file is written. Makes it durable and recorded, then says what to answer. comment:
    // up to 64 characters for Error Comment (0000,0902) when not success; with SCP_NO_ANSWER it is
    // the reason in *err of scp_serve().
    enum scp_status (*commit)(void *ctx, const struct scp_instance *instance, char comment[65]);
    // The file that open() gave must go: error, mismatch, abort. Called at most once an open(),
    // never after commit().
    void (*discard)(void *ctx);
    // The peer reports on a request of storage commitment that was made over another association
    // (PS3.4 J.3.3); it is answered with success.
    void (*report)(void *ctx, const struct commit_report *report);
};

struct scp_config {
    int fd;                    // the connection; taken over and closed
    const char *peer_address;  // for the log
    uint32_t max_pdu;          // 131072
    uint32_t dimse_timeout_s;  // silence of the peer inside an association
    uint32_t acse_timeout_s;   // A-ASSOCIATE-RQ must be whole by then
    uint32_t min_bytes_per_s;  // slower transfer of one data set is aborted (after acse_timeout_s);
                               // 0: off
    uint64_t max_object_bytes; // larger data sets are answered A700
    const char *application_version; // implementation version name, at most 16 characters
};

struct scp_summary {
    char calling[17], called[17];
    uint32_t stored, refused; // C-STORE answered with success, with anything else
    bool released;            // ended by release (not abort, time-out or error)
    bool rejected;
};

// Before any fork: DCMTK globals (dictionary, TCP_NODELAY, no reverse DNS).
bool scp_init(struct err *err);

// Serves the association until its end. True when the peer was served or rejected in order; false
// with *err for a broken connection, protocol error or time-out. summary is filled in either case.
bool scp_serve(const struct scp_config *config, const struct scp_handler *handler,
               struct scp_summary *summary, struct err *err);

#ifdef __cplusplus
}
#endif
