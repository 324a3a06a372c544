#include "compute/draw/palette.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

struct stop {
    double at;
    uint8_t rgb[3];
};
static const struct stop grey_stops[] = {{0, {0, 0, 0}}, {1, {255, 255, 255}}},
                         hot_stops[] = {{0, {0, 0, 0}},
                                        {0.375, {255, 0, 0}},
                                        {0.75, {255, 255, 0}},
                                        {1, {255, 255, 255}}},
                         perfusion_stops[] = {{0, {0, 0, 0}},      {0.08, {70, 0, 110}},
                                              {0.2, {0, 0, 255}},  {0.4, {0, 220, 255}},
                                              {0.55, {0, 200, 0}}, {0.75, {255, 255, 0}},
                                              {1, {255, 0, 0}}},
                         difference_stops[] = {
                             {0, {30, 60, 220}}, {0.5, {255, 255, 255}}, {1, {215, 25, 30}}};

#define STOPS(list) list, sizeof(list) / sizeof *(list)
static const struct {
    const struct stop *stops;
    size_t count;
} palettes[] = {
    [PALETTE_GREY] = {STOPS(grey_stops)},
    [PALETTE_HOT] = {STOPS(hot_stops)},
    [PALETTE_PERFUSION] = {STOPS(perfusion_stops)},
    [PALETTE_DIFFERENCE] = {STOPS(difference_stops)},
};

void palette_colour(enum palette palette, double t, uint8_t rgb[3])
{
    const struct stop *s = palettes[palette].stops;
    const size_t last = palettes[palette].count - 1;
    if (isnan(t)) {
        memset(rgb, 0, 3);
        return;
    }
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    size_t i = 1;
    while (i < last && t > s[i].at)
        i++;
    const double part = (t - s[i - 1].at) / (s[i].at - s[i - 1].at);
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(s[i - 1].rgb[c] + part * (s[i].rgb[c] - s[i - 1].rgb[c]) + 0.5);
}
