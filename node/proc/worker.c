#include "node/proc/worker.h"
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "compute/gpu/gpu.h"
#include "compute/kernels/kernels.h"
#include "compute/stages/stage.h"
#include "node/job/analysis.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "node/job/order.h"
#include "node/job/params.h"
#include "node/job/priors.h"
#include "node/proc/cage.h"
#include "node/proc/msg.h"

#define PARAMS_MAX 256
#define NICENESS   5 // receiving goes first: a peer waits for each answer, nobody for a shader

struct shop { // the worker at work
    const struct worker *worker;
    int channel;
    struct gpu *gpu;
    struct msg m;
};

struct task { // one job
    struct arena *arena;
    int64_t job;
    char folder[PATH_MAX];
    const char *data_path; // of the data folder
    struct order order;
    const struct stage *stage;
    struct param_value params[PARAMS_MAX];
    struct analysis_input *inputs;
    size_t input_count;
    struct prior *priors; // to compare with
    size_t prior_count;
    const char **damage; // files that are missing or damaged, below the data folder; in arena
    size_t damage_count; // at most order.file_count
    bool refuse;
    enum verdict outcome;
};

static bool open_device(struct shop *s, struct err *err)
{
    char cache[PATH_MAX];
    struct gpu_options options = {.device = s->worker->device};
    if (datadir_path(s->worker->dir, "cache", cache, err))
        options.cache_dir = cache;
    s->gpu = gpu_create(&options, err);
    return s->gpu != NULL;
}

// Reading the order

// A report does without what is gone.
static bool find_file(struct task *t, const char *path, const char *name, bool *found,
                      struct err *err)
{
    *found = access(path, F_OK) == 0;
    if (!*found && errno != ENOENT)
        return err_errno(err, errno, "%s", name);
    if (!*found && !t->refuse)
        t->damage[t->damage_count++] = name;
    return true;
}

// The input that a file of the order belongs to; they come by slot and position.
static bool next_input(struct task *t, const struct order_file *f, struct analysis_file *files,
                       int *position)
{
    struct analysis_input *last = t->input_count ? &t->inputs[t->input_count - 1] : NULL;
    if (last && (int)last->slot == f->slot && *position == f->position)
        return true;
    if (!t->inputs || f->slot < 0 || (size_t)f->slot >= t->stage->input_count)
        return false;
    t->inputs[t->input_count++] =
        (struct analysis_input){.slot = (uint32_t)f->slot, .files = files};
    *position = f->position;
    return true;
}

static bool take_files(struct shop *s, struct task *t, struct err *err)
{
    struct analysis_file *files = arena_alloc(t->arena, t->order.file_count + 1, sizeof *files);
    t->inputs = arena_alloc(t->arena, t->order.file_count + 1, sizeof *t->inputs);
    t->damage = arena_alloc(t->arena, t->order.file_count + 1, sizeof *t->damage);
    if (!files || !t->inputs || !t->damage)
        return err_set(err, ERR_NOMEM, "no memory for %zu inputs", t->order.file_count);
    int position = 0;
    for (size_t i = 0; i < t->order.file_count; i++) {
        const struct order_file *f = &t->order.files[i];
        char path[PATH_MAX];
        bool found;
        if (!datadir_path(s->worker->dir, f->path, path, err) ||
            !find_file(t, path, f->path, &found, err))
            return false;
        if (!found)
            continue;
        if (!next_input(t, f, files, &position))
            return err_set(err, ERR_INTERNAL, "%s has no input %d", t->stage->name, f->slot);
        memcpy(files->digest, f->digest, DIGEST_SIZE);
        files->sop_instance_uid = f->sop_instance_uid;
        files->sop_class_uid = f->sop_class_uid;
        files->path = arena_strdup(t->arena, path);
        if (!files->path)
            return err_set(err, ERR_NOMEM, "no memory for a file name");
        files++;
        t->inputs[t->input_count - 1].file_count++;
    }
    // What is gone will not come back by trying again.
    return t->damage_count == 0 ||
           err_set(err, ERR_INPUT, "the received file %s is missing", t->damage[0]);
}

static bool find_outcome(struct task *t, struct err *err)
{
    t->refuse = t->order.outcome[0] != 0;
    for (int v = VERDICT_DONE; t->refuse && v <= VERDICT_FAILED; v++) {
        t->outcome = (enum verdict)v;
        if (strcmp(verdict_name(t->outcome), t->order.outcome) == 0)
            return true;
    }
    return !t->refuse || err_set(err, ERR_INTERNAL, "unknown outcome \"%.60s\"", t->order.outcome);
}

static bool read_order(struct shop *s, struct task *t, const struct msg_job *job, struct err *err)
{
    char path[PATH_MAX];
    if (!datadir_path(s->worker->dir, job->folder, t->folder, err) ||
        !fs_join(path, t->folder, ORDER_FILE, err) || !order_read(path, t->arena, &t->order, err) ||
        !find_outcome(t, err))
        return false;
    t->stage = stage_find(t->order.stage);
    if (!t->stage || t->stage->param_count > PARAMS_MAX || t->order.job != job->job)
        return err_set(err, ERR_INTERNAL, "no analysis %.60s for job %lld", t->order.stage,
                       (long long)job->job);
    return params_parse(t->stage, t->order.parameters, t->arena, t->params, err) &&
           priors_from_text(t->order.priors, t->arena, &t->priors, &t->prior_count, err) &&
           take_files(s, t, err);
}

// The job

static void progress(void *ctx, const char *what, double done)
{
    const struct task *t = ctx;
    log_action("job=%lld %s %.0f %%", (long long)t->job, what, 100 * done);
}

// A damaged() of the analysis.
static void note_damage(void *ctx, const struct analysis_file *file)
{
    struct task *t = ctx;
    const size_t folder = strlen(t->data_path) + 1; // all files are below it
    if (!t->refuse && t->damage_count < t->order.file_count)
        t->damage[t->damage_count++] = file->path + folder;
}

// So that the core knows, and takes the same instances again.
static bool tell_damage(const struct task *t, struct err *err)
{
    char path[PATH_MAX];
    return t->damage_count == 0 ||
           (fs_join(path, t->folder, DAMAGE_FILE, err) &&
            order_write_damage(path, t->job, t->damage, t->damage_count, err));
}

static bool analyse(struct shop *s, struct task *t, struct analysis_report *report, struct err *err)
{
    const struct conf *conf = s->worker->conf;
    struct analysis_request request = {
        .inputs = t->inputs,
        .input_count = t->input_count,
        .stage = t->stage,
        .params = t->params,
        .kinds = t->order.results,
        .maker = {.ae_title = conf->ae_title,
                  .device_uid = conf->device_uid,
                  .serial = conf->serial,
                  .software = "anode " ANODE_VERSION,
                  .device_name = t->refuse ? "none" : gpu_device(s->gpu)->name,
                  .timezone = conf_timezone(conf)},
        .predecessor = t->order.has_predecessor ? &t->order.predecessor : NULL,
        .remark = t->order.remark,
        .priors = t->priors,
        .prior_count = t->prior_count,
        .prior_note = t->order.prior_note,
        .light_page = conf_light_page(conf),
        .evidence = t->order.evidence,
        .head = t->order.head.size ? &t->order.head : NULL,
        .folder = t->folder,
        .deadline_s = clock_steady() + conf->job_deadline_s,
        .progress = progress,
        .progress_ctx = t,
        .damaged = note_damage,
        .damaged_ctx = t,
    };
    clock_gettime(CLOCK_REALTIME, &request.started);
    if (t->refuse)
        return analysis_refuse(&request, t->outcome, t->order.reason, report, err);
    return analysis_run(&request, s->gpu, report, err);
}

static int rank_of(enum result_kind kind) // images before what refers to them
{
    switch (kind) {
    case RESULT_SC:
        return 1;
    case RESULT_MPR:
        return 2;
    case RESULT_PMAP:
        return 3;
    case RESULT_SEG:
        return 4;
    case RESULT_PDF:
        return 5;
    case RESULT_GSPS:
        return 6;
    case RESULT_SR:
        break;
    }
    return 7;
}

static bool list_results(struct task *t, const struct analysis_report *report, struct err *err)
{
    char path[PATH_MAX];
    struct order_object *list = arena_alloc(t->arena, report->objects.count + 1, sizeof *list);
    if (!list)
        return err_set(err, ERR_NOMEM, "no memory for the list of results");
    for (size_t i = 0; i < report->objects.count; i++) {
        const struct result_object *r = &report->objects.objects[i];
        const char *slash = strrchr(r->path, '/');
        list[i].id = r->id;
        snprintf(list[i].product, sizeof list[i].product, "%s", r->product);
        snprintf(list[i].file, sizeof list[i].file, "%.*s", (int)sizeof list[i].file - 1,
                 slash ? slash + 1 : r->path);
        list[i].rank = rank_of(r->kind);
    }
    return fs_join(path, t->folder, RESULTS_FILE, err) &&
           order_write_results(path, t->job, list, report->objects.count, err);
}

static bool do_task(struct shop *s, struct task *t, const struct msg_job *job,
                    struct msg_done *done, struct err *err)
{
    struct analysis_report report = {0};
    t->data_path = s->worker->dir->path;
    bool ok =
        read_order(s, t, job, err) && analyse(s, t, &report, err) && list_results(t, &report, err);
    struct err why = {0};
    if (!tell_damage(t, &why))
        log_error("damaged files not told: %s", why.text); // they are found again by the next job
    if (ok) {
        done->verdict = (uint32_t)report.findings->verdict;
        done->seconds = report.seconds;
        done->peak_bytes = report.host_peak_bytes;
        snprintf(done->reason, sizeof done->reason, "%s", report.findings->reason);
    }
    analysis_report_finish(&report);
    if (!t->refuse)
        snprintf(done->device, sizeof done->device, "%.150s", gpu_device(s->gpu)->name);
    return ok;
}

// False: this process is of no more use.
static bool take_job(struct shop *s, const struct msg_job *job)
{
    struct err err = {0};
    struct msg_done done = {.job = job->job};
    struct task *t = calloc(1, sizeof *t);
    if (t)
        t->arena = arena_create();
    log_action("job=%lld", (long long)job->job);
    if (t && t->arena) {
        t->job = job->job;
        done.ok = do_task(s, t, job, &done, &err);
        order_finish(&t->order);
        arena_destroy(t->arena);
    } else {
        err_set(&err, ERR_NOMEM, "no memory for a job");
    }
    free(t);
    if (!done.ok) {
        done.code = err.code;
        snprintf(done.reason, sizeof done.reason, "%s", err.text);
    }
    log_action(NULL);
    return msg_send(s->channel, MSG_DONE, &done, NULL, 0, NULL) && !gpu_failed(s->gpu);
}

static bool worker_may_run(const struct conf *conf, const struct stage *stage)
{
    for (size_t i = 0; i < conf->route_count; i++) {
        if (conf_find_run(&conf->routes[i], stage->name))
            return true;
    }
    return false;
}

// Makes the kernels ready of the analyses that routes name, so that no first job pays for it. A
// pipeline that cannot be made is the trouble of the analysis that wants it; a lost device is ours:
// false.
static bool prepare_kernels(struct shop *s, struct err *err)
{
    for (size_t i = 0; stage_at(i); i++) {
        const struct stage *stage = stage_at(i);
        double start = clock_steady();
        struct err why = {0};
        if (!worker_may_run(s->worker->conf, stage))
            continue;
        if (kernels_prepare(s->gpu, stage->kernels, &why))
            log_debug("analysis=%s ready seconds=%.2f", stage->name, clock_steady() - start);
        else
            log_warn("analysis=%s cannot run here: %s", stage->name, why.text);
        if (gpu_failed(s->gpu))
            return err_set(err, why.code, "%s", why.text);
    }
    return true;
}

static bool prepare(struct shop *s)
{
    struct err err = {0};
    struct msg_ready ready = {0};
    char desk[PATH_MAX];
    double start = clock_steady();
    log_action("opening the device");
    ready.ok = datadir_path(s->worker->dir, s->worker->desk, desk, &err) &&
               cage_enter(CAGE_WORKER, s->worker->conf, s->worker->dir, desk, &err) &&
               open_device(s, &err);
    ready.ok = ready.ok && prepare_kernels(s, &err);
    if (ready.ok) {
        snprintf(ready.device, sizeof ready.device, "%.159s", gpu_device(s->gpu)->name);
        log_info("device=\"%s\" ready seconds=%.2f", ready.device, clock_steady() - start);
    } else {
        snprintf(ready.text, sizeof ready.text, "%s", err.text);
    }
    log_action(NULL);
    signal(SIGTERM, SIG_IGN); // from here on the end of the channel is the end, in order
    return msg_send(s->channel, MSG_READY, &ready, NULL, 0, NULL) && ready.ok;
}

int worker_run(void *ctx, int channel)
{
    struct shop *s = calloc(1, sizeof *s);
    if (!s)
        return 2;
    s->worker = ctx;
    s->channel = channel;
    if (setpriority(PRIO_PROCESS, 0, NICENESS) != 0)
        log_warn("the analysis runs at the priority of the receivers");
    bool sound = prepare(s);
    while (sound && msg_receive(channel, &s->m, NULL) == MSG_GOT && s->m.kind == MSG_JOB)
        sound = take_job(s, s->m.body);
    gpu_destroy(s->gpu);
    free(s);
    return 0;
}
