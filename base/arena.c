#include "base/arena.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/pages.h"

#define BLOCK_SIZE ((size_t)64 * 1024)

struct block {
    struct block *next;
    size_t size, used;
    max_align_t bytes[];
};

struct arena {
    struct block *blocks; // the first one takes small pieces
};

struct arena *arena_create(void)
{
    return calloc(1, sizeof(struct arena));
}

void arena_destroy(struct arena *a)
{
    if (!a)
        return;
    for (struct block *b = a->blocks; b;) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
    free(a);
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + align - 1) / align * align;
    if (bytes == 0)
        bytes = align;
    struct block *b = a->blocks;
    if (!b || b->size - b->used < bytes) {
        size_t room = bytes > BLOCK_SIZE / 4 ? bytes : BLOCK_SIZE;
        struct block *fresh = calloc(1, sizeof *fresh + room);
        if (!fresh)
            return NULL;
        pages_advise(fresh, sizeof *fresh + room);
        fresh->size = room;
        if (b && room == bytes) { // a large piece: keep the open block in front
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            a->blocks = fresh;
        }
        b = fresh;
    }
    void *piece = (char *)b->bytes + b->used;
    b->used += bytes;
    return piece;
}

char *arena_strdup(struct arena *a, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(a, size, 1);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1, 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}
