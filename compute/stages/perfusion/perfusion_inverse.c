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

bool perfusion_matrix(const double *artery, uint32_t steps, double step_s,
                      const struct perfusion_cut *cut, float *matrix, double *gain)
{
    struct artery_spectrum s;
    const bool ok = spectrum_make(artery, steps, step_s, &s);
    for (uint32_t level = 0; ok && level < cut->levels; level++) {
        cut_level(&s, cut, level, &gain[level]);
        for (uint32_t row = 0; row < s.rows; row++) {
            float *to = matrix + (size_t)level * s.rows * steps + (size_t)(row / 8) * steps * 8;
            for (uint32_t n = 0; n < steps; n++)
                to[n * 8 + row % 8] = (float)s.column[(row + s.rows - n) % s.rows];
        }
    }
    spectrum_finish(&s);
    return ok;
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

// With the spectrum A of the artery and C, S the sums of a curve times cos and sin of a tone, its
// part of the residue function is w (C (p cos - q sin) + S (q cos + p sin)), 1 / A = p + iq, with w
// = 2 / rows for a frequency and its negative one.
static void fill_tone(const struct artery_spectrum *s, uint32_t f, uint32_t n,
                      struct perfusion_inverse *out)
{
    const double weight = (f == 0 || 2 * f == s->rows ? 1.0 : 2.0) / s->rows;
    const double complex inverse = 1 / s->value[f];
    float *to = out->to_terms + (size_t)(n / 8) * s->steps * 8 + n % 8;
    for (uint32_t m = 0; m < s->steps; m++) {
        const double complex turn = s->turn[(uint64_t)f * m % s->rows];
        to[m * 8] = (float)creal(turn);
        to[m * 8 + 1] = (float)cimag(turn);
    }
    for (uint32_t row = 0; row < s->rows; row++) {
        const double complex turned = inverse * s->turn[(uint64_t)f * row % s->rows];
        float *at = out->matrix + (size_t)(row / 8) * out->terms * 8 + (size_t)n * 8 + row % 8;
        at[0] = (float)(weight * creal(turned));
        at[8] = (float)(weight * cimag(turned));
    }
}

// As products of few terms, where the first level has few. *fits: it has.
static bool invert_by_tones(const struct artery_spectrum *s, const struct perfusion_cut *cut,
                            struct perfusion_inverse *out, bool *fits)
{
    struct tone *tones;
    const uint32_t count = list_tones(s, cut->share[0] * s->largest, &tones);
    out->terms = (2 * count + 7) / 8 * 8;
    *fits = count > 0 && out->terms < s->steps;
    bool ok = tones != NULL;
    if (ok && *fits) {
        out->to_terms = calloc((size_t)out->terms * s->steps, sizeof *out->to_terms);
        out->matrix = calloc((size_t)s->rows * out->terms, sizeof *out->matrix);
        ok = out->to_terms && out->matrix;
    }
    for (uint32_t n = 0; ok && *fits && n < count; n++)
        fill_tone(s, tones[n].f, 2 * n, out);
    for (uint32_t level = 0; ok && *fits && level < cut->levels; level++) {
        cut_level(s, cut, level, &out->gain[level]);
        for (uint32_t n = 0; n < count; n++)
            out->used[level] += tones[n].size >= cut->share[level] * s->largest ? 2 : 0;
    }
    free(tones);
    return ok;
}

bool perfusion_invert(const double *artery, uint32_t steps, double step_s,
                      const struct perfusion_cut *cut, struct perfusion_inverse *out)
{
    struct artery_spectrum s;
    bool fits = false;
    *out = (struct perfusion_inverse){.steps = steps, .rows = perfusion_rows(steps)};
    bool ok = spectrum_make(artery, steps, step_s, &s) && invert_by_tones(&s, cut, out, &fits);
    spectrum_finish(&s);
    if (ok && !fits) {
        out->terms = steps;
        out->matrix = malloc((size_t)cut->levels * out->rows * steps * sizeof *out->matrix);
        ok = out->matrix && perfusion_matrix(artery, steps, step_s, cut, out->matrix, out->gain);
        for (uint32_t level = 0; level < cut->levels; level++)
            out->used[level] = steps;
    }
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
