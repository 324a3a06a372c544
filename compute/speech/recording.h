// A spoken recording as analyses hear it: one channel of 16-bit samples, read a block at a time.
// Process: worker, analyze. Thread-safety: one thread a recording.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct recording {
    const char *sop_instance_uid; // of the object that it is from
    double rate_hz;               // samples a second
    uint64_t samples;             // of the channel
    // Samples first to first + count, which lie within samples; channels are averaged.
    //   ERR_INPUT, ERR_IO, ERR_NOMEM
    bool (*read)(void *ctx, uint64_t first, size_t count, int16_t *out, struct err *err);
    void *ctx;
};

#ifdef __cplusplus
}
#endif
