// All that a peer sends on a connection, through the acceptor to its end.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dimse/net/commit.h"
#include "dimse/net/scp.h"
#include "base/uid.h"
#include "tests/fuzz/helper_targets.h"
#include "tests/made.h"
#include "tests/net/helper_peer.h"

#define PDU_HEAD   6 // type, reserved, length of 4 bytes (PS3.8 9.3.1)
#define PDV_HEAD   6 // length of 4 bytes, presentation context, flags (PS3.8 9.3.5.1)
#define INSTANCE   "1.2.3.300"
#define COMMITMENT "1.2.840.10008.1.20.1" // Storage Commitment Push Model

// --- the acceptor ---

static int take_all(void *ctx, const char *calling, const char *called)
{
    (void)ctx;
    fuzz_check(strlen(calling) <= 16 && strlen(called) <= 16, "titles have at most 16 characters");
    return strcmp(called, "NOBODY") == 0 ? 7 : 0;
}

static int open_draft(void *ctx, struct err *err)
{
    int *fd = ctx;
    fuzz_check(*fd < 0, "one instance at a time");
    *fd = memfd_create("draft", MFD_CLOEXEC);
    return *fd < 0 ? (err_errno(err, errno, "cannot make a draft"), -1) : *fd;
}

static bool has_room(void *ctx, struct err *err)
{
    (void)ctx;
    (void)err;
    return true;
}

static void close_draft(void *ctx)
{
    int *fd = ctx;
    fuzz_check(*fd >= 0, "a draft is given back once");
    close(*fd);
    *fd = -1;
}

static enum scp_status commit_draft(void *ctx, const struct scp_instance *in, char comment[65])
{
    const int *fd = ctx;
    struct stat st;
    *comment = 0;
    fuzz_check(fstat(*fd, &st) == 0 && (uint64_t)st.st_size == in->bytes, "the file is whole");
    fuzz_check(uid_is_usable(in->id.sop_instance_uid) &&
                   uid_is_usable(in->id.series_instance_uid) &&
                   uid_is_usable(in->id.study_instance_uid),
               "an instance that is kept has its UIDs");
    close_draft(ctx);
    return SCP_SUCCESS;
}

static void take_report(void *ctx, const struct commit_report *report)
{
    (void)ctx;
    fuzz_check(report->transaction_uid[0] != 0, "a report names its transaction");
    fuzz_check(report->count <= COMMIT_MAX, "a report has a bounded number of answers");
    for (uint32_t i = 0; i < report->count; i++)
        fuzz_check(memchr(report->answers[i].sop_instance_uid, 0, UID_SIZE) != NULL,
                   "a UID of a report has an end");
}

bool fuzz_association(const uint8_t *data, size_t size)
{
    int ends[2], draft = -1;
    const struct scp_handler handler = {&draft,       take_all,    open_draft, has_room,
                                        commit_draft, close_draft, take_report};
    struct scp_summary summary;
    struct err err = {0};
    fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "a socket pair");
    fuzz_check(send(ends[1], data, size, MSG_DONTWAIT) == (ssize_t)size, "it fits into a socket");
    shutdown(ends[1], SHUT_WR);
    const struct scp_config config = {.fd = ends[0],
                                      .peer_address = "192.0.2.1",
                                      .max_pdu = 131072,
                                      .dimse_timeout_s = 1, // answers that nobody reads fill up
                                      .acse_timeout_s = 1,
                                      .max_object_bytes = 1 << 20,
                                      .application_version = "ANODE FUZZ"};
    const bool ok = scp_serve(&config, &handler, &summary, &err);
    fuzz_check(draft < 0, "no draft is left");
    fuzz_check(ok || (err.code != ERR_NONE && err.text[0]), "a failure says why");
    close(ends[1]);
    return ok;
}

// --- inputs ---

static void send_end(struct peer *p)
{
    static const uint8_t release[] = {5, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    fuzz_check(peer_send(p, release, sizeof release), "a seed fits into a socket");
}

static void send_request(struct peer *p, const char *called)
{
    static const struct peer_context contexts[] = {
        {1, CT_IMAGE, {EXPLICIT_LE, IMPLICIT_LE}},
        {3, VERIFICATION, {IMPLICIT_LE}},
        {5, COMMITMENT, {EXPLICIT_LE}},
    };
    struct bytes rq = peer_request("SENDER", called, NULL, contexts, 3);
    fuzz_check(peer_send(p, rq.data, rq.size), "a seed fits into a socket");
    bytes_free(&rq);
}

static void send_echo(struct peer *p)
{
    static const uint8_t echo[] =
        "\0\0\0\0\4\0\0\0\x38\0\0\0\0\0\2\0\x12\0\0\0"
        "1.2.840.10008.1.1\0\0\0\0\1\2\0\0\0\x30\0\0\0\x10\1\2\0\0\0\1\0\0\0\0\x08\2\0\0\0\1\1";
    fuzz_check(peer_pdv(p, 3, 3, echo, sizeof echo - 1), "a seed fits into a socket");
}

static void send_instance(struct peer *p, size_t piece)
{
    struct bytes data = dataset(CT_IMAGE, INSTANCE, 256);
    bool sent = peer_store_command(p, 1, CT_IMAGE, INSTANCE);
    for (size_t at = 0; at < data.size; at += piece) {
        const size_t left = data.size - at, size = left < piece ? left : piece;
        sent = sent && peer_pdv(p, 1, size == left ? 2 : 0, data.data + at, size);
    }
    fuzz_check(sent, "a seed fits into a socket");
    bytes_free(&data);
}

static void refer(struct made_file *report, uint32_t sequence, const char *uid, const char *reason)
{
    struct made_file item = {.syntax = EXPLICIT_LE};
    made_set(&item, 0x00081150, "UI", CT_IMAGE);
    made_set(&item, 0x00081155, "UI", uid);
    if (reason)
        made_set(&item, 0x00081197, "US", reason);
    made_nest(report, sequence, &item);
}

// An N-EVENT-REPORT: of two instances one is kept (PS3.4 J.3.3).
static void send_commitment(struct peer *p)
{
    struct made_file command = {.syntax = IMPLICIT_LE}, report = {.syntax = EXPLICIT_LE};
    char length[16];
    size_t size = 0, data_size = 0;
    made_set(&command, 0x00000002, "UI", COMMITMENT);
    made_set(&command, 0x00000100, "US", "256"); // N-EVENT-REPORT-RQ
    made_set(&command, 0x00000110, "US", "9");
    made_set(&command, 0x00000800, "US", "0");
    made_set(&command, 0x00001000, "UI", COMMITMENT ".1");
    made_set(&command, 0x00001002, "US", "2"); // with failures
    free(made_data(&command, &size));
    snprintf(length, sizeof length, "%zu", size);
    made_set(&command, 0x00000000, "UL", length);
    made_set(&report, 0x00081195, "UI", "1.2.3.500");
    refer(&report, 0x00081198, "1.2.3.301", "274"); // 0112: no such instance
    refer(&report, 0x00081199, "1.2.3.302", NULL);
    uint8_t *bytes = made_data(&command, &size), *data = made_data(&report, &data_size);
    fuzz_check(peer_pdv(p, 5, 3, bytes, size) && peer_pdv(p, 5, 2, data, data_size),
               "a seed fits into a socket");
    free(bytes);
    free(data);
    made_finish(&command);
    made_finish(&report);
}

void fuzz_association_seeds(fuzz_keep keep, void *ctx)
{
    static uint8_t bytes[16384];
    for (int kind = 0; kind < 5; kind++) {
        int ends[2];
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "a socket pair");
        struct peer p = {ends[0]};
        send_request(&p, kind == 3 ? "NOBODY" : "ANODE");
        if (kind == 0)
            send_echo(&p);
        if (kind == 1 || kind == 2)
            send_instance(&p, kind == 1 ? 8192 : 100);
        if (kind == 2)
            send_echo(&p);
        if (kind == 4)
            send_commitment(&p);
        if (kind != 3)
            send_end(&p);
        peer_close(&p);
        size_t size = 0;
        for (ssize_t n = 1; n > 0; size += n > 0 ? (size_t)n : 0)
            n = recv(ends[1], bytes + size, sizeof bytes - size, 0);
        close(ends[1]);
        keep(ctx, bytes, size);
    }
}

// --- mutants ---

static size_t read_size(const uint8_t *at)
{
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
}

static void write_size(uint8_t *at, size_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

// The place of the PDU that which picks, with its size in *length; 0 where none is whole.
static size_t find_pdu(const uint8_t *data, size_t size, unsigned which, size_t *length)
{
    size_t starts[64], count = 0, at = 0;
    while (count < 64 && size - at >= PDU_HEAD &&
           read_size(data + at + 2) <= size - at - PDU_HEAD) {
        starts[count++] = at;
        at += PDU_HEAD + read_size(data + at + 2);
    }
    *length = 0;
    if (count == 0)
        return 0;
    at = starts[which % count];
    *length = PDU_HEAD + read_size(data + at + 2);
    return at;
}

// Changes what is in one PDU (of P-DATA-TF in its one PDV) and makes the lengths right again, so
// that what lies deeper is reached; or doubles a PDU, takes it out, or knows no PDUs.
size_t fuzz_association_mutate(uint8_t *data, size_t size, size_t room, unsigned bits,
                               size_t (*change)(uint8_t *, size_t, size_t))
{
    size_t length;
    const size_t at = find_pdu(data, size, bits >> 8, &length), behind = size - at - length;
    if (!length || bits % 8 == 0)
        return change(data, size, room);
    if (bits % 8 == 1 && size + length <= room) {
        memmove(data + at + length, data + at, size - at);
        return size + length;
    }
    if (bits % 8 == 2 && behind) {
        memmove(data + at, data + at + length, behind);
        return size - length;
    }
    const size_t head =
        data[at] == 4 && length > PDU_HEAD + PDV_HEAD ? PDU_HEAD + PDV_HEAD : PDU_HEAD;
    const size_t body_room = room - size + length - head;
    uint8_t *body = malloc(body_room + 1);
    fuzz_check(body != NULL, "there is memory");
    memcpy(body, data + at + head, length - head);
    const size_t body_size = change(body, length - head, body_room);
    memmove(data + at + head + body_size, data + at + length, behind);
    memcpy(data + at + head, body, body_size);
    write_size(data + at + 2, head - PDU_HEAD + body_size);
    if (head > PDU_HEAD)
        write_size(data + at + PDU_HEAD, body_size + 2);
    free(body);
    return at + head + body_size + behind;
}
