#include "node/job/report.h"
#include <cairo.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fs.h"
#include "node/job/json.h"
#include "node/job/nifti.h"

struct report {
    json_t *root;
};

// The number as the SR has it: with the digits that are meant.
static double report_number(const struct measurement *m)
{
    char text[400];
    snprintf(text, sizeof text, "%.*f", m->decimals, m->value);
    return strtod(text, NULL);
}

static void report_put_code(json_t *object, const char *key, const struct code *c, bool *ok)
{
    if (!c->value)
        return;
    json_t *pair = json_array();
    json_add(pair, json_text(c->value), ok);
    json_add(pair, json_text(c->scheme), ok);
    json_put(object, key, pair, ok);
}

static json_t *report_measurement(const struct finding_group *g, const struct measurement *m,
                                  bool *ok)
{
    int region = m->region >= 0 ? m->region : g->region;
    json_t *o = json_object();
    json_put_text(o, "name", m->concept.meaning, ok);
    report_put_code(o, "code", &m->concept, ok);
    report_put_code(o, "method", &m->method, ok);
    report_put_code(o, "derivation", &m->derivation, ok);
    report_put_code(o, "phase", &m->phase, ok);
    json_put_number(o, "value", report_number(m), ok);
    json_put_text(o, "unit", m->unit.value ? m->unit.value : "1", ok);
    if (m->ranged) {
        json_put_number(o, "low", m->low, ok);
        json_put_number(o, "high", m->high, ok);
        json_put_text(o, "range_reason", m->range_why ? m->range_why : "", ok);
    }
    json_put_text(o, "group", g->label ? g->label : "", ok);
    if (g->probability == g->probability)
        json_put_number(o, "probability", g->probability, ok);
    report_put_code(o, "site", &g->site, ok);
    if (g->site.value)
        json_put_text(o, "site_name", g->site.meaning, ok);
    if (region >= 0)
        json_put_integer(o, "region", region, ok);
    return o;
}

static json_t *report_exclusion(const struct exclusion *e, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "what", e->what ? e->what : "", ok);
    json_put_text(o, "reason", e->reason ? e->reason : "", ok);
    if (e->has_place) {
        json_put_integer(o, "image", e->place.image, ok);
        json_put_integer(o, "slice", e->place.slice, ok);
        json_put_integer(o, "point", e->place.point, ok);
    }
    if (e->value.concept.value) {
        json_put_text(o, "name", e->value.concept.meaning, ok);
        report_put_code(o, "code", &e->value.concept, ok);
        json_put_number(o, "value", report_number(&e->value), ok);
        json_put_text(o, "unit", e->value.unit.value ? e->value.unit.value : "1", ok);
    }
    return o;
}

static json_t *report_comparison(const struct comparison *c, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "with", c->with.sop_instance_uid, ok);
    json_put_text(o, "study", c->with.study_instance_uid, ok);
    json_put_text(o, "text", c->text ? c->text : "", ok);
    return o;
}

static json_t *report_evaluation(const struct evaluation *e, const char *group, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "name", e->concept.meaning, ok);
    report_put_code(o, "code", &e->concept, ok);
    report_put_code(o, "value_code", &e->value, ok);
    json_put_text(o, "value", e->value.value ? e->value.meaning : e->text, ok);
    if (group)
        json_put_text(o, "group", group, ok);
    return o;
}

static void report_add_findings(json_t *o, const struct findings *f, bool *ok)
{
    json_t *measurements = json_array(), *evaluations = json_array(), *parameters = json_object();
    for (uint32_t i = 0; i < f->evaluation_count; i++)
        json_add(evaluations, report_evaluation(&f->evaluations[i], NULL, ok), ok);
    for (uint32_t i = 0; i < f->group_count; i++) {
        const struct finding_group *g = &f->groups[i];
        for (uint32_t m = 0; m < g->measurement_count; m++)
            json_add(measurements, report_measurement(g, &g->measurements[m], ok), ok);
        for (uint32_t e = 0; e < g->evaluation_count; e++)
            json_add(evaluations, report_evaluation(&g->evaluations[e], g->label, ok), ok);
    }
    for (uint32_t i = 0; i < f->parameter_count; i++)
        json_put_text(parameters, f->parameters[i].name, f->parameters[i].value, ok);
    json_put(o, "measurements", measurements, ok);
    json_put(o, "evaluations", evaluations, ok);
    json_put(o, "parameters", parameters, ok);
    json_t *exclusions = json_array();
    for (uint32_t i = 0; i < f->exclusion_count; i++)
        json_add(exclusions, report_exclusion(&f->exclusions[i], ok), ok);
    json_put(o, "exclusions", exclusions, ok);
    json_t *comparisons = json_array();
    for (uint32_t i = 0; i < f->comparison_count; i++)
        json_add(comparisons, report_comparison(&f->comparisons[i], ok), ok);
    json_put(o, "comparisons", comparisons, ok);
}

static void report_put_told_code(json_t *o, const char *key, const struct told_code *c, bool *ok)
{
    const struct code code = {*c->value ? c->value : NULL, c->scheme, c->meaning};
    report_put_code(o, key, &code, ok);
}

static json_t *report_told_number(const struct told_number *n, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "group", n->group, ok);
    json_put_bool(o, "part", n->part, ok);
    json_put_text(o, "name", n->concept.meaning, ok);
    report_put_told_code(o, "code", &n->concept, ok);
    report_put_told_code(o, "method", &n->method, ok);
    report_put_told_code(o, "derivation", &n->derivation, ok);
    report_put_told_code(o, "phase", &n->phase, ok);
    json_put_number(o, "value", n->value, ok);
    json_put_text(o, "unit", n->unit.value, ok);
    if (n->ranged) {
        json_put_number(o, "low", n->low, ok);
        json_put_number(o, "high", n->high, ok);
        json_put_text(o, "range_reason", n->range_why, ok);
    }
    return o;
}

static json_t *report_texts(const char *const *texts, size_t count, bool *ok)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_add(list, json_text(texts[i]), ok);
    return list;
}

// A report that an analysis of reports has read, whole.
static json_t *report_told(const struct told *t, bool *ok)
{
    static const enum verdict verdicts[PRIOR_ENDS] = {VERDICT_DONE, VERDICT_NOTHING_FOUND,
                                                      VERDICT_NOT_EVALUABLE, VERDICT_FAILED};
    json_t *o = json_object(), *numbers = json_array(), *lines = json_array();
    json_put_text(o, "report", t->result.id.sop_instance_uid, ok);
    json_put_text(o, "replaces", t->result.replaces, ok);
    json_put_text(o, "stage", t->result.stage, ok);
    json_put_text(o, "version", t->result.version, ok);
    json_put_text(o, "verdict",
                  t->result.end < PRIOR_ENDS ? verdict_name(verdicts[t->result.end]) : "unknown",
                  ok);
    json_put_text(o, "reason", t->why, ok);
    json_put_text(o, "headline", t->result.headline, ok);
    json_put(o, "series", report_texts(t->series, t->series_count, ok), ok);
    for (size_t i = 0; i < t->number_count; i++)
        json_add(numbers, report_told_number(&t->numbers[i], ok), ok);
    for (size_t i = 0; i < t->line_count; i++) {
        json_t *line = json_object();
        json_put_text(line, "name", t->lines[i].concept.meaning, ok);
        report_put_told_code(line, "code", &t->lines[i].concept, ok);
        json_put_text(line, "value", t->lines[i].text, ok);
        json_put_text(line, "group", t->lines[i].group, ok);
        json_add(lines, line, ok);
    }
    json_put(o, "measurements", numbers, ok);
    json_put(o, "evaluations", lines, ok);
    json_put(o, "exclusions", report_texts(t->exclusions, t->exclusion_count, ok), ok);
    json_put(o, "comparisons", report_texts(t->earlier, t->earlier_count, ok), ok);
    json_put_bool(o, "cut", t->cut || t->number_count < t->number_total, ok);
    return o;
}

// Label maps first, then value maps. False: there are no more.
static bool report_nifti_name(const struct stage *stage, const struct findings *f, size_t index,
                              char *name, size_t size)
{
    if (index >= (size_t)f->label_count + f->map_count)
        return false;
    if (index >= f->label_count)
        snprintf(name, size, "%s-%s.nii", stage->name, f->maps[index - f->label_count].name);
    else if (f->label_count == 1)
        snprintf(name, size, "%s-regions.nii", stage->name);
    else
        snprintf(name, size, "%s-regions-%zu.nii", stage->name, index + 1);
    return true;
}

bool report_niftis(const char *folder, const struct stage *stage,
                   const struct analysis_report *analysis, struct err *err)
{
    const struct findings *f = analysis->findings;
    char name[128], path[PATH_MAX];
    for (size_t i = 0; report_nifti_name(stage, f, i, name, sizeof name); i++) {
        const bool map = i >= f->label_count;
        const uint32_t image = map ? f->maps[i - f->label_count].image : f->labels[i].image;
        if (!fs_join(path, folder, name, err) ||
            !nifti_write(path, &analysis->images.images[image], map ? NIFTI_F32 : NIFTI_U16,
                         map ? (const void *)f->maps[i - f->label_count].values
                             : (const void *)f->labels[i].labels,
                         err))
            return false;
    }
    return true;
}

static const char *report_file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void report_add_files(json_t *o, const struct stage *stage,
                             const struct analysis_report *analysis, const char *prefix, bool nifti,
                             bool *ok)
{
    json_t *objects = json_array(), *pictures = json_array(), *maps = json_array();
    const struct findings *f = analysis->findings;
    char name[128];
    for (size_t i = 0; i < analysis->objects.count; i++)
        json_add(objects,
                 json_sprintf("%s%s", prefix, report_file_name(analysis->objects.objects[i].path)),
                 ok);
    for (uint32_t i = 0; i < f->picture_count; i++)
        json_add(pictures, json_sprintf("%s%s-%s.png", prefix, stage->name, f->pictures[i].name),
                 ok);
    for (size_t i = 0; nifti && report_nifti_name(stage, f, i, name, sizeof name); i++)
        json_add(maps, json_sprintf("%s%s", prefix, name), ok);
    json_put(o, "objects", objects, ok);
    json_put(o, "pictures", pictures, ok);
    json_put(o, "nifti", maps, ok);
}

struct report *report_create(const char *device)
{
    struct report *r = calloc(1, sizeof *r);
    bool ok = r != NULL;
    if (!r)
        return NULL;
    r->root = json_object();
    json_put_text(r->root, "schema", "anode.report/1", &ok);
    json_put_text(r->root, "anode", ANODE_VERSION, &ok);
    json_put_text(r->root, "device", device, &ok);
    json_put(r->root, "results", json_array(), &ok);
    if (ok)
        return r;
    report_destroy(r);
    return NULL;
}

bool report_add(struct report *r, const struct stage *stage, const struct analysis_report *analysis,
                const char *prefix, bool nifti, struct err *err)
{
    const struct findings *f = analysis->findings;
    bool ok = true;
    json_t *o = json_object(), *series = json_array();
    json_put_text(o, "stage", stage->name, &ok);
    json_put_text(o, "version", stage->version, &ok);
    json_put_text(o, "verdict", verdict_name(f->verdict), &ok);
    json_put_text(o, "reason", f->reason, &ok);
    json_put_text(o, "study", analysis->study_instance_uid, &ok);
    for (size_t i = 0; i < analysis->series_count; i++)
        json_add(series, json_text(analysis->series[i].series_instance_uid), &ok);
    json_put(o, "series", series, &ok);
    json_put_number(o, "seconds", analysis->seconds, &ok);
    json_put_integer(o, "peak_bytes", (int64_t)analysis->host_peak_bytes, &ok);
    json_put_integer(o, "device_peak_bytes", (int64_t)analysis->device_peak_bytes, &ok);
    report_add_files(o, stage, analysis, prefix, nifti, &ok);
    report_add_findings(o, f, &ok);
    if (analysis->told) {
        json_t *reports = json_array();
        for (size_t i = 0; i < analysis->told_count; i++)
            json_add(reports, report_told(&analysis->told[i], &ok), &ok);
        json_put(o, "reports", reports, &ok);
    }
    json_add(json_object_get(r->root, "results"), o, &ok);
    return ok || err_set(err, ERR_NOMEM, "no memory for the report");
}

static char *report_text(const struct report *r, struct err *err)
{
    char *text = json_dumps(r->root, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    if (!text)
        err_set(err, ERR_NOMEM, "no memory for the report");
    return text;
}

bool report_write(const struct report *r, const char *path, struct err *err)
{
    char *text = report_text(r, err);
    bool ok = text && fs_write_file(path, text, strlen(text), err);
    free(text);
    return ok;
}

bool report_print(const struct report *r, FILE *out, struct err *err)
{
    char *text = report_text(r, err);
    bool ok = text && (fprintf(out, "%s\n", text) > 0 || err_set(err, ERR_IO, "cannot write"));
    free(text);
    return ok;
}

void report_destroy(struct report *r)
{
    if (!r)
        return;
    json_decref(r->root);
    free(r);
}

static bool report_write_png(const char *path, const struct picture *p, struct err *err)
{
    if (p->width > INT_MAX || p->height > INT_MAX)
        return err_set(err, ERR_INTERNAL, "picture %s is too large", p->name);
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)p->width, (int)p->height);
    cairo_status_t status = cairo_surface_status(surface);
    if (status == CAIRO_STATUS_SUCCESS) {
        unsigned char *pixels = cairo_image_surface_get_data(surface);
        size_t stride = (size_t)cairo_image_surface_get_stride(surface);
        for (uint32_t y = 0; y < p->height; y++) {
            uint32_t *row = (uint32_t *)(void *)(pixels + y * stride);
            const uint8_t *rgb = p->rgb + (size_t)y * p->width * 3;
            for (uint32_t x = 0; x < p->width; x++, rgb += 3)
                row[x] = (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
        }
        cairo_surface_mark_dirty(surface);
        status = cairo_surface_write_to_png(surface, path);
    }
    cairo_surface_destroy(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        return true;
    return err_set(err, status == CAIRO_STATUS_NO_MEMORY ? ERR_NOMEM : ERR_IO, "%s: %s", path,
                   cairo_status_to_string(status));
}

bool report_spoken(const char *folder, const struct stage *stage, const struct findings *findings,
                   struct err *err)
{
    char name[128], path[PATH_MAX], *text = NULL;
    size_t size = 0;
    if (stage->report != REPORT_BASIC_TEXT)
        return true;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return err_set(err, ERR_NOMEM, "no memory for a text");
    fputs("NOT FOR DIAGNOSTIC USE\n", out);
    if (*findings->reason)
        fprintf(out, "\n%s: %s\n", verdict_name(findings->verdict), findings->reason);
    for (uint32_t i = 0; i < findings->evaluation_count; i++) {
        const struct evaluation *e = &findings->evaluations[i];
        if (e->text)
            fprintf(out, "\n%s: %s\n", e->concept.meaning, e->text);
    }
    snprintf(name, sizeof name, "%s.txt", stage->name);
    bool ok = (fclose(out) == 0 || err_set(err, ERR_NOMEM, "no memory for a text")) &&
              fs_join(path, folder, name, err) && fs_write_file(path, text, size, err);
    free(text);
    return ok;
}

bool report_pictures(const char *folder, const struct stage *stage, const struct findings *findings,
                     struct err *err)
{
    for (uint32_t i = 0; i < findings->picture_count; i++) {
        char name[128], path[PATH_MAX];
        snprintf(name, sizeof name, "%s-%s.png", stage->name, findings->pictures[i].name);
        if (!fs_join(path, folder, name, err) ||
            !report_write_png(path, &findings->pictures[i], err))
            return false;
    }
    return true;
}
