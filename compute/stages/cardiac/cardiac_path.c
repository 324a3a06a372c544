#include "compute/stages/cardiac/cardiac_path.h"
#include <stdlib.h>
#include <string.h>

// The cheapest way to each radius of a direction from those of the one before.
static void path_step(const float *before, const float *cost, uint32_t radii, uint32_t slope,
                      float bend, float *total, int8_t *from)
{
    for (uint32_t r = 0; r < radii; r++) {
        const uint32_t low = r > slope ? r - slope : 0;
        const uint32_t high = r + slope < radii ? r + slope : radii - 1;
        float best = before[r];
        int step = 0;
        for (uint32_t n = low; n <= high; n++) {
            const int d = (int)n - (int)r;
            const float sum = before[n] + bend * (float)(d * d);
            if (sum < best) {
                best = sum;
                step = d;
            }
        }
        total[r] = best + cost[r];
        from[r] = (int8_t)step;
    }
}

bool cardiac_path_find(const float *cost, uint32_t ways, uint32_t radii, uint32_t slope, float bend,
                       uint16_t *path)
{
    const uint32_t turns = 2 * ways;
    float *total = malloc((size_t)2 * radii * sizeof *total);
    int8_t *from = malloc((size_t)turns * radii);
    if (total && from) {
        float *now = total, *next = total + radii;
        memcpy(now, cost, radii * sizeof *now);
        memset(from, 0, radii);
        for (uint32_t w = 1; w < turns; w++) {
            path_step(now, cost + (size_t)(w % ways) * radii, radii, slope, bend, next,
                      from + (size_t)w * radii);
            float *swap = now;
            now = next;
            next = swap;
        }
        uint32_t at = 0;
        for (uint32_t r = 1; r < radii; r++)
            at = now[r] < now[at] ? r : at;
        for (uint32_t w = turns; w-- > 0;) {
            if (w >= ways / 2 && w < ways / 2 + ways)
                path[w % ways] = (uint16_t)at;
            at = (uint32_t)((int)at + from[(size_t)w * radii + at]);
        }
    }
    const bool ok = total && from;
    free(from);
    free(total);
    return ok;
}
