// Compute shaders as SPIR-V, embedded at build time. A shader is named after its file:
// shaders/lungs/histogram.comp is `const struct shader shader_lungs_histogram` of name
// "lungs/histogram", and shaders/scan.comp is shader_scan. Each folder of shaders has a header that
// declares its own: "shaders/shaders.h", "shaders/lungs/shaders.h".
// Thread-safety: constant.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Also for SPIR-V that comes from elsewhere, such as a site's own shader read from a file.
struct shader {
    const char *name;
    const uint32_t *words;
    size_t size; // bytes
};
