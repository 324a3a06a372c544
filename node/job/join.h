// Which series of a slot belong together: a scan in time comes as one series, as one for each point
// in time or as one for each slab, and a study has reconstructions and scans of other times
// besides. Process: worker, analyze. Thread-safety: any thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "compute/image/image.h"
#include "compute/stages/stage.h"

// Frames of one series, as their headers describe them. Borrowed.
struct join_frames {
    const struct image_frame *const *frames;
    size_t count;
    const char *uid; // Series Instance UID: orders series that begin together
};

// Groups of series that are split into images together, for a slot of many with an axis.
//
// Over time, series are joined unless
//   both show a place several times in the same stretch of time: one scan, reconstructed twice
//   or JOIN_GAP_S and more lie between a group and what follows: another scan
// Over any other axis all are joined. The same series make the same groups in any order.
//
// group  [count] gets a number from 0 on
// False: no memory.
#define JOIN_GAP_S 60 // s; what is scanned later is no part of the passage of a bolus
bool join_series(const struct join_frames *series, uint32_t count, enum image_axis axis,
                 struct arena *arena, uint32_t *group);

// Puts the image that is meant first: of those with a place, values, the axis of the input, two
// points or more and no defect the one with the most frames; where there is none, the order stays.
void join_order(const struct image_set *set, const struct stage_input_spec *spec, uint32_t *images,
                uint32_t count);
