#include "tests/images.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool made_read(void *ctx, const uint32_t *frames, size_t count, enum image_voxel type,
                      void *voxels, struct err *err)
{
    const struct made_images *m = ctx;
    (void)err;
    const size_t pixels = (size_t)m->grid.dim[0] * m->grid.dim[1];
    const size_t bytes = pixels * (type == IMAGE_I16 ? sizeof(int16_t) : sizeof(float));
    int32_t *wide = calloc(pixels, sizeof *wide);
    CU_ASSERT_FATAL(wide != NULL);
    for (size_t i = 0; i < count; i++) {
        const int16_t *stored = m->grid.stored + frames[i] * pixels;
        for (size_t p = 0; p < pixels; p++)
            wide[p] = stored[p];
        image_convert(&m->frames[frames[i]], wide, pixels, type, (uint8_t *)voxels + i * bytes);
    }
    free(wide);
    return true;
}

static void set_point(struct image_frame *f, enum image_axis axis, double value)
{
    switch (axis) {
    case IMAGE_TIME:
        f->time_s = value;
        break;
    case IMAGE_PHASE:
        f->trigger_ms = value;
        break;
    case IMAGE_ECHO:
        f->echo_ms = value;
        break;
    case IMAGE_B:
        f->b_value = value;
        break;
    case IMAGE_ORDER:
        f->instance_number = (int32_t)value;
        break;
    case IMAGE_NO_AXIS:
        break;
    }
}

void made_images_init(struct made_images *m, const struct made_grid *grid)
{
    *m = (struct made_images){.grid = *grid};
    if (!m->grid.dim[3])
        m->grid.dim[3] = 1;
    m->count = m->grid.dim[2] * m->grid.dim[3];
    m->arena = arena_create();
    m->frames = calloc(m->count, sizeof *m->frames);
    CU_ASSERT_FATAL(m->arena && m->frames);
    for (uint32_t n = 0; n < m->count; n++) {
        struct image_frame *f = &m->frames[n];
        const uint32_t k = n % grid->dim[2], point = n / grid->dim[2];
        *f = (struct image_frame){.source = n,
                                  .number = 1,
                                  .columns = grid->dim[0],
                                  .rows = grid->dim[1],
                                  .pixel_mm = {grid->spacing[0], grid->spacing[1]},
                                  .placed = !grid->unplaced,
                                  .slope = grid->slope != 0 ? grid->slope : 1,
                                  .intercept = grid->intercept,
                                  .bits_stored = 16,
                                  .is_signed = true,
                                  .time_s = NAN,
                                  .trigger_ms = NAN,
                                  .echo_ms = NAN,
                                  .b_value = NAN,
                                  .temporal = -1,
                                  .stack = -1,
                                  .instance_number = (int32_t)n + 1,
                                  .frame_of_reference_uid = "1.2.3",
                                  .attrs = &m->attrs};
        snprintf(f->unit, sizeof f->unit, "%s", grid->unit);
        snprintf(f->sop_instance_uid, sizeof f->sop_instance_uid, "1.2.%u", 1000 + n);
        set_point(f, grid->axis, point * grid->step);
        for (int a = 0; a < 3; a++) {
            f->orientation[a] = grid->to_patient[a][0] / grid->spacing[0];
            f->orientation[3 + a] = grid->to_patient[a][1] / grid->spacing[1];
            f->position[a] = grid->to_patient[a][3] + k * grid->to_patient[a][2];
        }
    }
}

bool made_images_split(struct made_images *m, struct err *err)
{
    const enum image_axis prefer = m->grid.axis;
    m->pixels = (struct image_pixels){.ctx = m, .read = made_read};
    if (!image_split(m->frames, m->count, &prefer, m->arena, &m->set, err))
        return false;
    m->set.pixels = &m->pixels;
    return true;
}

void made_images_finish(struct made_images *m)
{
    attrs_finish(&m->attrs);
    arena_destroy(m->arena);
    free(m->frames);
    *m = (struct made_images){0};
}
