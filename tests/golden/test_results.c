// Findings built by hand to DICOM files, judged by other toolkits: results_peer.py runs the
// validators and compares what pydicom reads with expected.json, which is written here from the
// same tables as the findings.
// Sanitized: results_of_a_plain_source results_of_an_enhanced_multi_frame_source
// Sanitized: results_several_pictures_are_one_multi_frame results_errors_leave_no_file
// Sanitized: results_write_errors_leave_no_file results_into_no_folder_is_an_io_error
// Sanitized: results_failed_because_the_first_source_is_truncated
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dimse/read/object.h"
#include "dimse/write/results.h"
#include "base/fs.h"
#include "base/uid.h"
#include "tests/check.h"

#define MAX_FRAMES  512
#define DEVICE_UID  "2.25.42424242424242424242"
#define PEER        "tests/golden/results_peer.py"
#define STARTED     1700000000 // 2023-11-14 22:13:20 UTC
#define STARTED_JST "20231115071320"

// --- sources ---

#define MAX_IMAGES 4

struct world {
    char manifest[PATH_MAX];
    struct image_set set;
    struct image images[MAX_IMAGES]; // one a series
    struct image_frame frames[MAX_FRAMES];
    struct result_source sources[MAX_FRAMES];
    uint32_t order[MAX_FRAMES]; // of all images, one after another
    char paths[MAX_FRAMES][256];
    size_t source_count;
};

// The next word of a line of the manifest.
static const char *next_word(char **rest)
{
    const char *word = strtok_r(NULL, " \n", rest);
    CU_ASSERT_FATAL(word != NULL);
    return word;
}

static double next_number(char **rest)
{
    char *end = NULL;
    const char *text = next_word(rest);
    double value = strtod(text, &end);
    CU_ASSERT_FATAL(end != text && *end == 0);
    return value;
}

static void copy_word(char *out, size_t size, char **rest)
{
    CU_ASSERT_FATAL((size_t)snprintf(out, size, "%s", next_word(rest)) < size);
}

// The source of a frame, which is new or one that had a frame before.
static uint32_t read_source(struct world *w, const char *path, char **rest)
{
    struct result_source *s = &w->sources[w->source_count];
    copy_word(s->sop_class_uid, sizeof s->sop_class_uid, rest);
    copy_word(s->sop_instance_uid, sizeof s->sop_instance_uid, rest);
    copy_word(s->series_instance_uid, sizeof s->series_instance_uid, rest);
    copy_word(s->study_instance_uid, sizeof s->study_instance_uid, rest);
    s->frames = (uint32_t)next_number(rest);
    s->main = true;
    for (uint32_t i = 0; i < w->source_count; i++)
        if (strcmp(w->sources[i].sop_instance_uid, s->sop_instance_uid) == 0)
            return i;
    snprintf(w->paths[w->source_count], sizeof w->paths[0], "%s", path);
    s->path = w->paths[w->source_count];
    struct digest *d = digest_create();
    digest_add_text(d, s->sop_instance_uid);
    digest_end(d, s->digest);
    digest_destroy(d);
    return (uint32_t)w->source_count++;
}

static void read_frame(struct world *w, char *line)
{
    struct image_frame *f = &w->frames[w->set.frame_count];
    char *rest = NULL;
    const char *path = strtok_r(line, " ", &rest);
    f->pool = (uint32_t)next_number(&rest);
    f->source = read_source(w, path, &rest);
    snprintf(f->sop_instance_uid, sizeof f->sop_instance_uid, "%s",
             w->sources[f->source].sop_instance_uid);
    f->number = (uint32_t)next_number(&rest);
    f->instance_number = (int32_t)next_number(&rest);
    f->columns = (uint32_t)next_number(&rest);
    f->rows = (uint32_t)next_number(&rest);
    for (int i = 0; i < 2; i++)
        f->pixel_mm[1 - i] = next_number(&rest);
    f->placed = next_number(&rest) != 0;
    for (int i = 0; i < 3; i++)
        f->position[i] = next_number(&rest);
    f->orientation[0] = f->orientation[4] = 1;
    f->slope = 1;
    if (f->placed)
        copy_word(f->frame_of_reference_uid, sizeof f->frame_of_reference_uid, &rest);
    w->order[w->set.frame_count] = w->set.frame_count;
    w->set.frame_count++;
}

// The frames of a pool are an image, in the order of the manifest.
static void make_image(struct world *w, uint32_t first, uint32_t count)
{
    struct image *image = &w->images[w->set.image_count++];
    const struct image_frame *f = &w->frames[first];
    *image = (struct image){
        .pool = f->pool,
        .dim = {f->columns, f->rows, count, 1},
        .placed = f->placed,
        .spacing = {f->pixel_mm[0], f->pixel_mm[1],
                    count > 1 ? fabs(f[1].position[2] - f[0].position[2]) : NAN},
        .frame = &w->order[first],
    };
}

static struct world *read_world(const char *manifest)
{
    struct world *w = calloc(1, sizeof *w);
    FILE *f = fopen(manifest, "r");
    char line[1024];
    CU_ASSERT_FATAL(w != NULL && f != NULL);
    snprintf(w->manifest, sizeof w->manifest, "%s", manifest);
    w->set.frames = w->frames;
    w->set.images = w->images;
    while (w->set.frame_count < MAX_FRAMES && fgets(line, sizeof line, f))
        read_frame(w, line);
    fclose(f);
    CU_ASSERT_FATAL(w->set.frame_count >= 4);
    uint32_t first = 0;
    for (uint32_t i = 1; i <= w->set.frame_count; i++) {
        if (i < w->set.frame_count && w->frames[i].pool == w->frames[first].pool)
            continue;
        CU_ASSERT_FATAL(w->set.image_count < MAX_IMAGES);
        make_image(w, first, i - first);
        first = i;
    }
    return w;
}

static char *subfolder(const char *name)
{
    static unsigned serial;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s-%u", check_scratch(), name, serial++);
    CU_ASSERT_FATAL(mkdir(path, 0700) == 0);
    return strdup(path);
}

static struct world *make_world(const char *variant)
{
    char *folder = subfolder(variant);
    CU_ASSERT_FATAL(check_peer(PEER, "sources %s '%s'", variant, folder) == 0);
    char manifest[PATH_MAX];
    snprintf(manifest, sizeof manifest, "%.4000s/manifest.txt", folder);
    free(folder);
    return read_world(manifest);
}

// --- findings ---

static const struct code agatston = {"450360000", "SCT", "Coronary artery calcium score"};
static const struct code agatston_method = {"112055", "DCM", "Agatston scoring method"};
static const struct code volume_concept = {"122660", "DCM", "Calcium volume"};
static const struct code score = {"{score}", "UCUM", "score"};
static const struct code mm3 = {"mm3", "UCUM", "cubic millimeter"};
static const struct code sum = {"255619001", "SCT", "Total"};
static const struct code calcification = {"18115005", "SCT", "Pathologic calcification"};
static const struct code comment = {"121106", "DCM", "Comment"};

static const float lesion_a[] = {58.5F, 38.25F, 63, 38.25F, 63, 43, 58.5F, 43, 58.5F, 38.25F};
static const float lesion_b[] = {57, 37, 65, 37, 65, 45, 57, 45, 57, 37};
static const float lesion_c[] = {59, 39, 62, 39, 60, 42, 59, 39};
static const float far_lesion[] = {20, 60, 24, 60, 24, 64, 20, 64, 20, 60};
static const float ellipse[] = {30, 50, 40, 50, 35, 47, 35, 53};
static const float point[] = {35.5F, 50.5F};
static const float label_a[] = {63, 38.25F, 80, 20};
static const float label_far[] = {24, 60, 200, 10}; // outside: the box is moved inside

static const struct group_row {
    const char *label;
    struct code site, side;
    int parent;
    uint32_t key_slice;
    double agatston, volume;
    int marks_in_order[5]; // as the SR must have them: rows of marks, ended by -1
    const char *template;
} groups[] = {
    {"LAD",
     {"59438005", "SCT", "Left anterior descending coronary artery"},
     {0},
     -1,
     0,
     128.44,
     97.125,
     {2, 0, 1, 4, -1},
     "1411"},
    {"LAD lesion 1",
     {"59438005", "SCT", "Left anterior descending coronary artery"},
     {"7771000", "SCT", "Left"},
     0,
     3,
     100.04,
     80,
     {2, 0, 1, -1},
     "1411"},
    {"LAD lesion 2",
     {"59438005", "SCT", "Left anterior descending coronary artery"},
     {0},
     0,
     2,
     28.4,
     17.125,
     {4, -1},
     "1410"},
    {"RCA", {"13647002", "SCT", "Right coronary artery"}, {0}, -1, 0, 0, 0, {6, 7, -1}, "1411"},
    {"RCA implant",
     {"13647002", "SCT", "Right coronary artery"},
     {0},
     3,
     1,
     0.04,
     12345678.5,
     {6, 7, -1},
     "1411"},
};
#define GROUPS (sizeof groups / sizeof groups[0])

static const struct mark marks[] = {
    {MARK_POLYLINE, {0, 1, 0}, 0, 1, lesion_c, 4, NULL},
    {MARK_POLYLINE, {0, 2, 0}, 0, 1, lesion_b, 5, NULL},
    {MARK_POLYLINE, {0, 3, 0}, 0, 1, lesion_a, 5, NULL},
    {MARK_TEXT, {0, 3, 0}, 0, 1, label_a, 2, "LAD 100.0\nlesion 1"},
    {MARK_POLYLINE, {0, 2, 0}, 0, 2, far_lesion, 5, NULL},
    {MARK_TEXT, {0, 2, 0}, 0, 2, label_far, 2, "LAD 28.4"},
    {MARK_ELLIPSE, {0, 1, 0}, 1, 4, ellipse, 4, NULL},
    {MARK_POINT, {0, 1, 0}, 1, 4, point, 1, NULL},
};
#define MARKS (sizeof marks / sizeof marks[0])

static const struct layer layers[] = {{"LAD", "Left anterior descending", {0, 200, 0}, 1},
                                      {"RCA", "Right coronary", {230, 0, 0}, 2}};

static void add_number(struct findings *f, struct finding_group *g, struct code concept,
                       double value, int decimals, struct code unit, bool with_method)
{
    struct measurement *m = findings_add_measurement(f, g);
    CU_ASSERT_FATAL(m != NULL);
    m->concept = concept;
    m->value = value;
    m->decimals = decimals;
    m->unit = unit;
    m->region = -1;
    if (with_method)
        m->method = agatston_method;
    else if (g->parent < 0)
        m->derivation = sum;
}

static void add_groups(struct findings *f)
{
    for (size_t i = 0; i < GROUPS; i++) {
        struct finding_group *g = findings_add_group(f);
        CU_ASSERT_FATAL(g != NULL);
        g->label = groups[i].label;
        g->finding = calcification;
        g->site = groups[i].site;
        g->laterality = groups[i].side;
        g->parent = groups[i].parent;
        g->region = -1;
        g->has_key = groups[i].parent >= 0;
        g->key.slice = groups[i].key_slice;
        add_number(f, g, agatston, groups[i].agatston, 1, score, true);
        add_number(f, g, volume_concept, groups[i].volume, 2, mm3, false);
        struct evaluation *e = findings_add_evaluation(f, g);
        CU_ASSERT_FATAL(e != NULL);
        e->concept = comment;
        e->text = "seen in every slice";
    }
}

static void add_marks(struct findings *f)
{
    for (size_t i = 0; i < 2; i++)
        *findings_add_layer(f) = layers[i];
    for (size_t i = 0; i < MARKS; i++)
        *findings_add_mark(f) = marks[i];
}

static void add_picture(struct findings *f, const char *name, uint32_t width, uint32_t height)
{
    uint8_t *rgb = arena_alloc(f->arena, (size_t)width * height, 3);
    CU_ASSERT_FATAL(rgb != NULL);
    for (size_t i = 0; i < (size_t)width * height; i++) {
        rgb[3 * i] = (uint8_t)(i * 7);
        rgb[3 * i + 1] = (uint8_t)(i / width);
        rgb[3 * i + 2] = 99;
    }
    *findings_add_picture(f) = (struct picture){.name = name,
                                                .product = "page",
                                                .title = "Report",
                                                .width = width,
                                                .height = height,
                                                .frames = 1,
                                                .rgb = rgb};
}

// Frames that move, each of another colour.
static void add_cine(struct findings *f, uint32_t frames, double frame_ms)
{
    const uint32_t width = 33, height = 21;
    uint8_t *rgb = arena_alloc(f->arena, (size_t)width * height * frames, 3);
    CU_ASSERT_FATAL(rgb != NULL);
    for (uint32_t i = 0; i < frames; i++)
        memset(rgb + (size_t)i * width * height * 3, (int)(10 + 5 * i), (size_t)width * height * 3);
    *findings_add_picture(f) = (struct picture){.name = "cine1",
                                                .product = "cine",
                                                .title = "Motion",
                                                .width = width,
                                                .height = height,
                                                .frames = frames,
                                                .frame_ms = frame_ms,
                                                .directions = {"L", "P"},
                                                .rgb = rgb};
}

// A PDF of one empty page.
static void add_document(struct findings *f)
{
    static const char pdf[] = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
                              "2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
                              "3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"
                              "trailer<</Root 1 0 R>>\n%%EOF\n";
    *findings_add_document(f) = (struct document){.name = "report",
                                                  .title = "Coronary calcium scoring",
                                                  .mime = "application/pdf",
                                                  .bytes = (const uint8_t *)pdf,
                                                  .size = sizeof pdf - 1};
}

static void add_common(struct findings *f)
{
    f->procedure = (struct code){"426005005", "SCT", "Cardiac CT for calcium scoring"};
    CU_ASSERT(findings_add_parameter(f, "threshold_hu", "[hnsf'U]", "%d", 130));
    CU_ASSERT(findings_add_parameter(f, "connectivity", "", "%s", "26"));
}

static struct findings *make_findings(void)
{
    struct findings *f = findings_create();
    CU_ASSERT_FATAL(f != NULL);
    f->verdict = VERDICT_DONE;
    f->reason = "";
    add_common(f);
    add_groups(f);
    add_marks(f);
    struct evaluation *e = findings_add_evaluation(f, NULL);
    *e = (struct evaluation){{"112055", "DCM", "Agatston scoring method"}, {0}, "CAC-DRS A2/N2"};
    e = findings_add_evaluation(f, NULL);
    *e = (struct evaluation){{"121071", "DCM", "Finding"}, calcification, NULL};
    e = findings_add_evaluation(f, NULL);
    *e = (struct evaluation){{"class", "99TEST", "Class of a test"}, {0}, "A2"};
    add_picture(f, "page1", 61, 40); // an odd row length
    return f;
}

// --- expected.json ---

static void put_code(FILE *out, const char *key, struct code c)
{
    if (c.value)
        fprintf(out, "\"%s\": [\"%s\", \"%s\", \"%s\"]", key, c.value, c.scheme, c.meaning);
    else
        fprintf(out, "\"%s\": null", key);
}

static const char *const type_names[] = {"POINT", "POLYLINE", "ELLIPSE", "TEXT"};

static void put_mark(FILE *out, const struct world *w, const struct mark *m)
{
    const struct image_frame *f =
        &w->frames[image_frame_at(&w->images[m->place.image], m->place.slice, m->place.point)];
    const bool many = w->sources[f->source].frames > 1;
    uint32_t values = m->kind == MARK_TEXT ? 2 : 2 * m->count; // a text is found by its anchor
    fprintf(out, "{\"type\": \"%s\", \"instance\": \"%s\", \"frame\": %u, \"points\": [",
            type_names[m->kind], f->sop_instance_uid, many ? f->number : 0);
    for (uint32_t i = 0; i < values; i++)
        fprintf(out, "%s%.9g", i ? ", " : "", (double)m->points[i]);
    fprintf(out, "]");
}

// The free slice nearest to the middle, for each group in turn that has no marks of its own.
static uint32_t border_slice(const struct world *w, const struct findings *f, uint32_t index)
{
    const uint32_t count = w->images[0].dim[2];
    bool taken[MAX_FRAMES] = {false};
    for (size_t i = 0; f->mark_count && i < GROUPS; i++)
        taken[groups[i].key_slice] |= groups[i].parent >= 0;
    for (uint32_t i = 0;; i++) {
        if (f->mark_count && groups[i].parent >= 0)
            continue;
        uint32_t best = count / 2, distance = count;
        for (uint32_t k = count; k-- > 0;) { // of two equally near the upper one
            const uint32_t d = k > count / 2 ? k - count / 2 : count / 2 - k;
            if (!taken[k] && d < distance) {
                best = k;
                distance = d;
            }
        }
        taken[best] = true;
        if (i == index)
            return best;
    }
}

// Where add_searched() says that was searched: first column, first row, and where they end.
static const float searched_box[4] = {5, 9, 23, 31};

static void put_border(FILE *out, const struct world *w, const struct findings *f, uint32_t slice)
{
    // The border of all of the image leaves no room for a text beside it: a box at its left
    // instead.
    const uint32_t *dim = w->images[0].dim;
    const uint32_t top = dim[1] / 8, right = dim[0] / 16, bottom = top + dim[1] / 16;
    const float left[4] = {0, (float)top, (float)right, (float)bottom};
    const float *b = f->label_count ? searched_box : left;
    const float points[] = {b[0], b[1], b[2], b[1], b[2], b[3], b[0], b[3], b[0], b[1]};
    put_mark(out, w, &(struct mark){MARK_POLYLINE, {0, slice, 0}, 0, 0, points, 5, NULL});
    fprintf(out, "}");
}

static void put_numbers(FILE *out, const struct finding_group *g)
{
    for (uint32_t i = 0; i < g->measurement_count; i++) {
        const struct measurement *m = &g->measurements[i];
        fprintf(out, "%s{", i ? ", " : "");
        put_code(out, "concept", m->concept);
        fprintf(out, ", \"value\": \"%.*f\", ", m->decimals, m->value);
        put_code(out, "unit", m->unit);
        fprintf(out, ", ");
        put_code(out, "method", m->method);
        fprintf(out, ", ");
        put_code(out, "derivation", m->derivation);
        if (m->ranged)
            fprintf(out, ", \"range\": [%.*f, %.*f, \"between %.*f and %.*f %s: %s\"]}",
                    m->decimals, m->low, m->decimals, m->high, m->decimals, m->low, m->decimals,
                    m->high, m->unit.meaning, m->range_why);
        else
            fprintf(out, ", \"range\": null}");
    }
}

// A group with a nought or a range says its numbers in words. Returns whether it does.
static bool put_words(FILE *out, const struct finding_group *g)
{
    bool any = false;
    for (uint32_t i = 0; i < g->measurement_count; i++) {
        const struct measurement *m = &g->measurements[i];
        char written[64];
        snprintf(written, sizeof written, "%.*f", m->decimals, m->value);
        any = any || m->ranged || strtod(written, NULL) == 0;
    }
    fprintf(out, "\"words\": [");
    if (any)
        fprintf(out, "\"%s\"", g->label);
    for (uint32_t i = 0; any && i < g->measurement_count; i++) {
        const struct measurement *m = &g->measurements[i];
        fprintf(out, ", \"%s %.*f", m->concept.meaning, m->decimals, m->ranged ? m->low : m->value);
        if (m->ranged)
            fprintf(out, " to %.*f", m->decimals, m->high);
        fprintf(out, "%s\"", strcmp(m->unit.value, "mm3") == 0 ? " mm3" : "");
    }
    fprintf(out, "], ");
    return any;
}

static void put_group(FILE *out, const struct world *w, const struct findings *f, uint32_t index)
{
    const struct finding_group *g = &f->groups[index];
    const struct group_row *row = &groups[index];
    fprintf(out, "%s{\"label\": \"%s\", ", index ? ",\n  " : "", g->label);
    const bool words = put_words(out, g);
    fprintf(out, "\"template\": \"%s\", ", words ? "1501" : f->mark_count ? row->template : "1410");
    put_code(out, "site", g->site);
    fprintf(out, ", ");
    put_code(out, "side", g->laterality);
    if (isnan(g->probability))
        fprintf(out, ", \"certainty\": null");
    else
        fprintf(out, ", \"certainty\": %.1f", 100 * g->probability);
    if (g->algorithm.name)
        fprintf(out, ", \"algorithm\": [\"%s\", \"%s\"]", g->algorithm.name, g->algorithm.version);
    fprintf(out, ", \"numbers\": [");
    put_numbers(out, g);
    fprintf(out, "], \"regions\": [");
    const bool border = !f->mark_count || row->parent < 0;
    if (border)
        put_border(out, w, f, border_slice(w, f, index));
    for (int i = 0; f->mark_count && row->marks_in_order[i] >= 0; i++) {
        fprintf(out, "%s", i || border ? ", " : "");
        put_mark(out, w, &marks[row->marks_in_order[i]]);
        fprintf(out, "}");
    }
    fprintf(out, "], \"evaluations\": [{");
    put_code(out, "concept", comment);
    fprintf(out, ", \"text\": \"seen in every slice\"}]}");
}

static void put_evaluations(FILE *out, const struct findings *f)
{
    for (uint32_t i = 0; i < f->evaluation_count; i++) {
        const struct evaluation *e = &f->evaluations[i];
        fprintf(out, "%s{", i ? ", " : "");
        put_code(out, "concept", e->concept);
        fprintf(out, ", ");
        if (e->value.value)
            put_code(out, "value", e->value);
        else
            fprintf(out, "\"text\": \"%s\"", e->text);
        fprintf(out, "}");
    }
}

static void put_verdict(FILE *out, const struct findings *f)
{
    if (f->verdict == VERDICT_DONE)
        return;
    fprintf(out, "%s{", f->evaluation_count ? ", " : "");
    put_code(out, "concept", comment);
    fprintf(out, ", \"text\": \"%s: %s\"}", verdict_name(f->verdict), f->reason);
}

static void put_marks(FILE *out, const struct world *w, const struct findings *f)
{
    for (uint32_t i = 0; i < f->mark_count; i++) {
        const struct mark *m = &f->marks[i];
        fprintf(out, "%s", i ? ", " : "");
        put_mark(out, w, m);
        fprintf(out, ", \"layer\": \"%s\", \"text\": \"", f->layers[m->layer].name);
        for (const char *c = m->text ? m->text : ""; *c; c++)
            fprintf(out, *c == '\n' ? "\\n" : "%c", *c);
        fprintf(out, "\"}");
    }
}

static void put_pictures(FILE *out, const struct findings *f)
{
    for (uint32_t i = 0; i < f->picture_count; i++) {
        const struct picture *p = &f->pictures[i];
        const uint8_t *last = p->rgb + ((size_t)p->width * p->height * p->frames - 1) * 3;
        fprintf(out,
                "%s{\"product\": \"%s\", \"width\": %u, \"height\": %u, \"frames\": %u, "
                "\"frame_ms\": %g, \"directions\": [",
                i ? ", " : "", p->product, p->width, p->height, p->frames, p->frame_ms);
        if (p->directions[0][0])
            fprintf(out, "\"%s\", \"%s\"", p->directions[0], p->directions[1]);
        fprintf(out, "], \"first\": [%u, %u, %u], \"last\": [%u, %u, %u]}", p->rgb[0], p->rgb[1],
                p->rgb[2], last[0], last[1], last[2]);
    }
}

static void put_texts(FILE *out, const struct findings *f)
{
    for (uint32_t i = 0; i < f->exclusion_count; i++)
        fprintf(out, "%s\"%s: %s%s; image %u\"", i ? ", " : "", f->exclusions[i].what,
                f->exclusions[i].reason,
                f->exclusions[i].value.concept.value
                    ? "; would have counted 80.00 cubic millimeter of Calcium volume"
                    : "",
                f->exclusions[i].place.slice + 1); // Instance Number
}

static void write_expected(const struct world *w, const struct result_request *r,
                           const struct result_list *made, const char *zone)
{
    char path[PATH_MAX];
    const struct findings *f = r->findings;
    CU_ASSERT_FATAL(fs_join(path, r->folder, "expected.json", NULL));
    FILE *out = fopen(path, "w");
    CU_ASSERT_FATAL(out != NULL);
    fprintf(out, "{\"stage\": \"%s\", \"version\": \"%s\", \"slot\": %u, \"device\": \"%s\",\n",
            r->stage.name, r->stage.version, r->stage.slot, DEVICE_UID);
    fprintf(out, " \"zone\": \"%s\", \"started\": \"%s\", \"predecessor\": \"%s\",\n", zone,
            STARTED_JST, r->predecessor ? r->predecessor->sop_instance_uid : "");
    const bool private = (f->verdict == VERDICT_DONE && f->evaluation_count);
    fprintf(out, " \"private\": [%s%s%s],", f->exclusion_count ? "\"99ANODE\"" : "",
            f->exclusion_count && private ? ", " : "", private ? "\"99TEST\"" : "");
    fprintf(out, " \"algorithm\": [\"anode calcium\", \"1\"], \"parameters\": "
                 "[\"threshold_hu = 130 [hnsf'U]\", \"connectivity = 26\"],\n ");
    fprintf(out, "\"frames\": %u, ", r->images ? r->images->frame_count : 0);
    put_code(out, "procedure", f->procedure);
    fprintf(out, ",\n \"objects\": {");
    for (size_t i = 0; i < made->count; i++)
        fprintf(out, "%s\"%s\": [\"%s\", \"%s\", \"%s\"]", i ? ", " : "",
                strrchr(made->objects[i].path, '/') + 1, result_kind_name(made->objects[i].kind),
                made->objects[i].product, made->objects[i].id.sop_instance_uid);
    fprintf(out, "},\n \"groups\": [");
    for (uint32_t i = 0; (r->kinds & RESULT_SR) && i < f->group_count; i++)
        put_group(out, w, f, i);
    fprintf(out, "],\n \"evaluations\": [");
    put_evaluations(out, f);
    put_verdict(out, f);
    fprintf(out, "],\n \"exclusions\": [");
    put_texts(out, f);
    fprintf(out, "],\n \"layers\": [\"LAD\", \"RCA\"],\n \"marks\": [");
    put_marks(out, w, f);
    fprintf(out, "],\n \"pictures\": [");
    put_pictures(out, f);
    fprintf(out, "]}\n");
    fclose(out);
}

// --- one set of results ---

static struct result_request make_request(const struct world *w, const struct findings *f,
                                          const char *folder)
{
    return (struct result_request){
        .stage = {"calcium", "Coronary calcium scoring", "1", 3, REPORT_MEASUREMENTS},
        .findings = f,
        .images = &w->set,
        .sources = w->sources,
        .source_count = w->source_count,
        .identity = "threshold_hu=130;connectivity=26",
        .maker = {"ANODE", DEVICE_UID, "SN-1", "anode 0.1.0", "llvmpipe (LLVM 15.0.6, 256 bits)",
                  NULL},
        .started = {STARTED, 0},
        .kinds = RESULT_SR | RESULT_GSPS | RESULT_SC | RESULT_PDF,
        .folder = folder,
    };
}

static void judge(const struct world *w, const struct result_request *r, const char *variant,
                  size_t want)
{
    struct result_list made = {0};
    struct err err = {0};
    const bool ok = results_write(r, &made, &err);
    if (!ok)
        printf("%s\n", err.text);
    CU_ASSERT_FATAL(ok);
    CU_ASSERT_EQUAL(made.count, want);
    const bool tokyo = strcmp(variant, "windowless") == 0;
    const char *site = r->maker.timezone ? r->maker.timezone : "";
    write_expected(w, r, &made, tokyo ? "+0900" : site);
    CU_ASSERT_EQUAL(check_peer(PEER, "check '%s' '%s' %s", r->folder, w->manifest, variant), 0);
    result_list_finish(&made);
}

static void judge_variant(const char *variant)
{
    struct world *w = make_world(variant);
    struct findings *f = make_findings();
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    judge(w, &r, variant, 3);
    free(folder);
    findings_destroy(f);
    free(w);
}

static void plain_source(void)
{
    judge_variant("plain");
}
static void bare_source(void)
{
    judge_variant("bare");
}
static void broken_source(void)
{
    judge_variant("broken");
}
static void latin_source(void)
{
    judge_variant("latin");
}
static void japanese_source(void)
{
    judge_variant("japanese");
}
static void utf8_source(void)
{
    judge_variant("utf8");
}
static void gb18030_source(void)
{
    judge_variant("gb18030");
}
static void rescales_source(void)
{
    judge_variant("rescales");
}
static void windowless_source(void)
{
    judge_variant("windowless");
}
static void enhanced_source(void)
{
    judge_variant("enhanced");
}

static void odd_source(void)
{
    judge_variant("odd");
}
static void inverse_source(void)
{
    judge_variant("inverse");
}
static void mixed_source(void)
{
    struct world *w = make_world("mixed");
    struct findings *f = make_findings();
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    judge(w, &r, "mixed", 4); // two presentation states
    free(folder);
    findings_destroy(f);
    free(w);
}
static void tables_source(void)
{
    judge_variant("tables");
}
static void implicit_source(void)
{
    judge_variant("implicit");
}

// The volume leaves two frames out and runs the other way.
static void reordered_volume(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    w->images[0].dim[2] = w->set.frame_count - 2;
    for (uint32_t k = 0; k < w->images[0].dim[2]; k++)
        w->order[k] = w->set.frame_count - 2 - k;
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    judge(w, &r, "plain", 3);
    free(folder);
    findings_destroy(f);
    free(w);
}

static void judge_folder(const char *folder, const char *variant)
{
    char manifest[PATH_MAX];
    CU_ASSERT_FATAL(fs_join(manifest, check_scratch(), "real.txt", NULL));
    CU_ASSERT_FATAL(check_peer(PEER, "list '%s' '%s'", folder, manifest) == 0);
    struct world *w = read_world(manifest);
    struct findings *f = make_findings();
    char *results = subfolder("results");
    struct result_request r = make_request(w, f, results);
    judge(w, &r, variant, 3);
    free(results);
    findings_destroy(f);
    free(w);
}

static void phantom_source(void)
{
    const char *archive = check_data("ct/calcium_phantom_1.tar.xz");
    if (!archive)
        return;
    char *folder = subfolder("phantom");
    char command[3 * PATH_MAX];
    snprintf(command, sizeof command, "tar -C '%s' -xf '%s'", folder, archive);
    CU_ASSERT_FATAL(system(command) == 0);
    snprintf(command, sizeof command, "%s/calcium_phantom_1", folder);
    judge_folder(command, "phantom");
    free(folder);
}

static void chest_source(void)
{
    const char *folder = check_data("ct/chest_A0001");
    if (folder)
        judge_folder(folder, "chest");
}

// --- verdicts ---

static void judge_verdict(enum verdict verdict, bool with_volume)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    findings_refuse(f, verdict, "contrast in the blood pool (%d HU)", 310);
    add_picture(f, "page1", 64, 32);
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    if (!with_volume) {
        r.images = NULL;
    }
    judge(w, &r, "plain", 2);
    free(folder);
    findings_destroy(f);
    free(w);
}

static void not_evaluable(void)
{
    judge_verdict(VERDICT_NOT_EVALUABLE, true);
}
static void failed(void)
{
    judge_verdict(VERDICT_FAILED, false);
}
static void nothing_found(void)
{
    judge_verdict(VERDICT_NOTHING_FOUND, true);
}

// A label map with the region that was searched, and one of a group, which was not all of it.
static void add_searched(const struct world *w, struct findings *f)
{
    const uint32_t *dim = w->images[0].dim;
    struct label_map *map = findings_add_labels(f, &w->set, 0, 0);
    CU_ASSERT_FATAL(map && dim[0] > searched_box[2] && dim[1] > searched_box[3]);
    struct region *r = findings_add_region(f);
    *r = (struct region){.label = "lesion", .group = 0, .role = REGION_FOUND};
    r = findings_add_region(f);
    *r = (struct region){.label = "searched", .group = -1, .role = REGION_SEARCHED};
    for (uint32_t k = 0; k < dim[2]; k++) {
        uint16_t *slice = map->labels + (size_t)k * dim[0] * dim[1];
        slice[0] = 1;
        for (uint32_t y = (uint32_t)searched_box[1]; y < (uint32_t)searched_box[3]; y++)
            for (uint32_t x = (uint32_t)searched_box[0]; x < (uint32_t)searched_box[2]; x++)
                slice[(size_t)y * dim[0] + x] = 2;
    }
}

static void zero_score_with(bool searched)
{
    struct world *w = make_world("plain");
    struct findings *f = findings_create();
    CU_ASSERT_FATAL(f != NULL);
    f->verdict = VERDICT_DONE;
    f->reason = "";
    add_common(f);
    add_groups(f);
    for (uint32_t i = 0; i < f->group_count; i++)
        f->groups[i].measurements[0].value = f->groups[i].measurements[1].value = 0;
    if (searched)
        add_searched(w, f);
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    judge(w, &r, "plain", 1); // no marks, no pictures
    free(folder);
    findings_destroy(f);
    free(w);
}

static void zero_score(void)
{
    zero_score_with(false);
}

static void zero_score_of_a_region(void)
{
    zero_score_with(true);
}

static void several_pictures(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    add_picture(f, "page2", 30, 77);
    add_picture(f, "page3", 100, 50);
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    r.kinds = RESULT_SC | RESULT_SR;
    judge(w, &r, "plain", 2);
    free(folder);
    findings_destroy(f);
    free(w);
}

// --- other shapes of input and output ---

static const struct result_object *object_of(const struct result_list *made, enum result_kind kind)
{
    for (size_t i = 0; i < made->count; i++)
        if (made->objects[i].kind == kind)
            return &made->objects[i];
    CU_FAIL_FATAL("no object of that kind");
    return NULL;
}

static void cine_and_pages(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    add_cine(f, 7, 62.5);
    add_document(f);
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    judge(w, &r, "plain", 5);
    free(folder);
    findings_destroy(f);
    free(w);
}

static void move_mark(struct findings *f, uint32_t mark, struct place place)
{
    f->marks[mark].place = place;
}

// The marks of the RCA lie on the second series.
// The presentation states and the rest are compared with what is expected; the report, whose
// groups lie on several images then, is judged by itself.
static void judge_series(const struct world *w, const struct findings *f, const char *variant,
                         size_t want)
{
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    r.kinds = RESULT_GSPS | RESULT_SC | RESULT_PDF;
    judge(w, &r, variant, want);
    free(folder);
    r.folder = folder = subfolder("results");
    r.kinds = RESULT_SR;
    struct result_list made = {0};
    CU_ASSERT_FATAL(results_write(&r, &made, NULL));
    CU_ASSERT_EQUAL(
        check_peer(PEER, "valid '%s' '%s' %s", made.objects[0].path, w->manifest, variant), 0);
    result_list_finish(&made);
    free(folder);
}

static void two_series(void)
{
    struct world *w = make_world("pair");
    struct findings *f = make_findings();
    CU_ASSERT_EQUAL_FATAL(w->set.image_count, 2);
    move_mark(f, 6, (struct place){1, 3, 0});
    move_mark(f, 7, (struct place){1, 3, 0});
    f->groups[4].key = (struct place){1, 3, 0};
    judge_series(w, f, "pair", 3); // two presentation states
    findings_destroy(f);
    free(w);
}

// Every image is a series of its own and has no place in space; one has no mark.
static void projections(void)
{
    struct world *w = make_world("projections");
    struct findings *f = make_findings();
    CU_ASSERT_EQUAL_FATAL(w->set.image_count, 4);
    static const uint32_t image_of[MARKS] = {2, 1, 0, 0, 1, 1, 2, 2};
    // the first outline of a group is that of its key place
    for (uint32_t i = 0; i < MARKS; i++)
        move_mark(f, i, (struct place){image_of[i], 0, 0});
    f->groups[1].key = (struct place){0, 0, 0};
    f->groups[2].key = (struct place){1, 0, 0};
    f->groups[4].key = (struct place){2, 0, 0};
    judge_series(w, f, "projections", 4);
    findings_destroy(f);
    free(w);
}

// Ranges, probabilities, another algorithm, and what was left out.
static void rich_findings(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct measurement *m = &f->groups[1].measurements[1];
    m->ranged = true;
    m->low = 72.25;
    m->high = 96;
    m->range_why = "the border is blurred";
    f->groups[1].probability = 0.875;
    f->groups[2].probability = 0;
    for (uint32_t i = 0; i < f->group_count; i++)
        f->groups[i].algorithm = (struct algorithm){
            .name = i == 1 ? "finder" : "anode calcium",
            .version = i == 1 ? "7" : "1",
            .family = {"111221", "DCM", "Quality Control Failure"},
        };
    f->groups[0].algorithm.name = NULL; // the analysis, with its parameters
    struct exclusion *e = findings_add_exclusion(f);
    *e = (struct exclusion){.what = "bright spot",
                            .reason = "no fat around it",
                            .has_place = true,
                            .place = {0, 2, 0},
                            .box = {10, 12, 4, 5}};
    e->value = *m;
    e = findings_add_exclusion(f);
    *e = (struct exclusion){
        .what = "slice", .reason = "moved", .has_place = true, .place = {0, 5, 0}};
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    judge(w, &r, "plain", 3);
    free(folder);
    findings_destroy(f);
    free(w);
}

// What the analysis and the job both said stands once.
static void remarks_are_said_once(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    for (int i = 0; i < 2; i++)
        *findings_add_evaluation(f, NULL) =
            (struct evaluation){comment, {0}, "1 localizer image set aside: not used"};
    f->evaluation_count--; // expected once
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    struct result_list made = {0};
    f->evaluation_count++;
    CU_ASSERT_FATAL(results_write(&r, &made, NULL));
    f->evaluation_count--;
    write_expected(w, &r, &made, "");
    CU_ASSERT_EQUAL(check_peer(PEER, "check '%s' '%s' plain", folder, w->manifest), 0);
    result_list_finish(&made);
    free(folder);
    findings_destroy(f);
    free(w);
}

// A group whose region is a segment: it is referred to, and outlined on its key place.
static void segments(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct label_map *map = findings_add_labels(f, &w->set, 0, 0);
    for (int i = 0; i < 3; i++)
        *findings_add_region(f) =
            (struct region){.label = i ? "lesion" : "not in the map",
                            .category = {"49755003", "SCT", "Morphologically Abnormal Structure"},
                            .type = calcification,
                            .rgb = {0, 200, 0},
                            .role = REGION_FOUND,
                            .group = i + 1,
                            .automatic = true};
    const uint32_t *dim = w->images[0].dim;
    for (uint32_t k = 1; k < 4; k++)
        for (uint32_t y = 30; y < 35 + k; y++)
            for (uint32_t x = 50; x < 57; x++)
                map->labels[((size_t)k * dim[1] + y) * dim[0] + x] = 3;
    map->labels[0] = 2;
    f->groups[2].region = 1;
    f->groups[4].region = 2;
    f->mark_count = 6; // the RCA implant has none of its own
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    r.kinds |= RESULT_SEG;
    struct result_list made = {0};
    CU_ASSERT_FATAL(results_write(&r, &made, NULL));
    CU_ASSERT_EQUAL(
        check_peer(PEER, "segments '%s' '%s'", object_of(&made, RESULT_SR)->path, w->manifest), 0);
    result_list_finish(&made);
    free(folder);
    findings_destroy(f);
    free(w);
}

// The site's zone holds for sources that name none; without one no zone is claimed.
static void time_zones(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    r.maker.timezone = "+0900";
    judge(w, &r, "plain", 3);
    free(folder);
    folder = subfolder("results");
    r.folder = folder;
    r.maker.timezone = "none";
    struct result_list made = {0};
    CU_ASSERT_FATAL(results_write(&r, &made, NULL));
    r.maker.timezone = NULL;
    write_expected(w, &r, &made, "");
    CU_ASSERT_EQUAL(check_peer(PEER, "check '%s' '%s' plain", folder, w->manifest), 0);
    result_list_finish(&made);
    free(folder);
    findings_destroy(f);
    free(w);
}

// Our texts are UTF-8; an object has one character set, its source's.
static void texts_in(const char *variant, const char *want)
{
    struct world *w = make_world(variant);
    struct findings *f = make_findings();
    f->groups[0].evaluations[0].text = "area 3 mm\u00b2, \u00e9t\u00e9, \u03b2";
    f->marks[3].text = "LAD 3 mm\u00b2\n\u00e9t\u00e9";
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    struct result_list made = {0};
    CU_ASSERT_FATAL(results_write(&r, &made, NULL));
    CU_ASSERT_EQUAL(check_peer(PEER, "texts '%s' '%s' %s '%s'", folder, w->manifest, variant, want),
                    0);
    result_list_finish(&made);
    free(folder);
    findings_destroy(f);
    free(w);
}

static void texts_in_any_character_set(void)
{
    texts_in("plain", "area 3 mm\u00b2, \u00e9t\u00e9, ?"); // ISO_IR 100
    texts_in("utf8", "area 3 mm\u00b2, \u00e9t\u00e9, \u03b2");
    texts_in("latin", "area 3 mm2, ?t?, ?"); // none named
    texts_in("japanese", "area 3 mm2, ?t?, ?");
    texts_in("gb18030", "area 3 mm\u00b2, \u00e9t\u00e9, \u03b2");
}

// The node remembers whose series it was, although no file of it can be read.
static void head_instead_of_sources(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct attrs head = {0};
    static const char *const known[][2] = {
        {"PatientName", "Wang^XiaoDong=\u738b^\u5c0f\u4e1c"},
        {"PatientID", "ID1"},
        {"PatientBirthDate", "19500203"},
        {"PatientSex", "F"},
        {"StudyInstanceUID", NULL},
        {"StudyDate", "20200102"},
        {"StudyTime", "101112"},
        {"StudyID", "S1"},
        {"AccessionNumber", "ACC1"},
        {"ReferringPhysicianName", "REFERRER^A"},
        {"Modality", "CT"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        CU_ASSERT(attrs_add(&head, known[i][0],
                            known[i][1] ? known[i][1] : w->sources[0].study_instance_uid));
    findings_refuse(f, VERDICT_FAILED, "no parser takes the files");
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    r.images = NULL;
    r.head = &head;
    for (size_t i = 0; i < w->source_count; i++)
        CU_ASSERT_FATAL(truncate(w->sources[i].path, 100) == 0);
    w->sources[3].sop_instance_uid[0] = 0; // not even its name is known
    struct result_list made = {0};
    CU_ASSERT_FATAL(results_write(&r, &made, NULL));
    CU_ASSERT_EQUAL(made.count, 1);
    CU_ASSERT_EQUAL(check_peer(PEER, "head '%s' '%s'", made.objects[0].path, known[0][1]), 0);
    result_list_finish(&made);
    attrs_finish(&head);
    free(folder);
    findings_destroy(f);
    free(w);
}

// --- UIDs ---

static struct result_list write_again(const struct world *w, const struct findings *f,
                                      const char *identity)
{
    struct result_list made = {0};
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    r.identity = identity;
    r.started.tv_sec += 5000; // the time is no part of a UID
    CU_ASSERT_FATAL(results_write(&r, &made, NULL));
    free(folder);
    return made;
}

static bool any_shared(const struct result_list *a, const struct result_list *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (strcmp(a->objects[i].id.sop_instance_uid, b->objects[j].id.sop_instance_uid) == 0 ||
                strcmp(a->objects[i].id.series_instance_uid,
                       b->objects[j].id.series_instance_uid) == 0)
                return true;
    return false;
}

static bool same_uids(const struct result_list *a, const struct result_list *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same =
            strcmp(a->objects[i].id.sop_instance_uid, b->objects[i].id.sop_instance_uid) == 0 &&
            strcmp(a->objects[i].id.series_instance_uid, b->objects[i].id.series_instance_uid) == 0;
    return same;
}

static void reverse(struct world *w)
{
    const size_t n = w->source_count;
    for (size_t i = 0; i < n / 2; i++) {
        struct result_source t = w->sources[i];
        w->sources[i] = w->sources[n - 1 - i];
        w->sources[n - 1 - i] = t;
    }
    for (size_t i = 0; i < w->set.frame_count; i++)
        w->frames[i].source = (uint32_t)(n - 1 - w->frames[i].source);
}

static void uids_of_any_order(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct result_list first = write_again(w, f, "threshold_hu=130");
    reverse(w);
    struct result_list second = write_again(w, f, "threshold_hu=130");
    CU_ASSERT_EQUAL(first.count, 3);
    CU_ASSERT(same_uids(&first, &second));
    CU_ASSERT_STRING_NOT_EQUAL(first.objects[0].id.sop_instance_uid,
                               first.objects[0].id.series_instance_uid);
    CU_ASSERT_STRING_NOT_EQUAL(first.objects[0].id.series_instance_uid,
                               first.objects[1].id.series_instance_uid);
    // the whole report holds in the other order, too
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    judge(w, &r, "plain", 3);
    result_list_finish(&first);
    result_list_finish(&second);
    free(folder);
    findings_destroy(f);
    free(w);
}

// A site may hold results of before: where nothing else changed, they are the same objects still.
static void uids_of_before(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct result_list made = write_again(w, f, "threshold_hu=130");
    static const struct {
        enum result_kind kind;
        const char *instance, *series;
    } known[] = {
        {RESULT_SR, "2.25.56694118066388065254074621125328163191",
         "2.25.190064780404419529884397383283439931547"},
        {RESULT_GSPS, "2.25.151494157476685605962090295352707591475",
         "2.25.226553877732070958311940297862688246462"},
        {RESULT_SC, "2.25.244351821621650174015593723306828175748",
         "2.25.199636178323991282163210910647951391121"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const struct result_object *o = object_of(&made, known[i].kind);
        CU_ASSERT_STRING_EQUAL(o->id.sop_instance_uid, known[i].instance);
        CU_ASSERT_STRING_EQUAL(o->id.series_instance_uid, known[i].series);
    }
    result_list_finish(&made);
    findings_destroy(f);
    free(w);
}

static void uids_of_other_input(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct result_list first = write_again(w, f, "threshold_hu=130");
    struct result_list option = write_again(w, f, "threshold_hu=131");
    CU_ASSERT(!any_shared(&first, &option));
    w->sources[2].digest[31] ^= 1;
    struct result_list content = write_again(w, f, "threshold_hu=130");
    CU_ASSERT(!any_shared(&first, &content));
    w->sources[2].digest[31] ^= 1;
    findings_refuse(f, VERDICT_FAILED, "device lost");
    struct result_list failure = write_again(w, f, "threshold_hu=130");
    CU_ASSERT_EQUAL(failure.count, 1);
    CU_ASSERT(!any_shared(&first, &failure));
    result_list_finish(&first);
    result_list_finish(&option);
    result_list_finish(&content);
    result_list_finish(&failure);
    findings_destroy(f);
    free(w);
}

static void rerun_names_predecessor(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct result_list first = write_again(w, f, "threshold_hu=130");
    const struct result_object *sr = object_of(&first, RESULT_SR);
    const struct object_id p = sr->id;
    result_list_finish(&first);
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    r.predecessor = &p;
    w->sources[2].digest[31] ^= 1;
    judge(w, &r, "plain", 3);
    free(folder);
    findings_destroy(f);
    free(w);
}

static void patients_never_mix(void)
{
    struct world *one = make_world("plain"), *two = make_world("other");
    struct findings *f = make_findings();
    char *folder_one = subfolder("results"), *folder_two = subfolder("results");
    struct result_request r = make_request(one, f, folder_one);
    judge(one, &r, "plain", 3);
    r = make_request(two, f, folder_two);
    judge(two, &r, "other", 3);
    CU_ASSERT_EQUAL(
        check_peer(PEER, "strangers '%s' '%s' '%s'", one->manifest, folder_one, folder_two), 0);
    free(folder_one);
    free(folder_two);
    findings_destroy(f);
    free(one);
    free(two);
}

// --- errors ---

static void validators_find_faults(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    judge(w, &r, "plain", 3);
    CU_ASSERT_EQUAL(check_peer(PEER, "control '%s' '%s'", folder, w->manifest), 0);
    free(folder);
    findings_destroy(f);
    free(w);
}

static size_t files_in(const char *folder)
{
    size_t count = 0;
    DIR *d = opendir(folder);
    CU_ASSERT_FATAL(d != NULL);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

static void refused(struct result_request *r, enum err_code code)
{
    struct result_list made = {0};
    struct err err = {0};
    CU_ASSERT(!results_write(r, &made, &err));
    CU_ASSERT_EQUAL(err.code, code);
    CU_ASSERT(made.count == 0 && made.objects == NULL);
    CU_ASSERT_EQUAL(files_in(r->folder), 0);
}

static void errors_leave_no_file(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    f->groups[1].measurements[0].value = NAN;
    refused(&r, ERR_INTERNAL); // no number is no result
    f->groups[1].measurements[0].value = 1;
    f->marks[7].place.slice = w->set.frame_count;
    refused(&r, ERR_INTERNAL);
    f->marks[7].place.slice = 1;
    f->marks[7].place.image = 1;
    refused(&r, ERR_INTERNAL);
    f->marks[7].place.image = 0;
    w->order[1] = IMAGE_NO_FRAME;
    refused(&r, ERR_INTERNAL); // a mark where a frame is missing
    w->order[1] = 1;
    f->groups[0].parent = 1; // whose part it is
    refused(&r, ERR_INTERNAL);
    f->groups[0].parent = -1;
    f->groups[0].region = 0;
    refused(&r, ERR_INTERNAL);
    f->groups[0].region = -1;
    f->groups[0].probability = 1.5;
    refused(&r, ERR_INTERNAL);
    f->groups[0].probability = NAN;
    f->groups[1].measurements[0].ranged = true;
    f->groups[1].measurements[0].low = 2;
    f->groups[1].measurements[0].high = 3;
    refused(&r, ERR_INTERNAL); // 1 is not between 2 and 3
    f->groups[1].measurements[0].ranged = false;
    r.stage.report = REPORT_TEMPLATES; // no template
    refused(&r, ERR_UNSUPPORTED);
    r.stage.report = REPORT_MEASUREMENTS;
    f->pictures[0].width = 70000;
    refused(&r, ERR_INTERNAL);
    f->pictures[0].width = 61;
    f->pictures[0].product = "a/b"; // no part of a file name
    refused(&r, ERR_INTERNAL);
    f->pictures[0].product = "page";
    f->groups[2].label = "LAD lesion 1"; // would share a tracking UID
    refused(&r, ERR_INTERNAL);
    f->groups[2].label = "LAD lesion 2";
    f->layers[1].name = "rca";
    refused(&r, ERR_INTERNAL);
    f->layers[1].name = "RCA";
    w->frames[5].source = 6;
    refused(&r, ERR_INTERNAL);
    w->frames[5].source = 5;
    w->order[5] = 6;
    refused(&r, ERR_INTERNAL);
    w->order[5] = 5;
    w->sources[3].series_instance_uid[0] = 0;
    refused(&r, ERR_INPUT);
    strcpy(w->sources[3].series_instance_uid, w->sources[2].series_instance_uid);
    for (size_t i = 0; i < w->source_count; i++)
        w->sources[i].path = w->manifest; // no DICOM
    refused(&r, ERR_INPUT);
    free(folder);
    findings_destroy(f);
    free(w);
}

// DCMTK's own file output would not notice.
static void write_errors_leave_no_file(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    struct rlimit before, small;
    CU_ASSERT_FATAL(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 12000; // the SR, which is last, has more
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_FATAL(setrlimit(RLIMIT_FSIZE, &small) == 0);
    refused(&r, ERR_IO);
    CU_ASSERT_FATAL(setrlimit(RLIMIT_FSIZE, &before) == 0);
    signal(SIGXFSZ, handler);
    free(folder);
    findings_destroy(f);
    free(w);
}

// The patient is named by another instance of the series.
static void truncated_first_source(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    findings_refuse(f, VERDICT_FAILED, "1 of 6 instances is truncated");
    r.images = NULL;
    CU_ASSERT_FATAL(truncate(w->sources[0].path, 700) == 0);
    struct result_list made = {0};
    CU_ASSERT(results_write(&r, &made, NULL));
    CU_ASSERT_EQUAL(made.count, 1);
    result_list_finish(&made);
    free(folder);
    findings_destroy(f);
    free(w);
}

static void no_folder(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct result_request r = make_request(w, f, "/nonexistent/folder");
    struct result_list made = {0};
    struct err err = {0};
    CU_ASSERT(!results_write(&r, &made, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    CU_ASSERT_EQUAL(made.count, 0);
    findings_destroy(f);
    free(w);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"results_of_a_plain_source", plain_source},
        {"results_of_a_source_without_type_2_attributes", bare_source},
        {"results_of_a_source_with_broken_uids_and_dates", broken_source},
        {"results_of_a_source_with_8_bit_names_without_character_set", latin_source},
        {"results_of_a_source_in_japanese", japanese_source},
        {"results_of_a_source_in_utf_8", utf8_source},
        {"results_of_a_source_in_gb18030", gb18030_source},
        {"results_of_slices_with_different_rescales", rescales_source},
        {"results_of_a_source_without_window_in_another_time_zone", windowless_source},
        {"results_of_an_enhanced_multi_frame_source", enhanced_source},
        {"results_of_a_source_with_odd_optional_attributes", odd_source},
        {"results_of_a_monochrome1_source", inverse_source},
        {"results_of_a_source_of_which_some_is_monochrome1", mixed_source},
        {"results_of_a_source_with_a_voi_table", tables_source},
        {"results_of_an_implicit_vr_source", implicit_source},
        {"results_of_a_volume_that_leaves_frames_out", reordered_volume},
        {"results_of_the_calcium_phantom", phantom_source},
        {"results_of_a_real_chest_ct", chest_source},
        {"results_not_evaluable_say_why", not_evaluable},
        {"results_failed_say_why_without_a_volume", failed},
        {"results_nothing_found_say_so", nothing_found},
        {"results_zero_has_numbers_and_no_gsps", zero_score},
        {"results_zero_stands_on_what_was_searched", zero_score_of_a_region},
        {"results_several_pictures_are_one_multi_frame", several_pictures},
        {"results_cine_pages_and_document", cine_and_pages},
        {"results_of_two_series", two_series},
        {"results_of_images_without_a_place", projections},
        {"results_ranges_probabilities_algorithms_exclusions", rich_findings},
        {"results_remarks_are_said_once", remarks_are_said_once},
        {"results_groups_refer_to_segments", segments},
        {"results_time_zone_of_source_site_or_none", time_zones},
        {"results_texts_in_any_character_set", texts_in_any_character_set},
        {"results_head_instead_of_sources", head_instead_of_sources},
        {"results_uids_are_those_of_before", uids_of_before},
        {"results_uids_are_the_same_in_any_order", uids_of_any_order},
        {"results_uids_change_with_options_contents_and_failure", uids_of_other_input},
        {"results_rerun_names_its_predecessor", rerun_names_predecessor},
        {"results_of_two_patients_never_mix", patients_never_mix},
        {"results_validators_find_faults_made_on_purpose", validators_find_faults},
        {"results_errors_leave_no_file", errors_leave_no_file},
        {"results_write_errors_leave_no_file", write_errors_leave_no_file},
        {"results_failed_because_the_first_source_is_truncated", truncated_first_source},
        {"results_into_no_folder_is_an_io_error", no_folder},
    };
    if (!object_init(NULL))
        return 2;
    int status = check_main("results", cases, sizeof cases / sizeof cases[0]);
    object_quit();
    return status;
}
