// What the processes of one node say to each other: plain structs in packets (AF_UNIX,
// SOCK_SEQPACKET), one packet a message, the same executable at both ends. Text fields end with a
// zero byte; msg_receive() checks that, and every size.
// Process: all. Thread-safety: a descriptor belongs to one thread.
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/identity.h"
#include "base/uid.h"

#define MSG_MAX 65536 // bytes of a packet

enum msg_kind {
    MSG_HELLO = 1, // association -> core: who is connected
    MSG_RECORD,    // association -> core: a durable file; tail: packed attributes
    MSG_VERDICT,   // core -> association: answers one MSG_RECORD
    MSG_GOODBYE,   // association -> core: how the association ended
    MSG_READY,     // worker -> core: it can take a job, or never will
    MSG_JOB,       // core -> worker: a job; what is to be done stands in its folder
    MSG_DONE,      // worker -> core: the end of the job; results stand in its folder
    MSG_DEVICE,    // scout -> core: a Vulkan device
    MSG_OUTCOME,   // sender -> core: what became of one file
    MSG_SENT,      // sender -> core: how the association to the destination ended
    MSG_COUNT,     // asker -> core: instances that the source knows
    MSG_CONTROL,   // command -> core
    MSG_TEXT,      // core -> command: tail: a piece of the answer; an empty one ends it
    MSG_COMMITTED, // association -> core -> sender: struct commit_report (dimse/net/commit.h)
    MSG_GUEST,     // association -> core, first of all: no command comes from here
    MSG_PRIORS,    // fetcher -> core: earlier results for a job; tail: node/job/priors.h's text
    MSG_REFUSED,   // association, listener, gatekeeper -> core: somebody was turned away
    MSG_AUDIT,     // core -> clerk: an audit message to be written; tail: it
    MSG_AUDITED,   // clerk -> core: all up to it are written
    MSG_ASKED,     // asker, fetcher -> core: a question goes out; tail: its data set
};

struct msg_hello {
    char calling[17], called[17], address[64];
};

struct msg_record {
    uint64_t number; // counts the records of one association
    struct instance_id id;
    int32_t instance_number;
    uint64_t bytes;
    uint8_t digest[DIGEST_SIZE];
    uint32_t
        speaks;    // 1: the file has a receipt (node/proc/receipt.h), and its row may follow later
    char path[64]; // below the data folder
};

enum msg_answer {
    ANSWER_STORED,
    ANSWER_DUPLICATE,       // the same instance is there: the file is not needed
    ANSWER_QUARANTINE,      // another instance of that UID is there: move the file to quarantine
    ANSWER_QUARANTINED,     // ... and this very one is in quarantine: the file is not needed
    ANSWER_OVER_QUOTA,      // not recorded: peers[].quota_mib of the peer is used up
    ANSWER_OUT_OF_RESOURCES // not recorded
};

struct msg_verdict {
    uint64_t number; // of the record that it answers
    uint32_t answer; // enum msg_answer
};

struct msg_goodbye {
    uint32_t released; // 1: by release
    uint32_t stored, refused;
};

struct msg_ready {
    uint32_t ok; // 0: no device; it ends
    char device[160];
    char text[256]; // why not
};

// Small and one at a time: a worker says MSG_READY, and MSG_DONE after each, before it gets one, so
// the channel always has room for it.
struct msg_job {
    int64_t job;
    char folder[64]; // below the data folder; holds order.json (node/job/order.h)
};

struct msg_done {
    int64_t job;
    uint32_t ok;      // 1: verdict holds, and results.json; 0: code and reason
    uint32_t verdict; // enum verdict
    uint32_t code;    // enum err_code
    char reason[256], device[160];
    double seconds;
    uint64_t peak_bytes;
};

struct msg_device {
    uint32_t count; // of all messages that come; 0: there is no device, and why
    uint32_t kind;  // enum gpu_kind: the best first
    uint32_t cpu, usable;
    char name[160], uuid[37], why[160];
};

struct msg_outcome {
    int64_t row;     // of the outbox
    uint32_t fate;   // enum scu_fate
    uint32_t status; // DIMSE
    char text[160];
};

struct msg_sent {
    uint32_t ok;
    char text[256];
};

struct msg_count {
    int64_t series;
    int64_t count; // -1: the source does not say
    char text[256];
};

struct msg_priors {
    int64_t job;
    char note[160]; // what became of the search, as results say it
    char text[256]; // the same for the log
};

struct msg_refused {
    char calling[17], address[64]; // calling "": not known
    char reason[192];
    uint32_t full; // 1: it may come, and there was no place
    uint32_t lost; // of these messages that could not be sent before
};

struct msg_asked {
    char sop_class_uid[UID_SIZE], transfer_syntax_uid[UID_SIZE];
};

struct msg_audit {
    uint64_t number; // counts from 1
};

struct msg_audited {
    uint64_t number;
};

enum msg_verb {
    VERB_STATUS,
    VERB_JOBS,
    VERB_SHOW,
    VERB_RETRY,
    VERB_DISCARD,
    VERB_RETRY_FAILED, // all failed jobs
    VERB_QUARANTINE,
};

struct msg_control {
    uint32_t verb; // enum msg_verb
    int64_t id;
};

struct msg {
    enum msg_kind kind;
    const void *body; // the struct of its kind, into packet
    const char *tail; // what follows it, into packet
    size_t tail_size;
    _Alignas(16) unsigned char packet[MSG_MAX];
};

// Sends one packet whole. tail may be NULL with size 0.
//   ERR_NET the other end is gone; ERR_TIMEOUT it does not read (non-blocking descriptor or
//   SO_SNDTIMEO); ERR_INTERNAL longer than MSG_MAX
bool msg_send(int fd, enum msg_kind kind, const void *body, const void *tail, size_t tail_size,
              struct err *err);

// The same, and waits for nobody: ERR_TIMEOUT where the other process has not read what it was sent
// before. For what the core sends to processes that wait for somebody outside.
bool msg_offer(int fd, enum msg_kind kind, const void *body, const void *tail, size_t tail_size,
               struct err *err);

enum msg_arrival { MSG_GOT, MSG_NONE, MSG_END, MSG_BROKEN };

// Receives one packet. MSG_NONE: a non-blocking descriptor, or one with SO_RCVTIMEO, has none;
// MSG_END: the other end is gone; MSG_BROKEN: a packet that is no message (*err says why).
enum msg_arrival msg_receive(int fd, struct msg *m, struct err *err);

// The socket anode.sock in the folder that dirfd names. Listening: non-blocking, mode 0600, an old
// one is replaced. Path names longer than sun_path are no trouble. -1: ERR_IO, ERR_NET.
int msg_listen(int dirfd, struct err *err);
int msg_connect(int dirfd, struct err *err);
