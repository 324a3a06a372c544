// What the render analysis is told: its parameters, and what their words mean. Thread-safety: pure.
#pragma once
#include "compute/stages/render/render_cast.h"
#include "compute/stages/stage.h"

enum {
    P_PICTURES,
    P_FRAMES,
    P_SIZE,
    P_ANGLE,
    P_ARC,
    P_ELEVATION,
    P_FRAME_MS,
    P_CENTRE,
    P_WIDTH,
    P_STEP,
    P_TABLE,
    P_VOLUME,
    P_PLANES,
    P_PLANE_MM,
    P_PLANE_THICKNESS,
    P_PLANE_PIXEL,
    P_PLANE_BLEND,
    P_PLANE_ANGLE,
    P_PLANE_ELEVATION,
    P_COUNT
};

#define RENDER_FILMS_MAX  8 // pictures of a job
#define RENDER_PLANE_SETS 4

extern const struct stage_param render_params[P_COUNT];

struct render_projection {
    const char *name, *title;
    enum render_mode mode;
};
extern const struct render_projection render_projections[];
int render_projection_of(const char *name); // its index; -1: none

// Sets of planes: where the viewer stands that sees them, as render_camera_around() has it; NAN: as
// plane_angle_deg and its like say. Axial planes are seen from the feet, sagittal ones from the
// left, as is the custom.
struct render_plane_set {
    const char *name, *title;
    double angle_deg, elevation_deg;
};
extern const struct render_plane_set render_plane_sets[RENDER_PLANE_SETS];
int render_plane_set_of(const char *name); // its index; -1: none

// What a pixel shows of a slab, by the choice plane_blend.
extern const char *const render_blends[];
extern const enum render_mode render_blend_modes[];

// The next name of a list, without blanks; false at its end. *at moves on.
bool render_next_name(const char **at, char name[16]);
