// The content of a report by TID 1500.
// Sources: PS3.3 A.35.13, C.17; PS3.16 TID 1500, 1204, 1001 to 1004, 1600 to 1606, 1410, 1411,
// 1501, 300, 310, 4019.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include "dimse/write/content.h"
#include "dimse/write/encoders.h"
#include "dimse/write/viewer_ohif.h"

static const struct code comment = {"121106", "DCM", "Comment"};
static const struct code finding_concept = {"121071", "DCM", "Finding"};
static const struct code method_concept = {"370129005", "SCT", "Measurement Method"};
static const struct code algorithm_name = {"111001", "DCM", "Algorithm Name"};

void sr_observer(DcmDataset &root, const result_set &set)
{
    static const struct code language = {"121049", "DCM",
                                         "Language of Content Item and Descendants"};
    static const struct code english = {"en", "RFC5646", "English"};
    static const struct code type = {"121005", "DCM", "Observer Type"};
    static const struct code device = {"121007", "DCM", "Device"};
    const struct result_maker &maker = set.request.maker;
    const struct {
        struct code concept;
        const char *text;
    } texts[] = {
        {{"121013", "DCM", "Device Observer Name"}, maker.ae_title},
        {{"121014", "DCM", "Device Observer Manufacturer"}, maker_name},
        {{"121015", "DCM", "Device Observer Model Name"}, maker_name},
        {{"121016", "DCM", "Device Observer Serial Number"}, maker.serial},
    };
    content_code(root, REL_CONCEPT_MOD, language, english);
    content_code(root, REL_OBS_CONTEXT, type, device);
    content_uid(root, REL_OBS_CONTEXT, {"121012", "DCM", "Device Observer UID"}, maker.device_uid);
    for (const auto &t : texts)
        content_text(root, REL_OBS_CONTEXT, t.concept, t.text);
}

// --- measurement groups ---

static void put_parameters(DcmItem &group, const result_set &set)
{
    const struct findings &f = set.findings;
    static const struct code concept = {"111002", "DCM", "Algorithm Parameters"};
    for (uint32_t i = 0; i < f.parameter_count; i++) {
        const struct parameter_value &p = f.parameters[i];
        std::string text = std::string(p.name) + " = " + p.value;
        if (p.unit && *p.unit && strcmp(p.unit, "1") != 0)
            text += std::string(" ") + p.unit;
        content_text(group, REL_CONCEPT_MOD, concept, set.text(text));
    }
}

static std::string own_algorithm(const result_set &set)
{
    return std::string(maker_name) + " " + set.request.stage.name;
}

// TID 4019. Parameters are said once for a whole and its parts. Of a group that another algorithm
// found, its own.
static void put_algorithm(DcmItem &group, const result_set &set, const struct algorithm *other,
                          bool with_parameters)
{
    static const struct code version = {"111003", "DCM", "Algorithm Version"};
    if (other && other->name) {
        if (other->family.value)
            content_code(group, REL_CONCEPT_MOD, {"111000", "DCM", "Algorithm Family"},
                         other->family);
        content_text(group, REL_CONCEPT_MOD, algorithm_name, set.text(other->name));
        if (other->version)
            content_text(group, REL_CONCEPT_MOD, version, set.text(other->version));
        if (other->parameters)
            content_text(group, REL_CONCEPT_MOD, {"111002", "DCM", "Algorithm Parameters"},
                         set.text(other->parameters));
        return;
    }
    content_text(group, REL_CONCEPT_MOD, algorithm_name, own_algorithm(set));
    content_text(group, REL_CONCEPT_MOD, version, set.request.stage.version);
    if (with_parameters)
        put_parameters(group, set);
    content_text(group, REL_CONCEPT_MOD, {"122405", "DCM", "Algorithm Manufacturer"}, maker_name);
}

static bool same_code(const struct code &a, const struct code &b)
{
    if (!a.value || !b.value)
        return a.value == b.value;
    return strcmp(a.value, b.value) == 0 && strcmp(a.scheme, b.scheme) == 0;
}

static bool same_evaluation(const struct evaluation &a, const struct evaluation &b)
{
    return same_code(a.concept, b.concept) && same_code(a.value, b.value) &&
           (a.value.value || strcmp(a.text ? a.text : "", b.text ? b.text : "") == 0);
}

// Each statement once, however often the analysis and the job made it.
static void put_evaluations(DcmItem &parent, const result_set &set, const struct evaluation *all,
                            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (std::any_of(all, all + i, [all, i](const struct evaluation &earlier) {
                return same_evaluation(earlier, all[i]);
            }))
            continue;
        if (all[i].value.value)
            content_code(parent, REL_CONTAINS, all[i].concept, all[i].value);
        else
            content_text(parent, REL_CONTAINS, all[i].concept,
                         set.text(all[i].text ? all[i].text : ""));
    }
}

static std::string unit_text(const struct code &unit)
{
    return strcmp(unit.value, "1") == 0 ? "" : " " + std::string(unit.meaning);
}

static void check_number(const struct measurement &m)
{
    if (!std::isfinite(m.value))
        throw encode_error(ERR_INTERNAL, std::string(m.concept.meaning) + " is not a number");
    if (m.ranged && !(m.low <= m.value && m.value <= m.high && std::isfinite(m.high - m.low)))
        throw encode_error(ERR_INTERNAL, std::string(m.concept.meaning) + " is not in its range");
}

// TID 310: how far the true value may lie above and below, and why only a range is known.
static void put_range(DcmItem &number, const result_set &set, const struct measurement &m)
{
    static const struct code above = {"371886008", "SCT",
                                      "+, range of upper measurement uncertainty"};
    static const struct code below = {"371885007", "SCT",
                                      "-, range of lower measurement uncertainty"};
    content_number(number, REL_PROPERTIES, above, encode_decimal(m.high - m.value, m.decimals),
                   m.unit);
    content_number(number, REL_PROPERTIES, below, encode_decimal(m.value - m.low, m.decimals),
                   m.unit);
    std::string text = "between " + encode_decimal(m.low, m.decimals) + " and " +
                       encode_decimal(m.high, m.decimals) + unit_text(m.unit);
    if (m.range_why)
        text += std::string(": ") + m.range_why;
    content_text(number, REL_PROPERTIES, comment, set.text(text));
}

static void put_regions(DcmItem &parent, enum relation relation, const result_set &set,
                        const std::vector<struct region_item> &regions)
{
    for (const struct region_item &r : regions) {
        DcmItem &region =
            content_region(parent, relation, {"111030", "DCM", "Image Region"}, r.type, r.points);
        content_image(region, REL_SELECTED_FROM, set.frame(r.frame));
    }
}

// TID 300, and 320 with the regions that it was inferred from.
static void put_measurement(DcmItem &group, const result_set &set, const struct measurement &m,
                            const std::vector<struct region_item> &regions)
{
    check_number(m);
    DcmItem &number =
        content_number(group, REL_CONTAINS, m.concept, encode_decimal(m.value, m.decimals), m.unit);
    if (m.method.value)
        content_code(number, REL_CONCEPT_MOD, method_concept, m.method);
    if (m.derivation.value)
        content_code(number, REL_CONCEPT_MOD, {"121401", "DCM", "Derivation"}, m.derivation);
    if (m.phase.value)
        content_code(number, REL_CONCEPT_MOD, {"272518008", "SCT", "Cardiac Cycle Point"}, m.phase);
    ohif_number(number, own_algorithm(set));
    if (m.ranged)
        put_range(number, set, m);
    put_regions(number, REL_INFERRED_FROM, set, regions);
}

// PS3.16 CID 6048: the certainty that the algorithm places upon the finding.
static void put_probability(DcmItem &group, const result_set &set, double probability)
{
    static const struct code certainty = {"111012", "DCM", "Certainty of Finding"};
    static const struct code percent = {"%", "UCUM", "Percent"};
    if (std::isnan(probability))
        return;
    if (probability < 0 || probability > 1)
        throw encode_error(ERR_INTERNAL, "a probability of " + std::to_string(probability));
    DcmItem &number = content_number(group, REL_CONTAINS, certainty,
                                     encode_decimal(100 * probability, 1), percent);
    ohif_number(number, own_algorithm(set));
}

static void put_site(DcmItem &group, const struct finding_group &g)
{
    if (!g.site.value)
        return;
    DcmItem &site =
        content_code(group, REL_CONCEPT_MOD, {"363698007", "SCT", "Finding Site"}, g.site);
    if (g.laterality.value)
        content_code(site, REL_CONCEPT_MOD, {"272741003", "SCT", "Laterality"}, g.laterality);
}

static DcmItem &add_group(DcmItem &parent, const std::string &label, const std::string &uid,
                          const char *template_id)
{
    DcmItem &group = content_container(parent, REL_CONTAINS, {"125007", "DCM", "Measurement Group"},
                                       template_id);
    content_text(group, REL_OBS_CONTEXT, {"112039", "DCM", "Tracking Identifier"}, label);
    content_uid(group, REL_OBS_CONTEXT, {"112040", "DCM", "Tracking Unique Identifier"}, uid);
    return group;
}

// One region: TID 1410, several: 1411, none: 1501.
static const char *template_of(const std::vector<struct region_item> &regions)
{
    return regions.empty() ? "1501" : regions.size() == 1 ? "1410" : "1411";
}

// What stands in every group of a finding.
static DcmItem &begin_group(DcmItem &parent, const result_set &set, const struct finding_group &g,
                            const char *template_id)
{
    DcmItem &group = add_group(parent, set.text(g.label), set.tracking_uid(g), template_id);
    if (g.finding.value)
        content_code(group, REL_CONTAINS, finding_concept, g.finding);
    put_algorithm(group, set, &g.algorithm, g.parent < 0);
    put_site(group, g);
    return group;
}

// regions: that the first number was inferred from.
static void put_numbers(DcmItem &group, const result_set &set, const struct finding_group &g,
                        const std::vector<struct region_item> &regions)
{
    put_probability(group, set, g.probability);
    for (uint32_t i = 0; i < g.measurement_count; i++)
        put_measurement(group, set, g.measurements[i],
                        i == 0 ? regions : std::vector<struct region_item>{});
    put_evaluations(group, set, g.evaluations, g.evaluation_count);
}

// The map whose SEG holds the segment of a group, that of its key place before others; label_count:
// none.
static uint32_t seg_of(const result_set &set, const struct finding_group &g)
{
    const struct findings &f = set.findings;
    uint32_t found = f.label_count;
    for (uint32_t m = 0; g.region >= 0 && m < f.label_count; m++) {
        if (!labels_have_seg(set, m) || !set.labels().segment(m, (uint32_t)g.region))
            continue;
        if (g.has_key && g.key.image == f.labels[m].image && g.key.point == f.labels[m].point)
            return m;
        found = std::min(found, m);
    }
    return found;
}

static const struct source_series &series_of_map(const result_set &set, const struct label_map &map)
{
    const struct image &image = set.image(map.image);
    for (uint32_t k = 0; k < image.dim[2]; k++)
        if (const uint32_t frame = image_frame_at(&image, k, map.point); frame != IMAGE_NO_FRAME)
            return set.series_of(frame);
    throw encode_error(ERR_INTERNAL, "a label map on an image without frames");
}

// TID 1411 with the segment.
static DcmItem &begin_segment_group(DcmItem &parent, const result_set &set,
                                    const struct finding_group &g, uint32_t map)
{
    DcmItem &group = begin_group(parent, set, g, "1411");
    content_segment(group, REL_CONTAINS, {"121191", "DCM", "Referenced Segment"},
                    set.instance_uid(labels_seg_name(map)),
                    set.labels().segment(map, (uint32_t)g.region));
    content_uid(group, REL_CONTAINS, {"121232", "DCM", "Source series for segmentation"},
                series_of_map(set, set.findings.labels[map]).series_uid);
    return group;
}

// "Calcium Volume 12.0 to 31.5 mm3"
static std::string number_text(const struct measurement &m)
{
    std::string text = std::string(m.concept.meaning) + " ";
    text += m.ranged
                ? encode_decimal(m.low, m.decimals) + " to " + encode_decimal(m.high, m.decimals)
                : encode_decimal(m.value, m.decimals);
    if (m.unit.value[0] != '{' && strcmp(m.unit.value, "1") != 0) // no annotation
        text += std::string(" ") + m.unit.value;
    return text;
}

// Whose numbers they are, and each of them in words.
static void put_words(DcmItem &group, const result_set &set, const struct finding_group &g)
{
    content_text(group, REL_CONTAINS, comment, set.text(g.label));
    for (uint32_t i = 0; i < g.measurement_count; i++) {
        check_number(g.measurements[i]);
        content_text(group, REL_CONTAINS, comment, set.text(number_text(g.measurements[i])));
    }
}

// With a segment, the numbers stand in the group that refers to it, and a second group of the same
// tracking UID has the outlines.
static void put_group(DcmItem &parent, const result_set &set, uint32_t index,
                      const std::vector<struct region_item> &regions)
{
    const struct finding_group &g = set.findings.groups[index];
    const uint32_t map = seg_of(set, g);
    const bool segment = map < set.findings.label_count;
    if (ohif_wants_words(g)) {
        DcmItem &group = segment ? begin_segment_group(parent, set, g, map)
                                 : begin_group(parent, set, g, template_of({}));
        put_words(group, set, g);
        put_numbers(group, set, g, regions);
    } else if (segment) {
        put_numbers(begin_segment_group(parent, set, g, map), set, g, {});
        if (!regions.empty())
            put_regions(begin_group(parent, set, g, template_of(regions)), REL_CONTAINS, set,
                        regions);
    } else {
        DcmItem &group = begin_group(parent, set, g, template_of(regions));
        put_regions(group, REL_CONTAINS, set, regions);
        put_numbers(group, set, g, {});
    }
}

static const struct code *verdict_code(enum verdict verdict)
{
    static const struct code none = {"260413007", "SCT", "None"};
    static const struct code not_evaluated = {"373121007", "SCT", "Not evaluated"};
    static const struct code failure = {"114006", "DCM", "Measurement failure"};
    switch (verdict) {
    case VERDICT_DONE:
        break;
    case VERDICT_NOTHING_FOUND:
        return &none;
    case VERDICT_NOT_EVALUABLE:
        return &not_evaluated;
    case VERDICT_FAILED:
        return &failure;
    }
    return nullptr;
}

// "not evaluable: contrast in the blood pool"; "" when there is nothing to say.
static std::string verdict_text(const struct findings &f)
{
    if (f.verdict == VERDICT_DONE)
        return "";
    std::string text = verdict_name(f.verdict);
    if (f.reason && *f.reason)
        text += std::string(": ") + f.reason;
    return text;
}

// "NOT EVALUABLE: contrast in the blood pool"
static std::string loud(std::string text)
{
    for (size_t i = 0; i < text.size() && text[i] != ':'; i++)
        text[i] = (char)std::toupper((unsigned char)text[i]);
    return text;
}

// A report without groups still says what was tried, with which parameters, and why there are no
// measurements. Its only number counts what was looked at.
static void put_verdict_group(DcmItem &parent, const result_set &set,
                              const std::vector<struct region_item> &regions)
{
    static const struct code frames = {"121140", "DCM", "Number of Frames"};
    static const struct code unit = {"{frames}", "UCUM", "frames"};
    DcmItem &group = add_group(parent, set.text(set.request.stage.title),
                               set.uid("tracking", "whole series"), template_of({}));
    if (const struct code *code = verdict_code(set.findings.verdict))
        content_code(group, REL_CONTAINS, finding_concept, *code);
    put_algorithm(group, set, nullptr, true);
    if (regions.empty())
        return;
    const std::string why = verdict_text(set.findings);
    if (why.empty()) // done, and the result are pictures
        return;
    for (const std::string &line : ohif_lines(set.text(loud(why))))
        content_text(group, REL_CONTAINS, comment, line);
    DcmItem &number = content_number(group, REL_CONTAINS, frames,
                                     std::to_string(set.request.images->frame_count), unit);
    ohif_number(number, own_algorithm(set));
    put_regions(number, REL_INFERRED_FROM, set, regions);
}

static void put_measurements(DcmDataset &root, const result_set &set)
{
    DcmItem &all =
        content_container(root, REL_CONTAINS, {"126010", "DCM", "Imaging Measurements"}, nullptr);
    ohif_regions plan(set);
    if (!set.findings.group_count)
        put_verdict_group(all, set, plan.whole());
    for (uint32_t i = 0; i < set.findings.group_count; i++)
        put_group(all, set, i, plan.of(i));
}

static void put_qualities(DcmDataset &root, const result_set &set)
{
    DcmItem &all = content_container(root, REL_CONTAINS,
                                     {"C0034375", "UMLS", "Qualitative Evaluations"}, nullptr);
    const struct findings &f = set.findings;
    if (const struct code *code = verdict_code(f.verdict))
        content_code(all, REL_CONTAINS, finding_concept, *code);
    const std::string why = verdict_text(f);
    if (!why.empty())
        content_text(all, REL_CONTAINS, comment, set.text(why));
    put_evaluations(all, set, f.evaluations, f.evaluation_count);
    content_text(all, REL_CONTAINS, comment,
                 std::string(not_for_diagnostic_use) + ". For research use only.");
}

// --- what was left out ---

static const struct code exclusions_concept = {"EXCLUDED", "99ANODE", "Excluded from the result"};

static std::string exclusion_text(const result_set &set, const struct exclusion &e)
{
    std::string text = e.what;
    if (e.reason && *e.reason)
        text += std::string(": ") + e.reason;
    if (e.value.concept.value) {
        check_number(e.value);
        text += "; would have counted " + encode_decimal(e.value.value, e.value.decimals) +
                unit_text(e.value.unit) + " of " + e.value.concept.meaning;
    }
    if (e.has_place)
        text += "; " + set.place_text(e.place);
    return set.text(text);
}

// Texts, not measurements: no reader adds them to what was found.
static void put_exclusions(DcmDataset &root, const result_set &set)
{
    const struct findings &f = set.findings;
    if (!f.exclusion_count)
        return;
    DcmItem &all = content_container(root, REL_CONTAINS, exclusions_concept, nullptr);
    for (uint32_t i = 0; i < f.exclusion_count; i++) {
        const struct exclusion &e = f.exclusions[i];
        DcmItem &item = content_text(all, REL_CONTAINS, comment, exclusion_text(set, e));
        if (!e.has_place)
            continue;
        const struct source_frame frame = set.frame(set.frame_index(e.place));
        if (e.box[2] > 0 && e.box[3] > 0) {
            const Float32 l = (Float32)e.box[0], t = (Float32)e.box[1],
                          r = (Float32)(e.box[0] + e.box[2]), b = (Float32)(e.box[1] + e.box[3]);
            content_image(content_region(item, REL_INFERRED_FROM, {"111030", "DCM", "Image Region"},
                                         "POLYLINE", {l, t, r, t, r, b, l, b, l, t}),
                          REL_SELECTED_FROM, frame);
        } else {
            content_image(item, REL_INFERRED_FROM, frame);
        }
    }
}

// --- what it was compared with ---

// A line and a reference each; the reference is in the evidence of other studies, too.
static void put_comparisons(DcmDataset &root, const result_set &set)
{
    static const struct code all_concept = {"121068", "DCM", "Previous Findings"};
    static const struct code one_concept = {"121069", "DCM", "Previous Finding"};
    static const struct code report_concept = {"122075", "DCM", "Prior report for current patient"};
    const struct findings &f = set.findings;
    if (!f.comparison_count)
        return;
    DcmItem &all = content_container(root, REL_CONTAINS, all_concept, nullptr);
    for (uint32_t i = 0; i < f.comparison_count; i++) {
        const struct comparison &c = f.comparisons[i];
        content_text(all, REL_CONTAINS, one_concept, set.text(c.text ? c.text : ""));
        content_composite(all, REL_CONTAINS, report_concept, c.with.sop_class_uid,
                          c.with.sop_instance_uid);
    }
}

// --- reports that it gathers ---

static const struct code gathered_concept = {"GATHERED", "99ANODE", "Reports that are summarized"};
static const struct code report_concept = {"REPORT", "99ANODE", "Summarized report"};

static bool is_report(const struct result_source &source)
{
    return source.frames == 0 && strcmp(source.sop_class_uid, UID_Comprehensive3DSRStorage) == 0;
}

static bool gathers_reports(const result_set &set)
{
    return set.request.stage.report == REPORT_MEASUREMENTS && !set.sources.empty() &&
           std::all_of(set.sources.begin(), set.sources.end(),
                       [](const struct result_source *s) { return is_report(*s); });
}

static void put_gathered(DcmDataset &root, const result_set &set)
{
    DcmItem &all = content_container(root, REL_CONTAINS, gathered_concept, nullptr);
    for (const struct result_source *source : set.sources)
        content_composite(all, REL_CONTAINS, report_concept, source->sop_class_uid,
                          source->sop_instance_uid);
}

// --- private codes ---

static void note_scheme(std::set<std::string> &schemes, const struct code &code)
{
    if (code.value && strncmp(code.scheme, "99", 2) == 0)
        schemes.insert(code.scheme);
}

static void note_schemes(std::set<std::string> &schemes, const struct evaluation *all,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        note_scheme(schemes, all[i].concept);
        note_scheme(schemes, all[i].value);
    }
}

static void note_schemes(std::set<std::string> &schemes, const struct finding_group &g)
{
    for (const struct code &code : {g.finding, g.site, g.laterality})
        note_scheme(schemes, code);
    for (uint32_t i = 0; i < g.measurement_count; i++) {
        const struct measurement &m = g.measurements[i];
        for (const struct code &code : {m.concept, m.unit, m.method, m.derivation, m.phase})
            note_scheme(schemes, code);
    }
    note_schemes(schemes, g.evaluations, g.evaluation_count);
}

// Coding Scheme Identification Sequence (PS3.3 C.12.1): whose the private codes are.
static void put_private_schemes(DcmDataset &ds, const result_set &set)
{
    const struct findings &f = set.findings;
    std::set<std::string> schemes;
    if (sr_library_has_private(set))
        schemes.insert("99ANODE");
    note_scheme(schemes, f.procedure);
    if (f.exclusion_count)
        note_scheme(schemes, exclusions_concept);
    if (gathers_reports(set))
        note_scheme(schemes, gathered_concept);
    note_schemes(schemes, f.evaluations, f.evaluation_count);
    for (uint32_t i = 0; i < f.group_count; i++)
        note_schemes(schemes, f.groups[i]);
    for (const std::string &scheme : schemes) {
        DcmItem &item = encode_item(ds, DCM_CodingSchemeIdentificationSequence);
        encode_short(item, DCM_CodingSchemeDesignator, scheme, 16);
        encode_text(item, DCM_CodingSchemeName, std::string("Private codes of ") + maker_name);
        encode_text(item, DCM_CodingSchemeResponsibleOrganization, maker_name);
    }
}

// What the report says, in one line before the images: who reads it as text sees it first.
static void put_summary(DcmDataset &root, const result_set &set)
{
    const struct findings &f = set.findings;
    const bool numbers = f.verdict == VERDICT_DONE || f.verdict == VERDICT_NOTHING_FOUND;
    std::string text;
    for (const char *c = numbers && f.page.headline ? f.page.headline : ""; *c; c++)
        if (*c != ' ' || (!text.empty() && text.back() != ' '))
            text += *c;
    const std::string why = loud(verdict_text(f));
    text += (text.empty() || why.empty() ? "" : ". ") + why;
    if (!text.empty())
        content_text(root, REL_CONTAINS, {"121111", "DCM", "Summary"},
                     set.text(text + ". " + not_for_diagnostic_use));
}

void sr_measurements(const result_set &set, DcmDataset &ds)
{
    put_private_schemes(ds, set);
    content_container(ds, REL_ROOT, {"126000", "DCM", "Imaging Measurement Report"}, "1500");
    sr_observer(ds, set);
    if (set.findings.procedure.value)
        content_code(ds, REL_CONCEPT_MOD, {"121058", "DCM", "Procedure reported"},
                     set.findings.procedure);
    put_summary(ds, set);
    if (!gathers_reports(set))
        sr_library(set, ds);
    put_measurements(ds, set);
    put_qualities(ds, set);
    put_exclusions(ds, set);
    put_comparisons(ds, set);
    if (gathers_reports(set))
        put_gathered(ds, set);
}
