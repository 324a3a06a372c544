// The content of a mammography CAD report.
// Sources: PS3.3 A.35.5; PS3.16 TID 4000 to 4021, 4108, 1204, CID 6014, 6034, 6042, 6043, 6047.
#include <cmath>
#include <cstring>
#include <map>
#include "dimse/write/content.h"
#include "dimse/write/encoders.h"

static const struct code intent_concept = {"111056", "DCM", "Rendering Intent"};
// What a group says of itself by an evaluation of that concept; else the first.
static const struct code intents[] = {
    {"111150", "DCM", "Presentation Required: Rendering device is expected to present"},
    {"111151", "DCM", "Presentation Optional: Rendering device may present"},
    {"111152", "DCM", "Not for Presentation: Rendering device expected not to present"},
};
static const char *const not_for_presentation = "111152";
// Findings that describe the breast: no marks.
static const char *const descriptions[] = {
    "129715009", // SCT, Breast composition
    "111100",    // DCM, Breast geometry
    "24142002",  // SCT, Nipple
    "111102",    // DCM, Non-lesion
    "111101",    // DCM, Image quality
};
static const char *const comment_code = "121106"; // DCM
static const char *const geometry_code = "111100";

struct cad_content {
    const result_set &set;
    const library_positions &library;
};

static bool is_code(const struct code &code, const char *value)
{
    return code.value && strcmp(code.value, value) == 0;
}

static bool is_description(const struct finding_group &g)
{
    for (const char *value : descriptions)
        if (is_code(g.finding, value))
            return true;
    return false;
}

static const struct code &intent_of(const struct finding_group &g)
{
    for (uint32_t i = 0; i < g.evaluation_count; i++)
        if (is_code(g.evaluations[i].concept, intent_concept.value))
            for (const struct code &intent : intents)
                if (is_code(g.evaluations[i].value, intent.value))
                    return intent;
    return intents[0];
}

static void put_cad_image(DcmItem &item, enum relation relation, const struct cad_content &c,
                          const struct result_source *source)
{
    const auto at = c.library.find(source);
    if (at == c.library.end())
        throw encode_error(ERR_INTERNAL, "an image that is not in the image library");
    content_reference(item, relation, at->second);
}

static void put_coordinates(DcmItem &item, const struct cad_content &c, const struct code &concept,
                            const char *type, const std::vector<Float32> &points,
                            const struct place &place)
{
    DcmItem &region = content_region(item, REL_PROPERTIES, concept, type, points);
    put_cad_image(region, REL_SELECTED_FROM, c, c.set.frame(c.set.frame_index(place)).source);
}

// TID 4019, as properties.
static void put_cad_algorithm(DcmItem &item, const result_set &set, const struct algorithm &a)
{
    static const struct code name = {"111001", "DCM", "Algorithm Name"};
    static const struct code version = {"111003", "DCM", "Algorithm Version"};
    static const struct code parameters = {"111002", "DCM", "Algorithm Parameters"};
    content_text(
        item, REL_PROPERTIES, name,
        set.text(a.name ? a.name : std::string(maker_name) + " " + set.request.stage.name));
    content_text(item, REL_PROPERTIES, version,
                 set.text(a.name && a.version ? a.version : set.request.stage.version));
    if (a.name && a.parameters)
        content_text(item, REL_PROPERTIES, parameters, set.text(a.parameters));
}

static void put_cad_number(DcmItem &item, const struct measurement &m)
{
    if (!std::isfinite(m.value))
        throw encode_error(ERR_INTERNAL, std::string(m.concept.meaning) + " is not a number");
    if (m.ranged)
        throw encode_error(ERR_INTERNAL,
                           std::string(m.concept.meaning) + ": a CAD report has no ranges");
    content_number(item, REL_PROPERTIES, m.concept, encode_decimal(m.value, m.decimals), m.unit);
}

// TID 4021 and, of the geometry of the breast, 4008: centre and outlines on the frame of the key.
static void put_cad_geometry(DcmItem &item, const struct cad_content &c, uint32_t index)
{
    static const struct code center = {"111010", "DCM", "Center"};
    static const struct code outline = {"111041", "DCM", "Outline"};
    static const struct code breast = {"111007", "DCM",
                                       "Breast Outline Including Pectoral Muscle Tissue"};
    const struct findings &f = c.set.findings;
    const struct finding_group &g = f.groups[index];
    if (g.has_center)
        put_coordinates(item, c, center, "POINT", {(Float32)g.center[0], (Float32)g.center[1]},
                        g.key);
    for (uint32_t i = 0; i < f.mark_count; i++) {
        const struct mark &m = f.marks[i];
        if (m.group != (int)index || m.symbol || m.kind != MARK_POLYLINE || !m.count)
            continue;
        put_coordinates(item, c, is_code(g.finding, geometry_code) ? breast : outline, "POLYLINE",
                        encode_points(m.points, m.count), m.place);
        return; // the template has one
    }
}

// What stands below every finding, whatever it is: intent, identity, maker, certainty.
static void put_head(DcmItem &item, const struct cad_content &c, const struct finding_group &g)
{
    content_code(item, REL_CONCEPT_MOD, intent_concept, intent_of(g));
    content_text(item, REL_OBS_CONTEXT, {"112039", "DCM", "Tracking Identifier"},
                 c.set.text(g.label));
    content_uid(item, REL_OBS_CONTEXT, {"112040", "DCM", "Tracking Unique Identifier"},
                c.set.tracking_uid(g));
}

static void put_certainty(DcmItem &item, const struct finding_group &g, const struct code &concept)
{
    if (std::isnan(g.probability))
        return;
    if (g.probability < 0 || g.probability > 1)
        throw encode_error(ERR_INTERNAL, "a probability of " + std::to_string(g.probability));
    content_number(item, REL_PROPERTIES, concept, encode_decimal(100 * g.probability, 1),
                   {"%", "UCUM", "Percent"});
}

static void put_properties(DcmItem &item, const struct cad_content &c,
                           const struct finding_group &g)
{
    for (uint32_t i = 0; i < g.evaluation_count; i++) {
        const struct evaluation &e = g.evaluations[i];
        if (is_code(e.concept, intent_concept.value))
            continue;
        if (e.value.value)
            content_code(item, REL_PROPERTIES, e.concept, e.value);
        else
            content_text(item, REL_PROPERTIES, e.concept, c.set.text(e.text ? e.text : ""));
    }
    for (uint32_t i = 0; i < g.measurement_count; i++)
        put_cad_number(item, g.measurements[i]);
}

// TID 4006. Its parts, as the calcifications of a cluster, are findings that it is inferred from.
static void put_single(DcmItem &parent, enum relation relation, const struct cad_content &c,
                       uint32_t index)
{
    const struct findings &f = c.set.findings;
    const struct finding_group &g = f.groups[index];
    DcmItem &item =
        content_code(parent, relation, {"111059", "DCM", "Single Image Finding"}, g.finding);
    put_head(item, c, g);
    put_cad_algorithm(item, c.set, g.algorithm);
    put_certainty(item, g, {"111012", "DCM", "Certainty of Finding"});
    put_cad_geometry(item, c, index);
    put_properties(item, c, g);
    for (uint32_t i = 0; i < f.group_count; i++)
        if (f.groups[i].parent == (int)index)
            put_single(item, REL_INFERRED_FROM, c, i);
}

// The finding of a description, "" for marks: what one TID 4003 holds is of one kind, so that a
// condition of the template on one kind is not met by its neighbour.
static std::string kind_of(const struct finding_group &g)
{
    return is_description(g) ? g.finding.value : "";
}

// TID 4003, one for each rendering intent and kind that occurs.
static void put_impressions(DcmItem &summary, const struct cad_content &c)
{
    static const struct code concept = {"111034", "DCM", "Individual Impression/Recommendation"};
    const struct findings &f = c.set.findings;
    for (const struct code &intent : intents) {
        std::map<std::string, DcmItem *> containers;
        for (uint32_t i = 0; i < f.group_count; i++) {
            const struct finding_group &g = f.groups[i];
            if (g.parent >= 0 || !is_code(intent_of(g), intent.value))
                continue;
            DcmItem *&all = containers[kind_of(g)];
            if (!all) {
                all = &content_container(summary, REL_INFERRED_FROM, concept, nullptr);
                content_code(*all, REL_CONCEPT_MOD, intent_concept, intent);
            }
            if (!g.has_key)
                throw encode_error(ERR_INTERNAL, "a finding that is on no image");
            put_single(*all, REL_CONTAINS, c, i);
        }
    }
}

// ---- What was tried -----------------------------------------------------------------------------

static bool is_evaluated(const struct findings &f)
{
    return f.verdict == VERDICT_DONE || f.verdict == VERDICT_NOTHING_FOUND;
}

static uint32_t count_searches(const struct findings &f, bool analysis, bool failed)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < f.search_count; i++)
        count += f.searches[i].analysis == analysis && f.searches[i].failed == failed;
    return count;
}

// PS3.16 CID 6047.
static struct code summary_code(const struct findings &f)
{
    bool found = false;
    for (uint32_t i = 0; i < f.group_count; i++)
        found = found || (!is_description(f.groups[i]) &&
                          !is_code(intent_of(f.groups[i]), not_for_presentation));
    const uint32_t failed = count_searches(f, false, true) + count_searches(f, true, true);
    const uint32_t done = count_searches(f, false, false) + count_searches(f, true, false);
    if (!is_evaluated(f) || !done)
        return {"111245", "DCM", "No algorithms succeeded; without findings"};
    // A detection that was not made found nothing because it did not look.
    if (failed || f.searches_left_out || !count_searches(f, false, false))
        return found ? code{"111244", "DCM", "Not all algorithms succeeded; with findings"}
                     : code{"111243", "DCM", "Not all algorithms succeeded; without findings"};
    return found ? code{"111242", "DCM", "All algorithms succeeded; with findings"}
                 : code{"111241", "DCM", "All algorithms succeeded; without findings"};
}

// PS3.16 CID 6042.
static struct code status_code(const struct findings &f, bool analysis)
{
    const uint32_t done = count_searches(f, analysis, false),
                   failed = count_searches(f, analysis, true);
    if (!done && !failed)
        return f.verdict == VERDICT_FAILED ? code{"111224", "DCM", "Failed"}
                                           : code{"111225", "DCM", "Not Attempted"};
    if (!failed)
        return {"111222", "DCM", "Succeeded"};
    return done ? code{"111223", "DCM", "Partially Succeeded"} : code{"111224", "DCM", "Failed"};
}

// TID 4017, 4018: what was looked for, by whom, and on which images.
static void put_search(DcmItem &parent, const struct cad_content &c, const struct search &s)
{
    static const struct code detection = {"111022", "DCM", "Detection Performed"};
    static const struct code analysis = {"111004", "DCM", "Analysis Performed"};
    DcmItem &item = content_code(parent, REL_CONTAINS, s.analysis ? analysis : detection, s.what);
    put_cad_algorithm(item, c.set, s.algorithm);
    for (uint32_t i = 0; i < s.image_count; i++)
        put_cad_image(item, REL_PROPERTIES, c,
                      c.set.frame(c.set.frame_index({s.images[i], 0, 0})).source);
}

// TID 4015, 4016.
static void put_searches(DcmDataset &root, const struct cad_content &c, bool analysis)
{
    static const struct code concepts[2] = {{"111064", "DCM", "Summary of Detections"},
                                            {"111065", "DCM", "Summary of Analyses"}};
    static const struct code containers[2][2] = {
        {{"111063", "DCM", "Successful Detections"}, {"111025", "DCM", "Failed Detections"}},
        {{"111062", "DCM", "Successful Analyses"}, {"111024", "DCM", "Failed Analyses"}}};
    const struct findings &f = c.set.findings;
    DcmItem &summary =
        content_code(root, REL_CONTAINS, concepts[analysis], status_code(f, analysis));
    for (const bool failed : {false, true}) {
        if (!count_searches(f, analysis, failed))
            continue;
        DcmItem &all =
            content_container(summary, REL_INFERRED_FROM, containers[analysis][failed], nullptr);
        for (uint32_t i = 0; i < f.search_count; i++)
            if (f.searches[i].analysis == analysis && f.searches[i].failed == failed)
                put_search(all, c, f.searches[i]);
    }
}

// ---- In words -----------------------------------------------------------------------------------

static void add_sentence(std::string &text, const std::string &sentence)
{
    if (!sentence.empty())
        text += (text.empty() ? "" : "\r\n") + sentence;
}

// The one text that the template has room for: what is not coded.
static std::string impression_text(const struct findings &f, const struct result_stage &stage)
{
    std::string text = std::string(not_for_diagnostic_use) + ". For research use only.";
    add_sentence(text, std::string(maker_name) + " " + stage.name + " version " + stage.version);
    if (is_evaluated(f) && f.page.headline)
        add_sentence(text, f.page.headline);
    if (f.verdict != VERDICT_DONE)
        add_sentence(text, std::string(verdict_name(f.verdict)) +
                               (f.reason && *f.reason ? std::string(": ") + f.reason : ""));
    for (uint32_t i = 0; i < f.page.warning_count; i++)
        add_sentence(text, f.page.warnings[i]);
    for (uint32_t i = 0; i < f.evaluation_count; i++)
        if (!is_code(f.evaluations[i].concept, comment_code)) // the warnings once more
            add_sentence(text, std::string(f.evaluations[i].concept.meaning) + ": " +
                                   (f.evaluations[i].value.value ? f.evaluations[i].value.meaning
                                    : f.evaluations[i].text      ? f.evaluations[i].text
                                                                 : ""));
    for (uint32_t i = 0; i < f.exclusion_count; i++)
        add_sentence(text, std::string("Left out: ") + f.exclusions[i].what +
                               (f.exclusions[i].reason && *f.exclusions[i].reason
                                    ? std::string(": ") + f.exclusions[i].reason
                                    : ""));
    for (uint32_t i = 0; i < f.parameter_count; i++)
        add_sentence(text, std::string("Parameter ") + f.parameters[i].name + " = " +
                               f.parameters[i].value);
    return text;
}

void sr_mammo(const result_set &set, DcmDataset &ds)
{
    const struct findings &f = set.findings;
    content_container(ds, REL_ROOT, {"111036", "DCM", "Mammography CAD Report"}, "4000");
    content_code(ds, REL_CONCEPT_MOD, {"121049", "DCM", "Language of Content Item and Descendants"},
                 {"en", "RFC5646", "English"});
    const library_positions library = sr_mammo_library(set, ds, 2);
    const struct cad_content c = {set, library};
    DcmItem &summary =
        content_code(ds, REL_CONTAINS, {"111017", "DCM", "CAD Processing and Findings Summary"},
                     summary_code(f));
    content_text(summary, REL_PROPERTIES, {"111033", "DCM", "Impression Description"},
                 set.text(impression_text(f, set.request.stage)));
    put_cad_algorithm(summary, set, {});
    put_impressions(summary, c);
    put_searches(ds, c, false);
    put_searches(ds, c, true);
}
