#include "node/cmd/cmd_common.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/fs.h"
#include "node/job/json.h"

struct conf *cmd_load_conf(const struct cmd_args *args, const struct conf_checks *checks,
                           int *status)
{
    struct err err = {0};
    size_t errors = 0;
    struct conf *conf =
        conf_load(args->conf ? args->conf : CMD_CONF_DEFAULT, checks, stderr, &errors, &err);
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

int cmd_exit_status(const struct err *err)
{
    switch (err->code) {
    case ERR_NONE:
        return 0;
    case ERR_INPUT:
    case ERR_CONFIG:
    case ERR_GEOMETRY:
    case ERR_UNSUPPORTED:
        return 1;
    default:
        return 2;
    }
}

// Is there nothing in a folder? False with *err: there is, or it is no folder.
static bool cmd_is_empty(const char *folder, struct err *err)
{
    DIR *dir = opendir(folder);
    if (!dir && errno == ENOTDIR)
        return err_set(err, ERR_INPUT, "%s is no folder", folder);
    if (!dir)
        return err_errno(err, errno, "%s", folder);
    size_t entries = 0;
    while (readdir(dir))
        entries++;
    closedir(dir);
    return entries <= 2 || // . and ..
           err_set(err, ERR_INPUT,
                   "%s is not empty: each run has a folder of its own, so that results are never "
                   "mixed; name a new one",
                   folder);
}

bool cmd_make_folder(const char *given, char folder[PATH_MAX], struct err *err)
{
    time_t now = time(NULL);
    struct tm local;
    if (given) {
        if (snprintf(folder, PATH_MAX, "%s", given) >= PATH_MAX)
            return err_set(err, ERR_INPUT, "the name of the output folder is too long");
        return (access(given, F_OK) == 0 || fs_make_folders(given, err)) &&
               cmd_is_empty(given, err);
    }
    localtime_r(&now, &local);
    strftime(folder, PATH_MAX, "anode-%Y%m%d-%H%M%S", &local);
    return mkdir(folder, 0700) == 0 || err_errno(err, errno, "%s", folder);
}
