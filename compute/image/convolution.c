#include "compute/image/convolution.h"
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define NAME_MOST 32 // characters that are looked at: twice what a value may have

struct kernel_name {
    const char *name;
    enum image_sharpness sharpness;
};

// Whole names: Philips, also with the X and C of its cardiac kernels.
static const struct kernel_name whole_names[] = {
    {"A", IMAGE_KERNEL_SOFT},   {"B", IMAGE_KERNEL_SOFT},    {"C", IMAGE_KERNEL_SOFT},
    {"UA", IMAGE_KERNEL_SOFT},  {"UB", IMAGE_KERNEL_SOFT},   {"CA", IMAGE_KERNEL_SOFT},
    {"CB", IMAGE_KERNEL_SOFT},  {"XCA", IMAGE_KERNEL_SOFT},  {"XCB", IMAGE_KERNEL_SOFT},
    {"CC", IMAGE_KERNEL_SHARP}, {"XCC", IMAGE_KERNEL_SHARP}, {"EC", IMAGE_KERNEL_SHARP},
    {"CD", IMAGE_KERNEL_EDGE},  {"XCD", IMAGE_KERNEL_EDGE},  {"D", IMAGE_KERNEL_EDGE},
    {"E", IMAGE_KERNEL_EDGE},   {"L", IMAGE_KERNEL_EDGE},    {"YA", IMAGE_KERNEL_EDGE},
    {"YB", IMAGE_KERNEL_EDGE},  {"YC", IMAGE_KERNEL_EDGE},   {"YD", IMAGE_KERNEL_EDGE},
    {"YE", IMAGE_KERNEL_EDGE},
};

// Parts of names: GE, United Imaging (B_SOFT_C), others. The sharpest counts.
static const struct kernel_name parts[] = {
    {"SOFT", IMAGE_KERNEL_SOFT},   {"SMOOTH", IMAGE_KERNEL_SOFT},  {"STANDARD", IMAGE_KERNEL_SOFT},
    {"STND", IMAGE_KERNEL_SOFT},   {"DETAIL", IMAGE_KERNEL_SHARP}, {"CHEST", IMAGE_KERNEL_SHARP},
    {"SHARP", IMAGE_KERNEL_SHARP}, {"HD ", IMAGE_KERNEL_SHARP},    {"HD-", IMAGE_KERNEL_SHARP},
    {"LUNG", IMAGE_KERNEL_EDGE},   {"BONE", IMAGE_KERNEL_EDGE},    {"EDGE", IMAGE_KERNEL_EDGE},
    {"ULTRA", IMAGE_KERNEL_EDGE},
};

// Toshiba and Canon: FC and two digits. Heads (20 to 28) and what is not listed are not known.
static enum image_sharpness of_toshiba(int number)
{
    if ((number >= 1 && number <= 5) || (number >= 11 && number <= 15))
        return IMAGE_KERNEL_SOFT;
    if ((number >= 6 && number <= 10) || (number >= 16 && number <= 19)) // body, sharper
        return IMAGE_KERNEL_SHARP;
    if ((number >= 30 && number <= 39) || (number >= 50 && number <= 59) || // bone, lung
        (number >= 80 && number <= 89))                                     // high resolution
        return IMAGE_KERNEL_EDGE;
    return IMAGE_KERNEL_UNKNOWN;
}

// Siemens: a letter or two, a number of two digits, endings. I and J in the place of B and H are
// iterative.
static enum image_sharpness of_siemens(char family, int number)
{
    if (family == 'S' || family == 'U')
        return number >= 50 ? IMAGE_KERNEL_EDGE : IMAGE_KERNEL_SOFT; // Sa36, Sd36; S80, Ur77
    return number >= 50 ? IMAGE_KERNEL_EDGE : number >= 45 ? IMAGE_KERNEL_SHARP : IMAGE_KERNEL_SOFT;
}

// Letters (one or two), then exactly two digits. False: the name is built otherwise.
static bool letters_and_number(const char *name, size_t *letters, int *number)
{
    *letters = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    const unsigned char *digit = (const unsigned char *)name + *letters;
    if (*letters < 1 || *letters > 2 || !isdigit(digit[0]) || !isdigit(digit[1]) ||
        isdigit(digit[2]))
        return false;
    *number = (digit[0] - '0') * 10 + (digit[1] - '0');
    return true;
}

static enum image_sharpness sharpness_of(const char *name)
{
    size_t letters;
    int number;
    for (size_t i = 0; i < sizeof whole_names / sizeof *whole_names; i++) {
        if (strcmp(name, whole_names[i].name) == 0)
            return whole_names[i].sharpness;
    }
    if (letters_and_number(name, &letters, &number)) {
        if (strncmp(name, "FC", 2) == 0)
            return of_toshiba(number);
        if (strchr("BCDHIJQSTU", *name))
            return of_siemens(*name, number);
    }
    enum image_sharpness worst = IMAGE_KERNEL_UNKNOWN;
    bool known = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strstr(name, parts[i].name) && (!known || parts[i].sharpness > worst)) {
            worst = parts[i].sharpness;
            known = true;
        }
    }
    return worst;
}

// A value without blanks around it, in capitals. Returns what follows it.
static const char *next_value(const char *text, char name[NAME_MOST + 1])
{
    size_t length = strcspn(text, "\\");
    const char *rest = text + length;
    while (length && isspace((unsigned char)*text))
        text++, length--;
    while (length && isspace((unsigned char)text[length - 1]))
        length--;
    length = length < NAME_MOST ? length : NAME_MOST;
    for (size_t i = 0; i < length; i++)
        name[i] = (char)toupper((unsigned char)text[i]);
    name[length] = '\0';
    return *rest ? rest + 1 : rest;
}

enum image_sharpness image_kernel_sharpness(const char *kernel)
{
    enum image_sharpness worst = IMAGE_KERNEL_UNKNOWN;
    bool named = false;
    char name[NAME_MOST + 1];
    for (const char *at = kernel ? kernel : ""; *at;) {
        at = next_value(at, name);
        if (strspn(name, "0123456789. ") == strlen(name))
            continue;
        const enum image_sharpness s = sharpness_of(name);
        if (!named || (s > worst && s != IMAGE_KERNEL_UNKNOWN))
            worst = s;
        named = true;
    }
    return worst;
}

bool image_kernel_is_soft(const char *kernel)
{
    return image_kernel_sharpness(kernel) == IMAGE_KERNEL_SOFT;
}
