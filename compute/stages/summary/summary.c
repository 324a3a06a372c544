#include "compute/stages/summary/summary.h"
#include <stdlib.h>
#include <string.h>
#include "compute/findings/prior.h"

// ---- What the analysis is told ------------------------------------------------------------------

enum { P_NUMBERS, P_COUNT };

// 12: the numbers of one organ on both sides; a page takes four tables of so many rows.
static const struct stage_param params[P_COUNT] = {
    [P_NUMBERS] = {"numbers", "",
                   "Numbers of parts, such as arteries and lesions, are shown while a report has "
                   "not more than this; those of a whole always.",
                   PARAM_INTEGER, 0, 100, 12, NULL},
};

static const struct code no_unit = {"{analyses}", "UCUM", "analyses"};
static const struct code done_code = {"SUMMARY-DONE", "99ANODE", "Analyses with a result"};
static const struct code not_code = {"SUMMARY-NONE", "99ANODE", "Analyses without a result"};
static const struct code earlier_code = {"121069", "DCM", "Previous Finding"};
static const struct code procedure = {"363679005", "SCT", "Imaging procedure"};

struct gathered { // a report that counts
    const struct told *told;
    const char *title; // "calcium", or "calcium 2" where there are several
    bool evaluated;
};

struct summary {
    const struct stage_run *run;
    struct findings *f;
    struct gathered *list;
    uint32_t count, evaluated, replaced;
};

// ---- Which reports count ------------------------------------------------------------------------

static bool is_replaced(const struct stage_run *run, const struct told *t)
{
    for (size_t i = 0; i < run->report_count; i++) {
        if (strcmp(run->reports[i].result.replaces, t->result.id.sop_instance_uid) == 0)
            return true;
    }
    return false;
}

static bool has_numbers(enum prior_end end)
{
    return end == PRIOR_DONE || end == PRIOR_NOTHING_FOUND;
}

// Of one analysis those with a result first.
static int gathered_by_name(const void *a, const void *b)
{
    const struct told *x = ((const struct gathered *)a)->told,
                      *y = ((const struct gathered *)b)->told;
    int order = strcmp(x->result.stage, y->result.stage);
    if (order == 0)
        order = has_numbers(y->result.end) - has_numbers(x->result.end);
    if (order == 0 && x->series_count && y->series_count)
        order = strcmp(x->series[0], y->series[0]);
    return order ? order : strcmp(x->result.id.sop_instance_uid, y->result.id.sop_instance_uid);
}

static bool same_input(const struct told *a, const struct told *b)
{
    bool same = strcmp(a->result.stage, b->result.stage) == 0 && a->series_count > 0 &&
                a->series_count == b->series_count;
    for (size_t i = 0; same && i < a->series_count; i++)
        same = strcmp(a->series[i], b->series[i]) == 0;
    return same;
}

// Names them; two reports of an analysis on the same series are both shown, and it is said.
static bool name_reports(struct summary *s)
{
    for (uint32_t i = 0, of = 1; i < s->count; i++) {
        struct gathered *g = &s->list[i];
        const char *stage = g->told->result.stage;
        of = i > 0 && strcmp(s->list[i - 1].told->result.stage, stage) == 0 ? of + 1 : 1;
        g->title = of > 1 ? arena_printf(s->f->arena, "%s %u", stage, of) : stage;
        if (!g->title)
            return false;
        if (i > 0 && same_input(s->list[i - 1].told, g->told) &&
            !findings_add_warning(s->f,
                                  "%s and %s are reports on the same series, of versions %s "
                                  "and %s: neither says that it replaces the other",
                                  s->list[i - 1].title, g->title,
                                  s->list[i - 1].told->result.version, g->told->result.version))
            return false;
    }
    return true;
}

static bool gather_reports(struct summary *s)
{
    const struct stage_run *run = s->run;
    s->list = arena_alloc(run->arena, run->report_count + 1, sizeof *s->list);
    if (!s->list)
        return false;
    for (size_t i = 0; i < run->report_count; i++) {
        const struct told *t = &run->reports[i];
        if (strcmp(t->result.stage, run->stage->name) == 0)
            continue; // an earlier summary, which this one replaces
        if (is_replaced(run, t)) {
            s->replaced++;
            continue;
        }
        s->list[s->count++] = (struct gathered){.told = t, .evaluated = has_numbers(t->result.end)};
        s->evaluated += has_numbers(t->result.end);
    }
    if (s->count > 1)
        qsort(s->list, s->count, sizeof *s->list, gathered_by_name);
    return name_reports(s);
}

// ---- Numbers ------------------------------------------------------------------------------------

static struct code as_code(const struct told_code *c)
{
    return (struct code){*c->value ? c->value : NULL, c->scheme, c->meaning};
}

// Whether it can be written as it was: with a concept and a unit that are whole.
static bool is_usable(const struct told_number *n)
{
    return *n->concept.value && *n->concept.scheme && *n->concept.meaning && *n->unit.value &&
           *n->unit.scheme && *n->unit.meaning;
}

// Of a report with many numbers those of parts stay in it.
static bool is_number_shown(const struct summary *s, const struct told *t,
                            const struct told_number *n)
{
    size_t whole = 0, parts = 0;
    for (size_t i = 0; i < t->number_count; i++) {
        whole += !t->numbers[i].part;
        parts += t->numbers[i].part;
    }
    // where nothing is told as a whole, the first ones stand for it
    const size_t room = (size_t)s->run->params[P_NUMBERS].integer;
    if (!is_usable(n))
        return false;
    return !n->part || whole + parts <= room || (whole == 0 && n < t->numbers + room);
}

static uint32_t count_shown(const struct summary *s, const struct told *t)
{
    uint32_t count = 0;
    for (size_t i = 0; i < t->number_count; i++)
        count += is_number_shown(s, t, &t->numbers[i]);
    return count;
}

// The group of the summary for a group of a report: a new one where the label changes.
static struct finding_group *group_of(struct summary *s, const struct gathered *g,
                                      const struct told_number *n)
{
    struct findings *f = s->f;
    const char *label = arena_printf(f->arena, "%s: %s", g->title, n->group);
    if (!label)
        return NULL;
    for (uint32_t i = 0; i < f->group_count; i++) {
        if (strcmp(f->groups[i].label, label) == 0)
            return &f->groups[i];
    }
    struct finding_group *made = findings_add_group(f);
    if (!made)
        return NULL;
    made->label = label;
    made->algorithm.name = arena_printf(f->arena, "anode %s", g->told->result.stage);
    made->algorithm.version = g->told->result.version;
    return made->algorithm.name ? made : NULL;
}

static bool copy_numbers(struct summary *s, const struct gathered *g)
{
    for (size_t i = 0; i < g->told->number_count; i++) {
        const struct told_number *n = &g->told->numbers[i];
        if (!is_number_shown(s, g->told, n))
            continue;
        struct finding_group *group = group_of(s, g, n);
        struct measurement *m = group ? findings_add_measurement(s->f, group) : NULL;
        if (!m)
            return false;
        m->concept = as_code(&n->concept);
        m->unit = as_code(&n->unit);
        m->method = as_code(&n->method);
        m->derivation = as_code(&n->derivation);
        m->phase = as_code(&n->phase);
        m->value = n->value;
        m->decimals = n->decimals;
        m->ranged = n->ranged;
        m->low = n->low;
        m->high = n->high;
        m->range_why = *n->range_why ? n->range_why : NULL;
    }
    return true;
}

// ---- Statements and the page --------------------------------------------------------------------

static bool add_statement(struct summary *s, const struct gathered *g, struct code concept,
                          const char *text)
{
    struct evaluation *e = findings_add_evaluation(s->f, NULL);
    if (!e)
        return false;
    e->concept = concept;
    e->text = arena_printf(s->f->arena, "%s: %s", g->title, text);
    return e->text != NULL;
}

// Statements of the whole; those of parts are in the report.
static bool add_statements(struct summary *s, const struct gathered *g)
{
    const struct told *t = g->told;
    bool ok = true;
    for (size_t i = 0; ok && i < t->line_count; i++) {
        const struct told_line *line = &t->lines[i];
        if (!*line->group && *line->concept.value && *line->concept.meaning)
            ok = add_statement(s, g, as_code(&line->concept), line->text);
    }
    for (size_t i = 0; ok && i < t->earlier_count; i++)
        ok = add_statement(s, g, earlier_code, t->earlier[i]);
    return ok;
}

static const char *told_value_text(struct findings *f, const struct told_number *n)
{
    return n->ranged
               ? arena_printf(f->arena, "%.*f to %.*f", n->decimals, n->low, n->decimals, n->high)
               : arena_printf(f->arena, "%.*f", n->decimals, n->value);
}

static const char *told_unit_text(const struct told_number *n)
{
    return n->unit.value[0] == '{' || strcmp(n->unit.value, "1") == 0 ? "" : n->unit.value;
}

static bool fill_numbers(struct summary *s, struct page_table *t, const struct told *told,
                         uint32_t *row)
{
    for (size_t i = 0; i < told->number_count; i++) {
        const struct told_number *n = &told->numbers[i];
        if (!is_number_shown(s, told, n))
            continue;
        const char *value = told_value_text(s->f, n);
        if (!value || !findings_set_cell(s->f, t, *row, 0, "%s", n->group) ||
            !findings_set_cell(s->f, t, *row, 1, "%s%s%s%s%s", n->concept.meaning,
                               *n->derivation.value ? ", " : "", n->derivation.meaning,
                               *n->phase.value ? ", " : "", n->phase.meaning) ||
            !findings_set_cell(s->f, t, *row, 2, "%s", value) ||
            !findings_set_cell(s->f, t, *row, 3, "%s", told_unit_text(n)))
            return false;
        ++*row;
    }
    return true;
}

static bool add_report_table(struct summary *s, const struct gathered *g)
{
    const uint32_t rows = count_shown(s, g->told);
    const char *title =
        arena_printf(s->f->arena, "%s (version %s)", g->title, g->told->result.version);
    uint32_t row = 1;
    if (!title || !findings_add_fact(s->f, "%s: %s", title, g->told->result.headline))
        return false;
    if (rows == 0)
        return true;
    struct page_table *t = findings_add_table(s->f, title, rows + 1, 4);
    return t && findings_set_cell(s->f, t, 0, 0, "of") &&
           findings_set_cell(s->f, t, 0, 1, "what") && findings_set_cell(s->f, t, 0, 2, "value") &&
           findings_set_cell(s->f, t, 0, 3, "unit") && fill_numbers(s, t, g->told, &row);
}

// Why only a range of a number is known, once for those of one reason.
static bool add_range_reasons(struct summary *s, const struct gathered *g)
{
    const char *said = "";
    bool ok = true;
    for (size_t i = 0; ok && i < g->told->number_count; i++) {
        const struct told_number *n = &g->told->numbers[i];
        if (!n->ranged || !is_number_shown(s, g->told, n) || strcmp(n->range_why, said) == 0)
            continue;
        said = n->range_why;
        ok = findings_add_fact(s->f, "%s, a range: %s", g->title, said);
    }
    return ok;
}

// What a report says beside its numbers, and what of it is not here.
static bool add_report_facts(struct summary *s, const struct gathered *g)
{
    const struct told *t = g->told;
    const size_t left = t->number_total - count_shown(s, t);
    bool ok = add_range_reasons(s, g);
    for (size_t i = 0; ok && i < t->line_count; i++) {
        if (!*t->lines[i].group)
            ok = findings_add_fact(s->f, "%s: %s: %s", g->title, t->lines[i].concept.meaning,
                                   t->lines[i].text);
    }
    for (size_t i = 0; ok && i < t->earlier_count; i++)
        ok = findings_add_fact(s->f, "%s, earlier: %s", g->title, t->earlier[i]);
    if (ok && left > 0)
        ok = findings_add_fact(s->f, "%s: %zu further numbers are in its report only", g->title,
                               left);
    if (ok && t->exclusion_count > 0)
        ok = findings_add_fact(s->f, "%s: what its report names as left out: %zu", g->title,
                               t->exclusion_count);
    if (ok && t->cut)
        ok = findings_add_warning(s->f, "%s: its report is longer than is shown here", g->title);
    return ok;
}

// A report without a result: what and why.
static bool add_refused(struct summary *s, const struct gathered *g)
{
    const struct told *t = g->told;
    struct exclusion *e = findings_add_exclusion(s->f);
    if (!e)
        return false;
    e->what = arena_printf(s->f->arena, "%s (version %s)%s%s", g->title, t->result.version,
                           t->series_count ? ", series " : "", t->series_count ? t->series[0] : "");
    e->reason = *t->why ? t->why : "it ended in a way that this version does not know";
    return e->what != NULL;
}

static bool add_counts(struct summary *s)
{
    struct findings *f = s->f;
    struct finding_group *study = findings_add_group(f);
    if (!study)
        return false;
    study->label = "Study"; // first, so that the report is known as one of this analysis
    f->page.headline = arena_printf(f->arena, "%u %s   %u with a result   %u not evaluable",
                                    s->count, s->count == 1 ? "analysis" : "analyses", s->evaluated,
                                    s->count - s->evaluated);
    return findings_add_number(f, study, &done_code, s->evaluated, 0, &no_unit, NULL) &&
           findings_add_number(f, study, &not_code, s->count - s->evaluated, 0, &no_unit, NULL) &&
           f->page.headline;
}

static bool write_summary(struct summary *s)
{
    struct findings *f = s->f;
    bool ok = add_counts(s);
    for (uint32_t i = 0; ok && i < s->count; i++) {
        const struct gathered *g = &s->list[i];
        ok = g->evaluated ? copy_numbers(s, g) && add_statements(s, g) && add_report_table(s, g) &&
                                add_report_facts(s, g)
                          : add_refused(s, g);
    }
    if (ok && s->replaced)
        ok = findings_add_fact(f, "%u older reports were replaced by newer ones", s->replaced);
    if (s->count > s->evaluated)
        ok = ok && findings_add_warning(f, "%u of %u analyses gave no result: see below",
                                        s->count - s->evaluated, s->count);
    ok = ok && findings_add_fact(f, "Numbers are copies of those of the reports that it refers to");
    return ok && findings_add_fact(f, "What was not analysed at all is not known here");
}

// ---- The row ------------------------------------------------------------------------------------

static enum stage_end run_summary(const struct stage_run *run, struct findings *out,
                                  struct err *err)
{
    struct summary s = {.run = run, .f = out};
    out->page.title = "Summary of the study";
    out->procedure = procedure;
    if (!gather_reports(&s)) {
        err_set(err, ERR_NOMEM, "summary: no memory for the reports");
        return STAGE_BROKEN;
    }
    if (s.count == 0)
        return stage_refuse(out, "no report of an analysis in the study");
    if (s.evaluated == 0) {
        for (uint32_t i = 0; i < s.count; i++)
            add_refused(&s, &s.list[i]);
        return stage_refuse(out, "none of %u analyses of the study gave a result", s.count);
    }
    if (!write_summary(&s)) {
        err_set(err, ERR_NOMEM, "summary: no memory for the findings");
        return STAGE_BROKEN;
    }
    out->verdict = VERDICT_DONE;
    out->reason = "";
    return STAGE_DONE;
}

static const struct stage_accept accepts[] = {{"Modality", "SR"}, {"Manufacturer", "anode"}, {0}};
static const struct stage_input_spec inputs[] = {
    {.name = "reports",
     .help = "structured reports of this program on one study",
     .count = INPUT_MANY,
     .accepts = accepts,
     .reports = true},
};

const struct stage stage_summary = {
    .name = "summary",
    .title = "Summary of the study",
    .version = "1",
    .slot = 31,
    .help = "What the analyses of a study said, what was not evaluable and why, on one page.",
    .scope = SCOPE_STUDY,
    .inputs = inputs,
    .input_count = 1,
    .results = RESULT_SR | RESULT_SC | RESULT_PDF,
    .report = REPORT_MEASUREMENTS,
    .params = params,
    .param_count = P_COUNT,
    .run = run_summary,
};
