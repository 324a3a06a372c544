#include "base/attrs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 1024

bool attrs_add(struct attrs *a, const char *key, const char *value)
{
    size_t key_size = strlen(key) + 1, len = strlen(value);
    if (len > VALUE_MAX) {
        len = VALUE_MAX;
        while (len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80)
            len--; // not inside a UTF-8 character
    }
    size_t size = a->size + key_size + len + 1;
    if (size > ATTRS_PACKED_MAX)
        return false;
    char *grown = realloc(a->packed, size);
    if (!grown)
        return false;
    memcpy(grown + a->size, key, key_size);
    memcpy(grown + a->size + key_size, value, len);
    grown[size - 1] = 0;
    a->packed = grown;
    a->size = size;
    return true;
}

bool attrs_next(const struct attrs *a, const char **key, const char **value)
{
    const char *p = *key ? *value + strlen(*value) + 1 : a->packed;
    if (!p || p >= a->packed + a->size)
        return false;
    *key = p;
    *value = p + strlen(p) + 1;
    return true;
}

const char *attrs_get(const struct attrs *a, const char *key)
{
    for (; a; a = a->base) {
        const char *k = NULL, *v = NULL;
        while (attrs_next(a, &k, &v)) {
            if (strcmp(k, key) == 0)
                return v;
        }
    }
    return NULL;
}

bool attrs_number(const struct attrs *a, const char *key, double *value)
{
    const char *text = attrs_get(a, key);
    if (!text)
        return false;
    text += strspn(text, " ");
    size_t length = strspn(text, "+-.0123456789Ee"); // no hexadecimal, no "inf", no decimal comma
    char *end = NULL;
    double number = strtod(text, &end);
    const char *rest = text + length + strspn(text + length, " ");
    if (length == 0 || end != text + length || (*rest != 0 && *rest != '\\') || !isfinite(number))
        return false;
    *value = number;
    return true;
}

static void attrs_drop_packed(struct attrs *a)
{
    free(a->packed);
    a->packed = NULL;
    a->size = 0;
}

bool attrs_unpack(struct attrs *a, const void *packed, size_t size)
{
    attrs_drop_packed(a);
    if (size == 0)
        return true;
    const char *p = packed;
    size_t zeros = 0;
    for (size_t i = 0; i < size; i++)
        zeros += p[i] == 0;
    if (size > ATTRS_PACKED_MAX || p[size - 1] != 0 || zeros % 2 != 0)
        return false;
    a->packed = malloc(size);
    if (!a->packed)
        return false;
    memcpy(a->packed, packed, size);
    a->size = size;
    return true;
}

void attrs_finish(struct attrs *a)
{
    attrs_drop_packed(a);
    a->base = NULL;
}
