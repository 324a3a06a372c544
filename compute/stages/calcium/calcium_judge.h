// Which reason a candidate ends with. Internal to the stage. Thread-safety: pure.
#pragma once
#include <stdint.h>
#include "compute/stages/calcium/calcium_bearing.h"
#include "compute/stages/calcium/calcium_candidate.h"

// e, ring, b: of component n.
enum calcium_reason calcium_judge(const struct calcium_search *s, uint32_t n,
                                  const struct calcium_extent *e, const struct calcium_around *ring,
                                  const struct calcium_bearing *b);
