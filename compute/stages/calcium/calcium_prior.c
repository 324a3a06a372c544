#include "compute/stages/calcium/calcium_prior.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/moment.h"

// How our own reports write it (compute/stages/calcium/calcium_report.c).
static const char all_arteries[] = "Coronary arteries";
static const char score_concept[] = "450360000 SCT", by_agatston[] = "112055 DCM";
static const char score_unit[] = "{score}", estimate_word[] = "(estimate)";

// kg/m2. From the lower end of what the WHO calls normal to a grade above which hardly anyone is
// scanned for calcium; who is outside has a limit that is off by 4 Agatston for 10 kg/m2.
static const double bmi_least = 18.5, bmi_most = 45;

// Above any score that was ever seen: what is more is no score.
static const double score_most = 1e5;

// What two headers may differ by and mean the same.
static const double kvp_same = 2, mm_same = 0.05;

double calcium_repeatability(double agatston, double bmi)
{
    return fmax(0.17 * agatston + 4.89 * sqrt(agatston) + 0.44 * bmi - 10.84, 0);
}

static const struct prior_number *earlier_score(const struct prior *p)
{
    const struct prior_number *n = prior_number(p, all_arteries, score_concept);
    if (!n || strcmp(n->method, by_agatston) != 0 || strcmp(n->unit, score_unit) != 0 ||
        !(n->low >= 0 && n->low <= n->value && n->value <= n->high && n->high <= score_most))
        return NULL;
    return n;
}

struct reasons {
    char text[320];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void add_reason(struct reasons *r, const char *format,
                                                             ...)
{
    va_list ap;
    if (r->size && r->size + 2 < sizeof r->text) {
        memcpy(r->text + r->size, ", ", 3);
        r->size += 2;
    }
    va_start(ap, format);
    const int n = vsnprintf(r->text + r->size, sizeof r->text - r->size, format, ap);
    va_end(ap);
    r->size = n > 0 ? strlen(r->text) : r->size;
}

static void compare_number(struct reasons *r, const char *what, const char *unit, double then,
                           double now, double same)
{
    if (isnan(then) || isnan(now))
        add_reason(r, "%s not known of both", what);
    else if (fabs(then - now) > same)
        add_reason(r, "%s %g%s, now %g%s", what, then, unit, now, unit);
}

static void compare_text(struct reasons *r, const char *what, const char *then, const char *now)
{
    if (!*then || !*now)
        add_reason(r, "%s not known of both", what);
    else if (strcmp(then, now) != 0)
        add_reason(r, "%s %.40s, now %.40s", what, then, now);
}

// Why the difference of two scores may be anything but that of the patient.
static void find_reasons(const struct prior *p, const struct calcium_now *now, struct reasons *r)
{
    const bool estimate = strstr(p->class_text, estimate_word) != NULL;
    if (strcmp(p->version, now->version) != 0)
        add_reason(r, "version %.16s of the analysis, now %.16s", p->version, now->version);
    if (estimate || now->estimate)
        add_reason(r, "%s not gated or moved",
                   estimate && now->estimate ? "both"
                   : estimate                ? "earlier scan"
                                             : "this scan");
    compare_number(r, "voltage", " kV", p->kvp, now->kvp, kvp_same);
    compare_number(r, "slice thickness", " mm", p->thickness_mm, now->thickness_mm, mm_same);
    compare_number(r, "slices apart", " mm", p->spacing_mm, now->spacing_mm, mm_same);
    compare_text(r, "kernel", p->kernel, now->kernel);
    compare_text(r, "scanner of", p->maker, now->maker);
    compare_text(r, "scanner", p->model, now->model);
}

// The limit for scores of low..high, at its least and at its most.
static void find_limit(double low, double high, double bmi, double limit[2])
{
    limit[0] = calcium_repeatability(low, isnan(bmi) ? bmi_least : bmi);
    limit[1] = calcium_repeatability(high, isnan(bmi) ? bmi_most : bmi);
}

static enum calcium_change judge_change(const struct calcium_compared *c, const double limit[2])
{
    if (c->least > limit[1])
        return CALCIUM_CHANGE_MORE;
    if (c->most < -limit[1])
        return CALCIUM_CHANGE_LESS;
    return c->most <= limit[0] && c->least >= -limit[0] ? CALCIUM_CHANGE_NONE
                                                        : CALCIUM_CHANGE_NOT_JUDGED;
}

static void difference_text(double least, double most, char text[48])
{
    if (most > least)
        snprintf(text, 48, "%+.1f to %+.1f", least, most);
    else
        snprintf(text, 48, "%+.1f", least);
}

static void limit_text(const double limit[2], double bmi, char text[96])
{
    if (limit[1] > limit[0])
        snprintf(text, 96, "%.1f to %.1f%s", limit[0], limit[1],
                 isnan(bmi) ? ", body mass index not stated" : "");
    else
        snprintf(text, 96, "%.1f, body mass index %.1f kg/m2", limit[0], bmi);
}

void calcium_compare(const struct prior *p, const struct calcium_now *now,
                     struct calcium_compared *out)
{
    const struct prior_number *then = earlier_score(p);
    struct reasons reasons = {0};
    char day[32], difference[48], limits[96];
    double limit[2];
    *out = (struct calcium_compared){.least = NAN, .most = NAN};
    moment_text(p->date, NULL, day);
    if (p->end == PRIOR_NOT_EVALUABLE) {
        snprintf(out->score, sizeof out->score, "not evaluable");
        snprintf(out->text, sizeof out->text, "%s: not evaluable, so no change is known", day);
        return;
    }
    if (!then) {
        snprintf(out->score, sizeof out->score, "not readable");
        snprintf(out->text, sizeof out->text, "%s: the report has no total score", day);
        return;
    }
    if (then->high > then->low)
        snprintf(out->score, sizeof out->score, "%.1f to %.1f", then->low, then->high);
    else
        snprintf(out->score, sizeof out->score, "%.1f", then->value);
    out->least = now->low - then->high;
    out->most = now->high - then->low;
    difference_text(out->least, out->most, difference);
    find_reasons(p, now, &reasons);
    if (*reasons.text) {
        snprintf(out->text, sizeof out->text,
                 "%s: Agatston %s. Change %s, not judged: not comparable (%s)", day, out->score,
                 difference, reasons.text);
        return;
    }
    if (then->high <= 0) {
        out->change = now->high <= 0 ? CALCIUM_CHANGE_NONE : CALCIUM_CHANGE_NOT_JUDGED;
        snprintf(out->text, sizeof out->text, "%s: Agatston %s. %s", day, out->score,
                 now->high <= 0
                     ? "No calcium then or now"
                     : "Not judged: the limits of repeated scans hold for scores above 0");
        return;
    }
    find_limit(then->low, then->high, now->bmi, limit);
    limit_text(limit, now->bmi, limits);
    out->change = judge_change(out, limit);
    static const char *const words[] = {
        [CALCIUM_CHANGE_NOT_JUDGED] = "not judged: it may be more or less than",
        [CALCIUM_CHANGE_NONE] = "no change: within",
        [CALCIUM_CHANGE_MORE] = "changed: above",
        [CALCIUM_CHANGE_LESS] = "changed: beyond",
    };
    snprintf(out->text, sizeof out->text,
             "%s: Agatston %s. Difference %s, %s what two scans of one person differ by (95 %% "
             "within %s)",
             day, out->score, difference, words[out->change], limits);
}

static const char *change_word(enum calcium_change change)
{
    static const char *const words[] = {
        [CALCIUM_CHANGE_NOT_JUDGED] = "not judged",
        [CALCIUM_CHANGE_NONE] = "within repeatability",
        [CALCIUM_CHANGE_MORE] = "more",
        [CALCIUM_CHANGE_LESS] = "less",
    };
    return words[change];
}

bool calcium_prior_report(struct findings *f, const struct prior *priors, size_t count,
                          const struct calcium_now *now)
{
    static const char *const head[] = {"Study",   "Agatston",      "Class",
                                       "Version", "Now less then", "Change"};
    enum { COLUMNS = sizeof head / sizeof *head };
    if (!count)
        return true;
    struct page_table *t = findings_add_table(f, "Earlier results", (uint32_t)count + 1, COLUMNS);
    bool ok = t != NULL;
    for (uint32_t c = 0; ok && c < COLUMNS; c++)
        ok = findings_set_cell(f, t, 0, c, "%s", head[c]);
    for (size_t i = 0; ok && i < count; i++) {
        const struct prior *p = &priors[i];
        const uint32_t row = (uint32_t)i + 1;
        struct calcium_compared c;
        char day[32], difference[48] = "";
        calcium_compare(p, now, &c);
        moment_text(p->date, NULL, day);
        if (!isnan(c.least))
            difference_text(c.least, c.most, difference);
        struct comparison *added = findings_add_comparison(f);
        ok = added && findings_set_cell(f, t, row, 0, "%s", day) &&
             findings_set_cell(f, t, row, 1, "%s", c.score) &&
             findings_set_cell(f, t, row, 2, "%.40s", p->class_text) &&
             findings_set_cell(f, t, row, 3, "%.16s", p->version) &&
             findings_set_cell(f, t, row, 4, "%s", difference) &&
             findings_set_cell(f, t, row, 5, "%s", change_word(c.change)) &&
             findings_add_fact(f, "Earlier result of %s", c.text);
        if (ok) {
            added->with = p->id;
            added->text = arena_printf(f->arena, "%s", c.text);
            ok = added->text != NULL;
        }
    }
    return ok;
}
