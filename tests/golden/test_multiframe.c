// Label maps, fractions and value maps on sources of many geometries to Segmentation and Parametric
// Map, judged by other toolkits: multiframe_peer.py.
#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fs.h"
#include "base/uid.h"
#include "dimse/read/object.h"
#include "dimse/write/results.h"
#include "tests/check.h"

#define FILES_MAX 64
#define PEER      "tests/golden/multiframe_peer.py"

static struct err err;

// ---- A source series as a job reads it
// -------------------------------------------------------------

struct world {
    char folder[512], results[600];
    struct arena *arena;
    struct result_source sources[FILES_MAX];
    char paths[FILES_MAX][600];
    struct attrs attrs[FILES_MAX];
    struct attrs own[FILES_MAX]; // of frames
    struct image_frame frames[FILES_MAX];
    uint32_t source_count, frame_count;
    struct image_set set;
};

static void read_file(struct world *w, const char *path)
{
    CU_ASSERT_FATAL(w->source_count < FILES_MAX);
    struct result_source *s = &w->sources[w->source_count];
    struct attrs *attrs = &w->attrs[w->source_count];
    struct object *o = object_open(path, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(o);
    const struct object_ids *ids = object_ids(o);
    CU_ASSERT_FATAL((size_t)snprintf(w->paths[w->source_count], sizeof w->paths[0], "%s", path) <
                    sizeof w->paths[0]);
    s->path = w->paths[w->source_count];
    // as a job has them, also where they are broken
    CU_ASSERT_TRUE_FATAL(object_attrs(o, attrs, &err));
    snprintf(s->study_instance_uid, 65, "%s", ids->id.study_instance_uid);
    snprintf(s->series_instance_uid, 65, "%s", ids->id.series_instance_uid);
    snprintf(s->sop_instance_uid, 65, "%s", attrs_get(attrs, "SOPInstanceUID"));
    snprintf(s->sop_class_uid, 65, "%s", attrs_get(attrs, "SOPClassUID"));
    CU_ASSERT_TRUE(object_digest(path, s->digest, &err));
    s->frames = ids->frames;
    s->main = true;
    for (uint32_t f = 0; f < ids->frames; f++) {
        CU_ASSERT_FATAL(w->frame_count < FILES_MAX);
        struct image_frame *frame = &w->frames[w->frame_count];
        struct attrs *own = &w->own[w->frame_count++];
        CU_ASSERT_TRUE_FATAL(object_frame(o, f, frame, &err));
        CU_ASSERT_TRUE_FATAL(object_frame_attrs(o, f, own, &err));
        own->base = attrs;
        frame->attrs = own;
        frame->source = w->source_count;
    }
    object_close(o);
    w->source_count++;
}

static int not_dot(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static struct world *world_create(const char *variant)
{
    static unsigned serial;
    struct world *w = calloc(1, sizeof *w);
    struct dirent **entries = NULL;
    char source[600], path[PATH_MAX];
    CU_ASSERT_PTR_NOT_NULL_FATAL(w);
    snprintf(w->folder, sizeof w->folder, "%s/%s-%u", check_scratch(), variant, serial++);
    snprintf(source, sizeof source, "%s/source", w->folder);
    snprintf(w->results, sizeof w->results, "%s/results", w->folder);
    CU_ASSERT_FATAL(mkdir(w->folder, 0700) == 0 && mkdir(source, 0700) == 0 &&
                    mkdir(w->results, 0700) == 0);
    CU_ASSERT_FATAL(check_peer(PEER, "sources %s '%s'", variant, source) == 0);
    int n = scandir(source, &entries, not_dot, alphasort);
    CU_ASSERT_FATAL(n > 0);
    for (int i = 0; i < n; i++) {
        CU_ASSERT_TRUE_FATAL(fs_join(path, source, entries[i]->d_name, &err));
        read_file(w, path);
        free(entries[i]);
    }
    free(entries);
    w->arena = arena_create();
    CU_ASSERT_TRUE_FATAL(w->arena &&
                         image_split(w->frames, w->frame_count, NULL, w->arena, &w->set, &err));
    CU_ASSERT_EQUAL_FATAL(w->set.image_count, 1);
    return w;
}

static void world_destroy(struct world *w)
{
    for (uint32_t i = 0; i < w->source_count; i++)
        attrs_finish(&w->attrs[i]);
    for (uint32_t i = 0; i < w->frame_count; i++)
        attrs_finish(&w->own[i]);
    arena_destroy(w->arena);
    free(w);
}

// ---- Findings
// --------------------------------------------------------------------------------------

static const struct code anatomy = {"123037004", "SCT", "Anatomical Structure"};
static const struct code lesion = {"49755003", "SCT", "Morphologically Altered Structure"};
static const struct code lung = {"39607008", "SCT", "Lung"};
static const struct code calcification = {"18115005", "SCT", "Pathologic Calcification"};
static const struct code artery = {"59438005", "SCT", "Left anterior descending coronary artery"};
static const struct code left = {"7771000", "SCT", "Left"};
static const struct code networks = {"123110", "DCM", "Artificial Intelligence"};

static void add_regions(struct findings *f, unsigned more)
{
    struct region *r = findings_add_region(f);
    *r = (struct region){.label = "Lung",
                         .category = anatomy,
                         .type = lung,
                         .site = lung,
                         .laterality = left,
                         .rgb = {10, 200, 30},
                         .group = -1,
                         .automatic = true};
    r = findings_add_region(f);
    *r = (struct region){.label = "Calcification",
                         .category = lesion,
                         .type = calcification,
                         .site = artery,
                         .rgb = {250, 220, 0},
                         .group = 0,
                         .algorithm = {.name = "net", .version = "7", .family = networks}};
    r = findings_add_region(f); // occurs in no map
    *r = (struct region){.label = "Nowhere", .category = anatomy, .type = lung, .group = -1};
    for (unsigned i = 0; i < more; i++) {
        r = findings_add_region(f);
        *r = (struct region){.label = arena_printf(f->arena, "Part %u", i),
                             .category = anatomy,
                             .type = lung,
                             .group = -1,
                             .rgb = {(uint8_t)i, 3, 7},
                             .automatic = true};
    }
    struct finding_group *g = findings_add_group(f);
    g->label = "LAD lesion 1";
    g->region = 1;
}

// No plane of symmetry anywhere.
static uint16_t label_at(const struct image *img, uint32_t i, uint32_t j, uint32_t k,
                         uint32_t point, unsigned more)
{
    if (k > 0 && k + 1 == img->dim[2])
        return 0; // an empty slice
    if (more && k == 4)
        return (uint16_t)(4 + (i + j * img->dim[0]) % more);
    if (i < 4 + k && j < 3 + 2 * (k % 3) + point)
        return 1;
    double x = i - 15.0 - k, y = j - 20.0 + 0.5 * k, z = k - 3.0;
    return x * x + 1.7 * y * y + 3 * z * z < 40 ? 2 : 0;
}

static void fill_labels(struct findings *f, const struct image_set *set, uint32_t point,
                        unsigned more)
{
    struct label_map *m = findings_add_labels(f, set, 0, point);
    const struct image *img = &set->images[0];
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    uint16_t *at = m->labels;
    for (uint32_t k = 0; k < img->dim[2]; k++)
        for (uint32_t j = 0; j < img->dim[1]; j++)
            for (uint32_t i = 0; i < img->dim[0]; i++)
                *at++ = label_at(img, i, j, k, point, more);
}

static void fill_fractions(struct findings *f, const struct image_set *set, bool probability)
{
    struct fraction_map *m = findings_add_fractions(f, set, 0, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    size_t count = image_voxels(&set->images[0]);
    m->region = 1;
    m->probability = probability;
    for (size_t i = count / 3; i < count / 2; i++)
        m->values[i] = (uint8_t)(i * 7);
}

static void fill_map(struct findings *f, const struct image_set *set, const char *name, bool gaps)
{
    struct value_map *m = findings_add_map(f, set, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    size_t count = image_voxels(&set->images[0]);
    m->name = name;
    m->title = "Cerebral blood flow";
    m->quantity = (struct code){"113055", "DCM", "Regional Cerebral Blood Flow"};
    m->unit = (struct code){"ml/(100.g)/min", "UCUM", "ml/(100.g)/min"};
    m->method = (struct code){"113072", "99TEST", "Method of the test"};
    m->window[0] = 40.5;
    m->window[1] = 80;
    for (size_t i = 0; i < count; i++)
        m->values[i] = gaps && i % 5 == 1 ? NAN : (float)i * 0.013f - 7;
}

// ---- What the peer compares with
// ----------------------------------------------------------------------

static void dump(const struct world *w, const char *name, const void *data, size_t size)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    FILE *file = fopen(path, "wb");
    CU_ASSERT_FATAL(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void put_code(FILE *out, const char *key, struct code c)
{
    if (c.value)
        fprintf(out, "\"%s\": [\"%s\", \"%s\"], ", key, c.value, c.scheme);
    else
        fprintf(out, "\"%s\": null, ", key);
}

static void put_region(FILE *out, const struct findings *f, uint32_t i)
{
    const struct region *r = &f->regions[i];
    const char *name = r->algorithm.name ? r->algorithm.name : "Test of maps";
    const char *version = r->algorithm.name ? r->algorithm.version : "3";
    fprintf(out, "%s{\"label\": \"%s\", ", i ? ", " : "", r->label);
    put_code(out, "category", r->category);
    put_code(out, "type", r->type);
    put_code(out, "site", r->site);
    put_code(out, "laterality", r->laterality);
    fprintf(out, "\"rgb\": [%u, %u, %u], ", r->rgb[0], r->rgb[1], r->rgb[2]);
    fprintf(out,
            "\"algorithm_type\": \"%s\", \"algorithm\": [\"%s\", \"%s\"], \"tracking\": \"%s\"}",
            r->automatic ? "AUTOMATIC" : "SEMIAUTOMATIC", name, version,
            r->group >= 0 ? f->groups[r->group].label : "");
}

static void put_frames(FILE *out, const struct world *w)
{
    const struct image *img = &w->set.images[0];
    fprintf(out, "\"frames\": [");
    for (uint32_t p = 0; p < img->dim[3]; p++) {
        fprintf(out, "%s[", p ? ", " : "");
        for (uint32_t k = 0; k < img->dim[2]; k++) {
            uint32_t index = image_frame_at(img, k, p);
            CU_ASSERT_FATAL(index != IMAGE_NO_FRAME);
            const struct image_frame *f = &w->frames[index];
            fprintf(out, "%s[\"%s\", %u]", k ? ", " : "", w->sources[f->source].sop_instance_uid,
                    f->number);
        }
        fprintf(out, "]");
    }
    fprintf(out, "]");
}

static void put_objects(FILE *out, const struct world *w, const struct findings *f)
{
    size_t voxels = image_voxels(&w->set.images[0]);
    char name[64];
    const char *comma = "";
    unsigned index = 0;
    fprintf(out, "\"objects\": {");
    for (uint32_t i = 0; i < f->label_count; i++, comma = ", ") {
        snprintf(name, sizeof name, "labels%u.raw", i);
        dump(w, name, f->labels[i].labels, voxels * sizeof *f->labels[i].labels);
        fprintf(out, "%s\"maps-seg", comma);
        if (++index > 1)
            fprintf(out, "-%u", index);
        fprintf(out, ".dcm\"");
        fprintf(out, ": {\"kind\": \"labels\", \"point\": %u, \"file\": \"%s\"}",
                f->labels[i].point, name);
    }
    for (uint32_t i = 0; i < f->fraction_count; i++, comma = ", ") {
        snprintf(name, sizeof name, "fractions%u.raw", i);
        dump(w, name, f->fractions[i].values, voxels);
        fprintf(out,
                "%s\"maps-seg-%u.dcm\": {\"kind\": \"fractions\", \"point\": %u, \"file\": \"%s\", "
                "\"region\": %d, \"type\": \"%s\"}",
                comma, ++index, f->fractions[i].point, name, f->fractions[i].region,
                f->fractions[i].probability ? "PROBABILITY" : "OCCUPANCY");
    }
    for (uint32_t i = 0; i < f->map_count; i++, comma = ", ") {
        const struct value_map *m = &f->maps[i];
        snprintf(name, sizeof name, "map%u.raw", i);
        dump(w, name, m->values, voxels * sizeof *m->values);
        fprintf(out, "%s\"maps-pmap-%s.dcm\": {\"kind\": \"map\", \"file\": \"%s\", ", comma,
                m->name, name);
        put_code(out, "unit", m->unit);
        put_code(out, "quantity", m->quantity);
        put_code(out, "method", m->method);
        fprintf(out, "\"window\": [%g, %g]}", m->window[0], m->window[1]);
    }
    fprintf(out, "}");
}

static void write_expected(const struct world *w, const struct findings *f)
{
    char path[700];
    snprintf(path, sizeof path, "%s/expected.json", w->folder);
    FILE *out = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    fprintf(out, "{\"increment\": %.12g, \"modality\": \"%s\", \"regions\": [",
            w->set.images[0].spacing[2], attrs_get(w->frames[0].attrs, "Modality"));
    for (uint32_t i = 0; i < f->region_count; i++)
        put_region(out, f, i);
    fprintf(out, "], ");
    put_frames(out, w);
    fprintf(out, ", ");
    put_objects(out, w, f);
    fprintf(out, "}\n");
    CU_ASSERT_FATAL(fclose(out) == 0);
}

static struct result_request request_of(const struct world *w, const struct findings *f)
{
    return (struct result_request){
        .stage = {.name = "maps", .title = "Test of maps", .version = "3", .slot = 9},
        .findings = f,
        .images = &w->set,
        .sources = w->sources,
        .source_count = w->source_count,
        .identity = "",
        .maker = {.ae_title = "ANODE",
                  .device_uid = "2.25.4242",
                  .serial = "1",
                  .software = "anode 0.1.0",
                  .device_name = "a device"},
        .started = {.tv_sec = 1700000000},
        .kinds = RESULT_SEG | RESULT_PMAP,
        .folder = w->results,
    };
}

static void judge(const char *variant, unsigned more_regions)
{
    struct world *w = world_create(variant);
    struct findings *f = findings_create();
    struct result_list list = {0};
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    f->verdict = VERDICT_DONE;
    f->reason = "";
    add_regions(f, more_regions);
    for (uint32_t p = 0; p < w->set.images[0].dim[3]; p++)
        fill_labels(f, &w->set, p, more_regions);
    fill_fractions(f, &w->set, true);
    fill_fractions(f, &w->set, false);
    fill_map(f, &w->set, "cbf", true);
    fill_map(f, &w->set, "whole", false);
    write_expected(w, f);
    const bool report = w->set.images[0].dim[2] == 1; // what it says of one slice is judged too
    struct result_request request = request_of(w, f);
    request.kinds |= report ? RESULT_SR : 0;
    err = (struct err){0};
    CU_ASSERT_TRUE(results_write(&request, &list, &err));
    if (err.code)
        fprintf(stderr, "%s: %s\n", variant, err.text);
    CU_ASSERT_EQUAL(list.count, f->label_count + f->fraction_count + f->map_count + report);
    CU_ASSERT_EQUAL(check_peer(PEER, "check '%s' %s", w->folder, variant), 0);
    result_list_finish(&list);
    findings_destroy(f);
    world_destroy(w);
}

static void axial(void)
{
    judge("axial", 0);
}
static void oblique(void)
{
    judge("oblique", 0);
}
static void tilted(void)
{
    judge("tilted", 0);
}
static void turned(void)
{
    judge("turned", 0);
}
static void backwards(void)
{
    judge("backwards", 0);
}
static void sagittal(void)
{
    judge("sagittal", 0);
}
static void enhanced(void)
{
    judge("enhanced", 0);
}
static void phases(void)
{
    judge("phases", 0);
}
// One slice has a thickness, and no distance to another one.
static void single(void)
{
    judge("single", 0);
}
static void broken(void)
{
    judge("broken", 0);
}

// More segments than a byte can count.
static void many(void)
{
    judge("axial", 300);
}

static void nothing_is_written_of_empty_maps_and_without_a_place(void)
{
    struct world *w = world_create("axial");
    struct findings *f = findings_create();
    struct result_list list = {0};
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    f->verdict = VERDICT_DONE;
    f->reason = "";
    add_regions(f, 0);
    CU_ASSERT_PTR_NOT_NULL(findings_add_labels(f, &w->set, 0, 0)); // no voxel
    struct fraction_map *fractions = findings_add_fractions(f, &w->set, 0, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fractions);
    fractions->region = 0;
    struct result_request request = request_of(w, f);
    CU_ASSERT_TRUE(results_write(&request, &list, &err));
    CU_ASSERT_EQUAL(list.count, 0);
    fill_labels(f, &w->set, 0, 0);
    fill_map(f, &w->set, "cbf", false);
    fill_fractions(f, &w->set, false);
    for (uint32_t i = 0; i < w->frame_count; i++)
        w->frames[i].frame_of_reference_uid[0] = 0; // nobody could find the place
    CU_ASSERT_TRUE(results_write(&request, &list, &err));
    CU_ASSERT_EQUAL(list.count, 0);
    result_list_finish(&list);
    findings_destroy(f);
    world_destroy(w);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"multiframe_axial", axial},
        {"multiframe_oblique", oblique},
        {"multiframe_tilted_gantry", tilted},
        {"multiframe_normal_to_the_feet", turned},
        {"multiframe_files_to_the_feet", backwards},
        {"multiframe_sagittal", sagittal},
        {"multiframe_of_an_enhanced_object", enhanced},
        {"multiframe_of_phases", phases},
        {"multiframe_of_one_slice", single},
        {"multiframe_of_broken_headers", broken},
        {"multiframe_of_many_segments", many},
        {"multiframe_nothing_is_written_of_empty_maps_and_without_a_place",
         nothing_is_written_of_empty_maps_and_without_a_place},
    };
    if (!object_init(&err)) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    int status = check_main("multiframe", cases, sizeof cases / sizeof *cases);
    object_quit();
    return status;
}
