#include "compute/speech/resample.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool resample_init(struct resample *r, double from_hz, double to_hz)
{
    *r = (struct resample){.step = from_hz / to_hz, .cut = 0.5 * fmin(1, to_hz / from_hz)};
    const size_t before = (size_t)ceil(RESAMPLE_REACH * 0.5 / r->cut);
    r->room = 4 * before + 4096;
    r->history = calloc(r->room, sizeof *r->history);
    r->first = -(int64_t)before; // silence before it
    r->count = before;
    return r->history != NULL;
}

void resample_finish(struct resample *r)
{
    free(r->history);
    r->history = NULL;
}

static bool resample_append(struct resample *r, const int16_t *in, size_t count)
{
    if (r->count + count > r->room) {
        const size_t room = 2 * (r->count + count);
        int16_t *grown = realloc(r->history, room * sizeof *grown);
        if (!grown)
            return false;
        r->history = grown;
        r->room = room;
    }
    if (in)
        memcpy(r->history + r->count, in, count * sizeof *in);
    else
        memset(r->history + r->count, 0, count * sizeof *in);
    r->count += count;
    return true;
}

// What no later output reaches goes.
static void resample_forget(struct resample *r, double reach)
{
    const int64_t needed = (int64_t)floor(r->at - reach);
    if (needed <= r->first)
        return;
    const size_t gone =
        (size_t)(needed - r->first) < r->count ? (size_t)(needed - r->first) : r->count;
    memmove(r->history, r->history + gone, (r->count - gone) * sizeof *r->history);
    r->count -= gone;
    r->first += (int64_t)gone;
}

static int16_t resample_at(const struct resample *r, double reach)
{
    double sum = 0;
    for (int64_t k = (int64_t)ceil(r->at - reach); k <= (int64_t)floor(r->at + reach); k++) {
        const double x = r->at - (double)k, phase = 2 * M_PI * r->cut * x;
        const double sinc = fabs(phase) < 1e-9 ? 1 : sin(phase) / phase;
        const double window = 0.5 + 0.5 * cos(M_PI * x / reach);
        sum += r->history[k - r->first] * 2 * r->cut * sinc * window;
    }
    return (int16_t)fmax(INT16_MIN, fmin(INT16_MAX, rint(sum)));
}

bool resample_feed(struct resample *r, const int16_t *in, size_t count, bool last, int16_t *out,
                   size_t room, size_t *written)
{
    const double reach = RESAMPLE_REACH * 0.5 / r->cut;
    *written = 0;
    if (count && !resample_append(r, in, count))
        return false;
    const double end = (double)(r->first + (int64_t)r->count);
    if (last && !resample_append(r, NULL, (size_t)ceil(reach) + 1))
        return false;
    const double most = last ? end : (double)(r->first + (int64_t)r->count) - 1 - reach;
    while (*written < room && (last ? r->at < most : r->at <= most)) {
        out[(*written)++] = resample_at(r, reach);
        r->at += r->step;
    }
    resample_forget(r, reach);
    return true;
}
