// The compute shaders as SPIR-V, embedded at build time: one row a .comp, in order of name.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct shader {
    const char *name; // of the file, without .comp
    const uint32_t *words;
    size_t size; // bytes
};

extern const struct shader shaders_table[];
extern const size_t shaders_count;
