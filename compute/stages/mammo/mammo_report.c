#include "compute/stages/mammo/mammo_report.h"
#include <math.h>
#include <string.h>
#include "compute/stages/mammo/mammo_page.h"

// Sources: PS3.16 CID 6014, 6016 (findings), 6000 (composition), 6034 (intent), 6043 (analyses),
// 7470 (lengths); UCUM.
static const struct code density_finding = {"129793001", "SCT", "Mammography breast density"};
static const struct code cluster_finding = {"129769006", "SCT", "Calcification Cluster"};
static const struct code calc_finding = {"129770007", "SCT", "Individual Calcification"};
static const struct code composition = {"129715009", "SCT", "Breast composition"};
static const struct code geometry = {"111100", "DCM", "Breast geometry"};
static const struct code nipple = {"24142002", "SCT", "Nipple"};
static const struct code composition_analysis = {"133890006", "SCT", "Breast composition analysis"};
static const struct code compositions[4] = {
    {"129716005", "SCT", "Almost entirely fat"},
    {"129717001", "SCT", "Scattered fibroglandular densities"},
    {"129718006", "SCT", "Heterogeneously dense"},
    {"129719003", "SCT", "Extremely dense"},
};
static const struct code intent_concept = {"111056", "DCM", "Rendering Intent"};
static const struct code intent_required = {
    "111150", "DCM", "Presentation Required: Rendering device is expected to present"};
static const struct code intent_optional = {"111151", "DCM",
                                            "Presentation Optional: Rendering device may present"};
static const struct code number_of_calcs = {"111038", "DCM", "Number of calcifications"};
static const struct code diameter = {"81827009", "SCT", "Diameter"};
static const struct code longest = {"103339001", "SCT", "Long Axis"};
static const struct code percent_tissue = {"111046", "DCM", "Percent Fibroglandular Tissue"};
static const struct code unit_mm = {"mm", "UCUM", "millimeter"};
static const struct code unit_percent = {"%", "UCUM", "Percent"};
static const struct code unit_one = {"1", "UCUM", "no units"};
static const struct code mammography = {"71651007", "SCT", "Mammography"};

// Of a cluster that are listed one by one: enough to see its shape.
enum { CALCS_LISTED = 30 };

struct mammo_findings { // what the parts of the report share
    const struct stage_run *run;
    const struct mammo_exam *exam;
    const struct mammo_marks *marks;
    const struct mammo_cuts *cuts;
    struct findings *f;
};

static void say_intent(struct findings *f, struct finding_group *g, const struct code *intent)
{
    struct evaluation *e = findings_add_evaluation(f, g);
    if (e)
        *e = (struct evaluation){.concept = intent_concept, .value = *intent};
}

// A finding on one image. Returns its index, or -1.
static int report_single(const struct mammo_findings *r, uint32_t i, const char *what, int number,
                         const struct code *finding, const struct code *intent)
{
    struct findings *f = r->f;
    struct finding_group *g = findings_add_group(f);
    if (!g)
        return -1;
    const char *name = r->exam->images[i].name;
    g->label = number ? arena_printf(f->arena, "%s %s %d", name, what, number)
                      : arena_printf(f->arena, "%s %s", name, what);
    if (!g->label) {
        f->no_memory = true;
        g->label = "";
    }
    g->finding = *finding;
    g->has_key = true;
    g->key = (struct place){.image = r->exam->images[i].image};
    say_intent(f, g, intent);
    return (int)f->group_count - 1;
}

static void set_center(struct findings *f, int group, double x, double y)
{
    if (group < 0)
        return;
    f->groups[group].has_center = true;
    f->groups[group].center[0] = x;
    f->groups[group].center[1] = y;
}

static void report_calcs(const struct mammo_findings *r, uint32_t i, int cluster,
                         const struct mammo_mark *mark, int *number)
{
    for (uint32_t k = 0; k < mark->count && k < CALCS_LISTED; k++) {
        const int index =
            report_single(r, i, "calcification", ++*number, &calc_finding, &intent_optional);
        if (index < 0)
            return;
        set_center(r->f, index, (double)mark->calcs[k].x, (double)mark->calcs[k].y);
        r->f->groups[index].parent = cluster;
        findings_add_number(r->f, &r->f->groups[index], &diameter, (double)mark->calcs[k].size_mm,
                            2, &unit_mm, NULL);
    }
}

static void report_marks(struct mammo_findings *r, uint32_t i)
{
    const struct mammo_marks *m = &r->marks[i];
    int numbers[2] = {0, 0}, calcs = 0;
    for (uint32_t n = 0; n < m->mark_count && n < 2 * MAMMO_MARKS_MAX; n++) {
        const struct mammo_mark *mark = &m->marks[n];
        const bool cluster = mark->kind == MAMMO_CLUSTER;
        const int index =
            report_single(r, i, cluster ? "cluster" : "mass", ++numbers[cluster],
                          cluster ? &cluster_finding : &density_finding, &intent_required);
        if (index < 0)
            return;
        set_center(r->f, index, (double)mark->x, (double)mark->y);
        r->f->groups[index].probability = mark->probability;
        if (cluster)
            findings_add_number(r->f, &r->f->groups[index], &number_of_calcs, mark->count, 0,
                                &unit_one, NULL);
        findings_add_number(r->f, &r->f->groups[index], &longest, mark->size_mm, 1, &unit_mm, NULL);
        mammo_add_symbol(r->f, r->exam->images[i].image, index, mark, m->pixel_mm);
        if (cluster)
            report_calcs(r, i, index, mark, &calcs);
    }
}

static unsigned density_class(const struct mammo_cuts *cuts, double percent)
{
    unsigned n = 0;
    while (n < 3 && percent >= cuts->percent[n])
        n++;
    return n;
}

// What the breast is like: no marks.
static void add_description(const struct mammo_findings *r, uint32_t i)
{
    const struct mammo_marks *m = &r->marks[i];
    if (m->skin_count) {
        const int index = report_single(r, i, "breast", 0, &geometry, &intent_optional);
        if (index >= 0)
            mammo_add_skin(r->f, r->exam->images[i].image, index, m);
    }
    if (m->has_nipple)
        set_center(r->f, report_single(r, i, "nipple", 0, &nipple, &intent_optional),
                   (double)m->nipple[0], (double)m->nipple[1]);
    if (isnan(m->percent))
        return;
    // The report has no room for a range: what it codes is sure of its class.
    const unsigned class = density_class(r->cuts, m->percent_range[0]);
    if (class != density_class(r->cuts, m->percent_range[1]))
        return;
    const int index = report_single(r, i, "density", 0, &composition, &intent_optional);
    if (index < 0)
        return;
    struct finding_group *g = &r->f->groups[index];
    struct evaluation *e = findings_add_evaluation(r->f, g);
    if (e)
        *e = (struct evaluation){.concept = composition, .value = compositions[class]};
    findings_add_number(r->f, g, &percent_tissue, m->percent, 0, &unit_percent, NULL);
}

// ---- What was tried, what was left out ----------------------------------------------------------

enum search_of { SEARCH_MASSES, SEARCH_CLUSTERS, SEARCH_DENSITY };

static bool looked_for(const struct mammo_findings *r, uint32_t i, enum search_of what)
{
    const struct mammo_marks *m = &r->marks[i];
    return !r->exam->images[i].aside && !m->refused &&
           !(what == SEARCH_MASSES ? m->no_masses : m->no_clusters);
}

// A detection that was made on no image was not attempted: it did not fail.
static bool attempted(const struct mammo_findings *r, enum search_of what)
{
    for (uint32_t i = 0; i < r->exam->count; i++)
        if (looked_for(r, i, what))
            return true;
    return false;
}

static bool belongs(const struct mammo_findings *r, uint32_t i, enum search_of what, bool failed)
{
    if (r->exam->images[i].aside)
        return false;
    const bool refused = r->marks[i].refused != NULL;
    switch (what) {
    case SEARCH_MASSES:
    case SEARCH_CLUSTERS:
        return attempted(r, what) && looked_for(r, i, what) != failed;
    case SEARCH_DENSITY:
        return (refused || isnan(r->marks[i].percent)) == failed;
    }
    return false;
}

static void add_search(const struct mammo_findings *r, const struct code *what, bool analysis,
                       enum search_of which, const char *algorithm)
{
    for (int failed = 0; failed < 2; failed++) {
        uint32_t *images = arena_alloc(r->f->arena, r->exam->count, sizeof *images), count = 0;
        r->f->no_memory = r->f->no_memory || !images;
        for (uint32_t i = 0; images && i < r->exam->count; i++)
            if (belongs(r, i, which, failed))
                images[count++] = r->exam->images[i].image;
        struct search *s = count ? findings_add_search(r->f) : NULL;
        if (s)
            *s =
                (struct search){.what = *what,
                                .analysis = analysis,
                                .failed = failed,
                                .algorithm = {.name = algorithm, .version = r->run->stage->version},
                                .images = images,
                                .image_count = count};
    }
}

static void leave_out(struct findings *f, const char *what, const char *reason, uint32_t image,
                      bool has_place)
{
    struct exclusion *e = findings_add_exclusion(f);
    f->no_memory = f->no_memory || !what;
    if (e) {
        e->what = what ? what : "";
        e->reason = reason;
        e->has_place = has_place;
        e->place = (struct place){.image = image};
    }
}

static void add_rejected(const struct mammo_findings *r, uint32_t i)
{
    static const char *const what[2] = {"mass candidates", "calcifications"};
    for (int kind = 0; kind < 2; kind++)
        for (int reason = 0; reason < MAMMO_REASONS; reason++)
            if (r->marks[i].rejected[kind][reason])
                leave_out(r->f,
                          arena_printf(r->f->arena, "%s: %u %s", r->exam->images[i].name,
                                       r->marks[i].rejected[kind][reason], what[kind]),
                          mammo_reason_text((enum mammo_reason)reason), r->exam->images[i].image,
                          false);
}

static void say_of_image(const struct mammo_findings *r, uint32_t i)
{
    const struct mammo_image *m = &r->exam->images[i];
    const struct mammo_marks *marks = &r->marks[i];
    const char *wrong = mammo_exam_contradiction(r->run, m, m->aside ? 0 : marks->lies);
    if (wrong)
        findings_add_warning(r->f, "%s: %s. Nothing was changed: check the image.", m->name, wrong);
    if (m->aside) {
        leave_out(r->f, m->name, m->aside, m->image, true);
        return;
    }
    if (!m->side || !*m->view)
        findings_add_warning(r->f, "%s: the header does not state %s.", m->name,
                             m->side    ? "the view"
                             : *m->view ? "the side"
                                        : "side and view");
    if (marks->refused) {
        findings_add_warning(r->f, "%s was not analysed: %s.", m->name, marks->refused);
        return;
    }
    if (isnan(marks->percent))
        findings_add_warning(r->f, "%s: density is not evaluable: %s.", m->name,
                             marks->no_density ? marks->no_density : "reason not known");
    if (marks->cut)
        findings_add_warning(r->f, "%s has more marks than are shown: the likeliest %d of a kind.",
                             m->name, MAMMO_MARKS_MAX);
    add_rejected(r, i);
}

// Why a detection was not made, once where it is the same on all images.
static void say_not_looked_for(const struct mammo_findings *r, enum search_of what)
{
    const char *name = what == SEARCH_MASSES ? "Masses" : "Clusters of calcifications";
    const char *why = NULL;
    bool same = true;
    for (uint32_t i = 0; i < r->exam->count; i++) {
        const struct mammo_marks *m = &r->marks[i];
        const char *reason = what == SEARCH_MASSES ? m->no_masses : m->no_clusters;
        if (r->exam->images[i].aside || m->refused)
            continue;
        same = same && reason && (!why || strcmp(why, reason) == 0);
        why = reason;
    }
    if (same && why)
        findings_add_warning(r->f, "%s were not looked for: %s.", name, why);
    for (uint32_t i = 0; !same && i < r->exam->count; i++) {
        const struct mammo_marks *m = &r->marks[i];
        const char *reason = what == SEARCH_MASSES ? m->no_masses : m->no_clusters;
        if (!r->exam->images[i].aside && !m->refused && reason)
            findings_add_warning(r->f, "%s: %s were not looked for: %s.", r->exam->images[i].name,
                                 name, reason);
    }
}

static void say_what_was_looked_for(const struct mammo_findings *r)
{
    say_not_looked_for(r, SEARCH_MASSES);
    say_not_looked_for(r, SEARCH_CLUSTERS);
    if (attempted(r, SEARCH_MASSES) || attempted(r, SEARCH_CLUSTERS))
        findings_add_warning(
            r->f, "Marks show where to look once more; that there is none proves nothing.");
    findings_add_warning(r->f, "Density is experimental: its range is that of the differences from "
                               "outlines on films; on digital mammograms nobody has measured it.");
}

struct tally {
    uint32_t counts[2]; // marks by kind
    uint32_t measured;  // images with a density
    uint32_t unsure;    // of these, those that may be of two classes
    bool all_looked;    // every analysed image, for both kinds
    double sum, range[2];
};

static struct tally tally_exam(const struct mammo_findings *r)
{
    struct tally t = {.all_looked = true, .range = {100, 0}};
    for (uint32_t i = 0; i < r->exam->count; i++) {
        const struct mammo_marks *m = &r->marks[i];
        if (r->exam->images[i].aside || m->refused)
            continue;
        t.all_looked = t.all_looked && !m->no_masses && !m->no_clusters;
        for (uint32_t n = 0; n < m->mark_count; n++)
            t.counts[m->marks[n].kind == MAMMO_CLUSTER]++;
        if (isnan(m->percent))
            continue;
        t.sum += m->percent;
        t.measured++;
        t.unsure += density_class(r->cuts, m->percent_range[0]) !=
                    density_class(r->cuts, m->percent_range[1]);
        t.range[0] = fmin(t.range[0], m->percent_range[0]);
        t.range[1] = fmax(t.range[1], m->percent_range[1]);
    }
    return t;
}

static bool headline(const struct mammo_findings *r, const struct tally *t)
{
    struct findings *f = r->f;
    const char *density = t->measured ? arena_printf(f->arena, "dense about %.0f %% (%.0f to %.0f)",
                                                     t->sum / t->measured, t->range[0], t->range[1])
                                      : "density not evaluable";
    const char *masses = attempted(r, SEARCH_MASSES) ? NULL : "never looked for";
    const char *clusters = attempted(r, SEARCH_CLUSTERS) ? NULL : "never looked for";
    f->page.headline = masses && clusters
                           ? arena_printf(f->arena, "Density only: %s", density ? density : "")
                           : arena_printf(f->arena, "Masses %s   Clusters %s   %s",
                                          mammo_count_text(f->arena, masses, t->counts[0]),
                                          mammo_count_text(f->arena, clusters, t->counts[1]),
                                          density ? density : "");
    if (t->unsure)
        findings_add_warning(f,
                             "No density class on %u of %u images: the range of the dense area "
                             "reaches over more than one.",
                             t->unsure, t->measured);
    const bool none = !t->counts[0] && !t->counts[1] && t->all_looked;
    f->verdict = none ? VERDICT_NOTHING_FOUND : VERDICT_DONE;
    f->reason = none ? "no mass and no cluster of calcifications" : "";
    return density && f->page.headline;
}

enum stage_end mammo_report(const struct stage_run *run, const struct mammo_exam *exam,
                            const struct mammo_marks *marks, const struct mammo_cuts *cuts,
                            struct findings *f)
{
    struct mammo_findings r = {run, exam, marks, cuts, f};
    uint32_t analysed = 0;
    f->page.title = attempted(&r, SEARCH_MASSES) || attempted(&r, SEARCH_CLUSTERS)
                        ? "Mammography: marks and density"
                        : "Mammography: breast density";
    f->procedure = mammography;
    for (uint32_t i = 0; i < exam->count; i++) {
        say_of_image(&r, i);
        analysed += !exam->images[i].aside && !marks[i].refused;
    }
    if (!analysed)
        return stage_refuse(f, "none of %u images could be analysed", exam->count);
    const struct tally tally = tally_exam(&r);
    if (!tally.measured && !attempted(&r, SEARCH_MASSES) && !attempted(&r, SEARCH_CLUSTERS))
        return stage_refuse(f, "density could not be measured on any of %u images", analysed);
    if (*exam->missing)
        findings_add_warning(f, "Missing views: %s. That breast is not judged as a whole.",
                             exam->missing);
    say_what_was_looked_for(&r);
    f->searches_left_out = !attempted(&r, SEARCH_MASSES) || !attempted(&r, SEARCH_CLUSTERS);
    mammo_add_layers(f, attempted(&r, SEARCH_MASSES), attempted(&r, SEARCH_CLUSTERS));
    for (uint32_t i = 0; i < exam->count; i++) {
        if (exam->images[i].aside)
            continue;
        mammo_add_words(run, f, &exam->images[i], &marks[i]);
        if (marks[i].refused)
            continue;
        report_marks(&r, i);
        add_description(&r, i);
    }
    add_search(&r, &density_finding, false, SEARCH_MASSES, "anode mammo masses");
    add_search(&r, &cluster_finding, false, SEARCH_CLUSTERS, "anode mammo clusters");
    add_search(&r, &composition_analysis, true, SEARCH_DENSITY, "anode mammo density");
    mammo_add_sheet(f, exam, marks);
    if (!headline(&r, &tally))
        f->no_memory = true;
    return STAGE_DONE;
}
