// Devices for the tests of this folder: opened in several ways, with validation, and checked when
// they are closed.
#pragma once
#include <stdlib.h>
#include "compute/gpu/gpu.h"
#include "tests/check.h"

// Opens a device with the validation layer; ends the program as skipped where there is none.
static inline struct gpu *device_open(struct gpu_options options)
{
    struct err err = {0};
    setenv("ANODE_VULKAN_VALIDATION", "1", 0);
    options.cache_dir = check_scratch();
    struct gpu *g = gpu_create(&options, &err);
    if (!g && err.code == ERR_DEVICE)
        check_skip(err.text);
    if (!g) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return g;
}

// Closes it; a validation message or a buffer left behind is a failure.
static inline void device_close(struct gpu *g)
{
    CU_ASSERT_FALSE(gpu_failed(g));
    CU_ASSERT_EQUAL(gpu_validation_messages(g), 0);
    gpu_destroy(g);
}
