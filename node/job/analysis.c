#include "node/job/analysis.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/moment.h"
#include "compute/draw/page.h"
#include "compute/gpu/gpu.h"
#include "compute/image/duplicate.h"
#include "compute/image/rescale.h"
#include "dimse/read/object.h"
#include "dimse/read/report.h"
#include "dimse/read/waveform.h"
#include "node/job/choose.h"
#include "node/job/instance.h"
#include "node/job/join.h"
#include "base/parallel.h"
#include "node/job/pixels.h"
#include "node/job/priors.h"

#define THREADS          2
#define OPTION_FILE_MOST 1048576 // bytes of a file that an option names
#define SAME_PLACE_MM    0.01    // the last decimal that scanners write

struct job {
    const struct analysis_request *request;
    struct gpu *gpu;
    struct analysis_report *report;
    struct instance *entries; // readable ones first, by SOP Instance UID
    size_t count;
    struct result_source *sources; // of the readable ones, with the same indices
    size_t source_count;
    const char **paths; // [count]
    struct image_frame *frames;
    uint32_t frame_count;
    uint32_t *pool_of;       // [inputs] pool of the frames of each input
    enum image_axis *prefer; // [pools]
    uint32_t pool_count;
    struct stage_slot *slots;
    struct pixels *pixels;
    char *identity;
    struct prior *priors; // to compare with
    size_t prior_count;
    struct recording *recordings;
    struct waveform **waveforms; // of recordings
    size_t recording_count;
    struct object_id replaced; // summary that this one replaces, where it is among the inputs
    double decode_total;       // frames in images
    size_t others;             // instances that came again, in other words
};

bool analysis_is_machine(enum err_code code)
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
    return r->deadline_s > 0 && clock_steady() > r->deadline_s;
}

static void tell(const struct job *j, const char *what, double done)
{
    if (j->request->progress)
        j->request->progress(j->request->progress_ctx, what, done);
}

static void put_escaped(FILE *f, const char *text)
{
    for (; *text; text++) {
        if (*text == ';' || *text == '\\')
            fputc('\\', f);
        fputc(*text, f);
    }
}

char *analysis_options(const struct stage *stage, const struct param_value *params)
{
    char *text = NULL, value[512];
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    for (size_t i = 0; i < stage->param_count; i++) {
        const struct stage_param *p = &stage->params[i];
        fprintf(f, "%s%s=", i ? ";" : "", p->name);
        put_escaped(f, stage_param_text(p, &params[i], value, sizeof value));
    }
    bool ok = !ferror(f);
    if (fclose(f) != 0 || !ok) {
        free(text);
        return NULL;
    }
    return text;
}

// Headers

static void read_entries(void *ctx, size_t first, size_t count)
{
    struct job *j = ctx;
    for (size_t i = first; i < first + count; i++) {
        struct instance *e = &j->entries[i];
        if (past_deadline(j->request))
            err_set(&e->err, ERR_TIMEOUT, "past the deadline while reading headers");
        else
            instance_read(e);
    }
}

// Every input is one series, all are of one study.
static bool check_series(struct job *j, struct err *err)
{
    const struct instance *first = &j->entries[0];
    struct analysis_report *report = j->report;
    report->series =
        arena_alloc(report->arena, j->request->input_count + 1, sizeof *report->series);
    if (!report->series)
        return err_set(err, ERR_NOMEM, "no memory");
    report->series_count = j->request->input_count;
    for (size_t i = 0; i < report->series_count; i++)
        report->series[i].slot = j->request->inputs[i].slot;
    for (size_t i = 0; i < j->count && j->entries[i].readable; i++) {
        const struct object_ids *ids = &j->entries[i].ids;
        char *series = report->series[j->entries[i].input].series_instance_uid;
        if (!series[0])
            memcpy(series, ids->id.series_instance_uid, sizeof ids->id.series_instance_uid);
        if (strcmp(ids->id.series_instance_uid, series) != 0)
            return err_set(err, ERR_INPUT, "the files are of more than one series");
        if (strcmp(ids->id.study_instance_uid, first->ids.id.study_instance_uid) != 0)
            return err_set(err, ERR_INPUT, "the series are of more than one study");
    }
    memcpy(report->study_instance_uid, first->ids.id.study_instance_uid,
           sizeof first->ids.id.study_instance_uid);
    return true;
}

static bool add_sources(struct job *j, struct err *err)
{
    j->sources = calloc(j->count + 1, sizeof *j->sources);
    j->paths = calloc(j->count + 1, sizeof *j->paths);
    if (!j->sources || !j->paths)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < j->count; i++)
        j->paths[i] = j->entries[i].file->path;
    for (size_t i = 0; i < j->count && j->entries[i].readable; i++) {
        const struct instance *e = &j->entries[i];
        struct result_source *s = &j->sources[j->source_count++];
        s->path = e->file->path;
        memcpy(s->study_instance_uid, e->ids.id.study_instance_uid, sizeof s->study_instance_uid);
        memcpy(s->series_instance_uid, e->ids.id.series_instance_uid,
               sizeof s->series_instance_uid);
        memcpy(s->sop_instance_uid, e->ids.id.sop_instance_uid, sizeof s->sop_instance_uid);
        memcpy(s->sop_class_uid, e->ids.id.sop_class_uid, sizeof s->sop_class_uid);
        memcpy(s->digest, e->digest, sizeof s->digest);
        s->frames = e->ids.frames;
        s->main = e->aside == INSTANCE_SLICE;
    }
    return true;
}

// What is no slice among slices stands aside. In trouble, the reason why an input has no slice is
// the error of its instances.
static void set_aside(struct job *j)
{
    const struct analysis_request *r = j->request;
    for (uint32_t i = 0; i < r->input_count; i++) {
        struct err why = {0};
        const struct stage_input_spec *spec = &r->stage->inputs[r->inputs[i].slot];
        if (spec->reports || spec->recordings) {
            for (size_t n = 0; n < j->count; n++) // what the input is made of, without pixels
                j->entries[n].aside = INSTANCE_SLICE;
            continue;
        }
        const bool placed = r->stage->inputs[r->inputs[i].slot].placed;
        if (instances_set_aside(j->entries, j->count, i, placed, &why))
            continue;
        for (size_t n = 0; n < j->count; n++) {
            if (j->entries[n].input == i)
                j->entries[n].err = why;
        }
    }
}

// Reads all headers. False: the machine failed, or files contradict each other. What is wrong with
// single instances is in their entries.
static bool read_headers(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    for (size_t i = 0; i < r->input_count; i++)
        j->count += r->inputs[i].file_count;
    if (j->count == 0)
        return err_set(err, ERR_INPUT, "no files");
    j->entries = calloc(j->count + 1, sizeof *j->entries);
    if (!j->entries)
        return err_set(err, ERR_NOMEM, "no memory");
    size_t n = 0;
    for (size_t i = 0; i < r->input_count; i++) {
        for (size_t f = 0; f < r->inputs[i].file_count; f++) {
            j->entries[n].file = &r->inputs[i].files[f];
            j->entries[n++].input = (uint32_t)i;
        }
    }
    tell(j, "reading headers", 0);
    parallel_for(j->count, THREADS, read_entries, j);
    for (size_t i = 0; r->damaged && i < j->count; i++) {
        if (j->entries[i].damaged)
            r->damaged(r->damaged_ctx, j->entries[i].file);
    }
    for (size_t i = 0; i < j->count; i++) {
        if (analysis_is_machine(j->entries[i].err.code)) {
            if (err)
                *err = j->entries[i].err;
            return false;
        }
    }
    if (!instances_sort(j->entries, &j->count, &j->others, err) || !check_series(j, err))
        return false;
    set_aside(j);
    return add_sources(j, err);
}

static bool is_readable(const struct job *j, struct err *err)
{
    if (j->source_count)
        return true;
    if (err)
        *err = j->entries[0].err;
    return false;
}

// Images

// Whether series of a slot are split together.
static bool slot_joins(const struct stage_input_spec *spec)
{
    return spec->count == INPUT_MANY && spec->axis != IMAGE_NO_AXIS;
}

// The frames of an input as join_series() wants them. False: no memory.
static bool list_frames(const struct job *j, uint32_t input, struct join_frames *out)
{
    size_t count = 0;
    for (size_t i = 0; i < j->count; i++)
        count += j->entries[i].input == input ? j->entries[i].frame_count : 0;
    const struct image_frame **list = arena_alloc(j->report->arena, count + 1, sizeof *list);
    if (!list)
        return false;
    *out = (struct join_frames){.frames = list, .count = count};
    out->uid = j->report->series[input].series_instance_uid;
    for (size_t i = 0, n = 0; i < j->count; i++) {
        for (uint32_t f = 0; j->entries[i].input == input && f < j->entries[i].frame_count; f++)
            list[n++] = &j->entries[i].frames[f];
    }
    return true;
}

// Pools for the groups of the series of one slot, which is one of many.
static bool assign_joined(struct job *j, uint32_t slot)
{
    const struct analysis_request *r = j->request;
    const enum image_axis axis = r->stage->inputs[slot].axis;
    struct arena *arena = j->report->arena;
    struct join_frames *series = arena_alloc(arena, r->input_count + 1, sizeof *series);
    uint32_t *group = arena_alloc(arena, r->input_count + 1, sizeof *group);
    uint32_t count = 0, groups = 0;
    if (!series || !group)
        return false;
    for (uint32_t i = 0; i < r->input_count; i++) {
        if (r->inputs[i].slot == slot && !list_frames(j, i, &series[count++]))
            return false;
    }
    if (!join_series(series, count, axis, arena, group))
        return false;
    for (uint32_t i = 0, n = 0; i < r->input_count; i++) {
        if (r->inputs[i].slot != slot)
            continue;
        j->pool_of[i] = j->pool_count + group[n];
        groups = group[n] >= groups ? group[n] + 1 : groups;
        n++;
    }
    for (uint32_t g = 0; g < groups; g++)
        j->prefer[j->pool_count++] = axis;
    return true;
}

// Series of a slot of many with an axis are split together where they belong together, all others
// each by itself.
static bool assign_pools(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    struct arena *arena = j->report->arena;
    bool ok = true;
    j->pool_of = arena_alloc(arena, r->input_count + 1, sizeof *j->pool_of);
    j->prefer = arena_alloc(arena, r->input_count + 1, sizeof *j->prefer);
    for (uint32_t i = 0; ok && j->pool_of && j->prefer && i < r->input_count; i++) {
        const uint32_t slot = r->inputs[i].slot; // inputs ascend with slots
        if (!slot_joins(&r->stage->inputs[slot])) {
            j->pool_of[i] = j->pool_count;
            j->prefer[j->pool_count++] = r->stage->inputs[slot].axis;
        } else if (i == 0 || r->inputs[i - 1].slot != slot) {
            ok = assign_joined(j, slot);
        }
    }
    return (ok && j->pool_of && j->prefer) || err_set(err, ERR_NOMEM, "no memory");
}

static bool add_frames(struct job *j, struct err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < j->count; i++)
        total += j->entries[i].frame_count;
    if (total > INSTANCE_FRAMES_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%zu frames", total);
    j->frames = arena_alloc(j->report->arena, total + 1, sizeof *j->frames);
    if (!j->frames)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t i = 0; i < j->count; i++) {
        for (uint32_t f = 0; f < j->entries[i].frame_count; f++) {
            struct image_frame *frame = &j->frames[j->frame_count++];
            *frame = j->entries[i].frames[f];
            frame->source = (uint32_t)i;
            frame->pool = j->pool_of[j->entries[i].input];
        }
    }
    return true;
}

// Whether a series of a slot has frames in a pool.
static bool slot_has_pool(const struct job *j, size_t slot, uint32_t pool)
{
    for (size_t i = 0; i < j->request->input_count; i++) {
        if (j->request->inputs[i].slot == slot && j->pool_of[i] == pool)
            return true;
    }
    return false;
}

// The slots as the inputs fill them: images by pool, the main one first.
static bool fill_slots(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    const struct image_set *set = &j->report->images;
    struct arena *arena = j->report->arena;
    j->slots = arena_alloc(arena, r->stage->input_count + 1, sizeof *j->slots);
    if (!j->slots)
        return err_set(err, ERR_NOMEM, "no memory");
    for (size_t s = 0; s < r->stage->input_count; s++) {
        struct stage_slot *slot = &j->slots[s];
        uint32_t *images = arena_alloc(arena, (size_t)set->image_count + 1, sizeof *images);
        if (!images)
            return err_set(err, ERR_NOMEM, "no memory");
        slot->spec = &r->stage->inputs[s];
        slot->images = images;
        for (size_t i = 0; i < r->input_count; i++)
            slot->series_count += r->inputs[i].slot == s;
        for (uint32_t n = 0; n < set->image_count; n++) {
            if (slot_has_pool(j, s, set->images[n].pool))
                images[slot->image_count++] = n;
        }
        if (slot_joins(slot->spec))
            join_order(set, slot->spec, images, slot->image_count);
    }
    return true;
}

static bool has_frame_at(const struct image_set *set, uint32_t pool, const double mm[3])
{
    for (uint32_t i = 0; i < set->frame_count; i++) {
        const double *at = set->frames[i].position;
        if (set->frames[i].pool == pool && set->frames[i].placed &&
            fabs(at[0] - mm[0]) + fabs(at[1] - mm[1]) + fabs(at[2] - mm[2]) < SAME_PLACE_MM)
            return true;
    }
    return false;
}

// A header alone that claims a place of its own is a slice that lost its pixels: at an end of the
// stack nothing else would tell that it is missing.
static bool check_lost_slices(const struct job *j, uint32_t input, struct err *err)
{
    double mm[3];
    for (size_t i = 0; i < j->count; i++) {
        const struct instance *e = &j->entries[i];
        if (e->input == input && instance_lost_place(e, mm) &&
            !has_frame_at(&j->report->images, j->pool_of[input], mm))
            return err_set(err, ERR_INPUT,
                           "instance %s: no Pixel Data, and no other image lies at its place "
                           "(%g, %g, %g mm): a slice is missing",
                           e->ids.id.sop_instance_uid, mm[0], mm[1], mm[2]);
    }
    return true;
}

// A slot of one placed series has a main image that is a regular grid, which comes first; why it is
// the main one and what was set aside of it is said.
static bool choose_images(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    char text[512], chosen[768];
    for (size_t i = 0; i < r->input_count; i++) {
        const struct stage_input_spec *spec = &r->stage->inputs[r->inputs[i].slot];
        if (slot_joins(spec) && spec->placed && !check_lost_slices(j, (uint32_t)i, err))
            return false;
        if (spec->count == INPUT_MANY || !spec->placed)
            continue;
        const struct image *main = choose_image(&j->report->images, j->pool_of[i], spec->prefers,
                                                j->report->arena, chosen, sizeof chosen, err);
        if (!main)
            return r->stage->input_count > 1 ? err_wrap(err, "%s", spec->name) : false;
        if (!main->placed)
            return err_set(err, ERR_INPUT, "%s: the images have no place in space", spec->name);
        if (!check_lost_slices(j, (uint32_t)i, err))
            return false;
        if (chosen[0])
            findings_add_warning(j->report->findings, "%s", chosen);
        image_remarks(&j->report->images, main, text, sizeof text);
        if (text[0])
            findings_add_warning(j->report->findings, "%s", text);
    }
    return true;
}

static void on_decoded(void *ctx, size_t frames)
{
    const struct job *j = ctx;
    const double done = j->decode_total > 0 ? (double)frames / j->decode_total : 1;
    tell(j, "decoding", done < 1 ? done : 1);
}

// The pixels of an image that is used are what they are said to be; what was taken for granted is
// said.
static bool check_image(struct job *j, const struct stage_input_spec *spec, uint32_t image,
                        struct err *err)
{
    struct image_set *set = &j->report->images;
    struct image *img = &set->images[image];
    char remark[256];
    if (!image_merge_duplicates(set, img, spec->axis == IMAGE_NO_AXIS && spec->placed,
                                j->report->arena, remark, sizeof remark, err))
        return false;
    if (remark[0])
        findings_add_warning(j->report->findings, "%s", remark);
    if (!image_check_rescale(set, img, remark, sizeof remark, err))
        return false;
    if (remark[0])
        findings_add_warning(j->report->findings, "%s", remark);
    return true;
}

static bool check_images(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    for (size_t s = 0; s < r->stage->input_count; s++) {
        const struct stage_slot *slot = &j->slots[s];
        const bool all = // of joined series the stack is meant, which comes first
            (slot->spec->count == INPUT_MANY && !slot_joins(slot->spec)) || !slot->spec->placed;
        for (uint32_t n = 0; n < slot->image_count && (all || n == 0); n++) {
            if (!check_image(j, slot->spec, slot->images[n], err))
                return r->stage->input_count > 1 ? err_wrap(err, "%s", slot->spec->name) : false;
        }
    }
    return true;
}

static bool make_images(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    struct analysis_report *report = j->report;
    for (size_t i = 0; i < j->count; i++) {
        if (j->entries[i].err.code) {
            if (err)
                *err = j->entries[i].err;
            return false;
        }
    }
    if (!assign_pools(j, err) || !add_frames(j, err) ||
        !image_split(j->frames, j->frame_count, j->prefer, report->arena, &report->images, err))
        return false;
    for (uint32_t n = 0; n < report->images.image_count; n++) {
        const struct image *img = &report->images.images[n];
        j->decode_total += (double)img->dim[2] * img->dim[3] - img->missing;
    }
    const struct pixels_options options = {.paths = j->paths,
                                           .frames = j->frames,
                                           .deadline_s = r->deadline_s,
                                           .progress = on_decoded,
                                           .progress_ctx = j};
    j->pixels = pixels_create(&options, err);
    if (!j->pixels)
        return false;
    report->images.pixels = pixels_source(j->pixels);
    return image_merge_acquisitions(&report->images, err) && choose_images(j, err) &&
           fill_slots(j, err) && check_images(j, err);
}

// Reports

// The report of the same analysis that no other one of the input replaces is replaced by this one.
static void find_replaced(struct job *j)
{
    const struct analysis_report *a = j->report;
    for (size_t i = 0; i < a->told_count; i++) {
        const struct prior *p = &a->told[i].result;
        bool replaced = strcmp(p->stage, j->request->stage->name) != 0;
        for (size_t n = 0; n < a->told_count; n++)
            replaced = replaced || strcmp(a->told[n].result.replaces, p->id.sop_instance_uid) == 0;
        if (!replaced)
            j->replaced = p->id;
    }
}

// Every report of the input in full. A file that is no report of ours is left out, and it is said.
static bool read_reports(struct job *j, struct err *err)
{
    struct analysis_report *a = j->report;
    struct told *list = arena_alloc(a->arena, j->source_count + 1, sizeof *list);
    if (!list)
        return err_set(err, ERR_NOMEM, "no memory for reports");
    a->told = list;
    for (size_t i = 0; i < j->source_count; i++) {
        struct err why = {0};
        if (report_read_told(j->sources[i].path, a->arena, &list[a->told_count], &why)) {
            a->told_count++;
        } else if (analysis_is_machine(why.code)) {
            return err_set(err, why.code, "%s", why.text);
        } else {
            struct exclusion *e = findings_add_exclusion(a->findings);
            if (e) {
                e->what =
                    arena_printf(a->findings->arena, "document %s", j->sources[i].sop_instance_uid);
                e->reason = arena_strdup(a->findings->arena, why.text);
                a->findings->no_memory = a->findings->no_memory || !e->what || !e->reason;
            }
        }
    }
    find_replaced(j);
    return true;
}

// Recordings

// Every recording of the input. One that cannot be read makes the job not evaluable.
static bool open_recordings(struct job *j, struct err *err)
{
    struct arena *arena = j->report->arena;
    j->recordings = arena_alloc(arena, j->source_count + 1, sizeof *j->recordings);
    j->waveforms = arena_alloc(arena, j->source_count + 1, sizeof *j->waveforms);
    if (!j->recordings || !j->waveforms)
        return err_set(err, ERR_NOMEM, "no memory for recordings");
    for (size_t i = 0; i < j->source_count; i++, j->recording_count++) {
        j->waveforms[i] = waveform_open(j->sources[i].path, &j->recordings[i], err);
        if (!j->waveforms[i])
            return err_wrap(err, "recording %s", j->sources[i].sop_instance_uid);
    }
    return true;
}

// What the analysis works on, whatever it is.
static bool open_input(struct job *j, struct err *err)
{
    const struct stage *stage = j->request->stage;
    return stage_takes_reports(stage)    ? read_reports(j, err)
           : stage->inputs[0].recordings ? open_recordings(j, err)
                                         : make_images(j, err);
}

// Results

// A file that an option names may hold something else next time, under the same name.
static void put_files(FILE *f, const struct analysis_request *r)
{
    for (size_t i = 0; i < r->stage->param_count; i++) {
        const struct stage_param *p = &r->stage->params[i];
        uint8_t value[DIGEST_SIZE];
        char hex[2 * DIGEST_SIZE + 1] = "";
        size_t size = 0;
        if (p->type != PARAM_PATH || !p->check || !*r->params[i].text)
            continue;
        char *contents = fs_read_file(r->params[i].text, OPTION_FILE_MOST, &size, NULL);
        struct digest *digest = contents ? digest_create() : NULL;
        if (digest) {
            digest_add(digest, contents, size);
            digest_end(digest, value);
            digest_hex(value, hex);
        }
        fprintf(f, ";%s=%s", p->name, hex); // "": it cannot be read, as the results say
        digest_destroy(digest);
        free(contents);
    }
}

// What it is compared with, and what became of the search for it. False: no memory.
static bool put_priors(const struct job *j, FILE *f)
{
    const struct analysis_request *r = j->request;
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    if (r->prior_count) {
        if (!priors_digest(r->priors, r->prior_count, j->report->arena, digest))
            return false;
        digest_hex(digest, hex);
        fprintf(f, ";priors=%s", hex);
    }
    if (r->prior_note && r->prior_note[0])
        fprintf(f, ";prior_note=%s", r->prior_note);
    return true;
}

// What the results depend on besides the readable sources, or another result of the same instances
// would have the same UIDs.
static bool compose_identity(struct job *j, const char *outcome, struct err *err)
{
    const struct analysis_request *r = j->request;
    char *base = analysis_options(r->stage, r->params);
    struct digest *unreadable = digest_create();
    uint8_t digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1] = "";
    size_t size = 0;
    FILE *f = open_memstream(&j->identity, &size);
    bool ok = base && unreadable && f;
    for (size_t i = j->source_count; ok && i < j->count; i++) // sorted by digest
        digest_add(unreadable, j->entries[i].digest, DIGEST_SIZE);
    if (ok) {
        fputs(base, f);
        put_files(f, r);
        if (j->source_count < j->count) {
            digest_end(unreadable, digest);
            digest_hex(digest, hex);
            fprintf(f, ";unreadable=%s", hex);
        }
        for (size_t i = 0; r->stage->input_count > 1 && i < r->input_count; i++)
            fprintf(f, ";slot%u=%s", r->inputs[i].slot, j->report->series[i].series_instance_uid);
        if (outcome)
            fprintf(f, ";outcome=%s", outcome);
        if (r->remark && r->remark[0])
            fprintf(f, ";remark=%s", r->remark);
        if (!r->light_page)
            fputs(";page=dark", f);
        ok = put_priors(j, f) && !ferror(f);
    }
    if (f)
        ok = fclose(f) == 0 && ok;
    digest_destroy(unreadable);
    free(base);
    return ok || err_set(err, ERR_NOMEM, "no memory");
}

// "2026-01-31 10:32" of the series, else of the study; "": neither is a date.
static void date_text(const struct attrs *a, char text[32])
{
    moment_text(attrs_get(a, "SeriesDate"), attrs_get(a, "SeriesTime"), text);
    if (!text[0])
        moment_text(attrs_get(a, "StudyDate"), attrs_get(a, "StudyTime"), text);
}

static unsigned kinds_of(const struct analysis_request *r)
{
    return r->kinds ? r->kinds & r->stage->results : r->stage->results;
}

// Of the first instance that is a slice; of the first one where none is.
static const struct attrs *main_attrs(const struct job *j)
{
    size_t i = 0;
    while (i < j->source_count && !j->sources[i].main)
        i++;
    return &j->entries[i < j->source_count ? i : 0].attrs;
}

static bool draw_pages(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    const struct attrs none = {0};
    const struct attrs *a = j->source_count ? main_attrs(j) : r->head ? r->head : &none;
    char date[32];
    const bool reports =
        stage_takes_reports(r->stage); // their series are of the day they were made
    if (reports)
        moment_text(attrs_get(a, "StudyDate"), attrs_get(a, "StudyTime"), date);
    else
        date_text(a, date);
    const struct page_context context = {
        .software = r->maker.software,
        .title = r->stage->title,
        .version = r->stage->version,
        .device = r->maker.device_name,
        .study_description = attrs_get(a, "StudyDescription"),
        .series_description = reports ? NULL : attrs_get(a, "SeriesDescription"),
        .date = date,
        .light = r->light_page,
    };
    const struct image_set *set = j->report->images.image_count ? &j->report->images : NULL;
    struct findings *f = j->report->findings;
    return page_draw(f, set, &context, err) &&
           (!(kinds_of(r) & RESULT_PDF) || page_document(f, set, &context, err));
}

static bool write_results(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    struct result_request request = {
        .stage = {.name = r->stage->name,
                  .title = r->stage->title,
                  .version = r->stage->version,
                  .slot = r->stage->slot,
                  .report = r->stage->report},
        .findings = j->report->findings,
        .images = j->report->images.image_count ? &j->report->images : NULL,
        .sources = j->sources,
        .source_count = j->source_count,
        .head = r->head,
        .identity = j->identity,
        .maker = r->maker,
        .predecessor = r->predecessor                  ? r->predecessor
                       : *j->replaced.sop_instance_uid ? &j->replaced
                                                       : NULL,
        .started = r->started,
        .kinds = kinds_of(r),
        .folder = r->folder,
    };
    if (request.started.tv_sec == 0)
        clock_gettime(CLOCK_REALTIME, &request.started);
    tell(j, "writing results", 0.95);
    return findings_ok(j->report->findings, err) && draw_pages(j, err) &&
           results_write(&request, &j->report->objects, err);
}

static bool begin_job(struct job *j, struct err *err)
{
    memset(j->report, 0, sizeof *j->report);
    j->report->findings = findings_create();
    j->report->arena = arena_create();
    return (j->report->findings && j->report->arena) || err_set(err, ERR_NOMEM, "no memory");
}

static void end_job(struct job *j, double started)
{
    struct rusage usage;
    struct analysis_report *report = j->report;
    report->seconds = clock_steady() - started;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        report->host_peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
    if (report->findings)
        report->device_peak_bytes = report->findings->device_peak_bytes;
    report->images.pixels = NULL;
    pixels_destroy(j->pixels);
    for (size_t i = 0; i < j->recording_count; i++)
        waveform_close(j->waveforms[i]);
    for (uint32_t f = 0; f < j->frame_count; f++) // gone with the entries
        j->frames[f].attrs = NULL;
    for (size_t i = 0; j->entries && i < j->count; i++)
        instance_finish(&j->entries[i]);
    free(j->entries);
    free(j->sources);
    free(j->paths);
    free(j->identity);
}

// The earlier results that the analysis is given. False: no memory.
static bool choose_priors(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    struct findings *f = j->report->findings;
    if (r->prior_note && r->prior_note[0])
        findings_add_fact(f, "Earlier results: %s", r->prior_note);
    return !r->prior_count || priors_choose(r->priors, r->prior_count, main_attrs(j), r->stage,
                                            j->report->arena, f, &j->priors, &j->prior_count, err);
}

static bool on_step(void *ctx, const char *what, double done, struct err *err)
{
    const struct job *j = ctx;
    tell(j, what, done);
    return !past_deadline(j->request) ||
           err_set(err, ERR_TIMEOUT, "past the deadline at \"%s\"", what);
}

static void add_parameters(struct job *j)
{
    const struct stage *stage = j->request->stage;
    char text[512];
    for (size_t i = 0; i < stage->param_count; i++) {
        const struct stage_param *p = &stage->params[i];
        findings_add_parameter(j->report->findings, p->name, p->unit, "%s",
                               stage_param_text(p, &j->request->params[i], text, sizeof text));
    }
}

static void add_input_warnings(struct job *j)
{
    const struct analysis_request *r = j->request;
    struct findings *f = j->report->findings;
    if (r->remark && r->remark[0])
        findings_add_warning(f, "%s", r->remark);
    if (r->evidence && r->evidence[0])
        findings_add_fact(f, "Input: %s", r->evidence);
    char remark[512];
    instances_remark(j->entries, j->count, j->others, remark, sizeof remark);
    if (remark[0])
        findings_add_warning(f, "Input: %s", remark);
    for (size_t i = 0; i < j->source_count; i++) {
        const char *lossy = attrs_get(&j->entries[i].attrs, "LossyImageCompression");
        if (lossy && strcmp(lossy, "01") == 0) {
            findings_add_warning(f, "Images were compressed with loss: values may differ.");
            return;
        }
    }
}

// False: the machine failed.
static bool run_stage(struct job *j, struct err *err)
{
    const struct analysis_request *r = j->request;
    struct findings *f = j->report->findings;
    const struct stage_run run = {
        .stage = r->stage,
        .set = &j->report->images,
        .slots = j->slots,
        .params = r->params,
        .priors = j->priors,
        .prior_count = j->prior_count,
        .reports = j->report->told,
        .report_count = j->report->told_count,
        .kinds = kinds_of(r),
        .recordings = j->recordings,
        .recording_count = j->recording_count,
        .gpu = j->gpu,
        .arena = j->report->arena,
        .step = on_step,
        .step_ctx = j,
    };
    struct err why = {0};
    if (j->gpu) {
        gpu_reset_peak(j->gpu);
        gpu_set_deadline(j->gpu, r->deadline_s);
    }
    const enum stage_end end = r->stage->run(&run, f, &why);
    if (j->gpu) {
        gpu_set_deadline(j->gpu, 0);
        f->device_peak_bytes = gpu_peak_bytes(j->gpu);
    }
    if (end == STAGE_BROKEN && !analysis_is_machine(why.code)) { // a stream that does not decode
        findings_refuse(f, VERDICT_NOT_EVALUABLE, "%s", why.text);
    } else if (end == STAGE_BROKEN) {
        return err_set(err, why.code, "%s: %s", r->stage->name, why.text);
    } else if (end == STAGE_REFUSED && f->verdict != VERDICT_NOT_EVALUABLE) {
        return err_set(err, ERR_INTERNAL, "%s: refused without a reason", r->stage->name);
    } else if (end == STAGE_DONE && f->verdict != VERDICT_DONE &&
               f->verdict != VERDICT_NOTHING_FOUND) {
        return err_set(err, ERR_INTERNAL, "%s: done without a verdict", r->stage->name);
    }
    return findings_ok(f, err);
}

// Of an analysis that compares with nothing itself the report still says what was there before.
static void add_comparisons(struct job *j)
{
    struct findings *f = j->report->findings;
    const bool measured = f->verdict == VERDICT_DONE || f->verdict == VERDICT_NOTHING_FOUND;
    for (size_t i = 0; measured && i < j->prior_count; i++) {
        const struct prior *p = &j->priors[i];
        bool said = false;
        char day[32];
        moment_text(p->date, NULL, day);
        for (uint32_t n = 0; n < f->comparison_count; n++)
            said = said ||
                   strcmp(f->comparisons[n].with.sop_instance_uid, p->id.sop_instance_uid) == 0;
        struct comparison *c = said ? NULL : findings_add_comparison(f);
        if (!c)
            continue;
        c->with = p->id;
        c->text = arena_printf(f->arena, "%s, version %s: %s (no change is judged)", day,
                               p->version, p->headline);
        f->no_memory = f->no_memory || !c->text;
        findings_add_fact(f, "Earlier result of %s", c->text ? c->text : "");
    }
}

static bool has_reference(const struct job *j, uint32_t image)
{
    const struct image_set *set = &j->report->images;
    return image >= set->image_count || image_has_reference(set, &set->images[image]);
}

// Segmentations and maps of images without a frame of reference are not written: that is said.
static void add_reference_warnings(struct job *j)
{
    const unsigned kinds = kinds_of(j->request);
    struct findings *f = j->report->findings;
    bool regions = false, maps = false, planes = false;
    for (uint32_t i = 0; i < f->label_count; i++)
        regions = regions || !has_reference(j, f->labels[i].image);
    for (uint32_t i = 0; i < f->fraction_count; i++)
        regions = regions || !has_reference(j, f->fractions[i].image);
    for (uint32_t i = 0; i < f->map_count; i++)
        maps = maps || !has_reference(j, f->maps[i].image);
    for (uint32_t i = 0; i < f->reformat_count; i++)
        planes = planes || !has_reference(j, f->reformats[i].image);
    if (planes && (kinds & RESULT_MPR))
        findings_add_warning(f, "No reformatted images: the images have no Frame of Reference.");
    if (regions && (kinds & RESULT_SEG))
        findings_add_warning(f, "No segmentation: the images have no Frame of Reference.");
    if (maps && (kinds & RESULT_PMAP))
        findings_add_warning(f, "No parametric map: the images have no Frame of Reference.");
}

bool analysis_run(const struct analysis_request *request, struct gpu *gpu,
                  struct analysis_report *report, struct err *err)
{
    struct job j = {.request = request, .gpu = gpu, .report = report};
    struct err why = {0};
    double started = clock_steady();
    bool ok = begin_job(&j, err) && read_headers(&j, err) && is_readable(&j, err) &&
              compose_identity(&j, NULL, err);
    if (ok) {
        add_parameters(&j);
        add_input_warnings(&j);
        ok = choose_priors(&j, err);
    }
    if (ok && open_input(&j, &why)) {
        ok = run_stage(&j, err);
        add_comparisons(&j);
        add_reference_warnings(&j);
    } else if (ok && analysis_is_machine(why.code)) {
        ok = err_set(err, why.code, "%s", why.text);
    } else if (ok) {
        log_info("study=%s not evaluable reason=\"%s\"", report->study_instance_uid, why.text);
        findings_refuse(report->findings, VERDICT_NOT_EVALUABLE, "%s", why.text);
    }
    ok = ok && write_results(&j, err);
    end_job(&j, started);
    return ok;
}

// Sources as they were recorded, for files of which none can be read.
static bool recorded_sources(struct job *j, struct err *err)
{
    const struct attrs *head = j->request->head;
    if (j->source_count)
        return true;
    if (!head || !attrs_get(head, "StudyInstanceUID"))
        return is_readable(j, err);
    const char *study = attrs_get(head, "StudyInstanceUID");
    const char *series = attrs_get(head, "SeriesInstanceUID");
    snprintf(j->report->study_instance_uid, sizeof j->report->study_instance_uid, "%s", study);
    for (size_t i = 0; i < j->count; i++) {
        const struct instance *e = &j->entries[i];
        if (!e->file->sop_instance_uid || !e->file->sop_class_uid)
            continue;
        struct result_source *s = &j->sources[j->source_count++];
        s->path = e->file->path;
        snprintf(s->study_instance_uid, sizeof s->study_instance_uid, "%s", study);
        snprintf(s->series_instance_uid, sizeof s->series_instance_uid, "%s", series ? series : "");
        snprintf(s->sop_instance_uid, sizeof s->sop_instance_uid, "%s", e->file->sop_instance_uid);
        snprintf(s->sop_class_uid, sizeof s->sop_class_uid, "%s", e->file->sop_class_uid);
        memcpy(s->digest, e->digest, sizeof s->digest);
        s->frames = 1;
        s->main = true;
    }
    return true;
}

bool analysis_refuse(const struct analysis_request *request, enum verdict verdict,
                     const char *reason, struct analysis_report *report, struct err *err)
{
    struct job j = {.request = request, .report = report};
    double started = clock_steady();
    bool ok = begin_job(&j, err) && read_headers(&j, err) &&
              compose_identity(&j, verdict_name(verdict), err) && recorded_sources(&j, err);
    if (ok) {
        add_parameters(&j);
        findings_refuse(report->findings, verdict, "%s", reason);
        ok = write_results(&j, err);
    }
    end_job(&j, started);
    return ok;
}

void analysis_report_finish(struct analysis_report *report)
{
    findings_destroy(report->findings);
    arena_destroy(report->arena);
    result_list_finish(&report->objects);
    memset(report, 0, sizeof *report);
}
