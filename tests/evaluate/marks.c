// What the mammography analysis sees on pictures, for tests/evaluate/mammo.py: the marks as JSON, a
// line a picture, and what it takes for tissue.
//   evaluate_marks < list
// A line of the list: file of int16 (rows of columns), columns, rows, mm, 1 for an oblique view, 1
// for detector values, file for tissue or -: uint32 columns and rows of the work grid, then its
// bytes, 64 outside, 128 fat, 192 dense, 255 muscle.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/gpu/gpu.h"
#include "compute/image/load.h"
#include "compute/stages/mammo/mammo_density.h"

struct entry {
    char file[512], tissue[512];
    unsigned columns, rows;
    double mm;
    bool oblique, processing;
};

static int16_t *read_picture(const struct entry *e)
{
    const size_t count = (size_t)e->columns * e->rows;
    int16_t *v = malloc(count * sizeof *v);
    FILE *in = fopen(e->file, "rb");
    if (!in || !v || fread(v, sizeof *v, count, in) != count) {
        fprintf(stderr, "cannot read %s\n", e->file);
        exit(1);
    }
    fclose(in);
    return v;
}

static void write_tissue(const struct stage_run *run, const struct mammo_view *view,
                         const char *file)
{
    struct mammo_picture p;
    struct mammo_breast b;
    struct mammo_marks m = {0};
    struct err err = {0};
    const char *refused = NULL;
    FILE *out = fopen(file, "wb");
    if (!out || !mammo_picture_read(run, 0, view, &p, &refused, &err) || refused)
        exit(1);
    const size_t count = (size_t)p.w * p.h;
    uint8_t *dense = arena_alloc(run->arena, count, 1);
    if (!dense || !mammo_breast_find(run, &p, view->oblique, &b, &refused, &err) || refused ||
        !mammo_density_find(run, &p, &b, dense, &m, &err)) {
        fprintf(stderr, "%s %s\n", refused ? refused : "", err.text);
        exit(1);
    }
    fwrite(&p.w, sizeof p.w, 1, out);
    fwrite(&p.h, sizeof p.h, 1, out);
    for (uint32_t y = 0; y < p.h; y++) {
        for (uint32_t x = 0; x < p.w; x++) {
            const size_t i = (size_t)y * p.w + (p.mirrored ? p.w - 1 - x : x);
            fputc(!b.whole[i] ? 64 : b.muscle[i] ? 255 : dense[i] ? 192 : 128, out);
        }
    }
    fclose(out);
    mammo_picture_finish(&p);
}

static void print_marks(const struct mammo_marks *m)
{
    printf(
        "{\"refused\": \"%s\", \"no_clusters\": \"%s\", \"percent\": %.3f, \"breast_mm2\": %.1f, "
        "\"lies\": \"%c\", \"nipple\": [%.1f, %.1f], \"muscle\": %d, \"rejected\": [[",
        m->refused ? m->refused : "", m->no_clusters ? m->no_clusters : "",
        isnan(m->percent) ? -1 : m->percent, m->breast_mm2, m->lies ? m->lies : '-',
        (double)m->nipple[0], (double)m->nipple[1], m->has_muscle);
    for (int k = 0; k < 2; k++) {
        for (int r = 0; r < MAMMO_REASONS; r++)
            printf("%s%u", r ? ", " : k ? "], [" : "", m->rejected[k][r]);
    }
    printf("]], \"marks\": [");
    for (uint32_t i = 0; i < m->mark_count; i++) {
        const struct mammo_mark *a = &m->marks[i];
        printf("%s{\"kind\": %d, \"x\": %.2f, \"y\": %.2f, \"p\": %.5f, \"size\": %.2f, "
               "\"contrast\": %.3f, \"spiculation\": %.3f, \"count\": %u}",
               i ? ", " : "", a->kind, (double)a->x, (double)a->y, a->probability, a->size_mm,
               a->contrast, a->spiculation, a->count);
    }
    printf("]}\n");
    fflush(stdout);
}

static bool give_pixels(void *ctx, const uint32_t *frames, size_t count, enum image_voxel type,
                        void *voxels, struct err *err)
{
    const struct entry *e = ctx;
    if (frames[0] != 0 || count != 1)
        return err_set(err, ERR_INTERNAL, "one frame only");
    int16_t *v = read_picture(e);
    for (size_t i = 0; i < (size_t)e->columns * e->rows; i++) {
        if (type == IMAGE_F32)
            ((float *)voxels)[i] = v[i];
        else
            ((int16_t *)voxels)[i] = v[i];
    }
    free(v);
    return true;
}

static void look_at(struct gpu *gpu, struct entry *e)
{
    struct err err = {0};
    struct mammo_marks marks;
    const struct attrs attrs = {0};
    const struct image_frame frame = {.number = 1,
                                      .columns = e->columns,
                                      .rows = e->rows,
                                      .pixel_mm = {e->mm, e->mm},
                                      .slope = 1,
                                      .unit = "1",
                                      .bits_stored = 16,
                                      .is_signed = true,
                                      .time_s = NAN,
                                      .trigger_ms = NAN,
                                      .echo_ms = NAN,
                                      .b_value = NAN,
                                      .dimension = -1,
                                      .temporal = -1,
                                      .stack = -1,
                                      .instance_number = 1,
                                      .sop_instance_uid = "1.2.1",
                                      .attrs = &attrs};
    const struct image_pixels pixels = {.ctx = e, .read = give_pixels};
    struct image_set set;
    struct arena *arena = arena_create();
    if (!arena || !image_split(&frame, 1, NULL, arena, &set, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    set.pixels = &pixels;
    const struct stage_run run = {.set = &set, .gpu = gpu, .arena = arena};
    const struct mammo_view view = {
        .oblique = e->oblique, .for_processing = e->processing, .clusters = true};
    if (!mammo_find(&run, 0, &view, &marks, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    print_marks(&marks);
    if (e->tissue[0] != '-' && !marks.refused)
        write_tissue(&run, &view, e->tissue);
    arena_destroy(arena);
}

static bool read_entry(char *line, struct entry *e)
{
    const char *words[7];
    char *rest = NULL;
    for (int n = 0; n < 7; n++) {
        words[n] = strtok_r(n ? NULL : line, " \n", &rest);
        if (!words[n])
            return false;
    }
    snprintf(e->file, sizeof e->file, "%s", words[0]);
    e->columns = (unsigned)strtoul(words[1], NULL, 10);
    e->rows = (unsigned)strtoul(words[2], NULL, 10);
    e->mm = strtod(words[3], NULL);
    e->oblique = words[4][0] == '1';
    e->processing = words[5][0] == '1';
    snprintf(e->tissue, sizeof e->tissue, "%s", words[6]);
    return true;
}

int main(void)
{
    struct err err = {0};
    struct gpu *gpu = gpu_create(&(struct gpu_options){0}, &err);
    struct entry e;
    char line[1200];
    if (!gpu) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    while (fgets(line, sizeof line, stdin) && read_entry(line, &e))
        look_at(gpu, &e);
    gpu_destroy(gpu);
    return 0;
}
