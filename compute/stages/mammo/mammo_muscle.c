#include "compute/stages/mammo/mammo_muscle.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double edge_mm = 2;  // a step is the mean of that much on either side
static const double near_mm = 8;  // the edge lies within that of the line
static const double bend = 0.02;  // of the largest step: the cost of a pixel aside from row to row
static const double least = 0.03; // step of an edge, of the brightest grey of the breast
static const double nearest_mm = 5;         // to the chest wall, at the upper edge
static const double longest_share = 0.85;   // of the rows: it does not reach the lower edge
static const double shortest_mm = 20;       // of an edge along the rows
static const double cap_share = 0.15;       // of white: a larger step is a label or a skin fold
enum { ANGLE_FIRST = 40, ANGLE_LAST = 88 }; // degrees of the line against a row

// steps[y][x]: mean to the left less mean to the right, along the row; 0 outside the breast.
static void find_steps(const struct mammo_picture *p, const struct mammo_breast *b, float *steps)
{
    const int r = (int)fmax(1, round(edge_mm / p->mm));
    for (int64_t y = 0; y < p->h; y++) {
        const float *g = p->grey + y * p->w;
        for (int64_t x = 0; x < p->w; x++) {
            double left = 0, right = 0;
            int n = 0;
            for (int k = 1; k <= r; k++) {
                if (x + k >= p->w || !b->whole[y * p->w + x + k])
                    break;
                left += (double)g[x - k >= 0 ? x - k : 0];
                right += (double)g[x + k];
                n++;
            }
            steps[y * p->w + x] = n == r ? (float)((left - right) / n) : 0;
        }
    }
}

struct edge_line {
    double top, lean; // column at row 0, columns lost from row to row
    double score;
    int rows; // until it meets the chest wall
};

// The line whose steps are large all along. Single large ones do not count for more than `cap`.
static struct edge_line find_line(const struct mammo_picture *p, const float *steps, double cap,
                                  int wide)
{
    struct edge_line best = {0};
    for (int angle = ANGLE_FIRST; angle <= ANGLE_LAST; angle++) {
        const double lean = 1 / tan(angle * 3.14159265358979 / 180);
        for (int top = (int)(nearest_mm / p->mm); top < wide; top++) {
            const int rows = (int)fmin(longest_share * p->h, top / lean);
            double sum = 0;
            for (int y = 0; y < rows; y++) {
                const double s = (double)steps[(size_t)y * p->w + (size_t)(top - lean * y)];
                sum += fmin(fmax(s, -cap), cap);
            }
            const double score = rows * p->mm < shortest_mm ? 0 : sum / sqrt(rows);
            if (score > best.score)
                best = (struct edge_line){top, lean, score, rows};
        }
    }
    return best;
}

// Columns of the edge, row by row: the path of largest steps within `reach` of the line.
static void follow_edge(const struct mammo_picture *p, const float *steps,
                        const struct edge_line *line, double cap, int reach, double *cost,
                        int8_t *from, int *columns)
{
    const int n = 2 * reach + 1;
    for (int y = 0; y < line->rows; y++) {
        const int base = (int)(line->top - line->lean * y) - reach;
        const int shift = y ? base - ((int)(line->top - line->lean * (y - 1)) - reach) : 0;
        for (int i = 0; i < n; i++) {
            const int x = base + i;
            const bool in = x >= 0 && x < (int)p->w;
            const double s = in ? (double)steps[(size_t)y * p->w + (size_t)x] : 0;
            double best = y ? -1e30 : 0;
            int8_t step = 0;
            for (int d = -2; y && d <= 2; d++) {
                const int j = i + shift + d;
                if (j < 0 || j >= n)
                    continue;
                const double c = cost[(size_t)(y - 1) * (size_t)n + (size_t)j] -
                                 bend * cap * fabs(d + shift + line->lean);
                if (c > best) {
                    best = c;
                    step = (int8_t)(shift + d);
                }
            }
            cost[(size_t)y * (size_t)n + (size_t)i] = best + fmin(s, cap);
            from[(size_t)y * (size_t)n + (size_t)i] = step;
        }
    }
    int at = 0;
    const int last = line->rows - 1;
    for (int i = 0; i < n; i++) {
        if (cost[(size_t)last * (size_t)n + (size_t)i] >
            cost[(size_t)last * (size_t)n + (size_t)at])
            at = i;
    }
    for (int y = last; y >= 0; y--) {
        columns[y] = (int)(line->top - line->lean * y) - reach + at;
        at += from[(size_t)y * (size_t)n + (size_t)at];
        at = at < 0 ? 0 : at >= n ? n - 1 : at;
    }
}

bool mammo_muscle_find(const struct mammo_picture *p, struct mammo_breast *b, struct err *err)
{
    const size_t count = (size_t)p->w * p->h;
    const int reach = (int)(near_mm / p->mm);
    const size_t band = (size_t)(2 * reach + 1) * p->h;
    float *steps = malloc(count * sizeof *steps);
    double *cost = malloc(band * sizeof *cost);
    int8_t *from = calloc(band, 1);
    int *columns = malloc(p->h * sizeof *columns);
    const bool ok = steps && cost && from && columns;
    if (!ok) {
        err_set(err, ERR_NOMEM, "mammo: no memory for the pectoral muscle");
        goto out;
    }
    const double cap = cap_share * MAMMO_GREY_MAX;
    uint32_t wide = p->w;
    while (wide > 0 && !b->whole[wide - 1] && !b->whole[(size_t)p->w * 5 + wide - 1])
        wide--;
    find_steps(p, b, steps);
    const struct edge_line line = find_line(p, steps, cap, (int)wide);
    if (line.rows < 2 || line.score / sqrt(line.rows) < least * MAMMO_GREY_MAX)
        goto out;
    follow_edge(p, steps, &line, cap, reach, cost, from, columns);
    for (int y = 0; y < line.rows; y++) {
        for (int x = 0; x < columns[y] && x < (int)p->w; x++)
            b->muscle[(size_t)y * p->w + (size_t)x] = b->whole[(size_t)y * p->w + (size_t)x];
    }
    b->has_muscle = true;
out:
    free(columns);
    free(from);
    free(cost);
    free(steps);
    return ok;
}
