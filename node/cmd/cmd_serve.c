// anode serve
#include <stdio.h>
#include "dimse/read/object.h"
#include "dimse/net/scp.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/core/checks.h"
#include "node/core/core.h"

int cmd_serve(const struct cmd_args *args)
{
    struct err err = {0};
    int status;
    // All of it before the first fork: children share it.
    if (!object_init(&err) || !scp_init(&err)) {
        fprintf(stderr, "anode serve: %s\n", err.text);
        return 2;
    }
    struct conf *conf = cmd_load_conf(args, &node_checks_files, &status);
    if (conf)
        status = core_run(conf);
    object_quit();
    return status;
}
