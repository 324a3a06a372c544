// DICOM files made by tests: attributes by tag, each of which a test can change, drop or break.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MADE_FRAGMENTS_MAX 128

struct made_attr {
    uint32_t tag; // 0x00280010
    char vr[3];
    uint8_t *value; // owned; encoded as its VR asks for, in the byte order of the file
    size_t size;
    bool undefined; // written with undefined length
};

struct made_file {
    const char *syntax; // transfer syntax UID
    struct made_attr attrs[96];
    size_t count;
    // Fragments instead of the attribute Pixel Data; the first one is the offset table.
    const uint8_t *fragments[MADE_FRAGMENTS_MAX]; // borrowed
    size_t fragment_sizes[MADE_FRAGMENTS_MAX];
    size_t fragment_count;
};

// A CT image of 8 columns and 6 rows, 12 bits stored, at z mm, without pixels.
void made_ct(struct made_file *f, const char *syntax, const char *sop_instance_uid, double z);
// Its pixels: value i is first + i, in bits_allocated of 8, 16 or 32 as the attributes say.
void made_pixels(struct made_file *f, uint32_t count, int32_t first);
// Sets an attribute; US, UL, FL and FD as decimal numbers.
void made_set(struct made_file *f, uint32_t tag, const char *vr, const char *value);
void made_set_bytes(struct made_file *f, uint32_t tag, const char *vr, const void *value,
                    size_t size);
// Appends an item with the attributes of item, which is finished, to a sequence.
void made_nest(struct made_file *f, uint32_t sequence, struct made_file *item);
void made_drop(struct made_file *f, uint32_t tag);
// The data set as bytes; free() it.
uint8_t *made_data(const struct made_file *f, size_t *size);
// Writes a Part 10 file into the scratch folder and returns its path, valid until the next 64
// calls.
const char *made_write(const struct made_file *f, const char *name);
const char *made_write_bytes(const char *name, const void *data, size_t size);
void made_finish(struct made_file *f);

#ifdef __cplusplus
}
#endif
