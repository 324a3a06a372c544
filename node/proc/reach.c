#include "node/proc/reach.h"
#include <string.h>
#include "dimse/net/tls.h"

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

void reach_finish(struct scu_peer *out)
{
    tls_destroy(out->tls);
    out->tls = NULL;
}
