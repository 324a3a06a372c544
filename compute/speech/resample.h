// Sound at another rate: band-limited interpolation, a sample at a time, in little memory.
// Source: windowed sinc, Hann, 16 zero crossings a side.
// Process: worker, analyze. Thread-safety: one thread a resample.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESAMPLE_REACH 16 // zero crossings of the sinc on each side

struct resample {
    double step;      // input samples an output sample
    double cut;       // of the sinc, in cycles of the input's rate: at most 0.5
    double at;        // place of the next output in the input
    int64_t first;    // place of history[0] in the input
    int16_t *history; // owned
    size_t count, room;
};

bool resample_init(struct resample *r, double from_hz, double to_hz); // false: no memory
void resample_finish(struct resample *r);
// Takes count samples more, and silence after the last. room: of out, at least count / step + the
// samples of the reach + 2. False: no memory.
bool resample_feed(struct resample *r, const int16_t *in, size_t count, bool last, int16_t *out,
                   size_t room, size_t *written);
