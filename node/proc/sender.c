#include "node/proc/sender.h"
#include <stdio.h>
#include <unistd.h>
#include "base/log.h"
#include "node/proc/cage.h"
#include "node/proc/msg.h"
#include "node/proc/reach.h"

struct batch {
    const struct sender *sender;
    int channel;
};

static void on_outcome(void *ctx, size_t index, const struct scu_outcome *outcome)
{
    const struct batch *b = ctx;
    struct msg_outcome m = {
        .row = b->sender->rows[index], .fate = (uint32_t)outcome->fate, .status = outcome->status};
    snprintf(m.text, sizeof m.text, "%s", outcome->text);
    if (!msg_send(b->channel, MSG_OUTCOME, &m, NULL, 0, NULL))
        _exit(2); // the core is gone: what is sent from here on would be sent again
}

int sender_run(void *ctx, int channel)
{
    const struct sender *s = ctx;
    const struct conf *conf = s->conf;
    struct scu_peer peer;
    struct batch batch = {.sender = s, .channel = channel};
    struct err err = {0};
    struct msg_sent sent = {0};
    log_action("destination=%s", s->peer->name);
    sent.ok = reach_init(&peer, conf, s->peer, s->tls, conf->connect_timeout_s,
                         conf->dimse_timeout_s, &err) &&
              cage_enter(CAGE_SENDER, conf, s->dir, NULL, &err) &&
              scu_store(&peer, s->files, s->count, on_outcome, &batch, &err);
    reach_finish(&peer);
    snprintf(sent.text, sizeof sent.text, "%s", err.text);
    return msg_send(channel, MSG_SENT, &sent, NULL, 0, NULL) ? 0 : 2;
}
