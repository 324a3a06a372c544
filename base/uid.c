#include "base/uid.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct digest {
    EVP_MD_CTX *context;
};

struct digest *digest_create(void)
{
    struct digest *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->context = EVP_MD_CTX_new();
    if (!d->context || EVP_DigestInit_ex(d->context, EVP_sha256(), NULL) != 1) {
        digest_destroy(d);
        return NULL;
    }
    return d;
}

void digest_add(struct digest *d, const void *data, size_t len)
{
    EVP_DigestUpdate(d->context, data, len);
}

void digest_add_text(struct digest *d, const char *text)
{
    uint64_t len = strlen(text);
    uint8_t head[8];
    for (int i = 0; i < 8; i++)
        head[i] = (uint8_t)(len >> (8 * i));
    digest_add(d, head, sizeof head);
    digest_add(d, text, (size_t)len);
}

void digest_end(struct digest *d, uint8_t out[DIGEST_SIZE])
{
    EVP_DigestFinal_ex(d->context, out, NULL);
}

void digest_destroy(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->context);
    free(d);
}

void digest_hex(const uint8_t in[DIGEST_SIZE], char out[2 * DIGEST_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < DIGEST_SIZE; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * DIGEST_SIZE] = 0;
}

static int digest_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool digest_from_hex(const char *hex, uint8_t out[DIGEST_SIZE])
{
    if (strlen(hex) != (size_t)2 * DIGEST_SIZE)
        return false;
    for (int i = 0; i < DIGEST_SIZE; i++) {
        int high = digest_hex_value(hex[2 * i]), low = digest_hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void uid_from_digest(const uint8_t digest[DIGEST_SIZE], char out[65])
{
    uint8_t number[16];
    char reversed[40];
    int count = 0;
    memcpy(number, digest, sizeof number);
    for (;;) { // long division by ten
        unsigned rest = 0;
        bool zero = true;
        for (int i = 0; i < 16; i++) {
            unsigned value = rest << 8 | number[i];
            number[i] = (uint8_t)(value / 10);
            rest = value % 10;
            zero = zero && number[i] == 0;
        }
        reversed[count++] = (char)('0' + rest);
        if (zero)
            break;
    }
    memcpy(out, "2.25.", 5);
    for (int i = 0; i < count; i++)
        out[5 + i] = reversed[count - 1 - i];
    out[5 + count] = 0;
}

bool uid_is_usable(const char *uid)
{
    size_t len = strlen(uid);
    if (len == 0 || len > 64)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (uid[i] == '.') {
            if (i == 0 || i + 1 == len || uid[i - 1] == '.')
                return false;
        } else if (uid[i] < '0' || uid[i] > '9') {
            return false;
        }
    }
    return true;
}
