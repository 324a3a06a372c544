#include "node/cmd/cmd_common.h"
#include <stdio.h>
#include "node/core/checks.h"
#include "node/job/json.h"

struct conf *cmd_load_conf(const struct cmd_args *args, int *status)
{
    struct err err = {0};
    size_t errors = 0;
    struct conf *conf =
        conf_load(args->conf ? args->conf : CMD_CONF_DEFAULT, &node_checks, stderr, &errors, &err);
    *status = conf ? 0 : 1;
    if (!conf && errors > 1)
        fprintf(stderr, "%zu errors\n", errors);
    return conf;
}

int cmd_flush(int status)
{
    return fflush(stdout) == 0 && !ferror(stdout) ? status : 2;
}

json_t *cmd_answer(const char *schema, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "schema", schema, ok);
    json_put_text(o, "anode", ANODE_VERSION, ok);
    return o;
}

int cmd_print_json(json_t *answer, bool ok, int status)
{
    ok = ok && json_dumpf(answer, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF;
    json_decref(answer);
    if (!ok)
        fprintf(stderr, "anode: the answer could not be written\n");
    return cmd_flush(ok ? status : 2);
}
