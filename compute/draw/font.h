// The typefaces of our pictures (DejaVu Sans), built into the program: text looks the same on every
// machine and needs no font service. Thread-safety: any thread.
#pragma once
#include <cairo.h>

enum font { FONT_REGULAR, FONT_BOLD };

// Kept for the life of the program. NULL: no memory.
cairo_font_face_t *font_face(enum font font);
