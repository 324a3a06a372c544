#include "node/job/inspect.h"
#include <cairo.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/identifying.h"
#include "base/text.h"
#include "compute/draw/pen.h"
#include "compute/draw/plane.h"
#include "compute/draw/tile.h"
#include "compute/image/duplicate.h"
#include "compute/image/kind.h"
#include "compute/image/load.h"
#include "compute/image/rescale.h"
#include "node/job/choose.h"
#include "node/job/instance.h"
#include "node/job/json.h"
#include "node/job/nifti.h"
#include "base/parallel.h"
#include "node/job/pixels.h"
#include "node/job/slots.h"

#define THREADS     2
#define SHOWN_MAX   1024 // bytes of a value or a line
#define VALUES_MAX  8    // different values of an attribute that are listed
#define REMARK_SIZE 128
#define DIFFERS_MAX 256 // attributes that are listed

struct inspect {
    const struct gather_series *series;
    struct instance *instances; // sorted
    size_t count;
    size_t others;      // instances that came again, in other words
    const char **paths; // [count]
    struct arena *arena;
    struct image_frame *frames;
    uint32_t frame_count;
    struct image_set images;
    struct image *split; // [images] before duplicates were compared: an analysis chooses of these
    char (*merged)[REMARK_SIZE]; // [images] what was done about duplicates
    struct pixels *pixels;
    struct err err; // why there are no images
};

// ---- Reading ------------------------------------------------------------------------------------

static void inspect_read_part(void *ctx, size_t first, size_t count)
{
    struct inspect *in = ctx;
    for (size_t i = first; i < first + count; i++)
        instance_read(&in->instances[i]);
}

static bool inspect_read(struct inspect *in, struct err *err)
{
    in->count = in->series->file_count;
    in->instances = calloc(in->count + 1, sizeof *in->instances);
    in->paths = calloc(in->count + 1, sizeof *in->paths);
    if (!in->instances || !in->paths)
        return err_set(err, ERR_NOMEM, "no memory for a series");
    for (size_t i = 0; i < in->count; i++)
        in->instances[i].file = &in->series->files[i];
    parallel_for(in->count, THREADS, inspect_read_part, in);
    for (size_t i = 0; i < in->count; i++) {
        if (analysis_is_machine(in->instances[i].err.code))
            return err_set(err, in->instances[i].err.code, "%s", in->instances[i].err.text);
    }
    if (!instances_sort(in->instances, &in->count, &in->others, &in->err))
        return in->err.code != ERR_NOMEM || err_set(err, ERR_NOMEM, "%s", in->err.text);
    for (size_t i = 0; i < in->count; i++)
        in->paths[i] = in->instances[i].file->path;
    instances_set_aside(in->instances, in->count, 0, false, &in->err);
    return true;
}

// Duplicates that are none, or cannot be compared, are a defect of their image.
static bool inspect_merge(struct inspect *in, struct err *err)
{
    in->merged = arena_alloc(in->arena, (size_t)in->images.image_count + 1, sizeof *in->merged);
    in->split = arena_alloc(in->arena, (size_t)in->images.image_count + 1, sizeof *in->split);
    if (!in->merged || !in->split)
        return err_set(err, ERR_NOMEM, "no memory for a series");
    if (!image_merge_acquisitions(&in->images, err))
        return false;
    if (in->images.image_count)
        memcpy(in->split, in->images.images, in->images.image_count * sizeof *in->split);
    for (uint32_t n = 0; n < in->images.image_count; n++) {
        struct image *img = &in->images.images[n];
        struct err why = {0};
        if (image_merge_duplicates(&in->images, img, false, in->arena, in->merged[n],
                                   sizeof in->merged[n], &why))
            continue;
        if (analysis_is_machine(why.code))
            return err_set(err, why.code, "%s", why.text);
        if (!img->defect[0])
            snprintf(img->defect, sizeof img->defect, "%s", why.text);
    }
    return true;
}

static bool inspect_split(struct inspect *in, struct err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < in->count; i++)
        total += in->instances[i].err.code ? 0 : in->instances[i].frame_count;
    if (total > INSTANCE_FRAMES_MAX)
        return err_set(&in->err, ERR_UNSUPPORTED, "%zu frames", total) || true;
    if (total == 0)
        return err_set(&in->err, ERR_INPUT, "no instance can be part of an image") || true;
    in->frames = arena_alloc(in->arena, total, sizeof *in->frames);
    if (!in->frames)
        return err_set(err, ERR_NOMEM, "no memory for frames");
    for (size_t i = 0; i < in->count; i++) {
        const struct instance *from = &in->instances[i];
        for (uint32_t f = 0; !from->err.code && f < from->frame_count; f++) {
            struct image_frame *frame = &in->frames[in->frame_count++];
            *frame = from->frames[f];
            frame->source = (uint32_t)i;
        }
    }
    if (!image_split(in->frames, in->frame_count, NULL, in->arena, &in->images, &in->err)) {
        in->images = (struct image_set){0};
        return in->err.code != ERR_NOMEM || err_set(err, ERR_NOMEM, "%s", in->err.text);
    }
    if (in->images.image_count == 0)
        return err_set(&in->err, ERR_INPUT, "only localizers (%" PRIu32 ")", in->frame_count) ||
               true;
    const struct pixels_options options = {.paths = in->paths, .frames = in->frames};
    in->pixels = pixels_create(&options, err);
    if (!in->pixels)
        return false;
    in->images.pixels = pixels_source(in->pixels);
    return inspect_merge(in, err);
}

struct inspect *inspect_create(const struct gather_series *s, struct err *err)
{
    struct inspect *in = calloc(1, sizeof *in);
    if (in) {
        in->series = s;
        in->arena = arena_create();
    }
    if (!in || !in->arena) {
        err_set(err, ERR_NOMEM, "no memory for a series");
        inspect_destroy(in);
        return NULL;
    }
    if (inspect_read(in, err) && (in->err.code || inspect_split(in, err)))
        return in;
    inspect_destroy(in);
    return NULL;
}

void inspect_destroy(struct inspect *in)
{
    if (!in)
        return;
    pixels_destroy(in->pixels);
    for (size_t i = 0; in->instances && i < in->count; i++)
        instance_finish(&in->instances[i]);
    free(in->instances);
    free(in->paths);
    arena_destroy(in->arena);
    free(in);
}

uint32_t inspect_image_count(const struct inspect *in)
{
    return in->images.image_count;
}

// ---- Attributes that differ ---------------------------------------------------------------------

// What a slice has of its own in every series: nothing to tell.
static const char *const inspect_usual[] = {"SOPInstanceUID",
                                            "InstanceNumber",
                                            "ImagePositionPatient",
                                            "SliceLocation",
                                            "AcquisitionTime",
                                            "ContentTime",
                                            "InstanceCreationTime",
                                            "TablePosition",
                                            "FrameReferenceDateTime",
                                            "InstanceCreationDate",
                                            "SmallestImagePixelValue",
                                            "LargestImagePixelValue",
                                            "WindowCenter",
                                            "WindowWidth",
                                            "FrameAcquisitionDateTime",
                                            "FrameAcquisitionNumber",
                                            "DimensionIndexValues",
                                            "InStackPositionNumber",
                                            "FrameReferenceTime",
                                            "AcquisitionDateTime"};

struct differing {
    const char *keyword;
    const char *values[VALUES_MAX]; // borrowed
    size_t count;                   // of different values, beyond VALUES_MAX too
    bool absent;                    // in some frames
    bool number;                    // "3" and "3.0" are the same value
};

static bool inspect_is_usual(const char *keyword)
{
    for (size_t i = 0; i < sizeof inspect_usual / sizeof *inspect_usual; i++) {
        if (strcmp(keyword, inspect_usual[i]) == 0)
            return true;
    }
    return false;
}

static bool differing_same(const struct differing *d, const char *a, const char *b)
{
    return d->number ? image_same_value(a, b) : strcmp(a, b) == 0;
}

static void differing_note(struct differing *d, const char *value)
{
    size_t i = 0;
    if (!value || !*value) {
        d->absent = true;
        return;
    }
    while (i < d->count && i < VALUES_MAX && !differing_same(d, d->values[i], value))
        i++;
    if (i == VALUES_MAX)
        d->count = d->count > VALUES_MAX ? d->count : VALUES_MAX + 1;
    else if (i == d->count)
        d->values[d->count++] = value;
}

static bool differing_look(const struct inspect *in, const struct image *img, struct differing *d)
{
    const size_t cells = (size_t)img->dim[2] * img->dim[3];
    for (size_t c = 0; c < cells; c++) {
        if (img->frame[c] != IMAGE_NO_FRAME)
            differing_note(d, attrs_get(in->frames[img->frame[c]].attrs, d->keyword));
    }
    return d->count > 1 || (d->count == 1 && d->absent);
}

// Compares one attribute over the frames of an image. False: it is the same in all.
static bool differing_find(const struct inspect *in, const struct image *img, const char *keyword,
                           struct differing *d)
{
    *d = (struct differing){.keyword = keyword};
    if (!differing_look(in, img, d))
        return false;
    if (!object_keyword_is_number(keyword))
        return true;
    *d = (struct differing){.keyword = keyword, .number = true};
    return differing_look(in, img, d);
}

// Calls each() for the attributes that differ, those of an instance first.
static void inspect_each_differing(const struct inspect *in, const struct image *img,
                                   void (*each)(void *ctx, const struct differing *d), void *ctx)
{
    const char *seen[DIFFERS_MAX];
    size_t seen_count = 0;
    const size_t cells = (size_t)img->dim[2] * img->dim[3];
    const struct attrs *last = NULL;
    for (size_t c = 0; c < cells; c++) {
        if (img->frame[c] == IMAGE_NO_FRAME)
            continue;
        const struct attrs *own = in->frames[img->frame[c]].attrs;
        for (const struct attrs *a = own->base ? own->base : own; a; a = a == own ? NULL : own) {
            const char *keyword = NULL, *value;
            if (a == last) // the instance of many frames has been looked at
                continue;
            while (attrs_next(a, &keyword, &value)) {
                struct differing d;
                bool known = inspect_is_usual(keyword);
                for (size_t i = 0; !known && i < seen_count; i++)
                    known = strcmp(seen[i], keyword) == 0;
                if (known || seen_count == DIFFERS_MAX)
                    continue;
                seen[seen_count++] = keyword;
                if (differing_find(in, img, keyword, &d))
                    each(ctx, &d);
            }
        }
        last = own->base;
    }
}

// ---- What analyses would take -------------------------------------------------------------------

struct inspect_choice {
    const struct stage *stage;
    uint32_t image;   // the one that it takes, from 0; image_count: none
    char remark[768]; // what it takes and leaves, or why it takes none
};

// Whether an analysis that takes the series has several images to choose from.
static bool inspect_choose(const struct inspect *in, const struct stage *stage,
                           struct inspect_choice *out)
{
    const struct image_set *own = &in->images;
    const int slot = slots_match(stage, &in->series->attrs, CONF_VALUES_HIDDEN, NULL);
    const struct stage_input_spec *spec = slot < 0 ? NULL : &stage->inputs[slot];
    if (!spec || !spec->prefers || spec->axis != IMAGE_NO_AXIS || own->image_count < 2)
        return false;
    struct image_set set = *own; // the choice changes the order
    struct err err = {0};
    set.images = arena_alloc(in->arena, own->image_count, sizeof *set.images);
    *out = (struct inspect_choice){.stage = stage, .image = own->image_count};
    if (!set.images)
        return false;
    memcpy(set.images, in->split, own->image_count * sizeof *set.images);
    const struct image *taken = choose_image(&set, own->images[0].pool, spec->prefers, in->arena,
                                             out->remark, sizeof out->remark, &err);
    if (!taken)
        snprintf(out->remark, sizeof out->remark, "%s", err.text);
    for (uint32_t n = 0; taken && n < own->image_count; n++) {
        if (in->split[n].frame == taken->frame) // the same cells
            out->image = n;
    }
    if (taken && own->images[out->image].defect[0]) { // of its duplicates
        snprintf(out->remark, sizeof out->remark, "%s", own->images[out->image].defect);
        out->image = own->image_count;
    }
    return true;
}

// ---- For people ---------------------------------------------------------------------------------

static const char *inspect_shown(const char *value, char out[SHOWN_MAX])
{
    return text_shown(value && *value ? value : "none", out, SHOWN_MAX);
}

static void print_differing(void *ctx, const struct differing *d)
{
    FILE *out = ctx;
    char shown[SHOWN_MAX];
    fprintf(out, "    %s differs:", d->keyword);
    if (identifying_keyword(d->keyword)) {
        fprintf(out, " values not shown\n");
        return;
    }
    for (size_t i = 0; i < d->count && i < VALUES_MAX; i++)
        fprintf(out, "%s %s", i ? "," : "", inspect_shown(d->values[i], shown));
    fprintf(out, "%s%s\n", d->count > VALUES_MAX ? ", ..." : "",
            d->absent ? ", absent in some frames" : "");
}

static void print_axis(const struct image *img, FILE *out)
{
    static const char *const units[] = {[IMAGE_TIME] = " s",
                                        [IMAGE_PHASE] = " ms",
                                        [IMAGE_ECHO] = " ms",
                                        [IMAGE_B] = " s/mm2",
                                        [IMAGE_ORDER] = ""};
    if (img->axis == IMAGE_NO_AXIS || !img->at)
        return;
    const double first = img->at[0], last = img->at[(size_t)(img->dim[3] - 1) * img->dim[2]];
    if (isfinite(first) && isfinite(last))
        fprintf(out, "    %s: %" PRIu32 " points from %g to %g%s\n", image_axis_name(img->axis),
                img->dim[3], first, last, units[img->axis]);
    else
        fprintf(out, "    %s: %" PRIu32 " points, where they lie is not stated\n",
                image_axis_name(img->axis), img->dim[3]);
}

// What was set aside and what was taken for granted, or why the values are not what they seem.
static void inspect_remarks(const struct inspect *in, const struct image *img, char *text,
                            size_t size)
{
    char rescale[256];
    struct err err = {0};
    image_remarks(&in->images, img, text, size);
    const char *merged = in->merged[img - in->images.images];
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used && merged[0] ? " " : "", merged);
    if (!image_check_rescale(&in->images, img, rescale, sizeof rescale, &err))
        snprintf(rescale, sizeof rescale, "%s", err.text);
    used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used && rescale[0] ? " " : "", rescale);
}

static void print_nature(const struct inspect *in, const struct image *img, FILE *out)
{
    struct image_nature nature;
    char text[320];
    image_nature(&in->images, img, &nature);
    if (nature.kind != IMAGE_ACQUIRED)
        fprintf(out, "    kind: %s\n", image_nature_text(&nature, text, sizeof text));
    if (nature.multi_energy)
        fprintf(out, "    acquired with several energies\n");
    if (nature.as_120_kv)
        fprintf(out,
                "    kernel gives the numbers of 120 kV in %" PRIu32 " of %" PRIu32 " frames\n",
                nature.as_120_kv, nature.frames);
}

static void print_image(const struct inspect *in, uint32_t n, FILE *out)
{
    const struct image *img = &in->images.images[n];
    char text[512];
    fprintf(out, "  image %" PRIu32 ": %" PRIu32 " x %" PRIu32 " pixels, %" PRIu32 " slice%s",
            n + 1, img->dim[0], img->dim[1], img->dim[2], img->dim[2] == 1 ? "" : "s");
    if (img->dim[3] > 1)
        fprintf(out, " x %" PRIu32 " points", img->dim[3]);
    if (img->spacing[0] > 0)
        fprintf(out, ", %g x %g", img->spacing[0], img->spacing[1]);
    if (img->spacing[2] > 0)
        fprintf(out, " x %g", img->spacing[2]);
    fprintf(out, "%s, %s", img->spacing[0] > 0 ? " mm" : ", pixel size not known",
            img->type == IMAGE_I16 ? "int16" : "float");
    if (strcmp(img->unit, "1") != 0)
        fprintf(out, " %s", img->unit);
    fputc('\n', out);
    if (img->placed)
        fprintf(out, "    columns to %c, rows to %c, slices to %c\n", image_direction(img, 0),
                image_direction(img, 1), image_direction(img, 2));
    else
        fprintf(out, "    no place in space\n");
    print_axis(img, out);
    if (img->defect[0])
        fprintf(out, "    no regular grid: %s\n", img->defect);
    if (img->missing)
        fprintf(out, "    frames missing: %" PRIu32 "\n", img->missing);
    inspect_remarks(in, img, text, sizeof text);
    if (text[0])
        fprintf(out, "    %s\n", text);
    print_nature(in, img, out);
    inspect_each_differing(in, img, print_differing, out);
}

void inspect_print(const struct inspect *in, FILE *out)
{
    const struct gather_series *s = in->series;
    char modality[SHOWN_MAX], description[SHOWN_MAX], remark[SHOWN_MAX];
    fprintf(out, "series %s\n  modality %s, %zu instance%s, description %s%s\n",
            s->series_instance_uid, inspect_shown(s->modality, modality), s->file_count,
            s->file_count == 1 ? "" : "s",
            inspect_shown(attrs_get(&s->attrs, "SeriesDescription"), description),
            s->own ? ", a result of this node" : "");
    if (in->err.code)
        fprintf(out, "  no images: %s\n", in->err.text);
    for (size_t i = 0; i < in->count; i++) {
        if (in->instances[i].err.code)
            fprintf(out, "  set aside: %s\n", in->instances[i].err.text);
    }
    instances_remark(in->instances, in->count, in->others, remark, sizeof remark);
    if (remark[0])
        fprintf(out, "  %s\n", remark);
    for (uint32_t n = 0; n < in->images.image_count; n++)
        print_image(in, n, out);
    for (size_t i = 0; stage_at(i); i++) {
        struct inspect_choice c;
        if (!inspect_choose(in, stage_at(i), &c))
            continue;
        if (c.image < in->images.image_count)
            fprintf(out, "  %s takes image %" PRIu32 "%s%s\n", c.stage->name, c.image + 1,
                    c.remark[0] ? ": " : "", c.remark);
        else
            fprintf(out, "  %s takes no image: %s\n", c.stage->name, c.remark);
    }
}

// ---- JSON ---------------------------------------------------------------------------------------

struct listing {
    json_t *list;
    bool *ok;
};

static void list_differing(void *ctx, const struct differing *d)
{
    struct listing *l = ctx;
    json_t *o = json_object(), *values = json_array();
    for (size_t i = 0; i < d->count && i < VALUES_MAX && !identifying_keyword(d->keyword); i++)
        json_add(values, json_text(d->values[i]), l->ok);
    json_put_text(o, "keyword", d->keyword, l->ok);
    json_put(o, "values", values, l->ok);
    json_put_bool(o, "more", d->count > VALUES_MAX || identifying_keyword(d->keyword), l->ok);
    json_put_bool(o, "absent", d->absent, l->ok);
    json_add(l->list, o, l->ok);
}

static json_t *inspect_numbers(const double *values, size_t count, bool *ok)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_add(list, isfinite(values[i]) ? json_real(values[i]) : json_null(), ok);
    return list;
}

// How its middle frame is shown; "" in colour.
static const char *inspect_window(const struct inspect *in, const struct image *img, char *text,
                                  size_t size)
{
    const uint32_t frame = image_frame_at(img, img->dim[2] / 2, 0);
    struct voi voi = {0};
    text[0] = 0;
    if (img->colour || frame == IMAGE_NO_FRAME)
        return text;
    struct err err = {0};
    if (in->images.pixels->voi(in->images.pixels->ctx, frame, &voi, &err))
        voi_text(&voi, text, size);
    else
        snprintf(text, size, "%s", err.text);
    voi_finish(&voi);
    return text;
}

static json_t *image_item(const struct inspect *in, const struct image *img, bool *ok)
{
    json_t *o = json_object(), *dim = json_array(), *at = json_array(), *differs = json_array();
    struct listing listing = {differs, ok};
    struct image_nature nature;
    char text[512], directions[4] = "";
    char kind[320], window[320];
    for (int a = 0; a < 4; a++)
        json_add(dim, json_integer(img->dim[a]), ok);
    for (uint32_t p = 0; img->at && p < img->dim[3]; p++) {
        const double value = img->at[(size_t)p * img->dim[2]];
        json_add(at, isfinite(value) ? json_real(value) : json_null(), ok);
    }
    for (int a = 0; img->placed && a < 3; a++)
        directions[a] = image_direction(img, a);
    inspect_remarks(in, img, text, sizeof text);
    inspect_each_differing(in, img, list_differing, &listing);
    json_put(o, "size", dim, ok);
    json_put(o, "spacing_mm", inspect_numbers(img->spacing, 3, ok), ok);
    json_put_bool(o, "placed", img->placed, ok);
    json_put_text(o, "directions", directions, ok);
    json_put(o, "to_patient",
             img->placed ? inspect_numbers(&img->to_patient[0][0], 12, ok) : json_array(), ok);
    json_put_number(o, "tilt_deg", img->placed ? img->tilt_deg : NAN, ok);
    json_put_text(o, "unit", img->unit, ok);
    json_put_text(o, "voxel", img->type == IMAGE_I16 ? "int16" : "float32", ok);
    json_put_text(o, "window", inspect_window(in, img, window, sizeof window), ok);
    json_put_text(o, "axis", image_axis_name(img->axis), ok);
    json_put(o, "at", at, ok);
    json_put_integer(o, "missing", img->missing, ok);
    json_put_integer(o, "duplicates", img->duplicates, ok);
    json_put_text(o, "defect", img->defect, ok);
    json_put_text(o, "remarks", text, ok);
    image_nature(&in->images, img, &nature);
    json_put_text(o, "kind", image_kind_name(nature.kind), ok);
    json_put_text(o, "kind_reason", image_nature_text(&nature, kind, sizeof kind), ok);
    json_put_bool(o, "multi_energy", nature.multi_energy, ok);
    json_put_integer(o, "frames_as_120_kv", nature.as_120_kv, ok);
    json_put(o, "differs", differs, ok);
    return o;
}

static json_t *syntaxes_item(const struct inspect *in, bool *ok)
{
    json_t *o = json_object();
    for (size_t i = 0; i < in->count; i++) {
        const char *uid = in->instances[i].ids.id.transfer_syntax_uid;
        if (in->instances[i].readable)
            json_put_integer(o, uid[0] ? uid : "none",
                             json_integer_value(json_object_get(o, uid[0] ? uid : "none")) + 1, ok);
    }
    return o;
}

static json_t *choices_item(const struct inspect *in, bool *ok)
{
    json_t *list = json_array();
    for (size_t i = 0; stage_at(i); i++) {
        struct inspect_choice c;
        if (!inspect_choose(in, stage_at(i), &c))
            continue;
        json_t *o = json_object();
        json_put_text(o, "analysis", c.stage->name, ok);
        json_put_integer(o, "image", c.image < in->images.image_count ? (int64_t)c.image + 1 : 0,
                         ok);
        json_put_text(o, "remark", c.remark, ok);
        json_add(list, o, ok);
    }
    return list;
}

json_t *inspect_item(const struct inspect *in, bool *ok)
{
    json_t *o = gather_item(in->series, ok), *images = json_array(), *aside = json_array();
    char remark[SHOWN_MAX];
    for (size_t i = 0; i < in->count; i++) {
        const struct instance *e = &in->instances[i];
        char why[160];
        snprintf(why, sizeof why, "no Pixel Data (%s)", object_class_name(e->ids.id.sop_class_uid));
        if (!e->err.code && e->aside == INSTANCE_SLICE)
            continue;
        json_t *one = json_object();
        json_put_text(one, "instance", e->ids.id.sop_instance_uid, ok);
        json_put_text(one, "why", e->err.code ? e->err.text : why, ok);
        json_add(aside, one, ok);
    }
    instances_remark(in->instances, in->count, in->others, remark, sizeof remark);
    for (uint32_t n = 0; n < in->images.image_count; n++)
        json_add(images, image_item(in, &in->images.images[n], ok), ok);
    json_put(o, "transfer_syntaxes", syntaxes_item(in, ok), ok);
    json_put_integer(o, "localizers", in->images.localizers, ok);
    json_put(o, "set_aside", aside, ok);
    json_put_text(o, "remarks", remark, ok);
    json_put_text(o, "trouble", in->err.code ? in->err.text : "", ok);
    json_put(o, "images", images, ok);
    json_put(o, "choices", choices_item(in, ok), ok);
    return o;
}

// ---- Contact sheet ------------------------------------------------------------------------------

#define CELL         240.0 // side, pixels
#define CAPTION      18.0  // below it
#define GAP          4.0   // between cells
#define COLUMNS      6
#define CELLS_MAX    30
#define POINTS_SHOWN 12 // of them, where there is an axis and more than one slice

struct sheet_cell {
    uint32_t slice, point;
};

static uint32_t sheet_at(uint32_t n, uint32_t shown, uint32_t all)
{
    return shown > 1 ? (uint32_t)((uint64_t)n * (all - 1) / (shown - 1)) : all / 2;
}

// All slices of the first point, then the middle slice at all points; some of them where they are
// many.
static uint32_t sheet_plan(const struct image *img, struct sheet_cell cells[CELLS_MAX])
{
    const uint32_t most = img->dim[2] == 1 ? CELLS_MAX : POINTS_SHOWN;
    const uint32_t points = img->dim[3] == 1 ? 0 : img->dim[3] < most ? img->dim[3] : most;
    const uint32_t room = img->dim[2] == 1 && points ? 0 : CELLS_MAX - points;
    const uint32_t slices = img->dim[2] < room ? img->dim[2] : room;
    uint32_t count = 0;
    for (uint32_t n = 0; n < slices; n++)
        cells[count++] = (struct sheet_cell){.slice = sheet_at(n, slices, img->dim[2])};
    for (uint32_t n = 0; n < points; n++)
        cells[count++] = (struct sheet_cell){img->dim[2] / 2, sheet_at(n, points, img->dim[3])};
    return count;
}

// A frame in colour, fitted into a cell.
static bool sheet_draw_colours(const struct inspect *in, const struct image_frame *f, cairo_t *cr,
                               double x, double y, struct err *err)
{
    const size_t pixels = (size_t)f->columns * f->rows;
    cairo_surface_t *s =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)f->columns, (int)f->rows);
    struct object *o = object_open(in->paths[f->source], err);
    uint8_t *rgb = malloc(pixels * 3);
    bool ok = o != NULL;
    if (ok && (!rgb || cairo_surface_status(s) != CAIRO_STATUS_SUCCESS))
        ok = err_set(err, ERR_NOMEM, "no memory for a picture");
    if (ok && rgb && object_decode_rgb(o, f->number - 1, rgb, err)) {
        unsigned char *data = cairo_image_surface_get_data(s);
        const size_t stride = (size_t)cairo_image_surface_get_stride(s);
        for (size_t i = 0; i < pixels; i++) {
            const uint8_t *p = rgb + 3 * i;
            const uint32_t pixel = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
            memcpy(data + i / f->columns * stride + i % f->columns * 4, &pixel, sizeof pixel);
        }
        cairo_surface_mark_dirty(s);
        const double scale = fmin(CELL / f->columns, CELL / f->rows);
        cairo_save(cr);
        cairo_translate(cr, x + (CELL - scale * f->columns) / 2, y + (CELL - scale * f->rows) / 2);
        cairo_scale(cr, scale, scale);
        cairo_set_source_surface(cr, s, 0, 0);
        cairo_paint(cr);
        cairo_restore(cr);
    } else {
        ok = false;
    }
    free(rgb);
    object_close(o);
    cairo_surface_destroy(s);
    return ok;
}

static bool sheet_draw_cell(const struct inspect *in, uint32_t image, const struct sheet_cell *cell,
                            struct pen *pen, double x, double y, struct err *err)
{
    static const struct findings none;
    const struct image *img = &in->images.images[image];
    const struct place place = {.image = image, .slice = cell->slice, .point = cell->point};
    struct plane plane = {0};
    struct tile tile = {.plane = &plane};
    char name[128];
    const uint32_t frame = image_frame_at(img, cell->slice, cell->point);
    const bool colour = frame != IMAGE_NO_FRAME && in->frames[frame].colour;
    if (frame != IMAGE_NO_FRAME && !colour &&
        !plane_read_slice(&plane, &in->images, &none, &place, false, err))
        return false;
    if (!colour)
        tile_draw(pen, &none, &tile, x, y, CELL, CELL);
    else if (!sheet_draw_colours(in, &in->frames[frame], pen_cairo(pen), x, y, err))
        return false;
    plane_finish(&plane);
    image_place_name(&in->images, image, cell->slice, cell->point, name, sizeof name);
    pen_ink(pen, ink_white);
    pen_font(pen, FONT_REGULAR, 11);
    pen_line(pen, name, x + 2, y + CELL + CAPTION - 5, CELL - 4, CENTRE);
    return true;
}

static bool sheet_draw(const struct inspect *in, uint32_t image, cairo_surface_t *surface,
                       const struct sheet_cell *cells, uint32_t count, struct err *err)
{
    cairo_t *cr = cairo_create(surface);
    struct pen *pen = pen_create(cr, err);
    bool ok = pen != NULL;
    if (pen)
        pen_box(pen, 0, 0, cairo_image_surface_get_width(surface),
                cairo_image_surface_get_height(surface), ink_black);
    for (uint32_t n = 0; ok && n < count; n++)
        ok = sheet_draw_cell(in, image, &cells[n], pen, (CELL + GAP) * (n % COLUMNS),
                             (CELL + CAPTION) * floor((double)n / COLUMNS), err);
    pen_destroy(pen);
    cairo_destroy(cr);
    return ok;
}

bool inspect_sheet(const struct inspect *in, uint32_t image, const char *path, struct err *err)
{
    struct sheet_cell cells[CELLS_MAX];
    const uint32_t count = sheet_plan(&in->images.images[image], cells);
    const uint32_t columns = count < COLUMNS ? count : COLUMNS;
    const uint32_t rows = (count + COLUMNS - 1) / COLUMNS;
    cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, (int)(columns * (CELL + GAP) - GAP), (int)((CELL + CAPTION) * rows));
    bool ok = sheet_draw(in, image, surface, cells, count, err);
    if (ok) {
        const cairo_status_t status = cairo_surface_write_to_png(surface, path);
        ok = status == CAIRO_STATUS_SUCCESS ||
             err_set(err, status == CAIRO_STATUS_NO_MEMORY ? ERR_NOMEM : ERR_IO, "%s: %s", path,
                     cairo_status_to_string(status));
    }
    cairo_surface_destroy(surface);
    return ok;
}

// ---- NIfTI --------------------------------------------------------------------------------------

bool inspect_nifti(const struct inspect *in, uint32_t image, const char *path, struct err *err)
{
    const struct image *img = &in->images.images[image];
    const struct image_pixels *pixels = in->images.pixels;
    const size_t count = (size_t)img->dim[0] * img->dim[1];
    if (img->defect[0])
        return err_set(err, ERR_GEOMETRY, "no regular grid: %s", img->defect);
    if (img->missing)
        return err_set(err, ERR_GEOMETRY, "%" PRIu32 " frames are missing", img->missing);
    struct nifti *n = nifti_open(path, img, img->type == IMAGE_I16 ? NIFTI_I16 : NIFTI_F32, err);
    void *voxels = calloc(count, sizeof(float));
    bool ok = n && (voxels || err_set(err, ERR_NOMEM, "no memory for a slice"));
    for (size_t c = 0; ok && c < (size_t)img->dim[2] * img->dim[3]; c++)
        ok = pixels->read(pixels->ctx, &img->frame[c], 1, img->type, voxels, err) &&
             nifti_add(n, voxels, count, err);
    free(voxels);
    if (ok)
        return nifti_close(n, err);
    nifti_abort(n);
    return false;
}
