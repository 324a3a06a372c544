// What a shader says of itself: enough to refuse one that does not fit its kernel before a driver,
// which may trust it, sees it.
// Source: SPIR-V specification 1.5, 2.3 (physical layout), 3.32 (instructions).
// Thread-safety: no state.
#pragma once
#include <stdbool.h>
#include "compute/gpu/pipeline.h"
#include "base/err.h"

// Whether k->shader is well-formed SPIR-V up to 1.5 with a compute entry point "main", and uses the
// bindings, their kinds and the push constants that k declares.
//   ERR_UNSUPPORTED  it is no such SPIR-V
//   ERR_INTERNAL     it uses what k does not declare, or declares otherwise
bool spirv_check(const struct kernel *k, struct err *err);
