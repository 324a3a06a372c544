// Round numbers on axes and colour bars. Thread-safety: pure.
#pragma once
#include <stddef.h>

struct axis {
    double low, high;   // low < high
    double first, step; // ticks: first, first + step, ... up to high
    unsigned ticks;
    int decimals; // of a tick's text
};

// At most about `ticks` of them, at multiples of 1, 2 or 5 times a power of ten. Ends that are not
// finite, or equal, are moved apart.
struct axis axis_between(double low, double high, unsigned ticks);
// The same with its ends moved out to ticks.
struct axis axis_around(double low, double high, unsigned ticks);
double axis_tick(const struct axis *a, unsigned n);
// "0.25", "1500", "2e+06". Returns text.
const char *axis_text(const struct axis *a, double value, char *text, size_t size);
