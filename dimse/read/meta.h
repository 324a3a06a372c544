// The head of a DICOM file: preamble and File Meta Information. Ours, so that every byte of a
// received file goes through our own checked write(). Source: PS3.10 7.1.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define META_MAX 640 // bytes: more than the longest one

struct meta {
    const char *sop_class_uid, *sop_instance_uid, *transfer_syntax_uid; // at most 64 characters
    const char *version_name, *source_ae_title;                         // at most 16; "" leaves out
};

// Fills out and returns its size; 0 when a text is too long.
size_t meta_write(const struct meta *m, uint8_t out[META_MAX]);

#ifdef __cplusplus
}
#endif
