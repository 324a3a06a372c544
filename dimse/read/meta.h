// The head of a DICOM file: preamble and File Meta Information. Ours, so that every byte of a
// received file goes through our own checked write(). Source: PS3.10 7.1.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define META_MAX     640  // bytes: more than the longest one
#define META_ROOM    4096 // bytes of a head with room: one page, so that the data set begins another
#define META_ROOM_AT 712  // from here on a head with room is the writer's

struct meta {
    const char *sop_class_uid, *sop_instance_uid, *transfer_syntax_uid; // at most 64 characters
    const char *version_name, *source_ae_title;                         // at most 16; "" leaves out
};

// Fills out and returns its size; 0 when a text is too long.
size_t meta_write(const struct meta *m, uint8_t out[META_MAX]);

// Puts Private Information (0002,0102) behind a head of that size, all zero and so long that
// META_ROOM bytes are the head: what begins at META_ROOM_AT means nothing to other readers. 0:
// there is no head.
size_t meta_add_room(uint8_t head[META_ROOM], size_t size);

#ifdef __cplusplus
}
#endif
