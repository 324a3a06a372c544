#include "compute/draw/font.h"
#include <pthread.h>
#include <cairo-ft.h>

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

static cairo_font_face_t *faces[2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static cairo_font_face_t *load(FT_Library library, const unsigned char *data,
                               const unsigned char *end)
{
    FT_Face face;
    if (FT_New_Memory_Face(library, data, (FT_Long)(end - data), 0, &face))
        return NULL;
    cairo_font_face_t *out = cairo_ft_font_face_create_for_ft_face(face, FT_LOAD_NO_HINTING);
    if (cairo_font_face_status(out) == CAIRO_STATUS_SUCCESS)
        return out;
    cairo_font_face_destroy(out);
    FT_Done_Face(face);
    return NULL;
}

// Cairo's caches may keep a face until the program ends, so FreeType stays as long.
static void load_all(void)
{
    static FT_Library library;
    if (FT_Init_FreeType(&library))
        return;
    faces[FONT_REGULAR] = load(library, font_regular_data, font_regular_end);
    faces[FONT_BOLD] = load(library, font_bold_data, font_bold_end);
}

cairo_font_face_t *font_face(enum font font)
{
    pthread_once(&once, load_all);
    return faces[font];
}
