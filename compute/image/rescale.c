#include "compute/image/rescale.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/image/load.h"

#define FRAMES_LOOKED_AT 3

// HU. Shares are of all pixels of a frame. Air has a few hundred HU of noise and artefacts around
// it at the most; scanners cut off at -1024. A phantom chest of this project and CTs of head, chest
// and abdomen have 20 % and more of either kind.
static const double air_low = -1100, air_high = -900, air_share = 0.01;
static const double tissue_low = -200, tissue_high = 200, tissue_share = 0.03;
// Soft tissue of HU + 1000 or HU + 1024; of a true image, bone: less than a third of soft tissue.
static const double shifted_low = 850, shifted_high = 1250, shifted_ratio = 1.0 / 3;

struct lacking {
    uint32_t frames, slope, intercept;
    uint32_t without_intercept[FRAMES_LOOKED_AT]; // cells: first, middle, last
    bool ct;
};

static void find_lacking(const struct image_set *set, const struct image *img, struct lacking *l)
{
    const uint32_t cells = img->dim[2] * img->dim[3];
    uint32_t seen = 0;
    *l = (struct lacking){.ct = strcmp(img->unit, "[hnsf'U]") == 0};
    for (uint32_t c = 0; c < cells; c++) {
        if (img->frame[c] == IMAGE_NO_FRAME)
            continue;
        const struct image_frame *f = &set->frames[img->frame[c]];
        l->frames++;
        l->slope += f->no_slope;
        l->intercept += f->no_intercept;
    }
    for (uint32_t c = 0; c < cells && l->intercept; c++) {
        if (img->frame[c] == IMAGE_NO_FRAME || !set->frames[img->frame[c]].no_intercept)
            continue;
        for (uint32_t n = 0; n < FRAMES_LOOKED_AT; n++) {
            if (seen == (uint64_t)n * (l->intercept - 1) / (FRAMES_LOOKED_AT - 1))
                l->without_intercept[n] = c;
        }
        seen++;
    }
}

static double share_between(const float *values, size_t count, double low, double high)
{
    size_t inside = 0;
    for (size_t i = 0; i < count; i++)
        inside += (double)values[i] >= low && (double)values[i] <= high;
    return (double)inside / (double)count;
}

static int compare_values(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Sorts values. Whether they are Hounsfield units; *dark: what 5 % of them are below.
static bool are_hounsfield(float *values, size_t count, double *dark)
{
    const double tissue = share_between(values, count, tissue_low, tissue_high);
    qsort(values, count, sizeof *values, compare_values);
    *dark = (double)values[count / 20];
    return share_between(values, count, air_low, air_high) >= air_share && tissue >= tissue_share &&
           share_between(values, count, shifted_low, shifted_high) < shifted_ratio * tissue;
}

static bool prove_intercept(const struct image_set *set, const struct image *img,
                            const struct lacking *l, struct err *err)
{
    const size_t pixels = (size_t)img->dim[0] * img->dim[1];
    float *values = malloc(pixels * sizeof *values);
    bool ok = values || err_set(err, ERR_NOMEM, "no memory for a frame");
    for (uint32_t n = 0; ok && n < FRAMES_LOOKED_AT; n++) {
        const uint32_t cell = l->without_intercept[n];
        double dark = NAN;
        if (n && cell == l->without_intercept[n - 1])
            continue;
        ok = image_read_slice(set, img, cell % img->dim[2], cell / img->dim[2], values, err);
        if (ok && !are_hounsfield(values, pixels, &dark))
            ok = err_set(err, ERR_INPUT,
                         "RescaleIntercept is missing in %u of %u images, and their pixels are not "
                         "Hounsfield units without it: 5 %% are below %g, air has -1000; "
                         "RescaleSlope and RescaleIntercept are needed",
                         l->intercept, l->frames, dark);
    }
    free(values);
    return ok;
}

bool image_check_rescale(const struct image_set *set, const struct image *img, char *remark,
                         size_t size, struct err *err)
{
    struct lacking l;
    find_lacking(set, img, &l);
    snprintf(remark, size, "%s", "");
    if (l.ct && l.intercept && !prove_intercept(set, img, &l, err))
        return false;
    if (l.slope && l.intercept)
        snprintf(
            remark, size,
            "RescaleSlope is missing in %u, RescaleIntercept in %u of %u images: taken as 1 and "
            "0%s.",
            l.slope, l.intercept, l.frames, l.ct ? ", as air is near -1000" : "");
    else if (l.slope)
        snprintf(remark, size, "RescaleSlope is missing in %u of %u images: taken as 1.", l.slope,
                 l.frames);
    else if (l.intercept)
        snprintf(remark, size, "RescaleIntercept is missing in %u of %u images: taken as 0%s.",
                 l.intercept, l.frames, l.ct ? ", as air is near -1000" : "");
    return true;
}
