#include "conf/network.h"
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 64

struct network {
    int family;
    unsigned char bytes[16];
    unsigned bits; // that count
};

// Digits alone: at most three.
static bool network_bits(const char *text, unsigned most, unsigned *bits)
{
    const size_t length = strlen(text);
    if (length < 1 || length > 3 || strspn(text, "0123456789") != length)
        return false;
    *bits = (unsigned)strtoul(text, NULL, 10);
    return *bits <= most;
}

static bool network_parse(const char *text, struct network *n)
{
    char address[TEXT_MAX];
    const size_t length = strcspn(text, "/");
    if (length >= sizeof address)
        return false;
    memcpy(address, text, length);
    address[length] = 0;
    if (inet_pton(AF_INET, address, n->bytes) == 1)
        n->family = AF_INET;
    else if (inet_pton(AF_INET6, address, n->bytes) == 1)
        n->family = AF_INET6;
    else
        return false;
    const unsigned most = n->family == AF_INET ? 32 : 128;
    n->bits = most;
    return !text[length] || network_bits(text + length + 1, most, &n->bits);
}

bool network_check(const char *network)
{
    struct network n;
    return network_parse(network, &n);
}

bool network_has(const char *network, const char *address)
{
    struct network n, a;
    if (!network_parse(network, &n) || strchr(address, '/') || !network_parse(address, &a) ||
        n.family != a.family)
        return false;
    for (unsigned bit = 0; bit < n.bits; bit++) {
        if ((n.bytes[bit / 8] ^ a.bytes[bit / 8]) & (0x80U >> bit % 8))
            return false;
    }
    return true;
}
