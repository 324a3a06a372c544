// The slices of one series into the memory of the device, as a worker reads them: bench_pixels
// FOLDER, with one DICOM file a slice and nothing else. Prints one line of JSON: what decoding took
// (clock and processor), what the whole reading took with headers, digests and splitting, the peak
// of the process, and a digest of the voxels, by which two transfer syntaxes are told to hold the
// same. For tests/bench/bench_decode.py.
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "base/clock.h"
#include "compute/image/load.h"
#include "compute/kernels/kernels.h"
#include "dimse/read/object.h"
#include "node/job/analysis.h"
#include "tests/check.h"

struct loaded {
    uint32_t slices;
    double wall_s, cpu_s;
    uint64_t digest; // FNV-1a of the voxels
};

static struct loaded loaded;

static double processor_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static bool digest_voxels(const struct image *img, const struct gpu_volume *v, struct err *err)
{
    const size_t bytes = (size_t)img->dim[0] * img->dim[1] * sizeof(int16_t);
    uint8_t *slice = malloc(bytes);
    bool ok = slice || err_set(err, ERR_NOMEM, "no memory for a slice");
    loaded.digest = UINT64_C(0xcbf29ce484222325);
    for (uint32_t k = 0; ok && k < img->dim[2]; k++) {
        ok = gpu_volume_read(v, k, k + 1, slice, err);
        for (size_t i = 0; ok && i < bytes; i++)
            loaded.digest = (loaded.digest ^ slice[i]) * UINT64_C(0x100000001b3);
    }
    free(slice);
    return ok;
}

static enum stage_end load_slices(const struct stage_run *run, struct findings *out,
                                  struct err *err)
{
    const struct image *img = stage_image(run, 0, 0);
    const double wall = clock_steady(), cpu = processor_s();
    struct gpu_volume *v = image_load(run->gpu, run->set, img, 0, IMAGE_I16, err);
    bool ok = v && gpu_finish(run->gpu, err);
    loaded.wall_s = clock_steady() - wall;
    loaded.cpu_s = processor_s() - cpu;
    loaded.slices = img->dim[2];
    ok = ok && digest_voxels(img, v, err);
    gpu_volume_destroy(v);
    out->page.title = "Reading";
    return ok ? stage_refuse(out, "only read, as a measurement") : STAGE_BROKEN;
}

static const struct stage_accept accepts[] = {{"Modality", "CT"}, {0}};
static const struct stage_input_spec inputs[] = {
    {"series", "Slices.", INPUT_ONE, IMAGE_NO_AXIS, true, accepts}};
static const struct stage stage = {
    .name = "load",
    .title = "Reading",
    .version = "1",
    .slot = 91,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR,
    .run = load_slices,
};

static int is_listed_file(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

// The files of folder, whatever their number; NULL: it cannot be read.
static struct analysis_file *list_files(const char *folder, size_t *count)
{
    char path[4096];
    struct dirent **names = NULL;
    const int found = scandir(folder, &names, is_listed_file, alphasort);
    struct analysis_file *files = found < 0 ? NULL : calloc((size_t)found + 1, sizeof *files);
    *count = 0;
    for (int i = 0; i < found; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (files)
            files[(*count)++].path = strdup(path);
        free(names[i]);
    }
    free(names);
    return files;
}

static int measure(const struct analysis_file *files, size_t count)
{
    struct err err = {0};
    struct analysis_report report = {0};
    struct gpu *gpu = gpu_create(NULL, &err);
    struct analysis_input input = {.files = files, .file_count = count};
    struct analysis_request request = {
        .inputs = &input,
        .input_count = 1,
        .stage = &stage,
        .maker = {"ANODE", "1.2.840.99.1", "1", "anode bench", "none", NULL},
        .folder = check_scratch(),
    };
    bool ok =
        gpu && object_init(&err) && analysis_run(&request, gpu, &report, &err) && loaded.slices > 0;
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    if (ok)
        printf("{\"slices\": %" PRIu32 ", \"decode_s\": %.6f, \"decode_cpu_s\": %.6f, "
               "\"whole_s\": %.6f, \"peak_mb\": %.1f, \"digest\": \"%016" PRIx64 "\"}\n",
               loaded.slices, loaded.wall_s, loaded.cpu_s, report.seconds,
               (double)u.ru_maxrss / 1024, loaded.digest);
    else
        fprintf(stderr, "%s %s\n", err.text, report.findings ? report.findings->reason : "");
    analysis_report_finish(&report);
    gpu_destroy(gpu);
    object_quit();
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: bench_pixels FOLDER\n");
        return 2;
    }
    struct analysis_file *files = list_files(argv[1], &count);
    if (!files) {
        fprintf(stderr, "%s: cannot be read\n", argv[1]);
        return 2;
    }
    const int status = measure(files, count);
    for (size_t i = 0; i < count; i++)
        free((void *)files[i].path);
    free(files);
    return status;
}
