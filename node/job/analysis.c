#include "node/job/analysis.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "compute/draw/page.h"
#include "dimse/read/object.h"
#include "base/log.h"
#include "node/job/parallel.h"

#define THREADS    2
#define FRAMES_MAX 65536 // of a series

// What is remembered of a file between the two passes: never its pixels or attributes, so that
// memory grows by the volume only.
struct entry {
    const struct analysis_file *file;
    struct object_ids ids;
    uint8_t digest[DIGEST_SIZE];
    struct scan scan;
    char date[32];               // of the series: "2026-01-31 10:32"
    bool readable;               // ids, scan and slices are filled
    bool lossy;                  // was compressed with loss, now or before
    struct volume_slice *slices; // ids.frames; owned
    uint32_t slice_count;
    struct err err; // why it cannot be part of a volume; ERR_NONE: it can
};

struct job {
    const struct analysis_request *request;
    struct gpu *gpu;
    struct analysis_report *report;
    struct entry *entries;
    size_t count;
    // the readable ones, as the results want them
    struct result_source *sources;
    size_t source_count;
    struct volume_slice *slices;
    uint32_t *slice_source; // index into sources
    uint32_t *slice_entry;  // index into entries
    size_t slice_count;
    struct scan scan;
    char *options;
    // decoding: positions in the volume in the order of files and frames
    uint32_t *decode_order;
    size_t decoded; // by the thread that reports progress
    struct err decode_err[THREADS];
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// The machine's fault: the job may be tried again. All else is the input's, and a result says so.
static bool is_machine(enum err_code code)
{
    switch (code) {
    case ERR_NOMEM:
    case ERR_IO:
    case ERR_FULL:
    case ERR_TIMEOUT:
    case ERR_DEVICE:
    case ERR_INTERNAL:
        return true;
    default:
        return false;
    }
}

static bool past_deadline(const struct analysis_request *r)
{
    return r->deadline_s > 0 && now_s() > r->deadline_s;
}

static void tell(const struct job *j, const char *step, size_t done, size_t total)
{
    if (j->request->progress)
        j->request->progress(j->request->progress_ctx, step, done, total);
}

char *analysis_options(const struct stage *stage, const double *params)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    for (size_t i = 0; i < stage->param_count; i++) {
        const struct stage_param *p = &stage->params[i];
        fprintf(f, "%s%s=", i ? ";" : "", p->name);
        if (p->type == PARAM_CHOICE)
            fputs(p->choices[(size_t)params[i]], f);
        else
            fprintf(f, "%.9g", params[i]);
    }
    bool ok = !ferror(f);
    if (fclose(f) != 0 || !ok) {
        free(text);
        return NULL;
    }
    return text;
}

// First pass: headers

static void read_date(struct entry *e, const struct attrs *attrs)
{
    const char *date = attrs_get(attrs, "SeriesDate"), *time = attrs_get(attrs, "SeriesTime");
    if (!date || strlen(date) != 8 || strspn(date, "0123456789") != 8) {
        date = attrs_get(attrs, "StudyDate");
        time = attrs_get(attrs, "StudyTime");
    }
    if (!date || strlen(date) != 8 || strspn(date, "0123456789") != 8)
        return;
    int n = snprintf(e->date, sizeof e->date, "%.4s-%.2s-%.2s", date, date + 4, date + 6);
    if (time && strspn(time, "0123456789") >= 4)
        snprintf(e->date + n, sizeof e->date - (size_t)n, " %.2s:%.2s", time, time + 2);
}

static bool read_slices(struct object *o, struct entry *e, struct err *err)
{
    if (e->ids.frames > FRAMES_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%" PRIu32 " frames", e->ids.frames);
    uint32_t frames = e->ids.frames ? e->ids.frames : 1; // without pixels: object_slice() says so
    e->slices = calloc(frames, sizeof *e->slices);
    if (!e->slices)
        return err_set(err, ERR_NOMEM, "no memory");
    for (uint32_t f = 0; f < frames; f++) {
        if (!object_slice(o, f, &e->slices[f], err))
            return false;
    }
    e->slice_count = frames;
    return true;
}

static bool read_entry(struct entry *e, struct err *err)
{
    static const uint8_t unknown[DIGEST_SIZE];
    struct attrs attrs = {0};
    memcpy(e->digest, e->file->digest, sizeof e->digest);
    if (memcmp(e->digest, unknown, sizeof unknown) == 0 &&
        !object_digest(e->file->path, e->digest, err))
        return false;
    struct object *o = object_open(e->file->path, err);
    if (!o)
        return false;
    e->ids = *object_ids(o);
    object_scan(o, &e->scan);
    bool ok = object_attrs(o, &attrs, err);
    if (ok) {
        const char *lossy = attrs_get(&attrs, "LossyImageCompression");
        e->lossy = lossy && strcmp(lossy, "01") == 0;
        read_date(e, &attrs);
        if (e->ids.sop_instance_uid[0] && e->ids.series_instance_uid[0] &&
            e->ids.study_instance_uid[0])
            e->readable = true;
        ok = e->readable || err_set(err, ERR_INPUT, "no usable UIDs");
    }
    ok = ok && read_slices(o, e, err);
    attrs_finish(&attrs);
    object_close(o);
    if (!ok && e->readable)
        err_wrap(err, "instance %s", e->ids.sop_instance_uid);
    return ok;
}

static void read_entries(void *ctx, size_t first, size_t count)
{
    struct job *j = ctx;
    for (size_t i = first; i < first + count; i++) {
        struct entry *e = &j->entries[i];
        if (past_deadline(j->request))
            err_set(&e->err, ERR_TIMEOUT, "past the deadline while reading headers");
        else
            read_entry(e, &e->err);
    }
}

static int by_instance(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->readable != y->readable)
        return x->readable ? -1 : 1;
    int order = strcmp(x->ids.sop_instance_uid, y->ids.sop_instance_uid);
    return order ? order : memcmp(x->digest, y->digest, sizeof x->digest);
}

static void free_entry(struct entry *e)
{
    free(e->slices);
    e->slices = NULL;
}

// Drops second copies of an instance; entries are sorted. False: same UID, other content.
static bool drop_copies(struct job *j, struct err *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < j->count; i++) {
        struct entry *e = &j->entries[i], *last = kept ? &j->entries[kept - 1] : NULL;
        bool again = last && e->readable && last->readable &&
                     strcmp(e->ids.sop_instance_uid, last->ids.sop_instance_uid) == 0;
        if (again && memcmp(e->digest, last->digest, sizeof e->digest) != 0)
            return err_set(err, ERR_INPUT, "two different instances are both %s",
                           e->ids.sop_instance_uid);
        if (again)
            free_entry(e);
        else
            j->entries[kept++] = *e;
    }
    j->count = kept;
    return true;
}

static bool check_series(const struct job *j, struct err *err)
{
    const struct object_ids *first = &j->entries[0].ids;
    if (!j->entries[0].readable) {
        if (err)
            *err = j->entries[0].err;
        return false;
    }
    for (size_t i = 1; i < j->count; i++) {
        const struct object_ids *ids = &j->entries[i].ids;
        if (j->entries[i].readable &&
            (strcmp(ids->series_instance_uid, first->series_instance_uid) != 0 ||
             strcmp(ids->study_instance_uid, first->study_instance_uid) != 0))
            return err_set(err, ERR_INPUT, "the files are of more than one series");
    }
    return true;
}

static bool add_sources(struct job *j, struct err *err)
{
    j->sources = calloc(j->count + 1, sizeof *j->sources);
    if (!j->sources)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < j->count && j->entries[i].readable; i++) {
        const struct entry *e = &j->entries[i];
        struct result_source *s = &j->sources[j->source_count++];
        s->path = e->file->path;
        memcpy(s->sop_instance_uid, e->ids.sop_instance_uid, sizeof s->sop_instance_uid);
        memcpy(s->sop_class_uid, e->ids.sop_class_uid, sizeof s->sop_class_uid);
        memcpy(s->digest, e->digest, sizeof s->digest);
    }
    return true;
}

// All slices in one array, in the order of instances. Sources and entries have the same indices.
static bool add_slices(struct job *j, struct err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < j->count; i++)
        total += j->entries[i].slice_count;
    if (total > FRAMES_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%zu frames", total);
    j->slices = calloc(total + 1, sizeof *j->slices);
    j->slice_source = calloc(total + 1, sizeof *j->slice_source);
    if (!j->slices || !j->slice_source)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < j->count; i++) {
        struct entry *e = &j->entries[i];
        memcpy(j->slices + j->slice_count, e->slices, e->slice_count * sizeof *e->slices);
        for (uint32_t f = 0; f < e->slice_count; f++)
            j->slice_source[j->slice_count++] = (uint32_t)i;
        free_entry(e);
    }
    return true;
}

// Reads all headers. False: the machine failed, or there is nothing that a result could name. What
// is wrong with single instances is in their entries.
static bool read_headers(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    j->entries = calloc(r->file_count + 1, sizeof *j->entries);
    if (!j->entries)
        return err_set(err, ERR_NOMEM, "no memory");
    j->count = r->file_count;
    for (size_t i = 0; i < j->count; i++)
        j->entries[i].file = &r->files[i];
    if (j->count == 0)
        return err_set(err, ERR_INPUT, "no files");
    tell(j, "reading headers", 0, j->count);
    parallel_for(j->count, THREADS, read_entries, j);
    for (size_t i = 0; i < j->count; i++) {
        if (is_machine(j->entries[i].err.code)) {
            if (err)
                *err = j->entries[i].err;
            return false;
        }
    }
    qsort(j->entries, j->count, sizeof *j->entries, by_instance);
    if (!drop_copies(j, err) || !check_series(j, err) || !add_sources(j, err))
        return false;
    struct analysis_report *report = j->report;
    const struct object_ids *ids = &j->entries[0].ids;
    memcpy(report->study_instance_uid, ids->study_instance_uid, sizeof ids->study_instance_uid);
    memcpy(report->series_instance_uid, ids->series_instance_uid, sizeof ids->series_instance_uid);
    j->scan = j->entries[0].scan;
    return true;
}

// Second pass: pixels

static int by_source(const void *a, const void *b, void *ctx)
{
    const uint32_t *source = ctx;
    uint32_t x = source[*(const uint32_t *)a], y = source[*(const uint32_t *)b];
    return (x > y) - (x < y);
}

// The object of entry i, kept from the last call when it is the same.
static struct object *reopen(struct job *j, uint32_t i, struct object **kept, uint32_t *kept_i,
                             struct err *err)
{
    if (*kept && *kept_i == i)
        return *kept;
    object_close(*kept);
    *kept = object_open(j->entries[i].file->path, err);
    *kept_i = i;
    return *kept;
}

static bool decode_slice(struct job *j, struct object *o, uint32_t k, int32_t *values,
                         struct err *err)
{
    struct volume *v = j->report->volume;
    const struct volume_slice *s = &j->slices[v->source[k]];
    if (!object_decode(o, s->frame - 1, values, err) ||
        !volume_fill(v, k, values, s->slope, s->intercept, err))
        return err_wrap(err, "instance %s", s->sop_instance_uid);
    return true;
}

static void decode_part(void *ctx, size_t first, size_t count)
{
    struct job *j = ctx;
    struct volume *v = j->report->volume;
    struct err *err = &j->decode_err[first != 0];
    struct object *o = NULL;
    uint32_t opened = 0;
    size_t pixels = (size_t)v->dim[0] * v->dim[1];
    int32_t *values = calloc(pixels, sizeof *values);
    bool ok = values || err_set(err, ERR_NOMEM, "no memory for a frame");
    for (size_t i = first; ok && i < first + count; i++) {
        uint32_t k = j->decode_order[i];
        if (past_deadline(j->request))
            ok = err_set(err, ERR_TIMEOUT, "past the deadline while decoding");
        else
            ok = reopen(j, j->slice_source[v->source[k]], &o, &opened, err) &&
                 decode_slice(j, o, k, values, err);
        if (first == 0)
            tell(j, "decoding", i + 1, count);
    }
    free(values);
    object_close(o);
}

static bool decode(struct job *j, struct err *err)
{
    struct volume *v = j->report->volume;
    j->decode_order = calloc(v->dim[2], sizeof *j->decode_order);
    if (!j->decode_order)
        return err_set(err, ERR_NOMEM, "no memory");
    for (uint32_t k = 0; k < v->dim[2]; k++)
        j->decode_order[k] = k;
    // files and frames in their order: an instance of many frames is opened once a thread
    qsort_r(j->decode_order, v->dim[2], sizeof *j->decode_order, by_source, v->source);
    parallel_for(v->dim[2], THREADS, decode_part, j);
    for (size_t t = 0; t < THREADS; t++) {
        if (j->decode_err[t].code) {
            if (err)
                *err = j->decode_err[t];
            return false;
        }
    }
    return true;
}

// The scan as the first slice of the volume says; what other slices contradict is not known.
static void choose_scan(struct job *j)
{
    const struct volume *v = j->report->volume;
    j->scan = j->entries[j->slice_source[v->source[0]]].scan;
    for (uint32_t k = 1; k < v->dim[2]; k++) {
        const struct scan *other = &j->entries[j->slice_source[v->source[k]]].scan;
        if (other->kvp != j->scan.kvp)
            j->scan.kvp = NAN;
        if (strcmp(other->kernel, j->scan.kernel) != 0)
            j->scan.kernel[0] = 0;
        if (!j->scan.contrast[0] && other->contrast[0])
            memcpy(j->scan.contrast, other->contrast, sizeof j->scan.contrast);
        if (other->gated != j->scan.gated) {
            j->scan.gated = TRI_UNKNOWN;
            snprintf(j->scan.gating_evidence, sizeof j->scan.gating_evidence,
                     "differs between slices");
        }
    }
}

static bool build_volume(struct job *j, struct err *err)
{
    for (size_t i = 0; i < j->count; i++) {
        if (j->entries[i].err.code) {
            if (err)
                *err = j->entries[i].err;
            return false;
        }
    }
    if (!add_slices(j, err))
        return false;
    bool ct = strcmp(j->scan.modality, "CT") == 0;
    struct volume *v = volume_plan(j->slices, j->slice_count, ct ? "[hnsf'U]" : "1", err);
    if (!v)
        return false;
    j->report->volume = v;
    choose_scan(j);
    if (decode(j, err))
        return true;
    volume_destroy(v);
    j->report->volume = NULL;
    return false;
}

// Results

// Options as part of the result UIDs: also whatever else the result depends on, or another result
// of the same instances would have the same UIDs.
static bool compose_options(struct job *j, const char *outcome, struct err *err)
{
    char *base = analysis_options(j->request->stage, j->request->params);
    struct digest *unreadable = digest_create();
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1] = "";
    bool ok = base && unreadable;
    for (size_t i = j->source_count; ok && i < j->count; i++) // sorted by digest
        digest_add(unreadable, j->entries[i].digest, DIGEST_SIZE);
    if (ok && j->source_count < j->count) {
        digest_end(unreadable, digest);
        digest_hex(digest, hex);
    }
    const char *remark = j->request->remark ? j->request->remark : "";
    if (ok && asprintf(&j->options, "%s%s%s%s%s%s%s", base, hex[0] ? ";unreadable=" : "", hex,
                       outcome ? ";outcome=" : "", outcome ? outcome : "",
                       remark[0] ? ";remark=" : "", remark) < 0) {
        j->options = NULL;
        ok = false;
    }
    digest_destroy(unreadable);
    free(base);
    return ok || err_set(err, ERR_NOMEM, "no memory");
}

static bool draw_pages(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    const struct page_context context = {
        .software = r->maker.software,
        .title = r->stage->title,
        .version = r->stage->version,
        .device = r->maker.device_name,
        .study_description = j->scan.study_description,
        .series_description = j->scan.series_description,
        .date = j->entries[0].date,
    };
    return page_draw(j->report->findings, j->report->volume, &context, err);
}

static bool write_results(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    struct result_request request = {
        .stage = r->stage,
        .findings = j->report->findings,
        .volume = j->report->volume,
        .slices = j->slices,
        .slice_count = j->slice_count,
        .sources = j->sources,
        .source_count = j->source_count,
        .slice_source = j->slice_source,
        .scan = &j->scan,
        .options = j->options,
        .maker = r->maker,
        .predecessor = r->predecessor,
        .started = r->started,
        .kinds = r->kinds ? r->kinds & r->stage->results : r->stage->results,
        .folder = r->folder,
    };
    if (request.started.tv_sec == 0)
        clock_gettime(CLOCK_REALTIME, &request.started);
    tell(j, "writing results", 0, 1);
    return draw_pages(j, err) &&
           results_write(&request, j->report->objects, &j->report->object_count, err);
}

static bool begin(struct job *j, struct err *err)
{
    memset(j->report, 0, sizeof *j->report);
    j->report->findings = findings_create();
    return j->report->findings || err_set(err, ERR_NOMEM, "no memory");
}

static void end(struct job *j, double started)
{
    struct rusage usage;
    struct analysis_report *report = j->report;
    report->seconds = now_s() - started;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        report->host_peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
    if (report->findings)
        report->device_peak_bytes = report->findings->device_peak_bytes;
    for (size_t i = 0; j->entries && i < j->count; i++)
        free_entry(&j->entries[i]);
    free(j->entries);
    free(j->sources);
    free(j->slices);
    free(j->slice_source);
    free(j->decode_order);
    free(j->options);
}

static bool run_stage(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    const struct volume *volume = j->report->volume;
    const struct stage_input input = {
        .volumes = &volume,
        .volume_count = 1,
        .scan = &j->scan,
        .params = r->params,
        .gpu = j->gpu,
        .deadline_s = r->deadline_s,
    };
    tell(j, r->stage->title, 0, 1);
    if (!r->stage->run(&input, j->report->findings, err))
        return err_wrap(err, "%s", r->stage->name);
    if (volume->remarks[0])
        findings_add_fact(j->report->findings, "%s", volume->remarks);
    if (r->remark && r->remark[0] && !findings_add_warning(j->report->findings, "%s", r->remark))
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < j->count; i++) {
        if (j->entries[i].lossy)
            return findings_add_warning(j->report->findings,
                                        "Images were compressed with loss: values may differ.") ||
                   err_set(err, ERR_NOMEM, "no memory");
    }
    return true;
}

bool analysis_run(const struct analysis_request *request, struct gpu *gpu,
                  struct analysis_report *report, struct err *err)
{
    struct job j = {.request = request, .gpu = gpu, .report = report};
    struct err why = {0};
    double started = now_s();
    bool ok = begin(&j, err) && read_headers(&j, err) && compose_options(&j, NULL, err);
    if (ok && build_volume(&j, &why)) {
        ok = run_stage(&j, err);
    } else if (ok && is_machine(why.code)) {
        ok = err_set(err, why.code, "%s", why.text);
    } else if (ok) {
        log_info("series=%s not evaluable reason=\"%s\"", report->series_instance_uid, why.text);
        findings_refuse(report->findings, VERDICT_NOT_EVALUABLE, "%s", why.text);
    }
    ok = ok && write_results(&j, err);
    end(&j, started);
    return ok;
}

bool analysis_refuse(const struct analysis_request *request, enum verdict verdict,
                     const char *reason, struct analysis_report *report, struct err *err)
{
    struct job j = {.request = request, .report = report};
    double started = now_s();
    bool ok =
        begin(&j, err) && read_headers(&j, err) && compose_options(&j, verdict_name(verdict), err);
    if (ok) {
        findings_refuse(report->findings, verdict, "%s", reason);
        ok = write_results(&j, err);
    }
    end(&j, started);
    return ok;
}

void analysis_report_finish(struct analysis_report *report)
{
    findings_destroy(report->findings);
    volume_destroy(report->volume);
    memset(report, 0, sizeof *report);
}
