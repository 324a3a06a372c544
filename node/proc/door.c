#include "node/proc/door.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"

union control { // of one descriptor, aligned
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
};

bool door_make(int ends[2], struct err *err)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0 ||
           err_errno(err, errno, "door");
}

bool door_pass(int door, int fd, const struct door_visitor *visitor, struct err *err)
{
    union control control = {0};
    struct iovec body = {.iov_base = (void *)(uintptr_t)visitor, .iov_len = sizeof *visitor};
    struct msghdr message = {.msg_iov = &body,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(door, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *visitor ||
           err_set(err, ERR_NET, "the listener takes no connection: %s", strerror(errno));
}

// Texts end, and there are not more names than there is room for.
static bool visitor_is_whole(const struct door_visitor *v)
{
    bool whole = memchr(v->address, 0, sizeof v->address) &&
                 memchr(v->identity.subject, 0, sizeof v->identity.subject) &&
                 v->identity.name_count <= TLS_NAMES;
    for (uint32_t i = 0; whole && i < v->identity.name_count; i++)
        whole = memchr(v->identity.names[i], 0, sizeof v->identity.names[i]);
    return whole;
}

int door_take(int door, struct door_visitor *visitor)
{
    union control control = {0};
    struct iovec body = {.iov_base = visitor, .iov_len = sizeof *visitor};
    struct msghdr message = {.msg_iov = &body,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    int fd = -1;
    const ssize_t n = recvmsg(door, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n <= 0)
        return -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    if (fd >= 0 && n == (ssize_t)sizeof *visitor && visitor_is_whole(visitor))
        return fd;
    log_error("a connection came through the door without saying whose it is: closed");
    if (fd >= 0)
        close(fd);
    return -1;
}
