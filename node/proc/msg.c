#include "node/proc/msg.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include "dimse/net/commit.h"

// Where the text fields of each kind are.
struct text_field {
    uint16_t offset, size;
};
#define TEXT(type, field)                                                                          \
    {                                                                                              \
        offsetof(struct type, field), sizeof((struct type *)0)->field                              \
    }
#define FIELDS_MAX 8

struct shape {
    size_t size; // of the body
    bool tail;   // may follow it
    struct text_field text[FIELDS_MAX];
};

static const struct shape shapes[] = {
    [MSG_HELLO] = {sizeof(struct msg_hello),
                   false,
                   {TEXT(msg_hello, calling), TEXT(msg_hello, called), TEXT(msg_hello, address)}},
    [MSG_GUEST] = {0, false, {{0}}},
    [MSG_RECORD] = {sizeof(struct msg_record),
                    true,
                    {TEXT(msg_record, id.study_instance_uid),
                     TEXT(msg_record, id.series_instance_uid),
                     TEXT(msg_record, id.sop_instance_uid), TEXT(msg_record, id.sop_class_uid),
                     TEXT(msg_record, id.transfer_syntax_uid), TEXT(msg_record, id.modality),
                     TEXT(msg_record, path)}},
    [MSG_VERDICT] = {sizeof(struct msg_verdict), false, {{0}}},
    [MSG_GOODBYE] = {sizeof(struct msg_goodbye), false, {{0}}},
    [MSG_READY] = {sizeof(struct msg_ready),
                   false,
                   {TEXT(msg_ready, device), TEXT(msg_ready, text)}},
    [MSG_JOB] = {sizeof(struct msg_job), false, {TEXT(msg_job, folder)}},
    [MSG_DONE] = {sizeof(struct msg_done), false, {TEXT(msg_done, reason), TEXT(msg_done, device)}},
    [MSG_DEVICE] = {sizeof(struct msg_device),
                    false,
                    {TEXT(msg_device, name), TEXT(msg_device, uuid), TEXT(msg_device, why)}},
    [MSG_OUTCOME] = {sizeof(struct msg_outcome), false, {TEXT(msg_outcome, text)}},
    [MSG_SENT] = {sizeof(struct msg_sent), false, {TEXT(msg_sent, text)}},
    [MSG_COUNT] = {sizeof(struct msg_count), false, {TEXT(msg_count, text)}},
    [MSG_PRIORS] = {sizeof(struct msg_priors),
                    true,
                    {TEXT(msg_priors, note), TEXT(msg_priors, text)}},
    [MSG_COMMITTED] = {sizeof(struct commit_report), false, {TEXT(commit_report, transaction_uid)}},
    [MSG_CONTROL] = {sizeof(struct msg_control), false, {{0}}},
    [MSG_TEXT] = {0, true, {{0}}},
    [MSG_REFUSED] = {sizeof(struct msg_refused),
                     false,
                     {TEXT(msg_refused, calling), TEXT(msg_refused, address),
                      TEXT(msg_refused, reason)}},
    [MSG_AUDIT] = {sizeof(struct msg_audit), true, {{0}}},
    [MSG_AUDITED] = {sizeof(struct msg_audited), false, {{0}}},
    [MSG_ASKED] = {sizeof(struct msg_asked),
                   true,
                   {TEXT(msg_asked, sop_class_uid), TEXT(msg_asked, transfer_syntax_uid)}},
};

static const struct shape *shape_of(uint64_t kind)
{
    return kind >= MSG_HELLO && kind < sizeof shapes / sizeof shapes[0] ? &shapes[kind] : NULL;
}

struct head { // of every packet; keeps the body aligned
    uint64_t kind;
    uint64_t reserved;
};

static bool msg_put(int fd, enum msg_kind kind, const void *body, const void *tail,
                    size_t tail_size, int flags, struct err *err)
{
    const struct shape *shape = shape_of(kind);
    if (!shape || sizeof(struct head) + shape->size + tail_size > MSG_MAX)
        return err_set(err, ERR_INTERNAL, "message %d with %zu bytes", (int)kind, tail_size);
    struct head head = {.kind = kind};
    struct iovec parts[3] = {{&head, sizeof head},
                             {(void *)(uintptr_t)body, shape->size},
                             {(void *)(uintptr_t)tail, tail_size}};
    struct msghdr packet = {.msg_iov = parts, .msg_iovlen = 3};
    for (;;) {
        if (sendmsg(fd, &packet, MSG_NOSIGNAL | flags) >= 0)
            return true;
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return err_set(err, ERR_TIMEOUT, "the other process does not read");
        err_errno(err, errno, "send message");
        if (err)
            err->code = ERR_NET;
        return false;
    }
}

bool msg_send(int fd, enum msg_kind kind, const void *body, const void *tail, size_t tail_size,
              struct err *err)
{
    return msg_put(fd, kind, body, tail, tail_size, 0, err);
}

bool msg_offer(int fd, enum msg_kind kind, const void *body, const void *tail, size_t tail_size,
               struct err *err)
{
    return msg_put(fd, kind, body, tail, tail_size, MSG_DONTWAIT, err);
}

static bool check(struct msg *m, size_t size, bool cut, struct err *err)
{
    struct head head = {0};
    if (size >= sizeof head)
        memcpy(&head, m->packet, sizeof head);
    const struct shape *shape = shape_of(head.kind);
    if (cut || !shape || size < sizeof head + shape->size ||
        (!shape->tail && size != sizeof head + shape->size))
        return err_set(err, ERR_INTERNAL, "a packet of %zu bytes is no message", size);
    m->kind = (enum msg_kind)head.kind;
    m->body = m->packet + sizeof head;
    m->tail = (const char *)m->packet + sizeof head + shape->size;
    m->tail_size = size - sizeof head - shape->size;
    for (size_t i = 0; i < FIELDS_MAX && shape->text[i].size; i++) {
        const char *text = (const char *)m->body + shape->text[i].offset;
        if (!memchr(text, 0, shape->text[i].size))
            return err_set(err, ERR_INTERNAL, "message %d has a text without end", (int)m->kind);
    }
    return true;
}

enum msg_arrival msg_receive(int fd, struct msg *m, struct err *err)
{
    struct iovec part = {m->packet, sizeof m->packet};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t size;
    do
        size = recvmsg(fd, &packet, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return MSG_NONE;
    if (size <= 0)
        return MSG_END;
    return check(m, (size_t)size, packet.msg_flags & MSG_TRUNC, err) ? MSG_GOT : MSG_BROKEN;
}

static void address_of(int dirfd, struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/anode.sock", dirfd);
}

int msg_listen(int dirfd, struct err *err)
{
    struct sockaddr_un address;
    address_of(dirfd, &address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        err_errno(err, errno, "socket");
        return -1;
    }
    unlinkat(dirfd, "anode.sock", 0);
    mode_t before = umask(0177);
    int rc = bind(fd, (struct sockaddr *)&address, sizeof address);
    umask(before);
    if (rc != 0 || listen(fd, 1024) != 0) {
        err_errno(err, errno, "anode.sock");
        close(fd);
        return -1;
    }
    return fd;
}

int msg_connect(int dirfd, struct err *err)
{
    struct sockaddr_un address;
    address_of(dirfd, &address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        err_errno(err, errno, "socket");
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        err_errno(err, errno, "anode.sock");
        if (err && err->code == ERR_IO)
            err->code = ERR_NET;
        close(fd);
        return -1;
    }
    return fd;
}
