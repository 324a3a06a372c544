#include "compute/draw/font.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// FONT_REGULAR_FILE and FONT_BOLD_FILE: paths of the build.
__asm__(".section .rodata\n"
        ".balign 16\n"
        "font_regular_data: .incbin \"" FONT_REGULAR_FILE "\"\n"
        "font_regular_end: .byte 0\n"
        ".balign 16\n"
        "font_bold_data: .incbin \"" FONT_BOLD_FILE "\"\n"
        "font_bold_end: .byte 0\n"
        ".text\n");
extern const unsigned char font_regular_data[], font_regular_end[], font_bold_data[],
    font_bold_end[];

#define MEMORY_FOLDER "/proc/self/fd/"

// An installed DejaVu of another version must not be taken for ours, so ours has a name of its own.
static const FcChar8 rules[] =
    "<fontconfig>"
    "<dir>/usr/share/fonts</dir><dir>/usr/local/share/fonts</dir>"
    "<cachedir>/var/cache/fontconfig</cachedir>"
    "<match target=\"scan\">"
    "<test name=\"file\" compare=\"contains\"><string>" MEMORY_FOLDER "</string></test>"
    "<edit name=\"family\" mode=\"assign\"><string>" FONT_FAMILY "</string></edit>"
    "</match>"
    "</fontconfig>";

static FcConfig *config;
static FcCharSet *covered;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// Fontconfig and Pango open typefaces by name, also later: the file in memory stays open.
static bool font_add(FcConfig *c, const char *name, const unsigned char *data,
                     const unsigned char *end)
{
    char path[64];
    const int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        return false;
    for (const unsigned char *at = data; at < end;) {
        const ssize_t n = write(fd, at, (size_t)(end - at));
        if (n <= 0) {
            close(fd);
            return false;
        }
        at += n;
    }
    snprintf(path, sizeof path, MEMORY_FOLDER "%d", fd);
    if (FcConfigAppFontAddFile(c, (const FcChar8 *)path))
        return true;
    close(fd);
    return false;
}

// Pango draws scalable typefaces only.
static bool font_usable(const FcPattern *pattern)
{
    FcChar8 *format;
    return FcPatternGetString(pattern, FC_FONTFORMAT, 0, &format) == FcResultMatch &&
           (!strcmp((const char *)format, "TrueType") || !strcmp((const char *)format, "CFF"));
}

static void font_cover(const FcFontSet *set)
{
    for (int i = 0; set && i < set->nfont; i++) {
        FcCharSet *one;
        if (font_usable(set->fonts[i]) &&
            FcPatternGetCharSet(set->fonts[i], FC_CHARSET, 0, &one) == FcResultMatch)
            FcCharSetMerge(covered, one, NULL);
    }
}

static void font_load(void)
{
    FcConfig *c = FcConfigCreate();
    covered = FcCharSetCreate();
    if (!c || !covered)
        return;
    if (!FcConfigParseAndLoadFromMemory(c, rules, FcTrue) || !FcConfigBuildFonts(c) ||
        !font_add(c, "regular", font_regular_data, font_regular_end) ||
        !font_add(c, "bold", font_bold_data, font_bold_end)) {
        FcConfigDestroy(c);
        return;
    }
    font_cover(FcConfigGetFonts(c, FcSetApplication));
    font_cover(FcConfigGetFonts(c, FcSetSystem));
    config = c;
}

FcConfig *font_config(void)
{
    pthread_once(&once, font_load);
    return config;
}

// Unicode's Default_Ignorable_Code_Point, as far as texts of people have them.
static bool font_invisible(uint32_t c)
{
    return c == 0xad || c == 0x34f || c == 0x61c || (c >= 0x180b && c <= 0x180f) ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff ||
           (c >= 0xe0100 && c <= 0xe01ef);
}

bool font_covers(uint32_t character)
{
    return font_config() && (font_invisible(character) || FcCharSetHasChar(covered, character));
}
