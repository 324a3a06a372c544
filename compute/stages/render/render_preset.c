#include "compute/stages/render/render_preset.h"
#include <math.h>
#include <string.h>

#define KNOTS 6

struct preset {
    const char *name;
    int opacities, colours;   // knots
    double opacity[KNOTS][2]; // HU, of 1 mm
    double colour[KNOTS][4];  // HU, red, green, blue
    float ambient, diffuse, specular;
};

// vessels, lung and cardiac: the knots of the presets CT-AAA, CT-Lung and CT-Coronary-Arteries-3
// that 3D Slicer and OHIF offer. bone: the colours of CT-Bone, from 150 HU on, since at its -16 HU
// muscle is opaque. skin: opaque between fat and air, the colour of skin.
static const struct preset presets[] = {
    {"bone",
     4,
     3,
     {{150, 0}, {280, .19}, {640, .716}, {3071, .72}},
     {{150, .729, .255, .302}, {640, .906, .816, .553}, {3071, 1, 1, 1}},
     .1F,
     .9F,
     .2F},
    {"vessels",
     5,
     5,
     {{143.6, 0}, {166.2, .686}, {214.4, .696}, {419.7, .833}, {3071, .804}},
     {{143.6, .616, .357, .184},
      {166.2, .882, .604, .290},
      {214.4, 1, 1, 1},
      {419.7, 1, .937, .955},
      {3071, .827, .659, 1}},
     .1F,
     .9F,
     .2F},
    {"lung",
     4,
     4,
     {{-600, 0}, {-599, .15}, {-400, .15}, {-399, 0}},
     {{-600, 0, 0, 1}, {-530, .135, .782, .072}, {-460, .929, 1, .109}, {-400, .889, .255, .024}},
     .2F,
     1,
     0},
    {"skin",
     4,
     3,
     {{-400, 0}, {-200, .3}, {-100, .6}, {3071, .6}},
     {{-400, .80, .56, .45}, {0, .93, .72, .60}, {3071, 1, .95, .9}},
     .15F,
     .85F,
     .1F},
    {"cardiac",
     6,
     6,
     {{128.6, 0}, {130, .098}, {173.6, .670}, {255.9, .857}, {584.9, .866}, {3071, 1}},
     {{128.6, 0, 0, 0},
      {130, .616, 0, .016},
      {173.6, .910, .455, 0},
      {255.9, .886, .886, .886},
      {584.9, .969, .969, .969},
      {3071, 1, 1, 1}},
     .1F,
     .9F,
     .2F},
};

const char *render_preset_name(unsigned n)
{
    return n < sizeof presets / sizeof *presets ? presets[n].name : NULL;
}

// Column `of` of count knots of `width` numbers at a value: linear between, the ends beyond.
static double knot_value(const double *knots, int count, int width, int of, double value)
{
    const double *a = knots;
    int n = 0;
    while (n + 2 < count && value > a[width]) {
        a += width;
        n++;
    }
    const double t = fmin(fmax((value - a[0]) / (a[width] - a[0]), 0), 1);
    return a[of] + (a[width + of] - a[of]) * t;
}

bool render_preset(const char *name, double step_mm, struct render_look *out)
{
    const struct preset *p = presets;
    while (p < presets + sizeof presets / sizeof *presets && strcmp(p->name, name) != 0)
        p++;
    if (p == presets + sizeof presets / sizeof *presets)
        return false;
    out->from = p->opacity[0][0];
    out->to = p->opacity[p->opacities - 1][0];
    out->ambient = p->ambient;
    out->diffuse = p->diffuse;
    out->specular = p->specular;
    for (int n = 0; n < RENDER_TABLE; n++) {
        const double hu = out->from + (out->to - out->from) * n / (RENDER_TABLE - 1);
        for (int i = 0; i < 3; i++)
            out->rgba[n][i] = (float)knot_value(p->colour[0], p->colours, 4, i + 1, hu);
        out->rgba[n][3] =
            (float)(1 - pow(1 - knot_value(p->opacity[0], p->opacities, 2, 1, hu), step_mm));
    }
    return true;
}
