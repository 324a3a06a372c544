#include "node/proc/reach.h"
#include <stdio.h>
#include <string.h>
#include "dimse/net/tls.h"
#include "node/proc/msg.h"

bool reach_init(struct scu_peer *out, const struct conf *conf, const struct conf_peer *peer,
                const struct tls_files *files, uint32_t connect_timeout_s, uint32_t dimse_timeout_s,
                struct err *err)
{
    *out = (struct scu_peer){
        .host = peer->host,
        .port = peer->port,
        .called = peer->name,
        .calling = conf->ae_title,
        .connect_timeout_s = connect_timeout_s,
        .dimse_timeout_s = dimse_timeout_s,
        .max_pdu = conf->max_pdu,
        .certificates = (const char *const *)peer->certificates.items,
        .certificate_count = peer->certificates.count,
    };
    if (!peer->tls)
        return true;
    out->tls = tls_create(files, TLS_REQUESTOR, strcmp(conf->tls_version, "1.3") == 0, NULL, err);
    return out->tls || err_wrap(err, "section tls of the configuration");
}

static void reach_on_question(void *ctx, const struct scu_question *question)
{
    const int *channel = ctx;
    struct msg_asked m = {0};
    snprintf(m.sop_class_uid, sizeof m.sop_class_uid, "%s", question->sop_class_uid);
    snprintf(m.transfer_syntax_uid, sizeof m.transfer_syntax_uid, "%s",
             question->transfer_syntax_uid);
    msg_send(*channel, MSG_ASKED, &m, question->data, question->size, NULL);
}

void reach_tell(struct scu_peer *out, const struct conf *conf, const int *channel)
{
    if (!*conf->audit_file && !*conf->audit_host)
        return;
    out->on_question = reach_on_question;
    out->question_ctx = (void *)(uintptr_t)channel;
}

void reach_finish(struct scu_peer *out)
{
    tls_destroy(out->tls);
    out->tls = NULL;
}
