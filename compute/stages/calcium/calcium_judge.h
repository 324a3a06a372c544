// Which reason a candidate ends with. Internal to the stage. Thread-safety: pure.
#pragma once
#include <stdint.h>
#include "compute/stages/calcium/calcium_bearing.h"
#include "compute/stages/calcium/calcium_candidate.h"

// In a small field of view: uncertain, where the class would be another one with the middle of the
// heart a little beside, or its region a little larger.
enum calcium_reason calcium_judge_small(const struct calcium_search *s, uint32_t n,
                                        const struct calcium_extent *e,
                                        const struct calcium_around *ring,
                                        const struct calcium_bearing *b);
// e, ring, b: of component n.
enum calcium_reason calcium_judge(const struct calcium_search *s, uint32_t n,
                                  const struct calcium_extent *e, const struct calcium_around *ring,
                                  const struct calcium_bearing *b);
