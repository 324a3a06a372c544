#include "compute/stages/mammo/mammo_exam.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// From this factor on an image is a magnification view whatever its view code says: contact views
// have 1.0 to 1.1 by the height of the breast over the detector.
static const double magnification_least = 1.3;

static const char modifier_key[] = "ViewCodeSequence[0].ViewModifierCodeSequence[%d].CodeValue";
enum { MODIFIERS_MAX = 8 }; // as dimse/read takes

// A view, by today's code (SNOMED CT), the code of headers before 2016 and View Position.
static const struct mammo_view_name {
    const char *code, *retired, *name;
    bool oblique;
} view_names[] = {
    {"399162004", "R-10242", "CC", false},   {"399368009", "R-10226", "MLO", true},
    {"399260004", "R-10224", "ML", true},    {"399352003", "R-10228", "LM", true},
    {"399099002", "R-10230", "LMO", true},   {"399196006", "R-10244", "FB", false},
    {"399188001", "R-102D0", "SIO", true},   {"441555000", "R-40AAA", "ISO", true},
    {"399192008", "R-1024A", "XCCL", false}, {"399101009", "R-1024B", "XCCM", false},
};

// Modifiers of a view; why NULL: the image is an ordinary one.
static const struct mammo_modifier {
    const char *code, *retired, *why;
} modifiers[] = {
    {"399163009", "R-102D6", "a magnification view"},
    {"399055006", "R-102D7", "a spot compression view"},
    {"399209000", "R-102D5", "a view with the implant displaced"},
    {"399110001", "R-102C2", "a tangential view"},
    {"399161006", "R-102D2", "a view of the cleavage"},
    {"399011000", "R-102D1", "a view of the axillary tail"},
    {"442581004", "R-40AB3", NULL},  // nipple in profile
    {"442593008", "R-40ABE", NULL},  // infra-mammary fold
    {"442580003", "R-40AB2", NULL},  // axillary tissue
    {"441752004", "P2-00161", NULL}, // anterior compression
    {"399197002", "R-102D3", NULL},  // rolled laterally
    {"399226006", "R-102D4", NULL},  // rolled medially
    {"415670009", "R-102C9", NULL},  // rolled up
    {"414493004", "R-102CA", NULL},  // rolled down
};

static const char *exam_text(const struct stage_run *run, uint32_t image, const char *keyword)
{
    return image_text(run->set, &run->set->images[image], keyword);
}

static double exam_number(const struct stage_run *run, uint32_t image, const char *keyword)
{
    const char *text = exam_text(run, image, keyword);
    char *end = NULL;
    const double value = strtod(text, &end);
    return end != text && isfinite(value) ? value : NAN;
}

static void exam_read_view(const struct stage_run *run, struct mammo_image *m)
{
    const char *code = exam_text(run, m->image, "ViewCodeSequence[0].CodeValue");
    const char *position = exam_text(run, m->image, "ViewPosition");
    m->view = "";
    m->oblique = true; // not stated: the muscle is looked for
    for (size_t i = 0; i < sizeof view_names / sizeof *view_names; i++) {
        const struct mammo_view_name *v = &view_names[i];
        const bool by_code = strcmp(code, v->code) == 0 || strcmp(code, v->retired) == 0;
        const bool by_position = strcmp(position, v->name) == 0;
        if (by_code || (by_position && !*m->view)) {
            m->view = v->name;
            m->oblique = v->oblique;
        }
        if (by_code && *position && !by_position && strlen(position) <= 4)
            m->doubtful = "View Code and View Position differ";
        if (by_code)
            return;
    }
}

// PS3.3 C.7.6.1.1.1: what increases along a row and down a column. The medial side of the left
// breast is to the right of the patient: a column of a left CC view has R or L in it, as the
// breast lies.
static void exam_check_orientation(const struct stage_run *run, struct mammo_image *m)
{
    const char *text = exam_text(run, m->image, "PatientOrientation");
    const char *column = strchr(text, '\\');
    if (!column || !m->side)
        return;
    const bool to_right = strchr(column, 'R'), to_left = strchr(column, 'L');
    const char medial = to_right && !to_left ? 'R' : to_left && !to_right ? 'L' : 0;
    // Columns run from lateral to medial in CC and MLO views as they are hung (PS3.3 C.8.11.7).
    if ((strcmp(m->view, "CC") == 0 || strcmp(m->view, "MLO") == 0) && medial == m->side)
        m->doubtful = "Image Laterality and Patient Orientation name different breasts";
}

static const char *exam_why_modified(const struct stage_run *run, uint32_t image)
{
    char key[96];
    for (int i = 0; i < MODIFIERS_MAX; i++) {
        snprintf(key, sizeof key, modifier_key, i);
        const char *code = exam_text(run, image, key);
        if (!*code)
            continue;
        const char *why = "a view with a modifier that is not known";
        for (size_t k = 0; k < sizeof modifiers / sizeof *modifiers; k++)
            if (strcmp(code, modifiers[k].code) == 0 || strcmp(code, modifiers[k].retired) == 0)
                why = modifiers[k].why;
        if (why)
            return why;
    }
    return NULL;
}

static const char *exam_why_aside(const struct stage_run *run, const struct mammo_image *m)
{
    const struct image *img = &run->set->images[m->image];
    const char *type = exam_text(run, m->image, "ImageType");
    // Digitised films are often radiographs by their modality: what they show says the body part.
    if (strcmp(exam_text(run, m->image, "Modality"), "MG") != 0 &&
        strcasecmp(exam_text(run, m->image, "BodyPartExamined"), "BREAST") != 0)
        return "its header does not say that it shows a breast";
    if (img->colour)
        return "a picture in colour";
    if (img->dim[2] > 1 || img->dim[3] > 1 || img->placed)
        return "slices of tomosynthesis are not analysed";
    if (strstr(type, "TOMO") || strstr(type, "GENERATED_2D"))
        return "an image made from tomosynthesis";
    if (strcmp(exam_text(run, m->image, "BreastImplantPresent"), "YES") == 0)
        return "a breast with an implant";
    const char *why = exam_why_modified(run, m->image);
    if (why)
        return why;
    if (exam_number(run, m->image, "EstimatedRadiographicMagnificationFactor") >=
        magnification_least)
        return "a magnification view";
    if (!(m->pixel_mm > 0))
        return "the size of its pixels is not known";
    return NULL;
}

static bool exam_same_view(const struct mammo_image *a, const struct mammo_image *b)
{
    return a->side == b->side && strcmp(a->view, b->view) == 0;
}

// The same exposure comes twice, raw and as it is shown: marks belong on what is shown.
static void exam_leave_raw(struct mammo_exam *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        for (uint32_t k = 0; k < e->count && !e->images[i].aside; k++)
            if (e->images[i].for_processing && !e->images[k].for_processing &&
                !e->images[k].aside && *e->images[i].view &&
                exam_same_view(&e->images[i], &e->images[k]))
                e->images[i].aside = "the same view is there for presentation";
}

static bool exam_name(const struct stage_run *run, struct mammo_exam *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        struct mammo_image *m = &e->images[i];
        unsigned before = 0;
        for (uint32_t k = 0; k < e->count; k++) // those that are analysed count first
            before += exam_same_view(m, &e->images[k]) &&
                      (!e->images[k].aside == !m->aside ? k < i : !e->images[k].aside);
        const char side[2] = {m->side ? m->side : '?', 0};
        m->name = before ? arena_printf(run->arena, "%s %s %u", side, *m->view ? m->view : "view",
                                        before + 1)
                         : arena_printf(run->arena, "%s %s", side, *m->view ? m->view : "view");
        if (!m->name)
            return false;
    }
    return true;
}

static bool exam_miss(const struct stage_run *run, struct mammo_exam *e)
{
    static const struct {
        char side;
        const char *view;
    } wanted[] = {{'R', "CC"}, {'L', "CC"}, {'R', "MLO"}, {'L', "MLO"}};
    e->missing = "";
    for (size_t w = 0; w < sizeof wanted / sizeof *wanted && e->missing; w++) {
        bool there = false;
        for (uint32_t i = 0; i < e->count; i++)
            there = there || (!e->images[i].aside && e->images[i].side == wanted[w].side &&
                              strcmp(e->images[i].view, wanted[w].view) == 0);
        if (!there)
            e->missing = arena_printf(run->arena, "%s%s%c %s", e->missing, *e->missing ? ", " : "",
                                      wanted[w].side, wanted[w].view);
    }
    return e->missing != NULL;
}

bool mammo_exam_read(const struct stage_run *run, double film_pixel_mm, struct mammo_exam *out)
{
    const struct stage_slot *slot = &run->slots[0];
    *out = (struct mammo_exam){.count = slot->image_count};
    out->images = arena_alloc(run->arena, slot->image_count, sizeof *out->images);
    if (!out->images)
        return false;
    for (uint32_t i = 0; i < out->count; i++) {
        struct mammo_image *m = &out->images[i];
        *m = (struct mammo_image){.image = slot->images[i]};
        const char *side = exam_text(run, m->image, "ImageLaterality");
        if (!*side)
            side = exam_text(run, m->image, "Laterality");
        m->side = *side == 'L' || *side == 'R' ? *side : 0;
        m->for_processing =
            strcmp(exam_text(run, m->image, "PresentationIntentType"), "FOR PROCESSING") == 0;
        const double *spacing = run->set->images[m->image].spacing;
        m->pixel_mm = spacing[0] > 0 && spacing[1] > 0 ? spacing[0] : film_pixel_mm;
        exam_read_view(run, m);
        exam_check_orientation(run, m);
        m->aside = exam_why_aside(run, m);
    }
    exam_leave_raw(out);
    for (uint32_t i = 0; i < out->count; i++)
        out->analysed += !out->images[i].aside;
    return exam_name(run, out) && exam_miss(run, out);
}

const char *mammo_exam_contradiction(const struct stage_run *run, const struct mammo_image *m,
                                     char lies)
{
    const char *text = exam_text(run, m->image, "PatientOrientation");
    const char forward = *text == 'A' ? 'L' : *text == 'P' ? 'R' : 0; // side of the chest wall
    if (m->doubtful)
        return m->doubtful;
    if (lies && forward && lies != forward)
        return "the chest wall is on the other side of the picture than Patient Orientation says";
    if (lies && !forward && m->side && lies != m->side)
        return "the breast lies as one of the other side is usually shown, and Patient Orientation "
               "is absent";
    return NULL;
}
