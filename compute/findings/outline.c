#include "compute/findings/outline.h"
#include <string.h>

struct tracer {
    const uint8_t *mask;
    uint8_t *seen; // upper edge of the pixel was walked
    int64_t columns, rows;
    float *points; // of one outline: pairs
    size_t used, room;
    struct arena *arena;
};

static bool inside(const struct tracer *t, int64_t x, int64_t y)
{
    return x >= 0 && y >= 0 && x < t->columns && y < t->rows && t->mask[y * t->columns + x];
}

static bool push(struct tracer *t, float x, float y)
{
    if (t->used == t->room) {
        size_t room = t->room ? t->room * 2 : 32;
        float *larger = arena_alloc(t->arena, room * 2, sizeof *larger);
        if (!larger)
            return false;
        if (t->used)
            memcpy(larger, t->points, t->used * 2 * sizeof *larger);
        t->points = larger;
        t->room = room;
    }
    t->points[2 * t->used] = x;
    t->points[2 * t->used + 1] = y;
    t->used++;
    return true;
}

// Walks around from the upper left corner of pixel (x, y), whose upper edge is a border, with the
// set pixels on the right hand. Headings: 0 east, 1 south, 2 west, 3 north. The pixel on the left
// of that edge is no part of it (it would have been the start), so the start is a corner.
static bool walk(struct tracer *t, int64_t x, int64_t y, const uint32_t origin[2])
{
    static const int dx[4] = {1, 0, -1, 0}, dy[4] = {0, 1, 0, -1};
    // The pixel ahead on the left and on the right of a corner, by heading.
    static const int lx[4] = {0, 0, -1, -1}, ly[4] = {-1, 0, 0, -1};
    static const int rx[4] = {0, -1, -1, 0}, ry[4] = {0, 0, -1, -1};
    const int64_t x0 = x, y0 = y;
    int heading = 0;
    t->used = 0;
    if (!push(t, (float)(x + origin[0]), (float)(y + origin[1])))
        return false;
    do {
        if (heading == 0)
            t->seen[y * t->columns + x] = 1;
        x += dx[heading];
        y += dy[heading];
        int turn = inside(t, x + lx[heading], y + ly[heading])   ? 3
                   : inside(t, x + rx[heading], y + ry[heading]) ? 0
                                                                 : 1;
        heading = (heading + turn) % 4;
        if (turn && (x != x0 || y != y0 || heading != 0) &&
            !push(t, (float)(x + origin[0]), (float)(y + origin[1])))
            return false;
    } while (x != x0 || y != y0 || heading != 0);
    return push(t, (float)(x0 + origin[0]), (float)(y0 + origin[1]));
}

bool outline_trace(const uint8_t *mask, uint32_t columns, uint32_t rows, const uint32_t origin[2],
                   struct arena *arena, struct outline **list, uint32_t *count)
{
    struct tracer t = {.mask = mask, .columns = columns, .rows = rows, .arena = arena};
    uint32_t room = 0;
    *list = NULL;
    *count = 0;
    t.seen = arena_alloc(arena, (size_t)columns * rows, 1);
    if (!t.seen)
        return false;
    for (int64_t y = 0; y < t.rows; y++) {
        for (int64_t x = 0; x < t.columns; x++) {
            if (!inside(&t, x, y) || inside(&t, x, y - 1) || t.seen[y * t.columns + x])
                continue;
            t.points = NULL;
            t.room = 0;
            if (!walk(&t, x, y, origin))
                return false;
            if (*count == room) {
                room = room ? room * 2 : 4;
                struct outline *larger = arena_alloc(arena, room, sizeof *larger);
                if (!larger)
                    return false;
                if (*count)
                    memcpy(larger, *list, *count * sizeof *larger);
                *list = larger;
            }
            double area = 0; // twice the signed area: positive clockwise on the screen
            for (size_t i = 0; i + 1 < t.used; i++) {
                const float *p = &t.points[2 * i];
                area += (double)p[0] * p[3] - (double)p[2] * p[1];
            }
            (*list)[(*count)++] = (struct outline){t.points, (uint32_t)t.used, area < 0};
        }
    }
    return true;
}
