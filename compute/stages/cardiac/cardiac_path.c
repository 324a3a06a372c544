#include "compute/stages/cardiac/cardiac_path.h"
#include <stdlib.h>
#include <string.h>

// The cheapest way to each radius of a direction from those of the one before. A difference at a
// time for all radii, which compilers turn into code for several radii at once.
static void path_step(const float *restrict before, const float *restrict cost, int radii,
                      int slope, float bend, float *restrict total, int32_t *restrict from)
{
    for (int r = 0; r < radii; r++) {
        total[r] = before[r];
        from[r] = 0;
    }
    for (int d = -slope; d <= slope; d++) {
        const float more = bend * (float)(d * d);
        for (int r = d < 0 ? -d : 0; r < radii - (d > 0 ? d : 0); r++) {
            const float sum = before[r + d] + more;
            from[r] = sum < total[r] ? d : from[r];
            total[r] = sum < total[r] ? sum : total[r];
        }
    }
    for (int r = 0; r < radii; r++)
        total[r] += cost[r];
}

bool cardiac_path_find(const float *cost, uint32_t ways, uint32_t radii, uint32_t slope, float bend,
                       uint16_t *path)
{
    const uint32_t turns = 2 * ways;
    float *total = malloc((size_t)2 * radii * sizeof *total);
    int32_t *from = malloc((size_t)turns * radii * sizeof *from);
    if (total && from) {
        float *now = total, *next = total + radii;
        memcpy(now, cost, radii * sizeof *now);
        memset(from, 0, radii * sizeof *from);
        for (uint32_t w = 1; w < turns; w++) {
            path_step(now, cost + (size_t)(w % ways) * radii, (int)radii, (int)slope, bend, next,
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
