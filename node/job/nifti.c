#include "node/job/nifti.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/fs.h"

#define HEADER_SIZE   348
#define DATA_OFFSET   352 // four bytes that say "no extension" lie between
#define TYPE_UINT8    2
#define UNIT_MM       2
#define UNIT_S        8
#define UNIT_MS       16
#define XFORM_UNKNOWN 0
#define XFORM_SCANNER 1

// zlib's usual ones; 16 more than the window bits ask for a gzip header.
#define GZIP_WINDOW  (15 + 16)
#define MEMORY_LEVEL 8
#define LEVEL        1 // of 9: time counts more here than the last bytes
#define PACKED_BYTES 65536

static const char no_extension[DATA_OFFSET - HEADER_SIZE];

struct header {
    int32_t sizeof_hdr;
    char unused1[36]; // data_type, db_name, extents, session_error, regular, dim_info
    int16_t dim[8];
    float intent_p[3];
    int16_t intent_code, datatype, bitpix, slice_start;
    float pixdim[8], vox_offset, scl_slope, scl_inter;
    int16_t slice_end;
    char slice_code, xyzt_units;
    float cal_max, cal_min, slice_duration, toffset;
    int32_t glmax, glmin;
    char descrip[80], aux_file[24];
    int16_t qform_code, sform_code;
    float quatern[3], qoffset[3], srow[3][4];
    char intent_name[16], magic[4];
};
_Static_assert(sizeof(struct header) == HEADER_SIZE, "NIfTI-1 header");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "written in little endian");

static void set_geometry(struct header *h, const struct image *v)
{
    static const double to_ras[3] = {-1, -1, 1}; // DICOM points to the left and back
    h->dim[0] = 3;
    h->pixdim[0] = 1;
    for (int a = 0; a < 3; a++) {
        double length = 0;
        h->dim[1 + a] = (int16_t)v->dim[a];
        for (int r = 0; r < 3; r++)
            length += v->to_patient[r][a] * v->to_patient[r][a];
        const double spacing = v->spacing[a] > 0 ? v->spacing[a] : 1;
        h->pixdim[1 + a] = (float)(v->placed ? sqrt(length) : spacing);
        for (int c = 0; c < 4 && v->placed; c++)
            h->srow[a][c] = (float)(to_ras[a] * v->to_patient[a][c]);
        if (!v->placed)
            h->srow[a][a] = (float)spacing;
    }
    for (int a = 4; a < 8; a++)
        h->dim[a] = 1;
    h->sform_code = v->placed ? XFORM_SCANNER : XFORM_UNKNOWN;
    h->xyzt_units = UNIT_MM;
}

// Codes and sizes of nifti1.h: DT_INT16, DT_UINT16, DT_FLOAT32.
static const struct {
    int16_t code;
    size_t bytes;
} types[] = {[NIFTI_I16] = {4, 2}, [NIFTI_U16] = {512, 2}, [NIFTI_F32] = {16, 4}};

// points: false: of one point, whatever the image has.
static bool nifti_header(struct header *h, const struct image *v, enum nifti_type type, bool points,
                         struct err *err)
{
    *h = (struct header){.sizeof_hdr = HEADER_SIZE,
                         .datatype = types[type].code,
                         .bitpix = (int16_t)(8 * types[type].bytes),
                         .vox_offset = DATA_OFFSET,
                         .scl_slope = 1};
    for (int a = 0; a < 4; a++) {
        if (v->dim[a] > INT16_MAX)
            return err_set(err, ERR_INPUT, "NIfTI-1 takes at most 32767 voxels a side");
    }
    set_geometry(h, v);
    memcpy(h->magic, "n+1", 4);
    if (!points || v->dim[3] == 1)
        return true;
    h->dim[0] = 4;
    h->dim[4] = (int16_t)v->dim[3];
    const bool even = v->at && (v->axis == IMAGE_TIME || v->axis == IMAGE_PHASE ||
                                v->axis == IMAGE_ECHO); // b values are no steps
    const double step =
        even ? (v->at[(size_t)(v->dim[3] - 1) * v->dim[2]] - v->at[0]) / (double)(v->dim[3] - 1)
             : NAN;
    h->pixdim[4] = isfinite(step) ? (float)step : 1;
    if (!isfinite(step))
        return true; // of no unit
    if (v->axis == IMAGE_TIME)
        h->xyzt_units |= UNIT_S;
    else if (v->axis == IMAGE_PHASE || v->axis == IMAGE_ECHO)
        h->xyzt_units |= UNIT_MS;
    return true;
}

static bool nifti_draft(struct fs_draft *draft, const char *path, struct err *err)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash && (size_t)(slash - path) < sizeof folder) {
        size_t length = slash == path ? 1 : (size_t)(slash - path);
        memcpy(folder, path, length);
        folder[length] = 0;
    }
    return fs_draft_open(draft, folder, err);
}

bool nifti_write(const char *path, const struct image *v, enum nifti_type type, const void *voxels,
                 struct err *err)
{
    struct header h;
    struct fs_draft draft = {0};
    if (!nifti_header(&h, v, type, false, err))
        return false;
    bool ok = nifti_draft(&draft, path, err) && fs_draft_write(&draft, &h, sizeof h, err) &&
              fs_draft_write(&draft, no_extension, sizeof no_extension, err) &&
              fs_draft_write(&draft, voxels, image_voxels(v) * types[type].bytes, err) &&
              fs_draft_publish(&draft, path, err);
    fs_draft_finish(&draft);
    return ok;
}

// Compressed, a part at a time

struct nifti {
    char path[PATH_MAX];
    struct fs_draft draft;
    z_stream z;
    size_t bytes, left; // of a voxel; voxels still to come
    uint8_t packed[PACKED_BYTES];
};

static bool nifti_pack(struct nifti *n, const void *data, size_t size, int flush, struct err *err)
{
    const uint8_t *at = data;
    int status = Z_OK;
    do {
        const size_t part = size < UINT_MAX ? size : UINT_MAX;
        n->z.next_in = (uint8_t *)at;
        n->z.avail_in = (uInt)part;
        at += part;
        size -= part;
        do {
            n->z.next_out = n->packed;
            n->z.avail_out = sizeof n->packed;
            status = deflate(&n->z, size ? Z_NO_FLUSH : flush);
            if (status == Z_STREAM_ERROR)
                return err_set(err, ERR_INTERNAL, "zlib: %s", n->z.msg ? n->z.msg : "stream error");
            if (!fs_draft_write(&n->draft, n->packed, sizeof n->packed - n->z.avail_out, err))
                return false;
        } while (n->z.avail_out == 0);
    } while (size > 0);
    return true;
}

struct nifti *nifti_open(const char *path, const struct image *v, enum nifti_type type,
                         struct err *err)
{
    struct header h;
    if (!nifti_header(&h, v, type, true, err))
        return NULL;
    struct nifti *n = calloc(1, sizeof *n);
    if (!n || deflateInit2(&n->z, LEVEL, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
                           Z_DEFAULT_STRATEGY) != Z_OK) {
        free(n);
        err_set(err, ERR_NOMEM, "no memory for a NIfTI file");
        return NULL;
    }
    n->bytes = types[type].bytes;
    n->left = image_voxels(v) * v->dim[3];
    if ((size_t)snprintf(n->path, sizeof n->path, "%s", path) >= sizeof n->path)
        err_set(err, ERR_INPUT, "path too long: %.100s...", path);
    else if (nifti_draft(&n->draft, path, err) && nifti_pack(n, &h, sizeof h, Z_NO_FLUSH, err) &&
             nifti_pack(n, no_extension, sizeof no_extension, Z_NO_FLUSH, err))
        return n;
    nifti_abort(n);
    return NULL;
}

bool nifti_add(struct nifti *n, const void *voxels, size_t count, struct err *err)
{
    if (count > n->left)
        return err_set(err, ERR_INPUT, "%zu voxels more than the image has", count - n->left);
    n->left -= count;
    return nifti_pack(n, voxels, count * n->bytes, Z_NO_FLUSH, err);
}

bool nifti_close(struct nifti *n, struct err *err)
{
    bool ok =
        n->left == 0 || err_set(err, ERR_INPUT, "%zu voxels less than the image has", n->left);
    ok = ok && nifti_pack(n, "", 0, Z_FINISH, err) && fs_draft_publish(&n->draft, n->path, err);
    nifti_abort(n);
    return ok;
}

void nifti_abort(struct nifti *n)
{
    if (!n)
        return;
    fs_draft_finish(&n->draft);
    deflateEnd(&n->z);
    free(n);
}
