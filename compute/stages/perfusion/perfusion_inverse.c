#include "compute/stages/perfusion/perfusion_inverse.h"
#include <complex.h>
#include <math.h>
#include <stdlib.h>

uint32_t perfusion_rows(uint32_t steps)
{
    return (2 * steps + 7) / 8 * 8;
}

// cos and sin of whole parts of a turn: e^(2 pi i n / rows).
static bool turns_make(uint32_t rows, double complex **turn)
{
    *turn = malloc(rows * sizeof **turn);
    for (uint32_t n = 0; *turn && n < rows; n++)
        (*turn)[n] = cexp(I * (2 * M_PI * n / rows));
    return *turn != NULL;
}

// The artery as Ostergaard's linear form has it (Magn Reson Med 1996;36:715), and its transform.
static void transform(const double *artery, uint32_t steps, double step_s, uint32_t rows,
                      const double complex *turn, double complex *spectrum)
{
    for (uint32_t f = 0; f < rows; f++) {
        spectrum[f] = 0;
        for (uint32_t n = 0; n <= steps; n++) {
            const double before = n > 0 ? artery[n - 1] : 0;
            const double here = n < steps ? artery[n] : 0;
            const double after = n + 1 < steps ? artery[n + 1] : 0;
            spectrum[f] +=
                step_s * (before + 4 * here + after) / 6 * conj(turn[(uint64_t)f * n % rows]);
        }
    }
}

// One column of the circulant inverse: what a unit of contrast now means for each time.
static void invert_spectrum(const double complex *spectrum, uint32_t rows, double least,
                            const double complex *turn, double *column)
{
    for (uint32_t m = 0; m < rows; m++)
        column[m] = 0;
    for (uint32_t f = 0; f < rows; f++) {
        if (cabs(spectrum[f]) < least)
            continue;
        const double complex inverse = 1 / spectrum[f];
        for (uint32_t m = 0; m < rows; m++)
            column[m] += creal(inverse * turn[(uint64_t)f * m % rows]) / rows;
    }
}

// The noise of the function of such a column: of the rows, `steps` in a row see noise.
static double gain_of(const double *column, uint32_t rows, uint32_t steps, const double noise[2])
{
    double squares = 0;
    for (uint32_t m = 0; m < rows; m++)
        squares += column[m] * (column[m] + 2 * noise[0] * column[(m + 1) % rows] +
                                2 * noise[1] * column[(m + 2) % rows]);
    return sqrt(squares * steps / rows);
}

// What is needed to cut the inverse of an artery.
struct artery_spectrum {
    uint32_t steps, rows;
    double complex *turn, *value; // [rows]
    double *column;               // [rows], of one level
    double largest;
};

static void spectrum_finish(struct artery_spectrum *s)
{
    free(s->column);
    free(s->value);
    free(s->turn);
}

// False: the artery is nought, or no memory.
static bool spectrum_make(const double *artery, uint32_t steps, double step_s,
                          struct artery_spectrum *s)
{
    *s = (struct artery_spectrum){.steps = steps, .rows = perfusion_rows(steps)};
    s->value = malloc(s->rows * sizeof *s->value);
    s->column = malloc(s->rows * sizeof *s->column);
    if (turns_make(s->rows, &s->turn) && s->value && s->column)
        transform(artery, steps, step_s, s->rows, s->turn, s->value);
    else
        return false;
    for (uint32_t f = 0; f < s->rows; f++)
        s->largest = fmax(s->largest, cabs(s->value[f]));
    return s->largest > 0;
}

static void cut_level(const struct artery_spectrum *s, const struct perfusion_cut *cut,
                      uint32_t level, double *gain)
{
    invert_spectrum(s->value, s->rows, cut->share[level] * s->largest, s->turn, s->column);
    *gain = gain_of(s->column, s->rows, s->steps, cut->noise);
}

struct tone { // a frequency and its negative one
    uint32_t f;
    double size; // of the artery's spectrum there
};

static int larger_tone_first(const void *a, const void *b)
{
    const struct tone *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size ? 1 : -1) : (x->f > y->f) - (x->f < y->f);
}

// The tones that the first level keeps, the largest first. Returns how many; 0: no memory.
static uint32_t list_tones(const struct artery_spectrum *s, double least, struct tone **tones)
{
    uint32_t count = 0;
    *tones = malloc((s->rows / 2 + 1) * sizeof **tones);
    for (uint32_t f = 0; *tones && f <= s->rows / 2; f++) {
        const double size = cabs(s->value[f]);
        if (size >= least)
            (*tones)[count++] = (struct tone){f, size};
    }
    if (*tones)
        qsort(*tones, count, sizeof **tones, larger_tone_first);
    return count;
}

// With the spectrum A of the artery and C, S the sums of a curve times cosine and sine of a tone,
// its part of the residue function is that of Z = w (C - iS) / A, w = 2 / rows for a frequency and
// its negative one. 1 / A = p + iq: Re Z = w (p C + q S), Im Z = w (q C - p S).
static void fill_tone(const struct artery_spectrum *s, uint32_t f, uint32_t n,
                      struct perfusion_inverse *out)
{
    const double weight = (f == 0 || 2 * f == s->rows ? 1.0 : 2.0) / s->rows;
    const double complex inverse = weight / s->value[f];
    float *to = out->to_terms + (size_t)(n / 4) * s->steps * 8 + (size_t)(n % 4) * 2;
    for (uint32_t m = 0; m < s->steps; m++) {
        const double complex turned = inverse * conj(s->turn[(uint64_t)f * m % s->rows]);
        to[m * 8] = (float)creal(turned);
        to[m * 8 + 1] = (float)cimag(turned);
    }
    uint64_t at_row = 0; // f m, without whole turns
    for (uint32_t m = 1; m <= s->rows / 2; m++) {
        at_row += f;
        at_row -= at_row >= s->rows ? s->rows : 0;
        float *at = out->matrix + ((size_t)((m - 1) / 4) * (out->terms / 2) + n) * 8 + (m - 1) % 4;
        at[0] = (float)creal(s->turn[at_row]);
        at[4] = 2 * m == s->rows ? 0 : (float)cimag(s->turn[at_row]);
    }
}

static bool invert_by_tones(const struct artery_spectrum *s, const struct perfusion_cut *cut,
                            struct perfusion_inverse *out)
{
    struct tone *tones;
    const uint32_t count = list_tones(s, cut->share[0] * s->largest, &tones);
    out->terms = (2 * count + 7) / 8 * 8;
    out->to_terms = calloc((size_t)out->terms * s->steps + 1, sizeof *out->to_terms);
    out->matrix = calloc((size_t)s->rows / 2 * out->terms + 1, sizeof *out->matrix);
    const bool ok = count > 0 && out->to_terms && out->matrix;
    for (uint32_t n = 0; ok && n < count; n++)
        fill_tone(s, tones[n].f, n, out);
    for (uint32_t level = 0; ok && level < cut->levels; level++) {
        cut_level(s, cut, level, &out->gain[level]);
        for (uint32_t n = 0; n < count; n++)
            out->used[level] += tones[n].size >= cut->share[level] * s->largest;
    }
    free(tones);
    return ok;
}

bool perfusion_invert(const double *artery, uint32_t steps, double step_s,
                      const struct perfusion_cut *cut, struct perfusion_inverse *out)
{
    struct artery_spectrum s;
    *out = (struct perfusion_inverse){.steps = steps, .rows = perfusion_rows(steps)};
    const bool ok = spectrum_make(artery, steps, step_s, &s) && invert_by_tones(&s, cut, out);
    spectrum_finish(&s);
    if (!ok)
        perfusion_inverse_finish(out);
    return ok;
}

void perfusion_inverse_finish(struct perfusion_inverse *i)
{
    free(i->to_terms);
    free(i->matrix);
    *i = (struct perfusion_inverse){0};
}
