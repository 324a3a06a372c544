// What benchmarks in C share.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"

// Ends the program with the error where something that a benchmark needs has failed.
static inline void bench_need(bool ok, const struct err *err)
{
    if (!ok) {
        fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

// The next of a fixed row of numbers, 0..1: a linear congruential generator, whose high bits will
// do for noise (constants of Press et al., Numerical Recipes, 1992).
static inline double bench_draw(void)
{
    static uint32_t drawn = 2463534242;
    drawn = drawn * 1664525u + 1013904223u;
    return (drawn >> 8) / (double)(1 << 24);
}
