#include "node/proc/worker.h"
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include "compute/gpu/gpu.h"
#include "compute/kernels/kernels.h"
#include "compute/stages/stage.h"
#include "node/job/analysis.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/msg.h"
#include "node/job/params.h"

#define PARAMS_MAX 256
#define NICENESS   5 // receiving goes first: a peer waits for each answer, nobody for a shader

struct shop { // the worker at work
    const struct worker *worker;
    int channel;
    struct gpu *gpu;
    struct msg m;
};

struct order { // one job, in its arena
    struct arena *arena;
    struct msg_job job;
    char *parameters;
    struct analysis_file *files;
    const struct stage *stage;
    double params[PARAMS_MAX];
    char folder[PATH_MAX];
    struct result_predecessor predecessor;
};

// The UUID of a software device, or "" where there is none.
static void find_cpu(char out[37])
{
    struct gpu_device *list = NULL;
    size_t count = 0;
    out[0] = 0;
    if (!gpu_list(NULL, &list, &count, NULL))
        return;
    for (size_t i = 0; i < count && !out[0]; i++) {
        if (list[i].kind == GPU_CPU && list[i].usable)
            snprintf(out, 37, "%s", list[i].uuid);
    }
    free(list);
}

static bool open_device(struct shop *s, struct err *err)
{
    char cpu[37] = "", cache[PATH_MAX];
    if (s->gpu)
        return true;
    if (s->worker->cpu)
        find_cpu(cpu);
    struct gpu_options options = {.device = cpu[0] ? cpu : s->worker->conf->device};
    if (datadir_path(s->worker->dir, "cache", cache, err))
        options.cache_dir = cache;
    s->gpu = gpu_create(&options, err);
    return s->gpu != NULL;
}

static bool take_input(struct shop *s, struct order *o, uint32_t index,
                       const struct msg_input *input, struct err *err)
{
    char path[PATH_MAX], name[sizeof input->path];
    snprintf(name, sizeof name, "%.*s", (int)sizeof input->path - 1, input->path);
    if (!datadir_path(s->worker->dir, name, path, err))
        return false;
    memcpy(o->files[index].digest, input->digest, DIGEST_SIZE);
    o->files[index].path = arena_strdup(o->arena, path);
    return o->files[index].path || err_set(err, ERR_NOMEM, "no memory for a file name");
}

static bool receive_inputs(struct shop *s, struct order *o, struct err *err)
{
    o->files = arena_alloc(o->arena, o->job.inputs, sizeof *o->files);
    bool ok = o->files || err_set(err, ERR_NOMEM, "no memory for %u inputs", o->job.inputs);
    for (uint32_t got = 0; got < o->job.inputs;) { // all are read, also when there is no room
        struct msg_input input;
        if (msg_receive(s->channel, &s->m, err) != MSG_GOT || s->m.kind != MSG_INPUTS ||
            s->m.tail_size < sizeof input) {
            log_error("job=%lld: the core stopped in the middle", (long long)o->job.job);
            exit(2);
        }
        for (size_t at = 0; at + sizeof input <= s->m.tail_size && got < o->job.inputs;
             at += sizeof input, got++) {
            memcpy(&input, s->m.tail + at, sizeof input);
            ok = ok && take_input(s, o, got, &input, err);
        }
    }
    return ok;
}

static bool receive_order(struct shop *s, struct order *o, struct err *err)
{
    memcpy(&o->job, s->m.body, sizeof o->job);
    o->parameters = arena_alloc(o->arena, s->m.tail_size + 1, 1);
    if (o->parameters)
        memcpy(o->parameters, s->m.tail, s->m.tail_size);
    if (!receive_inputs(s, o, err))
        return false;
    if (!o->parameters)
        return err_set(err, ERR_NOMEM, "no memory for parameters");
    o->stage = stage_find(o->job.stage);
    if (!o->stage || o->stage->param_count > PARAMS_MAX)
        return err_set(err, ERR_INTERNAL, "no analysis %s", o->job.stage);
    memcpy(o->predecessor.sop_class_uid, o->job.predecessor_sop_class_uid, 65);
    memcpy(o->predecessor.sop_instance_uid, o->job.predecessor_sop_instance_uid, 65);
    memcpy(o->predecessor.series_instance_uid, o->job.predecessor_series_instance_uid, 65);
    memcpy(o->predecessor.study_instance_uid, o->job.predecessor_study_instance_uid, 65);
    return params_parse(o->stage, o->parameters, o->params, err) &&
           datadir_path(s->worker->dir, o->job.folder, o->folder, err) &&
           fs_make_folders(o->folder, err);
}

static void progress(void *ctx, const char *step, size_t done, size_t total)
{
    const struct order *o = ctx;
    log_action("job=%lld %s %zu/%zu", (long long)o->job.job, step, done, total);
}

static bool analyse(struct shop *s, struct order *o, struct analysis_report *report,
                    struct err *err)
{
    const struct conf *conf = s->worker->conf;
    struct analysis_request request = {
        .files = o->files,
        .file_count = o->job.inputs,
        .stage = o->stage,
        .params = o->params,
        .kinds = o->job.kinds,
        .maker = {.ae_title = conf->ae_title,
                  .device_uid = conf->device_uid,
                  .serial = conf->serial,
                  .timezone = conf_timezone(conf),
                  .software = "anode " ANODE_VERSION,
                  .device_name = "none"},
        .predecessor = o->job.has_predecessor ? &o->predecessor : NULL,
        .remark = o->job.remark,
        .folder = o->folder,
        .deadline_s = clock_steady() + conf->job_deadline_s,
        .progress = progress,
        .progress_ctx = o,
    };
    clock_gettime(CLOCK_REALTIME, &request.started);
    if (o->job.refuse)
        return analysis_refuse(&request, VERDICT_FAILED, o->job.reason, report, err);
    if (!open_device(s, err))
        return false;
    request.maker.device_name = gpu_device(s->gpu)->name;
    return analysis_run(&request, s->gpu, report, err);
}

static bool send_objects(struct shop *s, const struct order *o,
                         const struct analysis_report *report, struct err *err)
{
    for (size_t i = 0; i < report->object_count; i++) {
        const struct result_object *r = &report->objects[i];
        struct msg_object m = {.job = o->job.job, .kind = (uint32_t)r->kind};
        const char *slash = strrchr(r->path, '/');
        snprintf(m.name, sizeof m.name, "%s", slash ? slash + 1 : r->path);
        memcpy(m.sop_class_uid, r->sop_class_uid, sizeof m.sop_class_uid);
        memcpy(m.sop_instance_uid, r->sop_instance_uid, sizeof m.sop_instance_uid);
        memcpy(m.series_instance_uid, r->series_instance_uid, sizeof m.series_instance_uid);
        memcpy(m.study_instance_uid, r->study_instance_uid, sizeof m.study_instance_uid);
        memcpy(m.transfer_syntax_uid, r->transfer_syntax_uid, sizeof m.transfer_syntax_uid);
        if (!msg_send(s->channel, MSG_OBJECT, &m, NULL, 0, err))
            return false;
    }
    return true;
}

static bool work(struct shop *s, struct order *o, struct msg_done *done, struct err *err)
{
    struct analysis_report report = {0};
    bool ok = receive_order(s, o, err);
    done->job = o->job.job;
    log_action("job=%lld", (long long)o->job.job);
    if (ok) {
        ok = analyse(s, o, &report, err) && send_objects(s, o, &report, err);
        if (ok) {
            done->verdict = (uint32_t)report.findings->verdict;
            done->seconds = report.seconds;
            done->peak_bytes = report.host_peak_bytes;
            snprintf(done->reason, sizeof done->reason, "%s", report.findings->reason);
        }
        analysis_report_finish(&report);
    }
    if (s->gpu && !o->job.refuse)
        snprintf(done->device, sizeof done->device, "%.150s", gpu_device(s->gpu)->name);
    return ok;
}

// False: this process is of no more use.
static bool take_job(struct shop *s)
{
    struct err err = {0};
    struct msg_done done = {0};
    struct order *o = calloc(1, sizeof *o);
    if (o)
        o->arena = arena_create();
    if (!o || !o->arena) {
        log_error("no memory for a job");
        free(o);
        return false;
    }
    done.ok = work(s, o, &done, &err);
    if (!done.ok) {
        done.code = err.code;
        snprintf(done.reason, sizeof done.reason, "%s", err.text);
    }
    arena_destroy(o->arena);
    free(o);
    log_action(NULL);
    bool sound = !s->gpu || !gpu_failed(s->gpu);
    return msg_send(s->channel, MSG_DONE, &done, NULL, 0, NULL) && sound;
}

// So that the first job does not pay for it. What fails here fails there, with its reason.
static void prepare(struct shop *s)
{
    struct err err = {0};
    double start = clock_steady();
    if (!s->worker->warm)
        return;
    log_action("opening the device");
    if (!open_device(s, &err) || !kernels_prepare(s->gpu, kernels_all, &err))
        log_warn("%s", err.text);
    else
        log_info("device=\"%s\" ready seconds=%.2f", gpu_device(s->gpu)->name,
                 clock_steady() - start);
    log_action(NULL);
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
    prepare(s);
    signal(SIGTERM, SIG_IGN); // from here on the end of the channel is the end, in order
    while (msg_receive(channel, &s->m, NULL) == MSG_GOT && s->m.kind == MSG_JOB && take_job(s))
        continue;
    gpu_destroy(s->gpu);
    free(s);
    return 0;
}
