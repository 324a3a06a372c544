#include "compute/stages/render/render_params.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "compute/stages/render/render_preset.h"

const struct render_projection render_projections[] = {
    {"mip", "Maximum intensity projection", RENDER_MAXIMUM},
    {"minip", "Minimum intensity projection", RENDER_MINIMUM},
    {"average", "Average intensity projection", RENDER_MEAN}};
#define PROJECTIONS (sizeof render_projections / sizeof *render_projections)

int render_projection_of(const char *name)
{
    for (unsigned n = 0; n < PROJECTIONS; n++) {
        if (strcmp(render_projections[n].name, name) == 0)
            return (int)n;
    }
    return -1;
}

static bool preset_known(const char *name)
{
    for (unsigned n = 0; render_preset_name(n); n++) {
        if (strcmp(render_preset_name(n), name) == 0)
            return true;
    }
    return false;
}

bool render_next_name(const char **at, char name[16])
{
    *at += strspn(*at, " ,");
    const size_t length = strcspn(*at, " ,");
    snprintf(name, 16, "%.*s", (int)length, *at);
    *at += length;
    return length > 0;
}

static bool check_pictures(const char *list, struct err *err)
{
    char name[16];
    unsigned count = 0;
    for (const char *at = list; render_next_name(&at, name); count++) {
        if (render_projection_of(name) < 0 && !preset_known(name))
            return err_set(err, ERR_CONFIG,
                           "\"%s\" is none of mip, minip, average, bone, vessels, lung, "
                           "skin, cardiac",
                           name);
    }
    if (count > RENDER_FILMS_MAX)
        return err_set(err, ERR_CONFIG, "%u pictures; at most %d are possible", count,
                       RENDER_FILMS_MAX);
    return count > 0 || err_set(err, ERR_CONFIG, "names no picture");
}

const struct render_plane_set render_plane_sets[RENDER_PLANE_SETS] = {
    {"axial", "Axial planes", 0, -90},
    {"coronal", "Coronal planes", 0, 0},
    {"sagittal", "Sagittal planes", 90, 0},
    {"oblique", "Oblique planes", NAN, NAN}};

int render_plane_set_of(const char *name)
{
    for (unsigned n = 0; n < RENDER_PLANE_SETS; n++) {
        if (strcmp(render_plane_sets[n].name, name) == 0)
            return (int)n;
    }
    return -1;
}

static bool check_planes(const char *list, struct err *err)
{
    char name[16];
    for (const char *at = list; render_next_name(&at, name);) {
        if (render_plane_set_of(name) < 0)
            return err_set(err, ERR_CONFIG, "\"%s\" is none of axial, coronal, sagittal, oblique",
                           name);
    }
    return true;
}

const char *const render_blends[] = {"mean", "maximum", "minimum", NULL};
const enum render_mode render_blend_modes[] = {RENDER_MEAN, RENDER_MAXIMUM, RENDER_MINIMUM};

const struct stage_param render_params[P_COUNT] = {
    [P_PICTURES] = {"pictures", "",
                    "Pictures that turn, separated by commas: mip, minip, average; of CT bone, "
                    "vessels, lung, skin, cardiac.",
                    PARAM_TEXT, 0, 0, 0, NULL, "mip", check_pictures},
    [P_FRAMES] = {"frames", "", "Views of a picture.", PARAM_INTEGER, 1, 180, 36, NULL},
    [P_SIZE] = {"size", "{pixels}", "Rows and columns of a picture.", PARAM_INTEGER, 128, 1024, 512,
                NULL},
    [P_ANGLE] = {"angle_deg", "deg", "First view: 0 from the front, 90 from the patient's left.",
                 PARAM_NUMBER, -360, 360, 0, NULL},
    [P_ARC] = {"arc_deg", "deg", "Angle over which the views are spread; 360 all around.",
               PARAM_NUMBER, -360, 360, 360, NULL},
    [P_ELEVATION] = {"elevation_deg", "deg", "How far the viewer is raised towards the head.",
                     PARAM_NUMBER, -90, 90, 0, NULL},
    [P_FRAME_MS] = {"frame_ms", "ms", "Time a view is shown.", PARAM_NUMBER, 20, 2000, 100, NULL},
    [P_CENTRE] = {"window_centre", "", "Window of projections, where window_width is not 0.",
                  PARAM_NUMBER, -32768, 32767, 0, NULL},
    [P_WIDTH] = {"window_width", "",
                 "0: 1000 around 300 HU for mip of CT, else from what the pictures show.",
                 PARAM_NUMBER, 0, 65535, 0, NULL},
    [P_STEP] = {"step", "", "Distance of samples in edges of a voxel, the shortest.", PARAM_NUMBER,
                0.1, 2, 0.5, NULL},
    [P_TABLE] = {"remove_table", "", "Table and head rest are left out of CT.", PARAM_BOOL, 0, 1, 1,
                 NULL},
    [P_VOLUME] = {"volume_mb", "MB",
                  "Volumes that take more are reduced to means of voxels; 0: what the device can "
                  "show.",
                  PARAM_NUMBER, 0, 65536, 0, NULL},
    [P_PLANES] = {"planes", "",
                  "Sets of planes as images, where results name mpr: axial, coronal, sagittal, "
                  "oblique.",
                  PARAM_TEXT, 0, 0, 0, NULL, "coronal, sagittal", check_planes},
    [P_PLANE_MM] = {"plane_spacing_mm", "mm", "From plane to plane.", PARAM_NUMBER, 0.1, 100, 3,
                    NULL},
    [P_PLANE_THICKNESS] = {"plane_thickness_mm", "mm",
                           "Of the slab that a plane shows; 0: single samples.", PARAM_NUMBER, 0,
                           200, 3, NULL},
    [P_PLANE_PIXEL] = {"plane_pixel_mm", "mm", "Pixels of planes; 0: the shortest edge of a voxel.",
                       PARAM_NUMBER, 0, 10, 0, NULL},
    [P_PLANE_BLEND] = {"plane_blend", "", "What a pixel shows of a slab.", PARAM_CHOICE, 0, 2, 0,
                       render_blends},
    [P_PLANE_ANGLE] = {"plane_angle_deg", "deg",
                       "Oblique planes face a viewer there: 0 in front, 90 at the left.",
                       PARAM_NUMBER, -360, 360, 0, NULL},
    [P_PLANE_ELEVATION] = {"plane_elevation_deg", "deg",
                           "How far that viewer is raised towards the head.", PARAM_NUMBER, -90, 90,
                           0, NULL},
};
