#include "tests/made.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/check.h"

#define IMPLICIT "1.2.840.10008.1.2"
#define BIG      "1.2.840.10008.1.2.2"

struct bytes {
    uint8_t *data;
    size_t size;
};

static void add(struct bytes *b, const void *data, size_t size)
{
    if (size == 0)
        return;
    b->data = realloc(b->data, b->size + size);
    if (!b->data)
        abort();
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void add_number(struct bytes *b, uint32_t value, size_t size, bool big)
{
    uint8_t raw[4];
    for (size_t i = 0; i < size; i++)
        raw[i] = (uint8_t)(value >> 8 * (big ? size - 1 - i : i));
    add(b, raw, size);
}

static bool is_big(const struct made_file *f)
{
    return strcmp(f->syntax, BIG) == 0;
}

static void add_tag(struct bytes *b, uint32_t tag, bool big)
{
    add_number(b, tag >> 16, 2, big);
    add_number(b, tag & 0xffff, 2, big);
}

static bool long_form(const char *vr)
{
    return strstr("OB OD OF OL OV OW SQ SV UC UN UR UT UV", vr) != NULL;
}

static void add_element(struct bytes *b, const struct made_attr *a, bool implicit, bool big)
{
    uint32_t length = a->undefined ? UINT32_MAX : (uint32_t)a->size;
    add_tag(b, a->tag, big);
    if (implicit) {
        add_number(b, length, 4, big);
    } else {
        add(b, a->vr, 2);
        if (long_form(a->vr)) {
            add_number(b, 0, 2, big);
            add_number(b, length, 4, big);
        } else {
            add_number(b, length, 2, big);
        }
    }
    add(b, a->value, a->size);
}

void made_set_bytes(struct made_file *f, uint32_t tag, const char *vr, const void *value,
                    size_t size)
{
    made_drop(f, tag);
    size_t at = 0;
    while (at < f->count && f->attrs[at].tag < tag)
        at++;
    if (f->count == sizeof f->attrs / sizeof *f->attrs)
        abort();
    for (size_t i = f->count++; i > at; i--)
        f->attrs[i] = f->attrs[i - 1];
    struct made_attr *a = &f->attrs[at];
    *a = (struct made_attr){.tag = tag, .size = size};
    memcpy(a->vr, vr, 2);
    a->value = malloc(size + 1);
    if (!a->value)
        abort();
    if (size)
        memcpy(a->value, value, size);
}

void made_set(struct made_file *f, uint32_t tag, const char *vr, const char *value)
{
    struct bytes b = {0};
    if (strcmp(vr, "US") == 0 || strcmp(vr, "UL") == 0) {
        add_number(&b, (uint32_t)strtoul(value, NULL, 10), vr[1] == 'S' ? 2 : 4, is_big(f));
    } else if (strcmp(vr, "FL") == 0 || strcmp(vr, "FD") == 0) {
        double number = strtod(value, NULL);
        float small = (float)number;
        uint64_t bits = 0;
        memcpy(&bits, vr[1] == 'L' ? (void *)&small : (void *)&number, vr[1] == 'L' ? 4 : 8);
        if (is_big(f) && vr[1] == 'D') {
            add_number(&b, (uint32_t)(bits >> 32), 4, true);
            add_number(&b, (uint32_t)bits, 4, true);
        } else {
            add_number(&b, (uint32_t)bits, 4, is_big(f));
            if (vr[1] == 'D')
                add_number(&b, (uint32_t)(bits >> 32), 4, false);
        }
    } else {
        add(&b, value, strlen(value));
        if (b.size % 2)
            add(&b, strcmp(vr, "UI") == 0 ? "" : " ", 1);
    }
    made_set_bytes(f, tag, vr, b.data, b.size);
    free(b.data);
}

void made_nest(struct made_file *f, uint32_t sequence, struct made_file *item)
{
    struct bytes b = {0};
    size_t size;
    uint8_t *data = made_data(item, &size);
    for (size_t i = 0; i < f->count; i++) {
        if (f->attrs[i].tag == sequence)
            add(&b, f->attrs[i].value, f->attrs[i].size);
    }
    add_tag(&b, 0xfffee000, is_big(f));
    add_number(&b, (uint32_t)size, 4, is_big(f));
    add(&b, data, size);
    made_set_bytes(f, sequence, "SQ", b.data, b.size);
    free(data);
    free(b.data);
    made_finish(item);
}

void made_drop(struct made_file *f, uint32_t tag)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->attrs[i].tag != tag)
            continue;
        free(f->attrs[i].value);
        memmove(f->attrs + i, f->attrs + i + 1, (f->count - i - 1) * sizeof *f->attrs);
        f->count--;
        return;
    }
}

void made_ct(struct made_file *f, const char *syntax, const char *sop_instance_uid, double z)
{
    char position[64];
    *f = (struct made_file){.syntax = syntax};
    snprintf(position, sizeof position, "-10\\20.5\\%g", z);
    made_set(f, 0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL");
    made_set(f, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
    made_set(f, 0x00080018, "UI", sop_instance_uid);
    made_set(f, 0x00080020, "DA", "20260131");
    made_set(f, 0x00080030, "TM", "103200");
    made_set(f, 0x00080050, "SH", "A1");
    made_set(f, 0x00080060, "CS", "CT");
    made_set(f, 0x00080070, "LO", "Maker");
    made_set(f, 0x0008103e, "LO", "CaSc 3.0");
    made_set(f, 0x00100010, "PN", "Test^One");
    made_set(f, 0x00100020, "LO", "P1");
    made_set(f, 0x00100030, "DA", "");
    made_set(f, 0x00100040, "CS", "O");
    made_set(f, 0x00180050, "DS", "3");
    made_set(f, 0x00180060, "DS", "120");
    made_set(f, 0x0020000d, "UI", "1.2.3.1");
    made_set(f, 0x0020000e, "UI", "1.2.3.2");
    made_set(f, 0x00200010, "SH", "S1");
    made_set(f, 0x00200011, "IS", "3");
    made_set(f, 0x00200013, "IS", "7");
    made_set(f, 0x00200032, "DS", position);
    made_set(f, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    made_set(f, 0x00200052, "UI", "1.2.3.3");
    made_set(f, 0x00280002, "US", "1");
    made_set(f, 0x00280004, "CS", "MONOCHROME2");
    made_set(f, 0x00280010, "US", "6");
    made_set(f, 0x00280011, "US", "8");
    made_set(f, 0x00280030, "DS", "0.5\\0.25");
    made_set(f, 0x00280100, "US", "16");
    made_set(f, 0x00280101, "US", "12");
    made_set(f, 0x00280102, "US", "11");
    made_set(f, 0x00280103, "US", "0");
    made_set(f, 0x00281050, "DS", "40\\60");
    made_set(f, 0x00281051, "DS", "400\\80");
    made_set(f, 0x00281052, "DS", "-1024");
    made_set(f, 0x00281053, "DS", "1");
}

static uint32_t number_of(const struct made_file *f, uint32_t tag)
{
    for (size_t i = 0; i < f->count; i++) {
        const uint8_t *v = f->attrs[i].value;
        if (f->attrs[i].tag == tag)
            return is_big(f) ? (uint32_t)(v[0] << 8 | v[1]) : (uint32_t)(v[1] << 8 | v[0]);
    }
    return 0;
}

void made_pixels(struct made_file *f, uint32_t count, int32_t first)
{
    struct bytes b = {0};
    uint32_t bits = number_of(f, 0x00280100), shift = number_of(f, 0x00280102) + 1;
    shift -= number_of(f, 0x00280101);
    for (uint32_t i = 0; i < count; i++)
        add_number(&b, ((uint32_t)first + i) << shift, bits / 8, is_big(f));
    if (b.size % 2)
        add(&b, "", 1);
    if (is_big(f) && bits == 8) { // bytes packed in words
        for (size_t i = 0; i + 1 < b.size; i += 2) {
            uint8_t t = b.data[i];
            b.data[i] = b.data[i + 1];
            b.data[i + 1] = t;
        }
    }
    made_set_bytes(f, 0x7fe00010, "OW", b.data, b.size);
    free(b.data);
}

static void add_fragments(struct bytes *b, const struct made_file *f)
{
    static const uint8_t head[] = {0xe0, 0x7f, 0x10, 0, 'O', 'B', 0, 0, 255, 255, 255, 255};
    add(b, head, sizeof head);
    for (size_t i = 0; i < f->fragment_count; i++) {
        add_tag(b, 0xfffee000, false);
        add_number(b, (uint32_t)f->fragment_sizes[i], 4, false);
        add(b, f->fragments[i], f->fragment_sizes[i]);
    }
    add_tag(b, 0xfffee0dd, false);
    add_number(b, 0, 4, false);
}

uint8_t *made_data(const struct made_file *f, size_t *size)
{
    struct bytes b = {0};
    bool implicit = strcmp(f->syntax, IMPLICIT) == 0;
    for (size_t i = 0; i < f->count; i++)
        add_element(&b, &f->attrs[i], implicit, is_big(f));
    if (f->fragment_count)
        add_fragments(&b, f);
    *size = b.size;
    return b.data;
}

const char *made_write_bytes(const char *name, const void *data, size_t size)
{
    static char paths[64][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 64];
    snprintf(path, PATH_MAX, "%s/%s", check_scratch(), name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
    return path;
}

const char *made_write(const struct made_file *f, const char *name)
{
    static const uint8_t preamble[128];
    struct made_file meta = {.syntax = "1.2.840.10008.1.2.1"};
    struct bytes file = {0};
    size_t meta_size, data_size;
    made_set(&meta, 0x00020010, "UI", f->syntax);
    uint8_t length[4] = {(uint8_t)(meta.attrs[0].size + 8)};
    made_set_bytes(&meta, 0x00020000, "UL", length, sizeof length);
    uint8_t *head = made_data(&meta, &meta_size), *data = made_data(f, &data_size);
    add(&file, preamble, sizeof preamble);
    add(&file, "DICM", 4);
    add(&file, head, meta_size);
    add(&file, data, data_size);
    const char *path = made_write_bytes(name, file.data, file.size);
    made_finish(&meta);
    free(head);
    free(data);
    free(file.data);
    return path;
}

void made_finish(struct made_file *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->attrs[i].value);
    f->count = 0;
}
