#include "node/proc/asker.h"
#include <math.h>
#include <stdio.h>
#include "base/log.h"
#include "dimse/net/scu.h"
#include "node/proc/cage.h"
#include "node/proc/msg.h"
#include "node/proc/reach.h"

// How many it has then tells what came of it, whatever it says.
static void have_it_sent(const struct asker *a, const struct scu_peer *peer)
{
    struct err err = {0};
    if (scu_move_series(peer, a->study_instance_uid, a->series_instance_uid, &err))
        log_info("series=%s fetched from %s", a->series_instance_uid, a->peer->name);
    else
        log_warn("series=%s not fetched from %s: %s", a->series_instance_uid, a->peer->name,
                 err.text);
}

int asker_run(void *ctx, int channel)
{
    const struct asker *a = ctx;
    const double silence_s = a->move ? a->conf->dimse_timeout_s : a->conf->find_timeout_s;
    uint32_t seconds = (uint32_t)fmax(1, ceil(silence_s));
    struct scu_peer peer;
    struct msg_count m = {.series = a->series, .count = -1};
    struct err err = {0};
    long count = -1;
    const bool reached = reach_init(&peer, a->conf, a->peer, a->tls, seconds, seconds, &err);
    reach_tell(&peer, a->conf, &channel);
    const bool caged = reached && cage_enter(CAGE_SENDER, a->conf, NULL, NULL, &err);
    if (caged && a->move)
        have_it_sent(a, &peer);
    if (!caged ||
        !scu_find_series_count(&peer, a->study_instance_uid, a->series_instance_uid, &count, &err))
        snprintf(m.text, sizeof m.text, "%.90s", err.text);
    else if (count < 0)
        snprintf(m.text, sizeof m.text, "its answer has no number");
    else
        m.count = count;
    reach_finish(&peer);
    return msg_send(channel, MSG_COUNT, &m, NULL, 0, NULL) ? 0 : 2;
}
