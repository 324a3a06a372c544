// Volumes of the shared data as bytes: NIfTI-1 files of uint8 without scaling, gzipped.
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

// Reads all voxels, [z][y][x], and how many along x, y, z. malloc'd; NULL: it is no such file.
static inline uint8_t *volume_read(const char *path, uint32_t dim[3])
{
    enum { HEADER = 348, UINT8 = 2 };
    uint8_t head[HEADER];
    float offset = 0;
    int16_t shape[8], type = 0;
    gzFile f = gzopen(path, "rb");
    uint8_t *voxels = NULL;
    if (!f || gzread(f, head, HEADER) != HEADER)
        goto out;
    memcpy(shape, head + 40, sizeof shape);
    memcpy(&type, head + 70, sizeof type);
    memcpy(&offset, head + 108, sizeof offset);
    if (type != UINT8 || shape[0] < 3 || shape[1] < 1 || shape[2] < 1 || shape[3] < 1)
        goto out;
    for (int a = 0; a < 3; a++)
        dim[a] = (uint32_t)shape[a + 1];
    const unsigned bytes = dim[0] * dim[1] * dim[2];
    voxels = malloc(bytes);
    if (voxels &&
        (gzseek(f, (long)offset, SEEK_SET) < 0 || gzread(f, voxels, bytes) != (int)bytes)) {
        free(voxels);
        voxels = NULL;
    }
out:
    if (f)
        gzclose(f);
    return voxels;
}
