// From the host to the device: a volume as the kernels take it.
// Process: worker, analyze. Thread-safety: one thread a struct gpu.
#pragma once
#include "base/err.h"
#include "compute/image/volume.h"
#include "compute/kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// The volume in modality units as int16: see gpu_volume_from_stored(), whose errors it has.
// v->stored is free on return; what is returned is for gpu_volume_destroy().
struct gpu_volume *volume_upload(const struct volume *v, struct gpu *g, struct err *err);

#ifdef __cplusplus
}
#endif
