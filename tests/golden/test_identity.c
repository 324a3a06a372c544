// Results keep patient and study to the byte, whatever the modality and the character set: one
// analysis that takes any image makes each kind of result. identity_peer.py makes the samples and
// looks at what came out.
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dimse/read/object.h"
#include "node/job/analysis.h"
#include "tests/check.h"

#define PEER      "tests/golden/identity_peer.py"
#define FILES_MAX 8

static const struct code calcification = {"18115005", "SCT", "Pathologic calcification"};
static const struct code category = {"49755003", "SCT", "Morphologically Abnormal Structure"};
static const struct code volume = {"118565006", "SCT", "Volume"};
static const struct code mm3 = {"mm3", "UCUM", "cubic millimeter"};
static const struct code unit_one = {"1", "UCUM", "no units"};
static const struct code quantity = {"110852", "DCM", "MR signal intensity"};
static const struct code deviation = {"386136009", "SCT", "Standard deviation"};
static const float outline[] = {20, 20, 40, 20, 40, 40, 20, 40, 20, 20};

static void add_regions(const struct stage_run *run, struct findings *f)
{
    const struct image *img = &run->set->images[0];
    struct region *r = findings_add_region(f);
    struct label_map *labels = findings_add_labels(f, run->set, 0, 0);
    struct value_map *map = findings_add_map(f, run->set, 0);
    CU_ASSERT_FATAL(r && labels && labels->labels && map && map->values);
    *r = (struct region){.label = "Box",
                         .category = category,
                         .type = calcification,
                         .rgb = {230, 60, 60},
                         .automatic = true,
                         .group = 0};
    for (uint32_t y = 20; y < 40; y++) {
        for (uint32_t x = 20; x < 40; x++)
            labels->labels[y * img->dim[0] + x] = 1;
    }
    for (size_t i = 0; i < image_voxels(img); i++)
        map->values[i] = (float)(i % 100);
    map->name = "any";
    map->title = "Any";
    map->quantity = quantity;
    map->unit = unit_one;
    map->derivation = deviation;
    map->palette = PALETTE_HOT;
    map->window[0] = 50;
    map->window[1] = 100;
}

static enum stage_end any_run(const struct stage_run *run, struct findings *f, struct err *err)
{
    (void)err;
    f->verdict = VERDICT_DONE;
    f->reason = "";
    f->procedure = (struct code){"77477000", "SCT", "Computed tomography"};
    f->page.title = "Any";
    f->page.headline = "any image";
    struct finding_group *g = findings_add_group(f);
    struct layer *layer = findings_add_layer(f);
    struct mark *mark = findings_add_mark(f);
    CU_ASSERT_FATAL(g && layer && mark);
    g->label = "Box";
    g->finding = calcification;
    g->site = (struct code){"76752008", "SCT", "Breast"};
    g->region = -1;
    g->parent = -1;
    findings_add_number(f, g, &volume, 12.5, 1, &mm3, NULL);
    *layer = (struct layer){.name = "FOUND", .description = "Found", .rgb = {0, 200, 0}};
    *mark = (struct mark){.kind = MARK_POLYLINE, .points = outline, .count = 5};
    if (image_has_reference(run->set, &run->set->images[0]))
        add_regions(run, f);
    return STAGE_DONE;
}

static const struct stage_accept any[] = {{"Modality", "*"}, {0}};
static const struct stage_input_spec inputs[] = {
    {"images", "Any images.", INPUT_MANY, IMAGE_NO_AXIS, false, any}};
static const struct stage stage = {
    .name = "any",
    .title = "Any image",
    .version = "1",
    .slot = 90,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_GSPS | RESULT_SC | RESULT_SEG | RESULT_PMAP | RESULT_PDF,
    .report = REPORT_MEASUREMENTS,
    .run = any_run,
};

static void analyse(const char *folder)
{
    static char paths[FILES_MAX][PATH_MAX];
    char out[PATH_MAX];
    struct analysis_file files[FILES_MAX] = {0};
    struct analysis_input input = {.files = files};
    struct analysis_report report;
    struct err err = {0};
    for (; input.file_count < FILES_MAX; input.file_count++) {
        snprintf(paths[input.file_count], PATH_MAX, "%.4000s/%zu.dcm", folder, input.file_count);
        if (access(paths[input.file_count], R_OK) != 0)
            break;
        files[input.file_count].path = paths[input.file_count];
    }
    CU_ASSERT_FATAL(input.file_count > 0);
    snprintf(out, sizeof out, "%.4000s/results", folder);
    CU_ASSERT_EQUAL_FATAL(mkdir(out, 0700), 0);
    const struct analysis_request request = {
        .inputs = &input,
        .input_count = 1,
        .stage = &stage,
        .maker = {"ANODE", "2.25.42", "1", "anode test", "a device", NULL},
        .folder = out,
    };
    const bool ok = analysis_run(&request, NULL, &report, &err);
    if (!ok || report.findings->verdict != VERDICT_DONE)
        fprintf(stderr, "%s: %s%s\n", folder, err.text, ok ? report.findings->reason : "");
    CU_ASSERT_TRUE_FATAL(ok);
    CU_ASSERT_EQUAL(report.findings->verdict, VERDICT_DONE);
    analysis_report_finish(&report);
}

static void keep_patient_and_study_to_the_byte(void)
{
    char folder[PATH_MAX], path[2 * PATH_MAX];
    struct dirent **names = NULL;
    snprintf(folder, sizeof folder, "%s/samples", check_scratch());
    CU_ASSERT_EQUAL_FATAL(check_peer(PEER, "sources '%s'", folder), 0);
    const int count = scandir(folder, &names, NULL, alphasort);
    CU_ASSERT_FATAL(count > 2);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            analyse(path);
        free(names[i]);
    }
    free(names);
    CU_ASSERT_EQUAL(check_peer(PEER, "check '%s'", folder), 0);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"results_keep_patient_and_study_to_the_byte", keep_patient_and_study_to_the_byte},
    };
    struct err err = {0};
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("identity", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
