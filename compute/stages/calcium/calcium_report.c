#include "compute/stages/calcium/calcium_report.h"
#include <string.h>
#include "compute/stages/calcium/calcium_groups.h"
#include "compute/stages/calcium/calcium_marks.h"
#include "compute/stages/calcium/calcium_noise.h"
#include "compute/stages/calcium/calcium_page.h"
#include "compute/stages/calcium/calcium_writer.h"

static const struct code category = {"CAC-DRS", "99ANODE", "CAC-DRS category"}; // no code exists

// Where the score stands among people of the same age and sex.
static bool add_percentile(struct calcium_writer *w)
{
    static const struct code concept = {"121415", "DCM", "Percentile Ranking of measurement"};
    const struct calcium_context *c = w->context;
    char text[96];
    if (!c->row)
        return true;
    calcium_percentile_text(c->row, calcium_agatston(w->rules, &w->total),
                            calcium_agatston(w->rules, &w->possible), text, sizeof text);
    struct evaluation *e = findings_add_evaluation(w->f, NULL);
    if (!e)
        return false;
    *e = (struct evaluation){.concept = concept,
                             .text = arena_printf(w->f->arena, "%s of %s", text, c->people)};
    return e->text && findings_add_fact(w->f, "Score %s", e->text);
}

// "A1/N2", "A1" where not all arteries are known, "A1 to A3" where the score is a range; none where
// noise makes the score an estimate.
static const char *category_text(const struct calcium_writer *w)
{
    if (!calcium_noise_allows_category(w->heart->noise_hu))
        return arena_printf(w->f->arena, "not given: noise of %.0f HU", w->heart->noise_hu);
    unsigned with = 0;
    for (int a = 0; a < CALCIUM_UNASSIGNED; a++)
        with += w->artery[a].lesions > 0;
    char low[16], high[16];
    calcium_category(calcium_agatston(w->rules, &w->total), with, low, sizeof low);
    calcium_category(calcium_agatston(w->rules, &w->possible), with, high, sizeof high);
    if (w->artery[CALCIUM_UNASSIGNED].lesions || w->uncertain) {
        low[strcspn(low, "/")] = '\0';
        high[strcspn(high, "/")] = '\0';
    }
    return strcmp(low, high) == 0 ? arena_printf(w->f->arena, "%s", low)
                                  : arena_printf(w->f->arena, "%s to %s", low, high);
}

static bool add_summary(struct calcium_writer *w)
{
    const double low = calcium_agatston(w->rules, &w->total);
    const double high = calcium_agatston(w->rules, &w->possible);
    const char *note = w->context->estimate ? " (estimate)" : "", *class = category_text(w);
    const char *where = w->context->moved ? " in the images, the heart moved" : "";
    const char *score = w->uncertain ? arena_printf(w->f->arena, "%.1f to %.1f", low, high)
                                     : arena_printf(w->f->arena, "%.1f", low);
    struct evaluation *e = findings_add_evaluation(w->f, NULL);
    if (!e || !class || !score)
        return false;
    *e = (struct evaluation){.concept = category,
                             .text = arena_printf(w->f->arena, "CAC-DRS %s%s", class, note)};
    w->f->page.headline =
        arena_printf(w->f->arena, "Agatston %s%s   CAC-DRS %s%s", score, where, class, note);
    const bool any = w->total.lesions || w->uncertain;
    w->f->verdict = any ? VERDICT_DONE : VERDICT_NOTHING_FOUND;
    w->f->reason =
        any ? ""
            : arena_printf(w->f->arena, "no coronary calcium of %g HU and %g mm2 or more%s",
                           w->rules->threshold_hu, w->rules->min_area_mm2, where);
    return e->text && w->f->page.headline && w->f->reason;
}

static bool add_priors(struct calcium_writer *w)
{
    struct calcium_now now = w->context->now;
    now.low = calcium_agatston(w->rules, &w->total);
    now.high = calcium_agatston(w->rules, &w->possible);
    return calcium_prior_report(w->f, w->context->priors, w->context->prior_count, &now);
}

bool calcium_report(struct findings *f, const struct image_set *set, uint32_t image,
                    const struct anatomy_heart *heart, const struct calcium_rules *rules,
                    const struct calcium_lesions *lesions, const struct calcium_context *context,
                    struct err *err)
{
    struct calcium_writer w = {.f = f,
                               .set = set,
                               .image = image,
                               .v = &set->images[image],
                               .heart = heart,
                               .rules = rules,
                               .lesions = lesions,
                               .context = context};
    w.counted = lesions->number[CALCIUM_COUNTED];
    w.uncertain = lesions->number[CALCIUM_UNCERTAIN];
    for (uint32_t i = 0; i < w.counted + w.uncertain; i++) {
        const struct calcium_lesion *l = &lesions->list[i];
        calcium_add(&w.possible, &l->amount);
        if (i >= w.counted)
            continue;
        calcium_add(&w.artery[l->artery], &l->amount);
        calcium_add(&w.total, &l->amount);
    }
    if (calcium_groups_add(&w) && calcium_marks_add(&w) && calcium_page_add_scores(&w) &&
        add_priors(&w) && calcium_page_add_lesions(&w) && add_summary(&w) && add_percentile(&w))
        return true;
    return err_set(err, ERR_NOMEM, "calcium: report");
}
