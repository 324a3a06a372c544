#include "node/proc/herald.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"
#include "node/proc/cage.h"

static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
                                          "HOME=/", NULL};

// Standard input is a file without a name, which the program can read at its leisure.
static bool herald_connect(const char *text, struct err *err)
{
    const size_t length = strlen(text);
    const int in = memfd_create("alert", 0), out = open("/dev/null", O_WRONLY);
    return (in >= 0 && out >= 0 && write(in, text, length) == (ssize_t)length &&
            lseek(in, 0, SEEK_SET) == 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1) ||
           err_errno(err, errno, "standard input and output");
}

int herald_run(void *ctx, int channel)
{
    const struct herald *h = ctx;
    const struct conf_texts *command = &h->conf->alert_command;
    struct err err = {0};
    char **arguments = calloc(command->count + 1, sizeof *arguments);
    (void)channel;
    setpgid(0, 0); // what it starts ends with it
    if (!arguments || !herald_connect(h->text, &err) ||
        !cage_enter(CAGE_HERALD, h->conf, h->dir, NULL, &err)) {
        log_error("alerts.command: %s", err.text);
        free(arguments);
        return HERALD_FAILED;
    }
    memcpy(arguments, command->items, command->count * sizeof *arguments);
    signal(SIGPIPE, SIG_DFL);
    const int errors = fcntl(2, F_DUPFD_CLOEXEC, 3); // for the one line that may follow
    dup2(1, 2);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(arguments[0], arguments, (char **)(uintptr_t)environment);
    const int number = errno;
    dup2(errors, 2);
    log_error("alerts.command: %s: %s", arguments[0], strerror(number));
    free(arguments);
    return HERALD_FAILED;
}
