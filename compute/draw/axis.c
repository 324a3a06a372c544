#include "compute/draw/axis.h"
#include <math.h>
#include <stdio.h>

#define NEARLY 1e-9 // of a step: rounding of an end that is a tick

static double nice_step(double range, unsigned ticks)
{
    const double least = range / (ticks ? ticks : 1), ten = pow(10, floor(log10(least)));
    for (int i = 0; i < 3; i++) {
        static const double steps[] = {1, 2, 5};
        if (steps[i] * ten >= least * (1 - NEARLY))
            return steps[i] * ten;
    }
    return 10 * ten;
}

struct axis axis_between(double low, double high, unsigned ticks)
{
    struct axis a = {.low = isfinite(low) ? low : 0};
    a.high = isfinite(high) ? high : a.low;
    if (!(a.high - a.low > 1e-9 * fmax(fabs(a.low), fabs(a.high)))) {
        const double half = a.low == 0 ? 0.5 : fabs(a.low) / 2;
        a.low -= half;
        a.high += half;
    }
    a.step = nice_step(a.high - a.low, ticks);
    a.first = ceil(a.low / a.step - NEARLY) * a.step;
    const double steps = (a.high - a.first) / a.step + NEARLY;
    a.ticks = steps >= 0 ? 1 + (unsigned)steps : 0;
    const double digits = -floor(log10(a.step) + NEARLY);
    a.decimals = digits > 0 && digits < 10 ? (int)digits : 0;
    return a;
}

struct axis axis_around(double low, double high, unsigned ticks)
{
    const struct axis a = axis_between(low, high, ticks);
    struct axis out = a;
    out.low = floor(a.low / a.step + NEARLY) * a.step;
    out.high = ceil(a.high / a.step - NEARLY) * a.step;
    out.first = out.low;
    out.ticks = 1 + (unsigned)((out.high - out.low) / a.step + 0.5);
    return out;
}

double axis_tick(const struct axis *a, unsigned n)
{
    const double value = a->first + n * a->step;
    return fabs(value) < a->step * NEARLY ? 0 : value; // no "-0.0"
}

const char *axis_text(const struct axis *a, double value, char *text, size_t size)
{
    const double largest = fmax(fabs(a->low), fabs(a->high));
    if (largest >= 1e6 || largest < 1e-4)
        snprintf(text, size, "%.3g", value);
    else
        snprintf(text, size, "%.*f", a->decimals, value);
    return text;
}
