#include "compute/draw/pen.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <pango/pangocairo.h>
#include <pango/pangofc-fontmap.h>
#include "base/text.h"
#include "compute/draw/font.h"

#define TEXT_MAX 16384 // bytes of one text; what is more is cut

// On dark paper texts keep a contrast (WCAG 2.1, 1.4.3) of 4.5 at least, large ones 3.
const struct ink ink_paper = {{1, 1, 1}, {0.07, 0.08, 0.10}},
                 ink_text = {{0.10, 0.14, 0.19}, {0.90, 0.92, 0.94}},
                 ink_quiet = {{0.38, 0.44, 0.51}, {0.62, 0.66, 0.70}},
                 ink_accent = {{0.02, 0.29, 0.47}, {0.45, 0.75, 0.95}},
                 ink_rule = {{0.78, 0.82, 0.86}, {0.28, 0.31, 0.35}},
                 ink_stripe = {{0.955, 0.965, 0.975}, {0.11, 0.125, 0.15}},
                 ink_alarm = {{0.64, 0.08, 0.10}, {0.80, 0.20, 0.20}},
                 ink_amber = {{0.88, 0.62, 0.0}, {0.88, 0.62, 0.0}},
                 ink_amber_pale = {{1.0, 0.965, 0.86}, {0.20, 0.16, 0.05}},
                 ink_white = {{1, 1, 1}, {1, 1, 1}}, ink_black = {{0, 0, 0}, {0, 0, 0}},
                 ink_caption = {{0.86, 0.89, 0.92}, {0.86, 0.89, 0.92}};

// Built in, then typefaces without serifs of what Debian has; everything else that is installed
// comes after these.
static const char families[] =
    FONT_FAMILY ",Noto Sans,Noto Sans CJK JP,WenQuanYi Micro Hei,Noto Sans Arabic,Noto Sans Hebrew,"
                "Noto Sans Devanagari,Noto Sans Bengali,Noto Sans Gurmukhi,Noto Sans Gujarati,"
                "Noto Sans Oriya,Noto Sans Tamil,Noto Sans Telugu,Noto Sans Kannada,"
                "Noto Sans Malayalam,Noto Sans Sinhala,Noto Sans Thai,Noto Sans Lao,"
                "Noto Sans Myanmar,Noto Sans Khmer,Noto Sans Ethiopic,Noto Sans Armenian,"
                "Noto Sans Georgian,Noto Sans Symbols,Noto Sans Symbols2,Noto Sans Math";

struct pen {
    cairo_t *cr;
    PangoFontMap *map;
    PangoContext *context;
    PangoLayout *layout;
    PangoFontDescription *fonts[2];
    bool lacked, dark;
    char text[TEXT_MAX + 32]; // what the layout was given
};

struct pen *pen_create(cairo_t *cr, struct err *err)
{
    FcConfig *config = font_config();
    struct pen *p = config ? calloc(1, sizeof *p) : NULL;
    PangoFontMap *map = p ? pango_cairo_font_map_new_for_font_type(CAIRO_FONT_TYPE_FT) : NULL;
    if (!map) {
        free(p);
        err_set(err, ERR_NOMEM, "page: no memory for typefaces");
        return NULL;
    }
    p->cr = cr;
    p->map = map;
    pango_fc_font_map_set_config(PANGO_FC_FONT_MAP(map), config);
    p->context = pango_font_map_create_context(map);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(p->context, options);
    cairo_font_options_destroy(options);
    pango_context_set_round_glyph_positions(p->context, FALSE);
    pango_cairo_update_context(cr, p->context);
    p->layout = pango_layout_new(p->context);
    PangoAttrList *attrs = pango_attr_list_new(); // a UID that is broken must not gain a hyphen
    pango_attr_list_insert(attrs, pango_attr_insert_hyphens_new(FALSE));
    // from a document "office" is copied as its six letters
    pango_attr_list_insert(attrs, pango_attr_font_features_new("liga=0,clig=0"));
    pango_layout_set_attributes(p->layout, attrs);
    pango_attr_list_unref(attrs);
    for (int i = 0; i < 2; i++) {
        p->fonts[i] = pango_font_description_from_string(families);
        pango_font_description_set_weight(p->fonts[i],
                                          i == FONT_BOLD ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
    }
    pen_font(p, FONT_REGULAR, 16);
    return p;
}

void pen_destroy(struct pen *p)
{
    if (!p)
        return;
    for (int i = 0; i < 2; i++)
        pango_font_description_free(p->fonts[i]);
    g_object_unref(p->layout);
    g_object_unref(p->context);
    g_object_unref(p->map);
    free(p);
}

cairo_t *pen_cairo(struct pen *p)
{
    return p->cr;
}

bool pen_lacked_glyph(struct pen *p)
{
    const bool lacked = p->lacked;
    p->lacked = false;
    return lacked;
}

void pen_on_dark(struct pen *p, bool dark)
{
    p->dark = dark;
}

void pen_ink(struct pen *p, struct ink ink)
{
    const double *rgb = p->dark ? ink.dark : ink.light;
    cairo_set_source_rgb(p->cr, rgb[0], rgb[1], rgb[2]);
}

void pen_rgb(struct pen *p, const uint8_t rgb[3])
{
    cairo_set_source_rgb(p->cr, rgb[0] / 255.0, rgb[1] / 255.0, rgb[2] / 255.0);
}

void pen_font(struct pen *p, enum font font, double size)
{
    pango_font_description_set_absolute_size(p->fonts[font], size * PANGO_SCALE);
    pango_layout_set_font_description(p->layout, p->fonts[font]);
}

// ---- texts ----

// Han characters look different in Chinese, Japanese and Korean; the letters beside them tell.
static const char *language_of(uint32_t c, const char *before)
{
    if (c >= 0x3040 && c <= 0x30ff)
        return "ja";
    if ((c >= 0x1100 && c <= 0x11ff) || (c >= 0xac00 && c <= 0xd7a3))
        return "ko";
    if (c >= 0x3400 && c <= 0x9fff && !strcmp(before, "en"))
        return "zh-cn";
    return before;
}

// Gives text to the layout, fit to be shown; breaks: line ends stay.
static void pen_set(struct pen *p, const char *text, bool breaks)
{
    const char *language = "en";
    size_t used = 0;
    for (const char *at = text ? text : ""; *at;) {
        const size_t bytes = text_character(at);
        char *out = p->text + used;
        if (used >= TEXT_MAX) {
            memcpy(out, "\xe2\x80\xa6", 3); // an ellipsis
            used += 3;
            break;
        }
        if (bytes == 0) {
            *out = '?';
            used++;
            at++;
            continue;
        }
        const uint32_t c = g_utf8_get_char(at);
        if (c == '\n' || c == '\t' || c == 0x2028 || c == 0x2029) {
            *out = c == '\n' && breaks ? '\n' : ' ';
            used++;
        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            *out = '?';
            used++;
        } else if (!font_covers(c)) {
            used += (size_t)snprintf(out, 16, "[U+%04X]", (unsigned)c);
            p->lacked = true;
        } else {
            memcpy(out, at, bytes);
            used += bytes;
            language = language_of(c, language);
        }
        at += bytes;
    }
    pango_context_set_language(p->context, pango_language_from_string(language));
    pango_layout_context_changed(p->layout);
    pango_layout_set_width(p->layout, -1);
    pango_layout_set_ellipsize(p->layout, PANGO_ELLIPSIZE_NONE);
    pango_layout_set_height(p->layout, -1);
    pango_layout_set_text(p->layout, p->text, (int)used);
}

// Pango counts in integers.
static int pango_width(double width)
{
    return (int)(fmax(0, fmin(width, 100000)) * PANGO_SCALE);
}

static double line_width(PangoLayoutLine *line)
{
    PangoRectangle logical;
    pango_layout_line_get_extents(line, NULL, &logical);
    return logical.width / (double)PANGO_SCALE;
}

static void show_line(struct pen *p, PangoLayoutLine *line, double x, double y, double width,
                      enum align align)
{
    const double left = width - line_width(line);
    cairo_move_to(p->cr, x + (align == LEFT ? 0 : align == RIGHT ? left : left / 2), y);
    pango_cairo_show_layout_line(p->cr, line);
}

double pen_width(struct pen *p, const char *text)
{
    pen_set(p, text, false);
    return line_width(pango_layout_get_line_readonly(p->layout, 0));
}

void pen_line(struct pen *p, const char *text, double x, double y, double width, enum align align)
{
    pen_set(p, text, false);
    PangoLayoutLine *line = pango_layout_get_line_readonly(p->layout, 0);
    if (line_width(line) > width) {
        pango_layout_set_width(p->layout, pango_width(width));
        pango_layout_set_ellipsize(p->layout, PANGO_ELLIPSIZE_END);
        line = pango_layout_get_line_readonly(p->layout, 0);
    }
    show_line(p, line, x, y, width, align);
}

void pen_edged(struct pen *p, const char *text, double x, double y)
{
    pen_set(p, text, false);
    PangoLayoutLine *line = pango_layout_get_line_readonly(p->layout, 0);
    cairo_save(p->cr);
    cairo_new_path(p->cr);
    cairo_move_to(p->cr, x, y);
    pango_cairo_layout_line_path(p->cr, line);
    cairo_set_source_rgba(p->cr, 0, 0, 0, 0.7);
    cairo_set_line_width(p->cr, 3);
    cairo_set_line_join(p->cr, CAIRO_LINE_JOIN_ROUND);
    cairo_stroke(p->cr);
    cairo_restore(p->cr);
    cairo_move_to(p->cr, x, y);
    pango_cairo_show_layout_line(p->cr, line);
}

unsigned pen_wrap(struct pen *p, const char *text, double x, double y, double width, double step,
                  unsigned max, enum align align)
{
    pen_set(p, text, true);
    pango_layout_set_width(p->layout, pango_width(width));
    pango_layout_set_wrap(p->layout, PANGO_WRAP_WORD_CHAR);
    pango_layout_set_ellipsize(p->layout, PANGO_ELLIPSIZE_END);
    pango_layout_set_height(p->layout, -(int)max); // lines of a paragraph
    const unsigned all = (unsigned)pango_layout_get_line_count(p->layout);
    const unsigned count = all < max ? all : max;
    for (unsigned i = 0; i < count && isfinite(y); i++) {
        PangoLayoutLine *line = pango_layout_get_line_readonly(p->layout, (int)i);
        const bool from_right =
            pango_layout_line_get_resolved_direction(line) == PANGO_DIRECTION_RTL;
        show_line(p, line, x, y + i * step, width, from_right && align == LEFT ? RIGHT : align);
    }
    return count;
}

// ---- boxes and rules ----

void pen_box(struct pen *p, double x, double y, double width, double height, struct ink fill)
{
    pen_ink(p, fill);
    cairo_rectangle(p->cr, x, y, width, height);
    cairo_fill(p->cr);
}

void pen_rule(struct pen *p, double x, double y, double width, double thickness, struct ink ink)
{
    pen_box(p, x, y - thickness / 2, width, thickness, ink);
}

void pen_stroke(struct pen *p, double x1, double y1, double x2, double y2, double thickness)
{
    cairo_set_line_width(p->cr, thickness);
    cairo_move_to(p->cr, x1, y1);
    cairo_line_to(p->cr, x2, y2);
    cairo_stroke(p->cr);
}
