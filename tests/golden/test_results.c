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
#include <sys/wait.h>
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

// --- running the peer ---

static int peer(const char *format, ...)
{
    char command[3 * PATH_MAX];
    int n = snprintf(command, sizeof command,
                     "env -u LD_PRELOAD PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 " PEER " ");
    va_list ap;
    va_start(ap, format);
    vsnprintf(command + n, sizeof command - (size_t)n, format, ap);
    va_end(ap);
    fflush(stdout);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// --- a source series ---

struct world {
    char manifest[PATH_MAX];
    struct volume volume;
    struct volume_slice slices[MAX_FRAMES];
    struct result_source sources[MAX_FRAMES];
    uint32_t slice_source[MAX_FRAMES], order[MAX_FRAMES];
    char paths[MAX_FRAMES][256];
    size_t frames, source_count;
};

static uint32_t find_source(struct world *w, const char *path, const char *class, const char *uid)
{
    for (size_t i = 0; i < w->source_count; i++)
        if (strcmp(w->sources[i].sop_instance_uid, uid) == 0)
            return (uint32_t)i;
    struct result_source *s = &w->sources[w->source_count];
    snprintf(w->paths[w->source_count], sizeof w->paths[0], "%s", path);
    s->path = w->paths[w->source_count];
    snprintf(s->sop_class_uid, sizeof s->sop_class_uid, "%s", class);
    snprintf(s->sop_instance_uid, sizeof s->sop_instance_uid, "%s", uid);
    struct digest *d = digest_create();
    digest_add_text(d, uid);
    digest_end(d, s->digest);
    digest_destroy(d);
    return (uint32_t)w->source_count++;
}

static double next_number(char **rest)
{
    char *text = strtok_r(NULL, " \n", rest), *end = NULL;
    CU_ASSERT_FATAL(text != NULL);
    double value = strtod(text, &end);
    CU_ASSERT_FATAL(end != text && *end == 0);
    return value;
}

static void read_frame(struct world *w, char *line)
{
    struct volume_slice *s = &w->slices[w->frames];
    char *rest = NULL;
    const char *path = strtok_r(line, " ", &rest), *class = strtok_r(NULL, " ", &rest);
    const char *uid = strtok_r(NULL, " ", &rest);
    CU_ASSERT_FATAL(path && class && uid);
    s->frame = (uint32_t)next_number(&rest);
    s->columns = (uint32_t)next_number(&rest);
    s->rows = (uint32_t)next_number(&rest);
    for (int i = 0; i < 2; i++)
        s->pixel_spacing[i] = next_number(&rest);
    for (int i = 0; i < 3; i++)
        s->position[i] = next_number(&rest);
    s->orientation[0] = s->orientation[4] = 1;
    snprintf(s->frame_of_reference_uid, sizeof s->frame_of_reference_uid, "%s",
             strtok_r(NULL, " \n", &rest));
    snprintf(s->sop_instance_uid, sizeof s->sop_instance_uid, "%s", uid);
    w->slice_source[w->frames] = find_source(w, path, class, uid);
    w->order[w->frames] = (uint32_t)w->frames;
    w->frames++;
}

static struct world *read_world(const char *manifest)
{
    struct world *w = calloc(1, sizeof *w);
    FILE *f = fopen(manifest, "r");
    char line[1024];
    CU_ASSERT_FATAL(w != NULL && f != NULL);
    snprintf(w->manifest, sizeof w->manifest, "%s", manifest);
    while (w->frames < MAX_FRAMES && fgets(line, sizeof line, f))
        read_frame(w, line);
    fclose(f);
    CU_ASSERT_FATAL(w->frames >= 6);
    struct volume *v = &w->volume;
    v->dim[0] = w->slices[0].columns;
    v->dim[1] = w->slices[0].rows;
    v->dim[2] = (uint32_t)w->frames;
    v->spacing[0] = w->slices[0].pixel_spacing[1];
    v->spacing[1] = w->slices[0].pixel_spacing[0];
    v->spacing[2] = fabs(w->slices[1].position[2] - w->slices[0].position[2]);
    v->source = w->order;
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
    CU_ASSERT_FATAL(peer("sources %s '%s'", variant, folder) == 0);
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
    {MARK_POLYLINE, 1, 0, 1, lesion_c, 4, NULL},
    {MARK_POLYLINE, 2, 0, 1, lesion_b, 5, NULL},
    {MARK_POLYLINE, 3, 0, 1, lesion_a, 5, NULL},
    {MARK_TEXT, 3, 0, 1, label_a, 2, "LAD 100.0\nlesion 1"},
    {MARK_POLYLINE, 2, 0, 2, far_lesion, 5, NULL},
    {MARK_TEXT, 2, 0, 2, label_far, 2, "LAD 28.4"},
    {MARK_ELLIPSE, 1, 1, 4, ellipse, 4, NULL},
    {MARK_POINT, 1, 1, 4, point, 1, NULL},
};
#define MARKS (sizeof marks / sizeof marks[0])

static const struct layer layers[] = {{"LAD", "Left anterior descending", {0, 200, 0}},
                                      {"RCA", "Right coronary", {230, 0, 0}}};

static bool no_run(const struct stage_input *in, struct findings *out, struct err *err)
{
    (void)in;
    (void)out;
    return err_set(err, ERR_INTERNAL, "never run");
}
static const struct stage stage = {
    .name = "calcium",
    .title = "Coronary calcium scoring",
    .version = "1",
    .slot = 3,
    .accepts = "-",
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC,
    .run = no_run,
};

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
        g->key_slice = groups[i].key_slice;
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
    *findings_add_picture(f) = (struct picture){name, "Report", width, height, rgb};
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
    const struct volume_slice *s = &w->slices[w->order[m->slice]];
    const bool many = w->source_count < w->frames;
    uint32_t values = m->kind == MARK_TEXT ? 2 : 2 * m->count; // a text is found by its anchor
    fprintf(out, "{\"type\": \"%s\", \"instance\": \"%s\", \"frame\": %u, \"points\": [",
            type_names[m->kind], s->sop_instance_uid, many ? s->frame : 0);
    for (uint32_t i = 0; i < values; i++)
        fprintf(out, "%s%.9g", i ? ", " : "", (double)m->points[i]);
    fprintf(out, "]");
}

// The free slice nearest to the middle, for each group in turn that has no marks of its own.
static uint32_t border_slice(const struct world *w, const struct findings *f, uint32_t index)
{
    const uint32_t count = w->volume.dim[2];
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
    const float frame[4] = {0, 0, (float)w->volume.dim[0], (float)w->volume.dim[1]};
    const float *b = f->labels ? searched_box : frame;
    const float points[] = {b[0], b[1], b[2], b[1], b[2], b[3], b[0], b[3], b[0], b[1]};
    put_mark(out, w, &(struct mark){MARK_POLYLINE, slice, 0, 0, points, 5, NULL});
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
        fprintf(out, "}");
    }
}

static void put_group(FILE *out, const struct world *w, const struct findings *f, uint32_t index)
{
    const struct finding_group *g = &f->groups[index];
    const struct group_row *row = &groups[index];
    fprintf(out, "%s{\"label\": \"%s\", \"template\": \"%s\", ", index ? ",\n  " : "", g->label,
            f->mark_count ? row->template : "1410");
    put_code(out, "site", g->site);
    fprintf(out, ", ");
    put_code(out, "side", g->laterality);
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
        const uint8_t *last = p->rgb + ((size_t)p->width * p->height - 1) * 3;
        fprintf(out, "%s[%u, %u, [%u, %u, %u], [%u, %u, %u]]", i ? ", " : "", p->width, p->height,
                p->rgb[0], p->rgb[1], p->rgb[2], last[0], last[1], last[2]);
    }
}

static void write_expected(const struct world *w, const struct result_request *r,
                           const struct result_object *objects, size_t count, const char *zone)
{
    char path[PATH_MAX];
    CU_ASSERT_FATAL(fs_join(path, r->folder, "expected.json", NULL));
    FILE *out = fopen(path, "w");
    CU_ASSERT_FATAL(out != NULL);
    fprintf(out, "{\"stage\": \"%s\", \"version\": \"%s\", \"slot\": %u, \"device\": \"%s\",\n",
            r->stage->name, r->stage->version, r->stage->slot, DEVICE_UID);
    fprintf(out, " \"zone\": \"%s\", \"started\": \"%s\", \"predecessor\": \"%s\",\n", zone,
            STARTED_JST, r->predecessor ? r->predecessor->sop_instance_uid : "");
    const bool private = r->findings->verdict == VERDICT_DONE && r->findings->evaluation_count;
    fprintf(out, " \"private\": %s,", private ? "true" : "false");
    fprintf(out, " \"algorithm\": [\"anode calcium\", \"1\"], \"parameters\": "
                 "[\"threshold_hu = 130 [hnsf'U]\", \"connectivity = 26\"],\n ");
    put_code(out, "procedure", r->findings->procedure);
    fprintf(out, ",\n \"objects\": {");
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s\"%s\": \"%s\"", i ? ", " : "", stage_result_name(objects[i].kind),
                objects[i].sop_instance_uid);
    fprintf(out, "},\n \"groups\": [");
    for (uint32_t i = 0; i < r->findings->group_count; i++)
        put_group(out, w, r->findings, i);
    fprintf(out, "],\n \"evaluations\": [");
    put_evaluations(out, r->findings);
    put_verdict(out, r->findings);
    fprintf(out, "],\n \"layers\": [\"LAD\", \"RCA\"],\n \"marks\": [");
    put_marks(out, w, r->findings);
    fprintf(out, "],\n \"pictures\": [");
    put_pictures(out, r->findings);
    fprintf(out, "]}\n");
    fclose(out);
}

// --- one set of results ---

static struct result_request make_request(const struct world *w, const struct findings *f,
                                          const char *folder)
{
    return (struct result_request){
        .stage = &stage,
        .findings = f,
        .volume = &w->volume,
        .slices = w->slices,
        .slice_count = w->frames,
        .sources = w->sources,
        .source_count = w->source_count,
        .slice_source = w->slice_source,
        .options = "threshold_hu=130;connectivity=26",
        .maker = {"ANODE", DEVICE_UID, "SN-1", "anode 0.1.0", "llvmpipe (LLVM 15.0.6, 256 bits)"},
        .started = {STARTED, 0},
        .kinds = RESULT_SR | RESULT_GSPS | RESULT_SC,
        .folder = folder,
    };
}

static void judge(const struct world *w, const struct result_request *r, const char *variant,
                  size_t want)
{
    struct result_object objects[6];
    size_t count = 99;
    struct err err = {0};
    CU_ASSERT_FATAL(results_write(r, objects, &count, &err));
    CU_ASSERT_EQUAL(count, want);
    const bool tokyo = strcmp(variant, "windowless") == 0;
    write_expected(w, r, objects, count, tokyo ? "+0900" : "");
    CU_ASSERT_EQUAL(peer("check '%s' '%s' %s", r->folder, w->manifest, variant), 0);
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
    w->volume.dim[2] = (uint32_t)w->frames - 2;
    for (uint32_t k = 0; k < w->volume.dim[2]; k++)
        w->order[k] = (uint32_t)w->frames - 2 - k;
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
    CU_ASSERT_FATAL(peer("list '%s' '%s'", folder, manifest) == 0);
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
        r.volume = NULL;
        r.slices = NULL;
        r.slice_source = NULL;
        r.slice_count = 0;
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
    const uint32_t *dim = w->volume.dim;
    f->labels = arena_alloc(f->arena, (size_t)dim[0] * dim[1] * dim[2], 1);
    CU_ASSERT_FATAL(f->labels && dim[0] > searched_box[2] && dim[1] > searched_box[3]);
    struct region *r = findings_add_region(f);
    *r = (struct region){.label = "lesion", .group = 0};
    r = findings_add_region(f);
    *r = (struct region){.label = "searched", .group = -1};
    for (uint32_t k = 0; k < dim[2]; k++) {
        uint8_t *slice = f->labels + (size_t)k * dim[0] * dim[1];
        slice[0] = 1;
        for (uint32_t y = (uint32_t)searched_box[1]; y < (uint32_t)searched_box[3]; y++)
            memset(slice + (size_t)y * dim[0] + (uint32_t)searched_box[0], 2,
                   (size_t)(searched_box[2] - searched_box[0]));
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

// --- UIDs ---

struct uids {
    struct result_object o[6];
    size_t count;
};

static struct uids write_again(const struct world *w, const struct findings *f, const char *options,
                               const struct result_predecessor *predecessor)
{
    struct uids u = {0};
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    r.options = options;
    r.predecessor = predecessor;
    r.started.tv_sec += 5000; // the time is no part of a UID
    CU_ASSERT_FATAL(results_write(&r, u.o, &u.count, NULL));
    free(folder);
    return u;
}

static bool any_shared(const struct uids *a, const struct uids *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (strcmp(a->o[i].sop_instance_uid, b->o[j].sop_instance_uid) == 0 ||
                strcmp(a->o[i].series_instance_uid, b->o[j].series_instance_uid) == 0)
                return true;
    return false;
}

static bool same_uids(const struct uids *a, const struct uids *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = strcmp(a->o[i].sop_instance_uid, b->o[i].sop_instance_uid) == 0 &&
               strcmp(a->o[i].series_instance_uid, b->o[i].series_instance_uid) == 0;
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
    for (size_t i = 0; i < w->frames; i++)
        w->slice_source[i] = (uint32_t)(n - 1 - w->slice_source[i]);
}

static void uids_of_any_order(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct uids first = write_again(w, f, "threshold_hu=130", NULL);
    reverse(w);
    struct uids second = write_again(w, f, "threshold_hu=130", NULL);
    CU_ASSERT_EQUAL(first.count, 3);
    CU_ASSERT(same_uids(&first, &second));
    CU_ASSERT_STRING_NOT_EQUAL(first.o[0].sop_instance_uid, first.o[0].series_instance_uid);
    CU_ASSERT_STRING_NOT_EQUAL(first.o[0].series_instance_uid, first.o[1].series_instance_uid);
    // the whole report holds in the other order, too
    char *folder = subfolder("results");
    struct result_request r = make_request(w, f, folder);
    judge(w, &r, "plain", 3);
    free(folder);
    findings_destroy(f);
    free(w);
}

static void uids_of_other_input(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct uids first = write_again(w, f, "threshold_hu=130", NULL);
    struct uids option = write_again(w, f, "threshold_hu=131", NULL);
    CU_ASSERT(!any_shared(&first, &option));
    w->sources[2].digest[31] ^= 1;
    struct uids content = write_again(w, f, "threshold_hu=130", NULL);
    CU_ASSERT(!any_shared(&first, &content));
    w->sources[2].digest[31] ^= 1;
    findings_refuse(f, VERDICT_FAILED, "device lost");
    struct uids failure = write_again(w, f, "threshold_hu=130", NULL);
    CU_ASSERT_EQUAL(failure.count, 1);
    CU_ASSERT(!any_shared(&first, &failure));
    findings_destroy(f);
    free(w);
}

static void rerun_names_predecessor(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct uids first = write_again(w, f, "threshold_hu=130", NULL);
    struct result_predecessor p = {0};
    snprintf(p.sop_class_uid, sizeof p.sop_class_uid, "%s", first.o[0].sop_class_uid);
    snprintf(p.sop_instance_uid, sizeof p.sop_instance_uid, "%s", first.o[0].sop_instance_uid);
    snprintf(p.series_instance_uid, sizeof p.series_instance_uid, "%s",
             first.o[0].series_instance_uid);
    snprintf(p.study_instance_uid, sizeof p.study_instance_uid, "%s",
             first.o[0].study_instance_uid);
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
    CU_ASSERT_EQUAL(peer("strangers '%s' '%s' '%s'", one->manifest, folder_one, folder_two), 0);
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
    CU_ASSERT_EQUAL(peer("control '%s' '%s'", folder, w->manifest), 0);
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
    struct result_object objects[6];
    size_t count = 99;
    struct err err = {0};
    CU_ASSERT(!results_write(r, objects, &count, &err));
    CU_ASSERT_EQUAL(err.code, code);
    CU_ASSERT_EQUAL(count, 0);
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
    f->marks[7].slice = (uint32_t)w->frames;
    refused(&r, ERR_INTERNAL);
    f->marks[7].slice = 1;
    f->pictures[0].width = 70000;
    refused(&r, ERR_INTERNAL); // after SR and GSPS were written
    f->pictures[0].width = 61;
    f->groups[2].label = "LAD lesion 1"; // would share a tracking UID
    refused(&r, ERR_INTERNAL);
    f->groups[2].label = "LAD lesion 2";
    f->layers[1].name = "rca";
    refused(&r, ERR_INTERNAL);
    f->layers[1].name = "RCA";
    w->slice_source[5] = 6;
    refused(&r, ERR_INTERNAL);
    w->slice_source[5] = 5;
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
    small.rlim_cur = 12000; // the SR has more
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
    r.volume = NULL;
    CU_ASSERT_FATAL(truncate(w->sources[0].path, 700) == 0);
    struct result_object objects[6];
    size_t count = 0;
    CU_ASSERT(results_write(&r, objects, &count, NULL));
    CU_ASSERT_EQUAL(count, 1);
    free(folder);
    findings_destroy(f);
    free(w);
}

static void no_folder(void)
{
    struct world *w = make_world("plain");
    struct findings *f = make_findings();
    struct result_request r = make_request(w, f, "/nonexistent/folder");
    struct result_object objects[6];
    size_t count = 99;
    struct err err = {0};
    CU_ASSERT(!results_write(&r, objects, &count, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    CU_ASSERT_EQUAL(count, 0);
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
