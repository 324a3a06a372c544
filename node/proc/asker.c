#include "node/proc/asker.h"
#include <math.h>
#include <stdio.h>
#include "dimse/net/scu.h"
#include "node/proc/cage.h"
#include "node/proc/msg.h"

int asker_run(void *ctx, int channel)
{
    const struct asker *a = ctx;
    uint32_t seconds = (uint32_t)fmax(1, ceil(a->conf->find_timeout_s));
    struct scu_peer peer = {.host = a->peer->host,
                            .port = a->peer->port,
                            .called = a->peer->name,
                            .calling = a->conf->ae_title,
                            .connect_timeout_s = seconds,
                            .dimse_timeout_s = seconds,
                            .max_pdu = a->conf->max_pdu};
    struct msg_count m = {.series = a->series, .count = -1};
    struct err err = {0};
    long count = -1;
    if (!cage_enter(CAGE_SENDER, a->conf, NULL, NULL, &err) ||
        !scu_find_series_count(&peer, a->study_instance_uid, a->series_instance_uid, &count, &err))
        snprintf(m.text, sizeof m.text, "%.90s", err.text);
    else if (count < 0)
        snprintf(m.text, sizeof m.text, "its answer has no number");
    else
        m.count = count;
    return msg_send(channel, MSG_COUNT, &m, NULL, 0, NULL) ? 0 : 2;
}
