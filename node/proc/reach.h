// How a peer of the configuration is reached: what a sender and an asker tell dimse/net/scu.h.
// Process: sender, asker, before they give up rights.
#pragma once
#include <stdint.h>
#include "conf/conf.h"
#include "dimse/net/scu.h"

struct tls_files;

// Fills *out, which borrows from conf and peer; with TLS where the peer wants it: files as
// core->tls, which the process keeps open.
//   ERR_CONFIG the files of section tls cannot be used
bool reach_init(struct scu_peer *out, const struct conf *conf, const struct conf_peer *peer,
                const struct tls_files *files, uint32_t connect_timeout_s, uint32_t dimse_timeout_s,
                struct err *err);
void reach_finish(struct scu_peer *out);
// Has each question told to the core (MSG_ASKED) through channel, which lasts as long as *out,
// where the configuration has an audit trail.
void reach_tell(struct scu_peer *out, const struct conf *conf, const int *channel);
