#include <ctype.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "compute/gpu/gpu.h"
#include "dimse/read/object.h"
#include "node/job/analysis.h"
#include "base/fs.h"
#include "base/log.h"
#include "node/core/checks.h"
#include "node/cmd/cmd.h"
#include "node/job/gather.h"
#include "node/job/nifti.h"
#include "node/job/report.h"

struct options {
    const char *conf_path, *stage, *folder;
    bool nifti;
};

// What becomes of one series.
struct plan {
    const struct gather_series *series;
    const struct stage *stage;
    const struct conf_run *route; // NULL: none; its options and results apply
};

struct run {
    struct options options;
    struct conf *conf; // NULL: none was given
    struct gather gather;
    struct plan *plans;
    size_t plan_count;
    struct gpu *gpu;
    struct report *report;
    char device_uid[65], device[256];
};

// Does a stage accept series of a modality? The modality is a word of what it accepts.
static bool accepts(const struct stage *s, const char *modality)
{
    size_t length = strlen(modality);
    for (const char *at = s->accepts; length && (at = strstr(at, modality)); at += length) {
        bool starts = at == s->accepts || !isalnum((unsigned char)at[-1]);
        if (starts && !isalnum((unsigned char)at[length]))
            return true;
    }
    return false;
}

static const struct stage *stage_for(const char *modality)
{
    for (size_t i = 0; stage_at(i); i++) {
        if (accepts(stage_at(i), modality))
            return stage_at(i);
    }
    return NULL;
}

// The analysis of a series, or none with the reason logged.
static bool plan_series(const struct run *run, const struct gather_series *s, struct plan *plan)
{
    const struct stage *named = run->options.stage ? stage_find(run->options.stage) : NULL;
    const struct conf_route *route =
        run->conf ? conf_match(run->conf, &s->attrs, CONF_VALUES_HIDDEN, NULL) : NULL;
    const char *why = NULL;
    *plan = (struct plan){.series = s};
    if (s->own)
        why = "it is a result of this node";
    else if (named && accepts(named, s->modality))
        plan->stage = named;
    else if (named)
        why = "the analysis does not accept this modality";
    else if (route)
        plan->stage = stage_find(route->runs[0].stage);
    else if (run->conf)
        why = "no route matches";
    else if (!(plan->stage = stage_for(s->modality)))
        why = "no analysis accepts this modality";
    for (size_t i = 0; route && plan->stage && i < route->run_count; i++) {
        if (strcmp(route->runs[i].stage, plan->stage->name) == 0)
            plan->route = &route->runs[i];
    }
    if (!plan->stage)
        log_info("series=%s modality=%s skipped reason=\"%s\"", s->series_instance_uid, s->modality,
                 why);
    return plan->stage != NULL;
}

static bool make_plans(struct run *run, struct err *err)
{
    run->plans = calloc(run->gather.count + 1, sizeof *run->plans);
    if (!run->plans)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < run->gather.count; i++)
        run->plan_count += plan_series(run, &run->gather.series[i], &run->plans[run->plan_count]);
    if (run->plan_count == 0)
        return err_set(err, ERR_INPUT, "%s",
                       run->gather.count ? "nothing to analyse among the series found"
                                         : "no DICOM series found");
    return true;
}

static bool open_gpu(struct run *run, struct err *err)
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
    if (!run->gpu)
        return false;
    snprintf(run->device, sizeof run->device, "%s", gpu_device(run->gpu)->name);
    return true;
}

static void show_progress(void *ctx, const char *step, size_t done, size_t total)
{
    (void)ctx;
    fprintf(stderr, "\r\033[K%s %zu/%zu", step, done, total);
}

static bool set_params(const struct plan *plan, double *params, struct err *err)
{
    stage_defaults(plan->stage, params);
    for (size_t i = 0; plan->route && i < plan->route->option_count; i++) {
        const struct conf_option *o = &plan->route->options[i];
        if (!stage_option(plan->stage, o->name, o->value, params, err))
            return false;
    }
    return true;
}

static bool write_files(const struct run *run, const struct plan *plan, const char *folder,
                        const char *prefix, const struct analysis_report *analysis, struct err *err)
{
    const struct findings *f = analysis->findings;
    bool nifti = run->options.nifti && f->labels && analysis->volume;
    if (!report_pictures(folder, plan->stage, f, err))
        return false;
    if (nifti) {
        char name[128], path[PATH_MAX];
        snprintf(name, sizeof name, "%s-regions.nii", plan->stage->name);
        if (!fs_join(path, folder, name, err) ||
            !nifti_write_labels(path, analysis->volume, f->labels, err))
            return false;
    }
    return report_add(run->report, plan->stage, analysis, prefix, nifti, err);
}

static void identify(const struct run *run, struct result_maker *maker)
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

// One series. prefix: its folder inside the output folder, "" or "2/".
static bool analyze_series(struct run *run, const struct plan *plan, const char *prefix,
                           struct err *err)
{
    char folder[PATH_MAX];
    struct analysis_report analysis = {0};
    double *params = calloc(plan->stage->param_count + 1, sizeof *params);
    bool terminal = isatty(STDERR_FILENO);
    struct analysis_request request = {
        .files = plan->series->files,
        .file_count = plan->series->file_count,
        .stage = plan->stage,
        .params = params,
        .kinds = plan->route ? plan->route->results : 0,
        .folder = folder,
        .progress = terminal ? show_progress : NULL,
    };
    identify(run, &request.maker);
    bool ok = (params || err_set(err, ERR_NOMEM, "no memory")) && set_params(plan, params, err) &&
              fs_join(folder, run->options.folder, prefix, err) && fs_make_folders(folder, err) &&
              analysis_run(&request, run->gpu, &analysis, err);
    if (terminal)
        fprintf(stderr, "\r\033[K");
    ok = ok && write_files(run, plan, folder, prefix, &analysis, err);
    if (ok)
        log_info("series=%s stage=%s verdict=\"%s\" reason=\"%s\" seconds=%.2f objects=%zu",
                 plan->series->series_instance_uid, plan->stage->name,
                 verdict_name(analysis.findings->verdict), analysis.findings->reason,
                 analysis.seconds, analysis.object_count);
    else
        err_wrap(err, "series %s", plan->series->series_instance_uid);
    analysis_report_finish(&analysis);
    free(params);
    return ok;
}

static bool analyze_all(struct run *run, struct err *err)
{
    char path[PATH_MAX];
    run->report = report_create(run->device);
    if (!run->report)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < run->plan_count; i++) {
        char prefix[32] = "";
        if (run->plan_count > 1)
            snprintf(prefix, sizeof prefix, "%zu/", i + 1);
        if (!analyze_series(run, &run->plans[i], prefix, err))
            return false;
    }
    return fs_join(path, run->options.folder, "report.json", err) &&
           report_write(run->report, path, err);
}

// This node's Device UID, or one of its own for work without a configuration.
static void choose_device_uid(struct run *run)
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

static int exit_status(const struct err *err)
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

static int analyze(struct run *run, char **paths, size_t count)
{
    struct err err = {0};
    size_t errors = 0;
    if (run->options.conf_path) {
        run->conf = conf_load(run->options.conf_path, &node_checks, stderr, &errors, &err);
        if (!run->conf)
            return 1;
    }
    choose_device_uid(run);
    if (!gather_paths(paths, count, run->device_uid, &run->gather, &err) ||
        !make_plans(run, &err) || !fs_make_folders(run->options.folder, &err) ||
        !open_gpu(run, &err) || !analyze_all(run, &err))
        log_error("%s", err.text);
    if (err.code == ERR_IO && !run->gather.count)
        return 1; // a path that is not there
    return exit_status(&err);
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"nifti", no_argument, NULL, 'n'}, {0}};
    *o = (struct options){.folder = "."};
    for (int option; (option = getopt_long(argc, argv, "c:s:o:", longs, NULL)) != -1;) {
        switch (option) {
        case 'c':
            o->conf_path = optarg;
            break;
        case 's':
            o->stage = optarg;
            break;
        case 'o':
            o->folder = optarg;
            break;
        case 'n':
            o->nifti = true;
            break;
        default:
            return false;
        }
    }
    return optind < argc;
}

int cmd_analyze(int argc, char **argv)
{
    struct run run = {0};
    struct err err = {0};
    char why[256];
    if (!parse(argc, argv, &run.options)) {
        fprintf(stderr, "usage: anode analyze [-c FILE] [-s STAGE] [-o DIR] [--nifti] PATH...\n");
        return 1;
    }
    log_init(LOG_LEVEL_INFO, "analyze");
    if (run.options.stage && !node_checks.stage(run.options.stage, why, sizeof why)) {
        log_error("%s", why);
        return 1;
    }
    if (!object_init(&err)) {
        log_error("%s", err.text);
        return 2;
    }
    int status = analyze(&run, argv + optind, (size_t)(argc - optind));
    report_destroy(run.report);
    gpu_destroy(run.gpu);
    free(run.plans);
    gather_finish(&run.gather);
    conf_destroy(run.conf);
    object_quit();
    return status;
}
