// anode inspect: what is in DICOM files as anode sees it, before any analysis: text or JSON, and
// with -o a folder with contact sheets, inspect.json and, when asked for, the images as NIfTI.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fs.h"
#include "base/log.h"
#include "dimse/read/object.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/core/checks.h"
#include "node/job/gather.h"
#include "node/job/inspect.h"
#include "node/job/json.h"

struct inspect_run {
    const struct cmd_args *args;
    char folder[PATH_MAX]; // "": no files are written
    struct gather gather;
    json_t *list; // of series; NULL: text on stdout only
};

// Files of an image that cannot be written because of its pixels are no reason to stop: the log
// tells why. False: the machine failed.
static bool inspect_write_image(const struct inspect_run *run, const struct inspect *in,
                                size_t series, uint32_t image, json_t *item, bool *ok,
                                struct err *err)
{
    char name[64], path[PATH_MAX];
    json_t *files = json_array();
    json_put(item, "files", files, ok);
    for (int nifti = 0; nifti <= run->args->nifti; nifti++) {
        struct err why = {0};
        snprintf(name, sizeof name, "series%zu-image%u.%s", series + 1, image + 1,
                 nifti ? "nii.gz" : "png");
        if (!fs_join(path, run->folder, name, err))
            return false;
        if (nifti ? inspect_nifti(in, image, path, &why) : inspect_sheet(in, image, path, &why))
            json_add(files, json_text(name), ok);
        else if (analysis_is_machine(why.code))
            return err_set(err, why.code, "%s", why.text);
        else
            log_warn("file=%s is not written: %s", name, why.text);
    }
    return true;
}

static bool inspect_series(struct inspect_run *run, size_t number, struct err *err)
{
    bool ok = true, written = true;
    struct inspect *in = inspect_create(&run->gather.series[number], err);
    if (!in)
        return false;
    if (!run->args->json)
        inspect_print(in, stdout);
    if (run->list) {
        json_t *item = inspect_item(in, &ok);
        json_t *images = json_object_get(item, "images");
        for (uint32_t n = 0; written && run->folder[0] && n < inspect_image_count(in); n++)
            written = inspect_write_image(run, in, number, n, json_array_get(images, n), &ok, err);
        json_add(run->list, item, &ok);
    }
    inspect_destroy(in);
    return written && (ok || err_set(err, ERR_NOMEM, "no memory for the answer"));
}

// inspect.json, and the answer on stdout.
static bool inspect_answer(struct inspect_run *run, struct err *err)
{
    char path[PATH_MAX];
    bool ok = true;
    if (!run->list)
        return true;
    json_t *answer = cmd_answer("anode.inspect/1", &ok);
    json_put_integer(answer, "ignored", (int64_t)run->gather.ignored, &ok);
    json_put(answer, "series", run->list, &ok);
    run->list = NULL;
    char *text = ok ? json_dumps(answer, JSON_INDENT(2)) : NULL;
    ok = text || err_set(err, ERR_NOMEM, "no memory for the answer");
    if (ok && run->folder[0])
        ok = fs_join(path, run->folder, "inspect.json", err) &&
             fs_write_file(path, text, strlen(text), err);
    if (ok && run->args->json)
        puts(text);
    free(text);
    json_decref(answer);
    return ok;
}

static bool inspect_paths(struct inspect_run *run, const char *device_uid, struct err *err)
{
    const struct cmd_args *args = run->args;
    if (!gather_paths(args->operands, args->operand_count, device_uid, &run->gather, err)) {
        if (err->code == ERR_IO) // a path that is not there is the caller's mistake
            err->code = ERR_INPUT;
        return false;
    }
    if (run->gather.count == 0)
        return err_set(err, ERR_INPUT, "no DICOM series found");
    if (args->folder && !cmd_make_folder(args->folder, run->folder, err))
        return false;
    if (args->json || args->folder)
        run->list = json_array();
    bool ok = true;
    for (size_t i = 0; ok && i < run->gather.count; i++)
        ok = inspect_series(run, i, err);
    return ok && inspect_answer(run, err);
}

int cmd_inspect(const struct cmd_args *args)
{
    struct inspect_run run = {.args = args};
    struct err err = {0};
    struct conf *conf = NULL;
    int status = 0;
    log_init(LOG_LEVEL_INFO, "inspect");
    if (args->nifti && !args->folder) {
        log_error("--nifti writes files: name their folder with -o");
        return 1;
    }
    if (!object_init(&err)) {
        log_error("%s", err.text);
        return 2;
    }
    if (args->conf)
        conf = cmd_load_conf(args, &node_checks, &status);
    if (status == 0 && !inspect_paths(&run, conf ? conf->device_uid : "", &err)) {
        log_error("%s", err.text);
        status = cmd_exit_status(&err);
    }
    json_decref(run.list);
    gather_finish(&run.gather);
    conf_destroy(conf);
    object_quit();
    return status ? status : cmd_flush(0);
}
