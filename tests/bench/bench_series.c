// A time series of 256 x 256 x 16 slices x 60 times on its way into the device, as a worker reads
// it: headers, split into images, decoding a point at a time. Prints the peak memory of the process
// and the time beside a plain read of the same files. Not a test; exit status 1 when the peak is
// above the budget. usage: bench_series [slices times]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "compute/image/load.h"
#include "compute/kernels/kernels.h"
#include "dimse/read/object.h"
#include "node/job/analysis.h"
#include "tests/check.h"
#include "tests/made.h"

#define SIDE     256
#define MOST_MB  350 // of a worker while it reads
#define TIMES    1024
#define EXPLICIT "1.2.840.10008.1.2.1"

static uint32_t slices = 16, times = 60;
static struct analysis_file *files;
static double loaded_s;
static uint64_t loaded_bytes;

static double peak_mb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

// An analysis that holds every point on the device at once.
static enum stage_end hold_all(const struct stage_run *run, struct findings *out, struct err *err)
{
    static struct gpu_volume *points[TIMES];
    const struct image *img = stage_image(run, 0, 0);
    const double start = clock_steady();
    bool ok = img->dim[2] == slices && img->dim[3] == times;
    if (!ok)
        err_set(err, ERR_INTERNAL, "%u slices, %u times", img->dim[2], img->dim[3]);
    for (uint32_t t = 0; ok && t < times; t++) {
        points[t] = image_load(run->gpu, run->set, img, t, img->type, err);
        ok = points[t] && gpu_finish(run->gpu, err);
    }
    loaded_s = clock_steady() - start;
    loaded_bytes = gpu_used_bytes(run->gpu);
    for (uint32_t t = 0; t < times; t++)
        gpu_volume_destroy(points[t]);
    out->page.title = "Reading";
    return ok ? stage_refuse(out, "only read, as a measurement") : STAGE_BROKEN;
}

static const struct stage_accept accepts[] = {{"Modality", "CT"}, {0}};
static const struct stage_input_spec inputs[] = {
    {"series", "A time series.", INPUT_ONE, IMAGE_TIME, true, accepts}};
static const struct stage stage = {
    .name = "hold",
    .title = "Reading",
    .version = "1",
    .slot = 90,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR,
    .run = hold_all,
};

static void make_file(uint32_t slice, uint32_t time)
{
    static int16_t pixels[SIDE * SIDE];
    static uint32_t random = 1;
    struct made_file f;
    char uid[48], name[48], text[32];
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        random = random * 1664525 + 1013904223;
        pixels[i] = (int16_t)(1000 + (random >> 26));
    }
    snprintf(uid, sizeof uid, "1.2.3.4.%u.%u", slice + 1, time + 1);
    made_ct(&f, EXPLICIT, uid, 5.0 * slice);
    made_set(&f, 0x00280010, "US", "256");
    made_set(&f, 0x00280011, "US", "256");
    snprintf(text, sizeof text, "%u", time + 1);
    made_set(&f, 0x00200100, "IS", text);
    snprintf(text, sizeof text, "12%02u%02u", time / 60, time % 60);
    made_set(&f, 0x00080032, "TM", text);
    made_set_bytes(&f, 0x7fe00010, "OW", pixels, sizeof pixels);
    snprintf(name, sizeof name, "%u-%u.dcm", time, slice);
    files[time * slices + slice].path = strdup(made_write(&f, name));
    made_finish(&f);
}

static double read_plain(uint64_t *bytes)
{
    static uint8_t buffer[1 << 20];
    const double start = clock_steady();
    for (uint32_t i = 0; i < slices * times; i++) {
        FILE *in = fopen(files[i].path, "rb");
        size_t got = 0;
        while (in && (got = fread(buffer, 1, sizeof buffer, in)) > 0)
            *bytes += got;
        if (in)
            fclose(in);
    }
    return clock_steady() - start;
}

static int measure(void)
{
    struct err err = {0};
    struct analysis_report report = {0};
    uint64_t bytes = 0;
    const char *folder = check_scratch();
    const double plain = read_plain(&bytes);
    struct gpu *gpu = gpu_create(NULL, &err);
    bool ok = gpu && object_init(&err);
    const double before = peak_mb();
    struct analysis_input input = {.files = files, .file_count = (size_t)slices * times};
    struct analysis_request request = {
        .inputs = &input,
        .input_count = 1,
        .stage = &stage,
        .maker = {"ANODE", "1.2.840.99.1", "1", "anode bench", "none", NULL},
        .folder = folder,
    };
    ok = ok && analysis_run(&request, gpu, &report, &err);
    if (ok && report.findings->verdict == VERDICT_NOT_EVALUABLE && loaded_bytes > 0) {
        printf("%u x %u x %u x %u, %.0f MB in %u files, on %s\n", SIDE, SIDE, slices, times,
               (double)bytes / 1e6, slices * times, gpu_device(gpu)->name);
        printf("plain read of the files         %7.2f s\n", plain);
        printf("headers, digests, split, load   %7.2f s\n", report.seconds);
        printf("  of it decoding to the device  %7.2f s  %.0f MB there\n", loaded_s,
               (double)loaded_bytes / 1e6);
        printf("peak of the process             %7.0f MB  (%.0f MB before it read)\n", peak_mb(),
               before);
    } else {
        fprintf(stderr, "%s %s\n", err.text, report.findings ? report.findings->reason : "");
        ok = false;
    }
    ok = ok && peak_mb() <= MOST_MB;
    analysis_report_finish(&report);
    gpu_destroy(gpu);
    object_quit();
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        slices = (uint32_t)strtoul(argv[1], NULL, 10);
        times = (uint32_t)strtoul(argv[2], NULL, 10);
    }
    if (slices == 0 || times == 0 || times > TIMES || slices > 10000) {
        fprintf(stderr, "usage: bench_series [slices times]\n");
        return 2;
    }
    files = calloc((size_t)slices * times, sizeof *files);
    if (!files)
        return 1;
    for (uint32_t t = 0; t < times; t++) {
        for (uint32_t k = 0; k < slices; k++)
            make_file(k, t);
    }
    // A process of its own: what making the files took does not count.
    fflush(stdout);
    int status = 1;
    const pid_t child = fork();
    if (child == 0)
        exit(measure());
    if (child > 0)
        waitpid(child, &status, 0);
    for (uint32_t i = 0; i < slices * times; i++)
        free((void *)files[i].path);
    free(files);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
