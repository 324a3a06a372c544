#include "node/proc/teller.h"
#include <fcntl.h>
#include <stdio.h>
#include "node/proc/msg.h"

void teller_init(struct teller *t, int fd)
{
    *t = (struct teller){.fd = fd};
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void teller_refused(struct teller *t, const char *calling, const char *address, const char *reason,
                    bool full)
{
    struct msg_refused m = {.full = full, .lost = t->lost};
    snprintf(m.calling, sizeof m.calling, "%s", calling);
    snprintf(m.address, sizeof m.address, "%s", address);
    snprintf(m.reason, sizeof m.reason, "%s", reason);
    if (msg_send(t->fd, MSG_REFUSED, &m, NULL, 0, NULL))
        t->lost = 0;
    else
        t->lost++;
}
