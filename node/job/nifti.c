#include "node/job/nifti.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/fs.h"

#define HEADER_SIZE   348
#define DATA_OFFSET   352 // four bytes that say "no extension" lie between
#define TYPE_UINT8    2
#define UNIT_MM       2
#define XFORM_SCANNER 1

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
    h->sform_code = XFORM_SCANNER;
    h->xyzt_units = UNIT_MM;
}

bool nifti_write(const char *path, const struct image *v, enum nifti_type type, const void *voxels,
                 struct err *err)
{
    // Codes and sizes of nifti1.h: DT_INT16, DT_UINT16, DT_FLOAT32.
    static const struct {
        int16_t code;
        size_t bytes;
    } types[] = {[NIFTI_I16] = {4, 2}, [NIFTI_U16] = {512, 2}, [NIFTI_F32] = {16, 4}};
    struct header h = {.sizeof_hdr = HEADER_SIZE,
                       .datatype = types[type].code,
                       .bitpix = (int16_t)(8 * types[type].bytes)};
    struct fs_draft draft = {0};
    static const char no_extension[DATA_OFFSET - HEADER_SIZE];
    char folder[PATH_MAX] = ".";
    for (int a = 0; a < 3; a++) {
        if (v->dim[a] > INT16_MAX)
            return err_set(err, ERR_INPUT, "NIfTI-1 takes at most 32767 voxels a side");
    }
    set_geometry(&h, v);
    h.vox_offset = DATA_OFFSET;
    h.scl_slope = 1;
    memcpy(h.magic, "n+1", 4);
    const char *slash = strrchr(path, '/');
    if (slash && (size_t)(slash - path) < sizeof folder) {
        size_t length = slash == path ? 1 : (size_t)(slash - path);
        memcpy(folder, path, length);
        folder[length] = 0;
    }
    bool ok = fs_draft_open(&draft, folder, err) && fs_draft_write(&draft, &h, sizeof h, err) &&
              fs_draft_write(&draft, no_extension, sizeof no_extension, err) &&
              fs_draft_write(&draft, voxels, image_voxels(v) * types[type].bytes, err) &&
              fs_draft_publish(&draft, path, err);
    fs_draft_finish(&draft);
    return ok;
}
