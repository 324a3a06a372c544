#include "compute/draw/table.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TITLE_HEIGHT 34.0
#define ROW_HEIGHT   31.0 // of a row of one line
#define LINE_STEP    23.0
#define CELL_PADDING 12.0 // left and right of a text
#define TEXT_SIZE    18.0
#define ROOMIEST     1.35  // narrow tables are spread by this at most
#define NATURAL_MAX  560.0 // a longer text wraps although there is room for it
#define WORD_MAX     260.0 // a longer word may be broken

struct columns {
    uint32_t count;
    double x[TABLE_COLUMNS_MAX], width[TABLE_COLUMNS_MAX];
    bool numeric[TABLE_COLUMNS_MAX];
    double total;
};

static const char *cell(const struct page_table *t, uint32_t row, uint32_t column)
{
    const char *text = t->cells[(size_t)row * t->columns + column];
    return text ? text : "";
}

static bool is_total(const struct page_table *t, uint32_t row)
{
    return t->total && row > 0 && row + 1 == t->rows;
}

static void cell_font(struct pen *pen, const struct page_table *t, uint32_t row)
{
    pen_font(pen, row == 0 || is_total(t, row) ? FONT_BOLD : FONT_REGULAR, TEXT_SIZE);
}

static bool is_numeric(const struct page_table *t, uint32_t column)
{
    bool digits = false;
    for (uint32_t row = 1; row < t->rows; row++) {
        const char *text = cell(t, row, column);
        if (text[strspn(text, "0123456789.,+-<>=~% ")])
            return false;
        digits = digits || strpbrk(text, "0123456789");
    }
    return digits;
}

// The width of the widest word.
static double word_width(struct pen *pen, const char *text)
{
    double width = 0;
    char word[256];
    while (*text) {
        const size_t length = strcspn(text, " \n");
        snprintf(word, sizeof word, "%.*s", length < 255 ? (int)length : 255, text);
        width = fmax(width, pen_width(pen, word));
        text += length + (text[length] != 0);
    }
    return fmin(width, WORD_MAX);
}

// Shares room among columns: each has what its longest text needs, or else what its longest word
// needs and a part of what is left.
static void share_room(struct columns *k, const double *natural, const double *least, double room)
{
    double wanted = 0, needed = 0;
    for (uint32_t c = 0; c < k->count; c++) {
        wanted += natural[c];
        needed += least[c];
    }
    const double spread = wanted > 0 ? fmin(ROOMIEST, room / wanted) : 1;
    const double part = wanted > needed ? (room - needed) / (wanted - needed) : 0;
    for (uint32_t c = 0; c < k->count; c++) {
        if (wanted <= room)
            k->width[c] = natural[c] * spread;
        else if (needed <= room)
            k->width[c] = least[c] + part * (natural[c] - least[c]);
        else
            k->width[c] = least[c] * room / needed;
    }
}

static void measure_columns(struct pen *pen, const struct page_table *t, double x, double room,
                            struct columns *k)
{
    double natural[TABLE_COLUMNS_MAX], least[TABLE_COLUMNS_MAX];
    k->count = t->columns < TABLE_COLUMNS_MAX ? t->columns : TABLE_COLUMNS_MAX;
    for (uint32_t c = 0; c < k->count; c++) {
        double width = 0, word = 0;
        for (uint32_t row = 0; row < t->rows; row++) {
            cell_font(pen, t, row);
            width = fmax(width, pen_width(pen, cell(t, row, c)));
            word = fmax(word, word_width(pen, cell(t, row, c)));
        }
        k->numeric[c] = is_numeric(t, c);
        natural[c] = fmax(fmin(width, NATURAL_MAX), word) + 3 * CELL_PADDING;
        least[c] = word + 2 * CELL_PADDING;
    }
    share_room(k, natural, least, room);
    k->total = 0;
    for (uint32_t c = 0; c < k->count; c++) {
        k->x[c] = x + k->total;
        k->total += k->width[c];
    }
}

// One cell; y NAN: only measured. Returns its lines.
static unsigned draw_cell(struct pen *pen, const struct page_table *t, uint32_t row,
                          const struct columns *k, uint32_t c, double y)
{
    return pen_wrap(pen, cell(t, row, c), k->x[c] + CELL_PADDING, y + 22,
                    k->width[c] - 2 * CELL_PADDING, LINE_STEP, TABLE_LINES_MAX,
                    k->numeric[c] ? RIGHT : LEFT);
}

static double row_height(struct pen *pen, const struct page_table *t, uint32_t row,
                         const struct columns *k)
{
    unsigned lines = 1;
    cell_font(pen, t, row);
    for (uint32_t c = 0; c < k->count; c++) {
        const unsigned n = draw_cell(pen, t, row, k, c, NAN);
        lines = n > lines ? n : lines;
    }
    return ROW_HEIGHT + (lines - 1) * LINE_STEP;
}

// Returns its height.
static double draw_row(struct pen *pen, const struct page_table *t, uint32_t row,
                       const struct columns *k, double y)
{
    const double height = row_height(pen, t, row, k), left = k->x[0];
    const bool head = row == 0, total = is_total(t, row);
    if (!head && row % 2 == 0 && !total)
        pen_box(pen, left, y, k->total, height, ink_stripe);
    if (total)
        pen_rule(pen, left, y, k->total, 1.5, ink_quiet);
    pen_ink(pen, head ? ink_accent : ink_text);
    cell_font(pen, t, row);
    for (uint32_t c = 0; c < k->count; c++)
        draw_cell(pen, t, row, k, c, y);
    if (head)
        pen_rule(pen, left, y + height, k->total, 1.5, ink_accent);
    return height;
}

static void draw_title(struct pen *pen, const struct page_table *t, bool continued, double x,
                       double y, double room)
{
    char title[512], left_out[64] = "";
    if (t->columns > TABLE_COLUMNS_MAX)
        snprintf(left_out, sizeof left_out, " (%d of %u columns)", TABLE_COLUMNS_MAX, t->columns);
    snprintf(title, sizeof title, "%.400s%s%s", t->title ? t->title : "", left_out,
             continued ? " (continued)" : "");
    pen_ink(pen, ink_text);
    pen_font(pen, FONT_BOLD, 20);
    pen_line(pen, title, x, y + 22, room, LEFT);
}

bool table_draw(struct pen *pen, const struct page_table *t, double x, double room, double *y,
                double end, uint32_t *row)
{
    struct columns k;
    if (t->rows == 0 || t->columns == 0 || (*row > 0 && *row >= t->rows))
        return true;
    const uint32_t first = *row > 0 ? *row : 1;
    measure_columns(pen, t, x, room, &k);
    double needed = TITLE_HEIGHT + row_height(pen, t, 0, &k);
    if (first < t->rows)
        needed += row_height(pen, t, first, &k);
    if (*y + needed > end)
        return false;
    draw_title(pen, t, *row > 0, x, *y, room);
    *y += TITLE_HEIGHT;
    *y += draw_row(pen, t, 0, &k, *y);
    for (*row = first; *row < t->rows; (*row)++) {
        if (*y + row_height(pen, t, *row, &k) > end)
            return false;
        *y += draw_row(pen, t, *row, &k, *y);
    }
    *y += 20;
    return true;
}
