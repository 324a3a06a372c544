#include "tests/fuzz/helper_targets.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "dimse/net/scp.h"
#include "dimse/read/object.h"

const struct fuzz_target fuzz_targets[] = {
    {"association", fuzz_read_start, fuzz_association, fuzz_association_seeds, 16384,
     fuzz_association_mutate},
    {"head", fuzz_read_start, fuzz_head, fuzz_head_seeds, 8192, NULL},
    {"report", fuzz_read_start, fuzz_report, fuzz_report_seeds, 16384, NULL},
    {"decode", fuzz_read_start, fuzz_decode, fuzz_decode_seeds, 8192, fuzz_decode_mutate},
    {"conf", NULL, fuzz_conf, fuzz_conf_seeds, 8192, NULL},
    {"model", fuzz_net_start, fuzz_model, fuzz_model_seeds, 8192, NULL},
    {"net", fuzz_net_start, fuzz_net, fuzz_net_seeds, 8192, NULL},
    {"onnx", NULL, fuzz_onnx, fuzz_onnx_seeds, 4096, NULL},
};
const size_t fuzz_target_count = sizeof fuzz_targets / sizeof *fuzz_targets;

const struct fuzz_target *fuzz_target(const char *name)
{
    for (size_t i = 0; i < fuzz_target_count; i++) {
        if (strcmp(fuzz_targets[i].name, name) == 0)
            return &fuzz_targets[i];
    }
    return NULL;
}

void fuzz_check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    abort();
}

const char *fuzz_path(const uint8_t *data, size_t size)
{
    static char path[64];
    static int fd = -1; // no disk: there are thousands
    if (fd >= 0)
        close(fd);
    fd = memfd_create("input", MFD_CLOEXEC);
    fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size, "there is memory for the input");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

void fuzz_read_start(void)
{
    static bool started;
    struct err err = {0};
    fuzz_check(started || (object_init(&err) && scp_init(&err)), "DCMTK starts");
    if (!started)
        atexit(object_quit);
    started = true;
}
