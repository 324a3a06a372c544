#include "node/proc/child.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

#define KEEP_MAX 16

static void close_others(const struct child_options *options, int channel)
{
    int keep[KEEP_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < options->keep_count && i < KEEP_MAX; i++)
        keep[count++] = options->keep[i];
    if (channel >= 0)
        keep[count++] = channel;
    qsort(keep, count, sizeof keep[0], by_value);
    unsigned first = 3;
    for (size_t i = 0; i < count; i++) {
        if (keep[i] < (int)first)
            continue;
        if ((unsigned)keep[i] > first)
            close_range(first, (unsigned)keep[i] - 1, 0);
        first = (unsigned)keep[i] + 1;
    }
    close_range(first, ~0U, 0);
}

static void reset_signals(void)
{
    static const int handled[] = {SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM};
    for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++)
        signal(handled[i], SIG_DFL);
    signal(SIGINT, SIG_IGN); // a terminal's ^C is for the core, which then ends us in order
    signal(SIGPIPE, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

bool child_start(struct child *child, const struct child_options *options,
                 int (*body)(void *ctx, int fd), void *ctx, struct err *err)
{
    int pair[2] = {-1, -1};
    child->pid = 0;
    child->fd = -1;
    if (options->keep_count > KEEP_MAX)
        return err_set(err, ERR_INTERNAL, "%s: too many descriptors to keep", options->role);
    if (options->channel && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(err, errno, "channel of %s", options->role);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        int number = errno;
        if (options->channel) {
            close(pair[0]);
            close(pair[1]);
        }
        return err_errno(err, number, "fork %s", options->role);
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(2); // the parent died before that took hold
        log_role(options->role);
        log_action(NULL);
        reset_signals();
        close_others(options, pair[1]);
        _exit(body(ctx, pair[1]));
    }
    if (options->channel)
        close(pair[1]);
    child->pid = pid;
    child->fd = pair[0];
    return true;
}

void child_forget(struct child *child)
{
    if (child->fd >= 0)
        close(child->fd);
    child->fd = -1;
    child->pid = 0;
}
