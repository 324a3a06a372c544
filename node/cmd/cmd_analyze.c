// anode analyze: the analyses of the node on files, offline.
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "compute/gpu/gpu.h"
#include "dimse/read/object.h"
#include "dimse/read/report.h"
#include "node/job/analysis.h"
#include "base/arena.h"
#include "base/fs.h"
#include "base/log.h"
#include "node/core/checks.h"
#include "node/cmd/cmd.h"
#include "node/cmd/cmd_common.h"
#include "node/job/gather.h"
#include "node/job/plan.h"
#include "node/job/report.h"

struct analyze_run {
    const struct cmd_args *args;
    char folder[PATH_MAX]; // of the results
    struct conf *conf;     // NULL: none was given
    struct gather gather;
    struct plans plans;
    struct arena *arena;                 // of the priors
    struct prior priors[CMD_PRIORS_MAX]; // as given
    struct gpu *gpu;
    struct report *report;
    char device_uid[65], device[256];
};

static bool analyze_make_plans(struct analyze_run *run, struct err *err)
{
    const struct stage *named = run->args->stage ? stage_find(run->args->stage) : NULL;
    if (!plans_make(&run->gather, run->conf, named, &run->plans, err))
        return false;
    if (run->plans.count > 0)
        return true;
    return err_set(err, ERR_INPUT, "%s",
                   run->gather.count ? "nothing to analyse among the series found"
                                     : "no DICOM series found");
}

static bool analyze_open_gpu(struct analyze_run *run, struct err *err)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char folder[PATH_MAX];
    struct gpu_options options = {.device = run->conf ? run->conf->device : NULL};
    int n = 0;
    if (cache && cache[0] == '/')
        n = snprintf(folder, sizeof folder, "%s/anode", cache);
    else if (home && home[0] == '/')
        n = snprintf(folder, sizeof folder, "%s/.cache/anode", home);
    if (n > 0 && (size_t)n < sizeof folder && fs_make_folders(folder, NULL))
        options.cache_dir = folder;
    run->gpu = gpu_create(&options, err);
    if (!run->gpu && err && err->code == ERR_DEVICE)
        log_error("%s", CMD_DEVICE_REMEDY);
    if (!run->gpu)
        return false;
    snprintf(run->device, sizeof run->device, "%s", gpu_device(run->gpu)->name);
    return true;
}

static void analyze_show_progress(void *ctx, const char *what, double done)
{
    (void)ctx;
    fprintf(stderr, "\r\033[K%s %.0f %%", what, 100 * done);
}

static bool analyze_set_params(const struct plan *plan, struct arena *arena,
                               struct param_value *params, struct err *err)
{
    stage_defaults(plan->stage, params);
    for (size_t i = 0; plan->run && i < plan->run->option_count; i++) {
        const struct conf_option *o = &plan->run->options[i];
        if (!stage_option(plan->stage, o->name, o->value, arena, params, err) ||
            !stage_option_usable(plan->stage, o->name, o->value, err))
            return false;
    }
    return true;
}

static bool analyze_write_files(const struct analyze_run *run, const struct plan *plan,
                                const char *folder, const char *prefix,
                                const struct analysis_report *analysis, struct err *err)
{
    const struct findings *f = analysis->findings;
    bool nifti = run->args->nifti;
    if (!report_pictures(folder, plan->stage, f, err) ||
        !report_spoken(folder, plan->stage, f, err) ||
        (nifti && !report_niftis(folder, plan->stage, analysis, err)))
        return false;
    return report_add(run->report, plan->stage, analysis, prefix, nifti, err);
}

static void analyze_identify(const struct analyze_run *run, struct result_maker *maker)
{
    const struct conf *c = run->conf;
    *maker = (struct result_maker){
        .ae_title = c ? c->ae_title : "ANODE",
        .device_uid = run->device_uid,
        .serial = c ? c->serial : "offline",
        .software = "anode " ANODE_VERSION,
        .device_name = run->device,
        .timezone = c ? conf_timezone(c) : NULL,
    };
}

// The input of an analysis as it is asked for; in arena. NULL: no memory.
static struct analysis_input *analyze_inputs(const struct plan *plan, struct arena *arena)
{
    struct analysis_input *inputs = arena_alloc(arena, plan->input_count, sizeof *inputs);
    for (size_t i = 0; inputs && i < plan->input_count; i++)
        inputs[i] = (struct analysis_input){.slot = plan->inputs[i].slot,
                                            .files = plan->inputs[i].series->files,
                                            .file_count = plan->inputs[i].series->file_count};
    return inputs;
}

// One analysis. prefix: its folder inside the output folder, "" or "calcium-1f3a9c0b2d4e/".
static bool analyze_one(struct analyze_run *run, const struct plan *plan, const char *prefix,
                        struct err *err)
{
    char folder[PATH_MAX];
    struct analysis_report analysis = {0};
    struct arena *arena = arena_create();
    struct param_value *params =
        arena ? arena_alloc(arena, plan->stage->param_count + 1, sizeof *params) : NULL;
    struct analysis_input *inputs = params ? analyze_inputs(plan, arena) : NULL;
    bool terminal = isatty(STDERR_FILENO);
    struct analysis_request request = {
        .inputs = inputs,
        .input_count = plan->input_count,
        .stage = plan->stage,
        .params = params,
        .kinds = plan->run ? plan->run->results : 0,
        .remark = plan->remark,
        .priors = run->priors,
        .prior_count = run->args->prior_count,
        .light_page = run->conf && conf_light_page(run->conf),
        .folder = folder,
        .progress = terminal ? analyze_show_progress : NULL,
    };
    const char *series = plan->inputs[0].series->series_instance_uid;
    analyze_identify(run, &request.maker);
    bool ok = (inputs || err_set(err, ERR_NOMEM, "no memory")) &&
              analyze_set_params(plan, arena, params, err) &&
              fs_join(folder, run->folder, prefix, err) && fs_make_folders(folder, err) &&
              analysis_run(&request, run->gpu, &analysis, err);
    if (terminal)
        fprintf(stderr, "\r\033[K");
    ok = ok && analyze_write_files(run, plan, folder, prefix, &analysis, err);
    if (ok)
        log_info(
            "series=%s inputs=%zu stage=%s verdict=\"%s\" reason=\"%s\" seconds=%.2f objects=%zu",
            series, plan->input_count, plan->stage->name, verdict_name(analysis.findings->verdict),
            analysis.findings->reason, analysis.seconds, analysis.objects.count);
    else
        err_wrap(err, "series %s", series);
    analysis_report_finish(&analysis);
    arena_destroy(arena);
    return ok;
}

// The folder of one analysis among several, the same whatever else is analysed: "calcium-" and part
// of a digest of patient, study and series, which names nobody.
static bool analyze_name_folder(const struct plan *plan, char out[128], struct err *err)
{
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    struct digest *d = digest_create();
    if (!d)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < plan->input_count; i++) {
        digest_add_text(d, plan->inputs[i].series->patient);
        digest_add_text(d, plan->inputs[i].series->study_instance_uid);
        digest_add_text(d, plan->inputs[i].series->series_instance_uid);
    }
    digest_end(d, digest);
    digest_destroy(d);
    digest_hex(digest, hex);
    snprintf(out, 128, "%s-%.12s/", plan->stage->name, hex);
    return true;
}

static bool analyze_all(struct analyze_run *run, struct err *err)
{
    char path[PATH_MAX];
    run->report = report_create(run->device);
    if (!run->report)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < run->plans.count; i++) {
        char prefix[128] = "";
        if (run->plans.count > 1 && !analyze_name_folder(&run->plans.list[i], prefix, err))
            return false;
        if (!analyze_one(run, &run->plans.list[i], prefix, err))
            return false;
    }
    return fs_join(path, run->folder, "report.json", err) && report_write(run->report, path, err);
}

// This node's Device UID, or one of its own for work without a configuration.
static void analyze_choose_device_uid(struct analyze_run *run)
{
    uint8_t digest[DIGEST_SIZE] = {0};
    struct digest *d = digest_create();
    if (d) {
        digest_add_text(d, "anode analyze");
        digest_end(d, digest);
        digest_destroy(d);
    }
    uid_from_digest(digest, run->device_uid);
    if (run->conf)
        snprintf(run->device_uid, sizeof run->device_uid, "%s", run->conf->device_uid);
}

static bool analyze_paths(struct analyze_run *run, struct err *err)
{
    if (!gather_paths(run->args->operands, run->args->operand_count, run->device_uid, &run->gather,
                      err)) {
        // a path that is not there is the caller's mistake
        if (err->code == ERR_IO)
            err->code = ERR_INPUT;
        return false;
    }
    if (!analyze_make_plans(run, err) || !cmd_make_folder(run->args->folder, run->folder, err))
        return false;
    if (analyze_open_gpu(run, err) && analyze_all(run, err))
        return true;
    rmdir(run->folder); // only when nothing has been written to it
    return false;
}

// A report that cannot be read is the caller's mistake: nothing is analysed.
static bool analyze_read_priors(struct analyze_run *run, struct err *err)
{
    run->arena = arena_create();
    if (!run->arena)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < run->args->prior_count; i++) {
        if (report_read(run->args->priors[i], run->arena, &run->priors[i], err))
            continue;
        err->code = err->code == ERR_IO ? ERR_INPUT : err->code;
        return err_wrap(err, "--prior %s", run->args->priors[i]);
    }
    return true;
}

static int analyze(struct analyze_run *run)
{
    struct err err = {0};
    char why[256];
    int status;
    if (run->args->conf) {
        run->conf = cmd_load_conf(run->args, &node_checks, &status);
        if (!run->conf)
            return status;
    }
    // The models of the site are known now.
    if (run->args->stage && !node_checks.stage(run->args->stage, why, sizeof why)) {
        log_error("%s", why);
        return 1;
    }
    analyze_choose_device_uid(run);
    if (!analyze_read_priors(run, &err) || !analyze_paths(run, &err)) {
        log_error("%s", err.text);
        return cmd_exit_status(&err);
    }
    if (run->args->json)
        return report_print(run->report, stdout, &err) ? cmd_flush(0) : 2;
    printf("results are in %s\n", run->folder);
    return cmd_flush(0);
}

int cmd_analyze(const struct cmd_args *args)
{
    struct analyze_run run = {.args = args};
    struct err err = {0};
    log_init(LOG_LEVEL_INFO, "analyze");
    if (!object_init(&err)) {
        log_error("%s", err.text);
        return 2;
    }
    int status = analyze(&run);
    report_destroy(run.report);
    arena_destroy(run.arena);
    gpu_destroy(run.gpu);
    plans_finish(&run.plans);
    gather_finish(&run.gather);
    conf_destroy(run.conf);
    object_quit();
    return status;
}
