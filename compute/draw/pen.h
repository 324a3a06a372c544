// Writes and draws on a Cairo surface: texts in any script (Pango, HarfBuzz), boxes, rules. The
// same text gives the same pixels on the same machine. Characters that no typeface of the machine
// has are written as "[U+1F600]"; bytes that are not UTF-8 and control characters as '?'.
// Process: worker, analyze. Thread-safety: one thread a pen.
#pragma once
#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct pen; // opaque

enum font { FONT_REGULAR, FONT_BOLD };
enum align { LEFT, CENTRE, RIGHT };

// On light paper and on dark.
struct ink {
    double light[3], dark[3]; // red, green, blue: 0 to 1
};
extern const struct ink ink_paper, ink_text, ink_quiet, ink_accent, ink_rule, ink_stripe, ink_white,
    ink_alarm, ink_amber, ink_amber_pale, ink_black, ink_caption;

// cr is borrowed. NULL with ERR_NOMEM.
struct pen *pen_create(cairo_t *cr, struct err *err);
void pen_destroy(struct pen *p); // NULL is fine
cairo_t *pen_cairo(struct pen *p);
// Whether a text written or measured since the last call had a character without a glyph.
bool pen_lacked_glyph(struct pen *p);

// What inks are from now on; at first those on light paper.
void pen_on_dark(struct pen *p, bool dark);
// Colour and typeface of what follows; size in units of the surface.
void pen_ink(struct pen *p, struct ink ink);
void pen_rgb(struct pen *p, const uint8_t rgb[3]);
void pen_font(struct pen *p, enum font font, double size);

// Width of a text on one line.
double pen_width(struct pen *p, const char *text);
// One line with its baseline at y, cut with an ellipsis where it is wider than width.
void pen_line(struct pen *p, const char *text, double x, double y, double width, enum align align);
// One line from x on, with a dark edge against bright pixels.
void pen_edged(struct pen *p, const char *text, double x, double y);
// Lines, broken at words, else anywhere, at most max of them (the last one cut with an ellipsis):
// the first baseline at y, the others step below each other. Lines that run from the right begin at
// the right. y NAN: nothing is drawn. Returns their number.
unsigned pen_wrap(struct pen *p, const char *text, double x, double y, double width, double step,
                  unsigned max, enum align align);

void pen_box(struct pen *p, double x, double y, double width, double height, struct ink fill);
// Horizontal, around y.
void pen_rule(struct pen *p, double x, double y, double width, double thickness, struct ink ink);
void pen_stroke(struct pen *p, double x1, double y1, double x2, double y2, double thickness);
