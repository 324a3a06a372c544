#include "compute/image/upload.h"

struct gpu_volume *volume_upload(const struct volume *v, struct gpu *g, struct err *err)
{
    static const enum gpu_stored types[] = {[VOLUME_I16] = GPU_STORED_I16,
                                            [VOLUME_U16] = GPU_STORED_U16,
                                            [VOLUME_F32] = GPU_STORED_F32};
    return gpu_volume_from_stored(g, v->dim, v->spacing, types[v->type], v->slope, v->intercept,
                                  v->stored, err);
}
