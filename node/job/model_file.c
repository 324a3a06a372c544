#include "node/job/model_file.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/near.h"
#include "base/uid.h"
#include "compute/net/net.h"
#include "conf/pattern.h"
#include "conf/tree.h"
#include "dimse/read/object.h"

enum { TEXT_LONGEST = 200, CONDITIONS_MAX = 32, SLOT_LAST = 99, WHY = 256 };

// One file as it is read. Below, a key that is missing where it is needed, or wrong, is reported
// once, and the rest is read on.
struct file {
    struct report *report;
    struct arena *arena;
    const struct tree *root;
    struct model *m;
    struct stage *s;
    struct stage_input_spec *input;
    const char *version;
};

static void say(struct file *f, const struct tree *at, const char *path, const char *text)
{
    if (at->kind != TREE_BROKEN)
        conf_report_add(f->report, at->line, at->column, path, "%s", text);
}

#define SAY(f, at, path, ...)                                                                      \
    do {                                                                                           \
        char say_text[512];                                                                        \
        snprintf(say_text, sizeof say_text, __VA_ARGS__);                                          \
        say(f, at, path, say_text);                                                                \
    } while (0)

// keys: those that are known, ended by NULL. False: t is no mapping.
static bool take_keys(struct file *f, const struct tree *t, const char *path,
                      const char *const *keys)
{
    if (t->kind != TREE_MAP) {
        SAY(f, t, path, "is %s, not keys and values", tree_kind_name(t));
        return false;
    }
    for (size_t i = 0; i + 1 < t->count; i += 2) {
        struct near near = {.word = t->items[i]->text};
        bool known = false;
        for (size_t k = 0; keys[k]; k++) {
            known = known || strcmp(keys[k], t->items[i]->text) == 0;
            near_try(&near, keys[k]);
        }
        if (!known)
            SAY(f, t->items[i], path, "unknown key \"%.64s\"%s%s%s", t->items[i]->text,
                near.best ? " (did you mean \"" : "", near.best ? near.best : "",
                near.best ? "\"?)" : "");
    }
    return true;
}

// The value of a key; NULL, reported where it is needed: missing.
static const struct tree *take(struct file *f, const struct tree *map, const char *key, bool needed)
{
    const struct tree *t = tree_get(map, key, NULL);
    if (t && !tree_is_empty(t))
        return t;
    if (needed || t)
        say(f, t ? t : map, key, "is missing");
    return NULL;
}

static const char *take_text(struct file *f, const struct tree *map, const char *key, bool needed,
                             const char *without)
{
    const struct tree *t = take(f, map, key, needed);
    if (!t)
        return without;
    if (t->kind != TREE_SCALAR || strlen(t->text) > TEXT_LONGEST) {
        SAY(f, t, key, t->kind == TREE_SCALAR ? "is longer than %d bytes" : "is no text",
            TEXT_LONGEST);
        return without;
    }
    const char *kept = arena_strdup(f->arena, t->text);
    return kept ? kept : without;
}

// least to most, or without and reported.
static double number_of(struct file *f, const struct tree *t, const char *path, double least,
                        double most, double without)
{
    char *end = NULL;
    const double value = t->kind == TREE_SCALAR ? strtod(t->text, &end) : NAN;
    if (t->kind != TREE_SCALAR || end == t->text || *end || !isfinite(value))
        SAY(f, t, path, "\"%.40s\" is no number", t->kind == TREE_SCALAR ? t->text : "");
    else if (value < least || value > most)
        SAY(f, t, path, "%.40s is outside %g to %g", t->text, least, most);
    else
        return value;
    return without;
}

static double take_number(struct file *f, const struct tree *map, const char *key, bool needed,
                          double least, double most, double without)
{
    const struct tree *t = take(f, map, key, needed);
    return t ? number_of(f, t, key, least, most, without) : without;
}

static uint32_t whole_of(struct file *f, const struct tree *t, const char *path, double least,
                         double most)
{
    const double value = number_of(f, t, path, least, most, least);
    if (value != floor(value))
        SAY(f, t, path, "%g is no whole number", value);
    return (uint32_t)value;
}

// A list of so many entries, or NULL, reported.
static const struct tree *list_of(struct file *f, const struct tree *t, const char *path,
                                  size_t count)
{
    if (t->kind == TREE_LIST && t->count == count)
        return t;
    SAY(f, t, path, "is no list of %zu", count);
    return NULL;
}

static const struct tree *take_list(struct file *f, const struct tree *map, const char *key,
                                    size_t count, bool needed)
{
    const struct tree *t = take(f, map, key, needed);
    return t ? list_of(f, t, key, count) : NULL;
}

// One of words, ended by NULL; its index, or 0, reported.
static unsigned take_word(struct file *f, const struct tree *map, const char *key, bool needed,
                          const char *const *words)
{
    const char *text = take_text(f, map, key, needed, NULL);
    char known[200] = "";
    for (unsigned i = 0; text && words[i]; i++) {
        if (strcmp(words[i], text) == 0)
            return i;
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", words[i]);
    }
    if (text)
        SAY(f, tree_get(map, key, NULL), key, "\"%.40s\" is none of %s", text, known);
    return 0;
}

// ---- The image ----------------------------------------------------------------------------------

static void read_condition(struct file *f, const struct tree *key, const struct tree *value,
                           struct stage_accept *out)
{
    char why[WHY] = "";
    if (!object_keyword_known(key->text)) {
        const char *near = object_keyword_near(key->text);
        SAY(f, key, "input.when", "no DICOM attribute \"%.64s\"%s%s%s", key->text,
            near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
        return;
    }
    if (value->kind != TREE_SCALAR) {
        SAY(f, value, "input.when", "%.64s: is no pattern", key->text);
        return;
    }
    struct pattern *p = pattern_compile(value->text, why, sizeof why);
    if (!p)
        SAY(f, value, "input.when", "%.64s: %s", key->text, why);
    pattern_destroy(p);
    out->keyword = arena_strdup(f->arena, key->text);
    out->pattern = arena_strdup(f->arena, value->text);
}

static void read_when(struct file *f, const struct tree *when)
{
    struct stage_accept *accepts = arena_alloc(f->arena, CONDITIONS_MAX + 1, sizeof *accepts);
    if (!when || !accepts)
        return;
    if (when->kind != TREE_MAP || when->count > 2 * CONDITIONS_MAX) {
        SAY(f, when, "input.when", "is no mapping of at most %d attributes to patterns",
            CONDITIONS_MAX);
        return;
    }
    if (!tree_get(when, "Modality", NULL))
        say(f, when, "input.when", "Modality is missing: a network knows one kind of image");
    size_t count = 0;
    for (size_t i = 0; i + 1 < when->count; i += 2) {
        read_condition(f, when->items[i], when->items[i + 1], &accepts[count]);
        count += accepts[count].pattern != NULL;
    }
    f->input->accepts = accepts;
}

static void read_input(struct file *f)
{
    static const char *const keys[] = {"help", "when", "coarsest_mm", "extent_mm", NULL};
    const struct tree *t = take(f, f->root, "input", true);
    if (!t || !take_keys(f, t, "input", keys))
        return;
    f->input->help = take_text(f, t, "help", true, "");
    read_when(f, take(f, t, "when", true));
    f->m->coarsest_mm = take_number(f, t, "coarsest_mm", false, 0.1, 50, 0);
    f->m->extent_mm = take_number(f, t, "extent_mm", false, 1, 2000, 0);
}

// ---- The grid and the values --------------------------------------------------------------------

// Three letters of R or L, A or P, I or S (H and F are taken for S and I), an axis each.
static void read_axes(struct file *f)
{
    static const char letters[] = "LRPASIHF";
    const char *text = take_text(f, f->root, "axes", true, NULL);
    unsigned seen = 0;
    if (!text)
        return;
    for (size_t n = 0; n < 3 && text[n]; n++) {
        const char *at = strchr(letters, text[n]);
        const size_t index = at ? (size_t)(at - letters) : 0;
        seen |= at ? 1u << (index < 6 ? index / 2 : 2) : 8u;
        f->m->axes[n] = at ? "LRPASISI"[index] : 0;
    }
    if (seen != 7 || strlen(text) != 3)
        SAY(f, tree_get(f->root, "axes", NULL), "axes",
            "\"%.40s\" is no orientation: three letters, one each of L or R, A or P, S or I", text);
}

static void read_grid(struct file *f)
{
    read_axes(f);
    const struct tree *spacing = take_list(f, f->root, "spacing_mm", 3, true);
    const struct tree *size = take_list(f, f->root, "size", 3, false);
    const struct tree *window = take_list(f, f->root, "window", 3, false);
    uint64_t voxels = 1;
    for (size_t n = 0; n < 3; n++) {
        f->m->spacing_mm[n] =
            spacing ? number_of(f, spacing->items[n], "spacing_mm", 0.1, 20, 1) : 1;
        f->m->dim[n] = size ? whole_of(f, size->items[n], "size", 1, MODEL_AXIS_MAX) : 0;
        f->m->window[n] = window ? whole_of(f, window->items[n], "window", 1, MODEL_AXIS_MAX) : 0;
        voxels *= f->m->dim[n];
    }
    if (size && voxels > MODEL_VOXELS_MAX)
        SAY(f, size, "size", "%llu voxels are too many (limit %d)", (unsigned long long)voxels,
            MODEL_VOXELS_MAX);
}

static void read_scale(struct file *f)
{
    static const char *const keys[] = {"method", "low", "high", "mean", "sd", "clip", NULL};
    static const char *const methods[] = {
        [MODEL_RAW] = "none",      [MODEL_MINMAX] = "minmax", [MODEL_QUANTILE] = "quantile",
        [MODEL_ZSCORE] = "zscore", [MODEL_CT] = "ct",         NULL};
    static const char *const truths[] = {"false", "true", NULL};
    const struct tree *t = take(f, f->root, "scale", true);
    if (!t || !take_keys(f, t, "scale", keys))
        return;
    struct model *m = f->m;
    m->scaling = (enum model_scaling)take_word(f, t, "method", true, methods);
    const bool quantile = m->scaling == MODEL_QUANTILE, ct = m->scaling == MODEL_CT;
    const double least = quantile ? 0 : -32768, most = quantile ? 1 : 32767;
    if (quantile || ct) {
        m->low = take_number(f, t, "low", true, least, most, least);
        m->high = take_number(f, t, "high", true, least, most, most);
        if (!(m->low < m->high))
            SAY(f, t, "scale", "low %g is not below high %g", m->low, m->high);
    }
    if (ct) {
        m->mean = take_number(f, t, "mean", true, -32768, 32767, 0);
        m->sd = take_number(f, t, "sd", true, 1e-6, 1e6, 1);
    }
    m->clip = take_word(f, t, "clip", false, truths) == 1;
}

// ---- The labels ---------------------------------------------------------------------------------

// [value, scheme, meaning]
static struct code code_of(struct file *f, const struct tree *t, const char *path)
{
    struct code none = {0};
    const struct tree *list = list_of(f, t, path, 3);
    const char *parts[3] = {NULL};
    for (size_t n = 0; list && n < 3; n++) {
        const struct tree *part = list->items[n];
        // Code Value and Coding Scheme Designator are SH (16), Code Meaning is LO (64)
        const size_t longest = n < 2 ? 16 : 64;
        if (part->kind != TREE_SCALAR || !*part->text || strlen(part->text) > longest ||
            strchr(part->text, '\\')) {
            SAY(f, part, path, "is no text of at most %zu bytes without \\", longest);
            return none;
        }
        parts[n] = arena_strdup(f->arena, part->text);
    }
    return list ? (struct code){parts[0], parts[1], parts[2]} : none;
}

static struct code take_code(struct file *f, const struct tree *map, const char *key, bool needed,
                             struct code without)
{
    const struct tree *t = take(f, map, key, needed);
    return t ? code_of(f, t, key) : without;
}

static void read_label_volume(struct file *f, const struct tree *t, struct model_label *l)
{
    const struct tree *range = take_list(f, t, "volume_ml", 2, false);
    if (!range)
        return;
    l->least_ml = number_of(f, range->items[0], "volume_ml", 0, 1e6, 0);
    l->most_ml = number_of(f, range->items[1], "volume_ml", 0, 1e6, 1e6);
    if (!(l->least_ml < l->most_ml))
        SAY(f, range, "volume_ml", "%g is not below %g", l->least_ml, l->most_ml);
}

static void read_label(struct file *f, const struct tree *t, struct model_label *l)
{
    static const char *const keys[] = {"class",  "name",       "type",      "category",
                                       "colour", "laterality", "volume_ml", NULL};
    static const char *const sides[] = {"none", "left", "right", "both", NULL};
    static const struct code lateralities[] = {{0},
                                               {"7771000", "SCT", "Left"},
                                               {"24028007", "SCT", "Right"},
                                               {"51440002", "SCT", "Right and left"}};
    const struct code anatomical = {"123037004", "SCT", "Anatomical Structure"};
    *l = (struct model_label){.name = ""};
    if (!take_keys(f, t, "labels", keys))
        return;
    const struct tree *class = take(f, t, "class", true);
    l->index = class ? whole_of(f, class, "class", 1, MODEL_LABELS_MAX) : 1;
    l->name = take_text(f, t, "name", true, "");
    if (strlen(l->name) > 64) // Segment Label is LO
        SAY(f, t, "name", "\"%.40s...\" is longer than 64 bytes", l->name);
    l->type = take_code(f, t, "type", true, anatomical);
    l->category = take_code(f, t, "category", false, anatomical);
    l->laterality = lateralities[take_word(f, t, "laterality", false, sides)];
    const struct tree *colour = take_list(f, t, "colour", 3, true);
    for (size_t n = 0; colour && n < 3; n++)
        l->rgb[n] = (uint8_t)whole_of(f, colour->items[n], "colour", 0, 255);
    read_label_volume(f, t, l);
}

static void check_label_is_new(struct file *f, const struct tree *t, uint32_t n)
{
    const struct model_label *l = &f->m->labels[n];
    for (uint32_t i = 0; i < n; i++) {
        if (f->m->labels[i].index == l->index)
            SAY(f, t, "class", "%u is already that of \"%s\"", l->index, f->m->labels[i].name);
        if (strcmp(f->m->labels[i].name, l->name) == 0)
            SAY(f, t, "name", "\"%s\" is there twice", l->name);
    }
}

static void read_labels(struct file *f)
{
    const struct tree *t = take(f, f->root, "labels", true);
    struct model *m = f->m;
    if (!t)
        return;
    if (t->kind != TREE_LIST || t->count < 1 || t->count > MODEL_LABELS_MAX) {
        SAY(f, t, "labels", "is no list of 1 to %d labels", MODEL_LABELS_MAX);
        return;
    }
    m->labels = arena_alloc(f->arena, t->count, sizeof *m->labels);
    for (size_t n = 0; m->labels && n < t->count; n++) {
        read_label(f, t->items[n], &m->labels[n]);
        check_label_is_new(f, t->items[n], (uint32_t)n);
        m->label_count++;
    }
}

static const char *label_named(struct file *f, const struct tree *t)
{
    for (uint32_t n = 0; t->kind == TREE_SCALAR && n < f->m->label_count; n++) {
        if (strcmp(f->m->labels[n].name, t->text) == 0)
            return f->m->labels[n].name;
    }
    SAY(f, t, "brighter", "\"%.64s\" is no label", t->kind == TREE_SCALAR ? t->text : "");
    return NULL;
}

static void read_contrast(struct file *f)
{
    const struct tree *t = take_list(f, f->root, "brighter", 2, false);
    if (t) {
        f->m->brighter = label_named(f, t->items[0]);
        f->m->darker = label_named(f, t->items[1]);
    }
}

// ---- The network --------------------------------------------------------------------------------

// A name that stays in its folder.
static bool is_plain_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-";
    return *name && *name != '.' && strspn(name, letters) == strlen(name) && strlen(name) <= 128;
}

// Of an ONNX file: what it takes at a time is known, and it can run on that.
static void check_window(struct file *f, const struct tree *at, const struct net *n)
{
    const struct net_shape shape = net_shape(n);
    const struct model *m = f->m;
    uint32_t window[3];
    for (size_t a = 0; a < 3; a++) {
        const uint32_t asked = m->window[2 - a] ? m->window[2 - a] : m->dim[2 - a];
        window[a] = shape.window[a] ? shape.window[a] : asked;
        if (shape.window[a] && m->window[2 - a] && shape.window[a] != m->window[2 - a])
            SAY(f, at, "network", "takes %u voxels along its axis %zu, and window says %u",
                shape.window[a], 3 - a, m->window[2 - a]);
        if (!window[a]) {
            SAY(f, at, "network",
                "leaves its axis %zu open: window or size must say how long it is", 3 - a);
            return;
        }
    }
    if (net_memory(n, window, true) == UINT64_MAX)
        SAY(f, at, "network", "cannot run on %u x %u x %u voxels", window[2], window[1], window[0]);
}

static void check_shape(struct file *f, const struct tree *at, const struct net *n)
{
    const struct net_shape shape = net_shape(n);
    const struct model *m = f->m;
    if (shape.channels != 1)
        SAY(f, at, "network", "takes %u images together, not one", shape.channels);
    for (size_t a = 0; a < 3; a++) {
        if (shape.dim[a] && shape.dim[a] != m->dim[2 - a])
            SAY(f, at, "network", "takes %u voxels along its axis %zu, and size says %u",
                shape.dim[a], 3 - a, m->dim[2 - a]);
    }
    if (shape.windowed)
        check_window(f, at, n);
    else if (m->window[0])
        say(f, at, "network", "window is of ONNX files only");
    for (uint32_t i = 0; i < m->label_count; i++) {
        if (m->labels[i].index >= shape.classes)
            SAY(f, at, "network", "gives the classes 0 to %u, and label \"%s\" is class %u",
                shape.classes - 1, m->labels[i].name, m->labels[i].index);
    }
}

static void read_network(struct file *f)
{
    const char *name = take_text(f, f->root, "network", true, NULL);
    const struct tree *at = tree_get(f->root, "network", NULL);
    char path[PATH_MAX];
    struct err err = {0};
    if (!name)
        return;
    if (!is_plain_name(name)) {
        SAY(f, at, "network", "\"%.80s\" is no plain name of a file in this folder", name);
        return;
    }
    f->m->network = name;
    if (snprintf(path, sizeof path, "%s/%s", f->m->folder, name) >= (int)sizeof path) {
        say(f, at, "network", "its path is too long");
        return;
    }
    struct net *n = net_load(path, &err);
    if (!n) {
        SAY(f, at, "network", "%s", err.text);
        return;
    }
    check_shape(f, at, n);
    snprintf(f->m->digest, sizeof f->m->digest, "%s", net_digest(n));
    net_destroy(n);
}

// Of what is done with a network: another one where the same folder and image may give another
// answer.
static const char method_version[] = "2";

// The site's version and what makes results differ besides: the same folder, the same version.
static void make_version(struct file *f, const char *text, size_t len)
{
    uint8_t sum[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    struct digest *d = digest_create();
    if (!d) {
        f->report->no_memory = true;
        return;
    }
    digest_add(d, text, len);
    digest_add_text(d, f->m->digest);
    digest_add_text(d, method_version);
    digest_end(d, sum);
    digest_destroy(d);
    digest_hex(sum, hex);
    f->s->version = arena_printf(f->arena, "%s-%.12s", f->version, hex);
}

// ---- All of it ----------------------------------------------------------------------------------

static bool is_stage_name(const char *name)
{
    return *name >= 'a' && *name <= 'z' && strlen(name) <= 32 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static void check_stage_is_new(struct file *f)
{
    const struct tree *name = tree_get(f->root, "name", NULL),
                      *slot = tree_get(f->root, "slot", NULL);
    if (name && *f->s->name && !is_stage_name(f->s->name))
        SAY(f, name, "name",
            "\"%.40s\" is no name of an analysis: small letters, digits and -, at most 32",
            f->s->name);
    for (size_t i = 0; stage_at(i); i++) {
        if (name && strcmp(stage_at(i)->name, f->s->name) == 0)
            SAY(f, name, "name", "there is an analysis \"%s\" already", f->s->name);
        if (slot && stage_at(i)->slot == f->s->slot)
            SAY(f, slot, "slot", "%u is already that of %s", f->s->slot, stage_at(i)->name);
    }
}

static void read_stage(struct file *f)
{
    static const char *const keeps[] = {"all", "largest", NULL};
    struct stage *s = f->s;
    s->name = take_text(f, f->root, "name", true, "");
    s->title = take_text(f, f->root, "title", true, "");
    s->help = take_text(f, f->root, "help", true, "");
    f->version = take_text(f, f->root, "version", true, "");
    if (strlen(f->version) > 32)
        SAY(f, tree_get(f->root, "version", NULL), "version", "is longer than 32 bytes");
    f->m->licence = take_text(f, f->root, "licence", true, "");
    f->m->source = take_text(f, f->root, "source", true, "");
    const struct tree *slot = take(f, f->root, "slot", true);
    s->slot = slot ? whole_of(f, slot, "slot", MODEL_SLOT_FIRST, SLOT_LAST) : 0;
    f->m->caution = take_text(f, f->root, "caution", false, "");
    f->m->largest = take_word(f, f->root, "keep", false, keeps) == 1;
    f->m->procedure = take_code(f, f->root, "procedure", false, (struct code){0});
    check_stage_is_new(f);
}

static void read_file(struct file *f, const char *text, size_t len)
{
    static const char *const keys[] = {"name",       "title",    "help",      "version", "licence",
                                       "source",     "slot",     "network",   "input",   "axes",
                                       "spacing_mm", "size",     "window",    "scale",   "keep",
                                       "labels",     "brighter", "procedure", "caution", NULL};
    if (!take_keys(f, f->root, "", keys))
        return;
    read_stage(f);
    read_input(f);
    read_grid(f);
    read_scale(f);
    read_labels(f);
    read_contrast(f);
    if (f->report->count == 0) // a description that is wrong says nothing about a network
        read_network(f);
    make_version(f, text, len);
}

struct stage *model_file_read(const char *folder, const char *text, size_t len,
                              struct report *report)
{
    struct file f = {.report = report, .arena = report->arena};
    struct arena *of_tree = arena_create();
    f.m = arena_alloc(f.arena, 1, sizeof *f.m);
    f.s = arena_alloc(f.arena, 1, sizeof *f.s);
    f.input = arena_alloc(f.arena, 1, sizeof *f.input);
    if (!of_tree || !f.m || !f.s || !f.input) {
        report->no_memory = true;
        arena_destroy(of_tree);
        return NULL;
    }
    *f.input = (struct stage_input_spec){.name = "image", .count = INPUT_ONE, .placed = true};
    *f.s = (struct stage){.scope = SCOPE_SERIES,
                          .inputs = f.input,
                          .input_count = 1,
                          .results = RESULT_SR | RESULT_SC | RESULT_SEG | RESULT_PDF,
                          .report = REPORT_MEASUREMENTS,
                          .kernels = model_kernels,
                          .data = f.m,
                          .run = model_run};
    f.m->folder = arena_strdup(f.arena, folder);
    f.root = tree_parse(text, len, of_tree, report);
    if (f.root)
        read_file(&f, text, len);
    arena_destroy(of_tree);
    return f.root && report->count == 0 && !report->no_memory && f.s->version ? f.s : NULL;
}
