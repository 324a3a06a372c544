#include "compute/image/stack.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JITTER_RELATIVE 0.025 // of the increment: see compute/image/stack.h
#define JITTER_MM       0.05
#define DRIFT_RELATIVE  0.1
#define DRIFT_MM        0.1
#define EXACT_MM        0.01 // the line through the first and the last slice is good enough
#define COARSE_RELATIVE 0.25 // of the increment: what is written coarser hides a missing slice
#define ROUNDED         0.75 // of the last decimal: half a unit, and the fitted line is not exact

struct fit {
    const struct image_frame *const *slices;
    uint32_t count;
    double *along;    // [count] mm along the normal
    double increment; // the median distance
    double rounding;  // how far the last decimal lets a slice lie off its place along the normal,
    double rounding_beside; // and beside the line, mm
    struct stack *out;
};

static double inner(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static int gaps_by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool find_increment(struct fit *f, struct arena *arena)
{
    double *gaps = arena_alloc(arena, f->count, sizeof *gaps);
    if (!gaps)
        return false;
    for (uint32_t i = 0; i + 1 < f->count; i++)
        gaps[i] = f->along[i + 1] - f->along[i];
    qsort(gaps, f->count - 1, sizeof *gaps, gaps_by_size);
    f->increment = gaps[(f->count - 2) / 2];
    return true;
}

// The finest decimals that occur tell how positions are written: zeros at the end are left out.
static void find_rounding(struct fit *f, const double normal[3])
{
    double along = 0, beside = 0;
    for (int a = 0; a < 3; a++) {
        double finest = INFINITY;
        for (uint32_t i = 0; i < f->count; i++)
            finest = fmin(finest, f->slices[i]->written_mm[a]);
        if (isfinite(finest)) {
            along += fabs(normal[a]) * finest;
            beside = fmax(beside, finest);
        }
    }
    f->out->written_mm = along;
    f->rounding = along <= COARSE_RELATIVE * f->increment ? ROUNDED * along : 0;
    f->rounding_beside = beside <= COARSE_RELATIVE * f->increment ? ROUNDED * beside : 0;
}

static double jitter(const struct fit *f)
{
    return fmax(JITTER_RELATIVE * f->increment, JITTER_MM);
}

// Whether a distance is that of neighbours.
static bool is_even(const struct fit *f, double gap)
{
    return fabs(gap - f->increment) <= 2 * (jitter(f) + f->rounding) + 1e-9;
}

// A whole number of increments that slices are missing in; 0: it is none.
static double missing_in(const struct fit *f, double gap)
{
    const double steps = round(gap / f->increment);
    const bool multiple =
        steps >= 2 && fabs(gap - steps * f->increment) <= 2 * steps * (jitter(f) + f->rounding);
    return multiple && steps < 1e6 ? steps - 1 : 0;
}

// Why distances differ: the first place, and how many more there are. False: they do not.
static bool describe_gaps(const struct fit *f)
{
    struct stack *out = f->out;
    uint32_t places = 0, missing = 0, at = 0;
    bool whole = true;
    for (uint32_t i = 0; i + 1 < f->count; i++) {
        const double gap = f->along[i + 1] - f->along[i];
        if (is_even(f, gap))
            continue;
        const double lacking = missing_in(f, gap);
        whole = whole && lacking > 0;
        at = places++ ? at : i;
        missing += (uint32_t)lacking;
    }
    if (!places)
        return false;
    const double from = f->along[at], to = f->along[at + 1], lacking = missing_in(f, to - from);
    char more[96] = "";
    if (places > 1 && whole)
        snprintf(more, sizeof more, "; %u missing in all, at %u places", missing, places);
    else if (places > 1)
        snprintf(more, sizeof more, "; distances differ at %u places", places);
    if (lacking > 0) {
        out->gap_mm[0] = from;
        out->gap_mm[1] = to;
        snprintf(out->defect, sizeof out->defect, "%.0f slice%s missing between %.1f and %.1f mm%s",
                 lacking, lacking == 1 ? "" : "s", from, to, more);
    } else {
        snprintf(out->defect, sizeof out->defect,
                 "slices are %.2f mm apart between %.1f and %.1f mm, elsewhere %.2f mm%s%s",
                 to - from, from, to, f->increment, more,
                 out->written_mm > COARSE_RELATIVE * f->increment &&
                         out->written_mm > fabs(to - from - f->increment) / 2
                     ? "; their positions are written too coarsely to tell why"
                     : "");
    }
    return true;
}

static void through_ends(const struct fit *f)
{
    const double *first = f->slices[0]->position, *last = f->slices[f->count - 1]->position;
    for (int a = 0; a < 3; a++) {
        f->out->origin[a] = first[a];
        f->out->step[a] = (last[a] - first[a]) / (double)(f->count - 1);
    }
}

// Least squares: position over index.
static void through_all(const struct fit *f)
{
    const double n = f->count, middle = (n - 1) / 2, spread = n * (n * n - 1) / 12;
    for (int a = 0; a < 3; a++) {
        double mean = 0, slope = 0;
        for (uint32_t i = 0; i < f->count; i++) {
            mean += f->slices[i]->position[a] / n;
            slope += (i - middle) * f->slices[i]->position[a] / spread;
        }
        f->out->step[a] = slope;
        f->out->origin[a] = mean - slope * middle;
    }
}

// How far a slice lies from its place: along the normal, and beside the line.
static void off_of(const struct fit *f, uint32_t i, const double normal[3], double off[2])
{
    double apart[3], beside = 0;
    for (int a = 0; a < 3; a++)
        apart[a] = f->slices[i]->position[a] - f->out->origin[a] - f->out->step[a] * i;
    off[0] = inner(apart, normal);
    for (int a = 0; a < 3; a++)
        beside = fmax(beside, fabs(apart[a] - off[0] * normal[a]));
    off[1] = beside;
}

static double farthest(const struct fit *f, const double normal[3])
{
    double far = 0, off[2];
    for (uint32_t i = 0; i < f->count; i++) {
        off_of(f, i, normal, off);
        far = fmax(far, fmax(fabs(off[0]), off[1]));
    }
    return far;
}

static void check_line(const struct fit *f, const double normal[3])
{
    const double *pixel = f->slices[0]->pixel_mm;
    const double drift =
        fmax(DRIFT_MM, fmin(DRIFT_RELATIVE * f->increment, 0.5 * fmin(pixel[0], pixel[1])));
    double off[2], most = 0;
    uint32_t worst = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        off_of(f, i, normal, off);
        const double over =
            fmax(off[1] - drift - f->rounding_beside, fabs(off[0]) - drift - f->rounding);
        if (over > most) {
            most = over;
            worst = i;
        }
    }
    if (most <= 0)
        return;
    off_of(f, worst, normal, off);
    if (worst > 0 && worst + 1 < f->count) { // one that is off pulls the line: told by the ends
        through_ends(f);
        off_of(f, worst, normal, off);
    }
    if (off[1] >= fabs(off[0]))
        snprintf(f->out->defect, sizeof f->out->defect,
                 "the slice at %.1f mm lies %.2f mm beside the line of the others", f->along[worst],
                 off[1]);
    else
        snprintf(f->out->defect, sizeof f->out->defect,
                 "the slice at %.1f mm lies %.2f mm off its place: distances change slowly",
                 f->along[worst], fabs(off[0]));
}

bool stack_fit(const struct image_frame *const *slices, uint32_t count, const double normal[3],
               struct arena *arena, struct stack *out)
{
    struct fit f = {.slices = slices, .count = count, .out = out};
    *out = (struct stack){.gap_mm = {NAN, NAN}};
    f.along = arena_alloc(arena, count, sizeof *f.along);
    if (!f.along)
        return false;
    for (uint32_t i = 0; i < count; i++)
        f.along[i] = inner(slices[i]->position, normal);
    if (!find_increment(&f, arena))
        return false;
    find_rounding(&f, normal);
    through_ends(&f);
    if (describe_gaps(&f))
        return true;
    out->uneven_mm = farthest(&f, normal);
    if (out->uneven_mm > EXACT_MM) {
        through_all(&f);
        out->uneven_mm = farthest(&f, normal);
    }
    check_line(&f, normal);
    return true;
}
