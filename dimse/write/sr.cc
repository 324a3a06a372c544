// Comprehensive 3D SR by TID 1500.
// Sources: PS3.3 A.35.13, C.17; PS3.16 TID 1500, 1204, 1001 to 1004, 1600 to 1606, 1410, 1411,
// 1501, 300, 4019.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include "dimse/write/content.h"
#include "dimse/write/encoders.h"

static const struct code comment = {"121106", "DCM", "Comment"};
static const struct code finding_concept = {"121071", "DCM", "Finding"};
static const struct code method_concept = {"370129005", "SCT", "Measurement Method"};
static const struct code algorithm_name = {"111001", "DCM", "Algorithm Name"};
static const struct code library_group = {"126200", "DCM", "Image Library Group"};
static const struct code millimeter = {"mm", "UCUM", "millimeter"};
static const struct code pixels = {"{pixels}", "UCUM", "pixels"};
static const struct code cosine = {"{-1:1}", "UCUM", "{-1:1}"};

static void put_observer(DcmDataset &root, const result_set &set)
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

// --- image library ---

static const struct code *find_code(const std::map<std::string, struct code> &codes,
                                    const std::string &key)
{
    const auto found = codes.find(key);
    return found == codes.end() ? nullptr : &found->second;
}

// PS3.16 CID 29 and 4031, for what analyses take.
static const std::map<std::string, struct code> modalities = {
    {"CT", {"CT", "DCM", "Computed Tomography"}},
    {"MR", {"MR", "DCM", "Magnetic Resonance"}},
    {"MG", {"MG", "DCM", "Mammography"}},
    {"PT", {"PT", "DCM", "Positron emission tomography"}},
    {"NM", {"NM", "DCM", "Nuclear Medicine"}},
    {"US", {"US", "DCM", "Ultrasound"}},
    {"CR", {"CR", "DCM", "Computed Radiography"}},
    {"DX", {"DX", "DCM", "Digital Radiography"}},
    {"XA", {"XA", "DCM", "X-Ray Angiography"}},
};
static const std::map<std::string, struct code> body_parts = {
    {"CHEST", {"51185008", "SCT", "Chest"}},   {"HEART", {"80891009", "SCT", "Heart"}},
    {"HEAD", {"69536005", "SCT", "Head"}},     {"BRAIN", {"12738006", "SCT", "Brain"}},
    {"BREAST", {"76752008", "SCT", "Breast"}}, {"ABDOMEN", {"113345001", "SCT", "Abdomen"}},
};

static void put_dates(DcmItem &group, DcmDataset &head)
{
    const std::string date = item_text(head, DCM_StudyDate, 0),
                      time = item_text(head, DCM_StudyTime, 0);
    if (encode_is_date(date))
        content_date(group, REL_ACQ_CONTEXT, {"111060", "DCM", "Study Date"}, date);
    if (encode_is_time(time))
        content_time(group, REL_ACQ_CONTEXT, {"111061", "DCM", "Study Time"}, time);
}

// TID 1604 from the grid: what holds for every slice of the volume.
static void put_grid(DcmItem &group, const struct volume &v, const struct volume_slice &slice)
{
    static const char *const axes[6][2] = {
        {"110904", "Image Orientation (Patient) Row X"},
        {"110905", "Image Orientation (Patient) Row Y"},
        {"110906", "Image Orientation (Patient) Row Z"},
        {"110907", "Image Orientation (Patient) Column X"},
        {"110908", "Image Orientation (Patient) Column Y"},
        {"110909", "Image Orientation (Patient) Column Z"},
    };
    const struct {
        struct code concept;
        std::string value;
        struct code unit;
    } rows[] = {
        {{"110910", "DCM", "Pixel Data Rows"}, std::to_string(v.dim[1]), pixels},
        {{"110911", "DCM", "Pixel Data Columns"}, std::to_string(v.dim[0]), pixels},
        {{"111026", "DCM", "Horizontal Pixel Spacing"}, encode_decimal(v.spacing[0]), millimeter},
        {{"111066", "DCM", "Vertical Pixel Spacing"}, encode_decimal(v.spacing[1]), millimeter},
        {{"112226", "DCM", "Spacing between slices"}, encode_decimal(v.spacing[2]), millimeter},
    };
    if (*slice.frame_of_reference_uid)
        content_uid(group, REL_ACQ_CONTEXT, {"112227", "DCM", "Frame of Reference UID"},
                    slice.frame_of_reference_uid);
    for (const auto &r : rows)
        content_number(group, REL_ACQ_CONTEXT, r.concept, r.value, r.unit);
    for (int i = 0; i < 6; i++)
        content_number(group, REL_ACQ_CONTEXT, {axes[i][0], "DCM", axes[i][1]},
                       encode_decimal(slice.orientation[i]), cosine);
}

// Image Position (Patient) along the axes asked for.
static void put_position(DcmItem &item, const struct volume_slice &slice, const bool axes[3])
{
    static const char *const names[3][2] = {
        {"110901", "Image Position (Patient) X"},
        {"110902", "Image Position (Patient) Y"},
        {"110903", "Image Position (Patient) Z"},
    };
    for (int i = 0; i < 3; i++)
        if (axes[i])
            content_number(item, REL_ACQ_CONTEXT, {names[i][0], "DCM", names[i][1]},
                           encode_decimal(slice.position[i]), millimeter);
}

static void put_library_head(DcmItem &group, const result_set &set)
{
    static const struct code modality_concept = {"121139", "DCM", "Modality"};
    static const struct code region_concept = {"123014", "DCM", "Target Region"};
    const std::string modality = item_text(set.head(), DCM_Modality, 0);
    if (const struct code *code = find_code(modalities, modality))
        content_code(group, REL_ACQ_CONTEXT, modality_concept, *code);
    else if (!modality.empty())
        content_code(group, REL_ACQ_CONTEXT, modality_concept,
                     {modality.c_str(), "DCM", modality.c_str()});
    if (const struct code *code =
            find_code(body_parts, item_text(set.head(), DCM_BodyPartExamined, 0)))
        content_code(group, REL_ACQ_CONTEXT, region_concept, *code);
    put_dates(group, set.head());
}

static const struct volume_slice &slice_of(const struct result_request &r, uint32_t k)
{
    return r.slices[r.volume->source[k]];
}

// The instances that make the volume. What all share is said once; an instance with many frames is
// one image.
static void put_volume(DcmItem &library, const result_set &set, std::vector<bool> &used)
{
    const struct result_request &r = set.request;
    DcmItem &group = content_container(library, REL_CONTAINS, library_group, nullptr);
    const struct volume_slice &first = slice_of(r, 0);
    bool shared[3] = {true, true, true}, differs[3] = {false, false, false};
    for (uint32_t k = 1; k < r.volume->dim[2]; k++)
        for (int i = 0; i < 3; i++)
            shared[i] = shared[i] && slice_of(r, k).position[i] == first.position[i];
    for (int i = 0; i < 3; i++)
        differs[i] = !shared[i];
    put_library_head(group, set);
    put_grid(group, *r.volume, first);
    put_position(group, first, shared);
    for (uint32_t k = 0; k < r.volume->dim[2]; k++) {
        const struct source_frame frame = set.frame(k);
        const size_t source = (size_t)(frame.source - r.sources);
        if (used[source])
            continue;
        used[source] = true;
        DcmItem &image = content_image(group, REL_CONTAINS, {frame.source, 1, false});
        if (!frame.part)
            put_position(image, slice_of(r, k), differs);
    }
}

// What was set aside is in a group of its own.
static void put_rest(DcmItem &library, const result_set &set, const std::vector<bool> &used)
{
    DcmItem *group = nullptr;
    for (const struct result_source *source : set.sources) {
        if (used[(size_t)(source - set.request.sources)])
            continue;
        if (!group) {
            group = &content_container(library, REL_CONTAINS, library_group, nullptr);
            put_library_head(*group, set);
        }
        content_image(*group, REL_CONTAINS, {source, 1, false});
    }
}

static void put_library(DcmDataset &root, const result_set &set)
{
    DcmItem &library =
        content_container(root, REL_CONTAINS, {"111028", "DCM", "Image Library"}, "1600");
    std::vector<bool> used(set.request.source_count, false);
    if (set.request.volume)
        put_volume(library, set, used);
    put_rest(library, set, used);
}

// --- measurement groups ---

static void put_parameters(DcmItem &group, const struct findings &f)
{
    static const struct code concept = {"111002", "DCM", "Algorithm Parameters"};
    for (uint32_t i = 0; i < f.parameter_count; i++) {
        const struct parameter_value &p = f.parameters[i];
        std::string text = std::string(p.name) + " = " + p.value;
        if (p.unit && *p.unit && strcmp(p.unit, "1") != 0)
            text += std::string(" ") + p.unit;
        content_text(group, REL_CONCEPT_MOD, concept, text);
    }
}

// TID 4019. Parameters are said once for a whole and its parts.
static void put_algorithm(DcmItem &group, const result_set &set, bool with_parameters)
{
    const struct stage &stage = *set.request.stage;
    content_text(group, REL_CONCEPT_MOD, algorithm_name,
                 std::string(maker_name) + " " + stage.name);
    content_text(group, REL_CONCEPT_MOD, {"111003", "DCM", "Algorithm Version"}, stage.version);
    if (with_parameters)
        put_parameters(group, set.findings);
    content_text(group, REL_CONCEPT_MOD, {"122405", "DCM", "Algorithm Manufacturer"}, maker_name);
}

static void put_evaluations(DcmItem &parent, const struct evaluation *all, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (all[i].value.value)
            content_code(parent, REL_CONTAINS, all[i].concept, all[i].value);
        else
            content_text(parent, REL_CONTAINS, all[i].concept, all[i].text ? all[i].text : "");
    }
}

// TID 300. Readers of groups without an outline expect a child of each number.
static void put_measurement(DcmItem &group, const result_set &set, const struct measurement &m)
{
    if (!std::isfinite(m.value))
        throw encode_error(ERR_INTERNAL, std::string(m.concept.meaning) + " is not a number");
    DcmItem &number =
        content_number(group, REL_CONTAINS, m.concept, encode_decimal(m.value, m.decimals), m.unit);
    if (m.method.value)
        content_code(number, REL_CONCEPT_MOD, method_concept, m.method);
    if (m.derivation.value)
        content_code(number, REL_CONCEPT_MOD, {"121401", "DCM", "Derivation"}, m.derivation);
    if (!m.method.value && !m.derivation.value)
        content_text(number, REL_CONCEPT_MOD, algorithm_name,
                     std::string(maker_name) + " " + set.request.stage->name);
}

static const char *graphic_type(const struct mark &m)
{
    switch (m.kind) {
    case MARK_POINT:
        return "POINT";
    case MARK_POLYLINE:
        return "POLYLINE";
    case MARK_ELLIPSE:
        return "ELLIPSE";
    case MARK_TEXT:
        break;
    }
    return nullptr;
}

// The group's graphics, those of its key slice first: some viewers show only the first.
static std::vector<const struct mark *> marks_of(const struct findings &f, uint32_t group)
{
    std::vector<const struct mark *> marks;
    for (uint32_t i = 0; i < f.mark_count; i++)
        if (f.marks[i].group == (int)group && graphic_type(f.marks[i]) && f.marks[i].count)
            marks.push_back(&f.marks[i]);
    const uint32_t key = f.groups[group].key_slice;
    std::stable_sort(marks.begin(), marks.end(), [key](const struct mark *a, const struct mark *b) {
        if ((a->slice == key) != (b->slice == key))
            return a->slice == key;
        return a->slice < b->slice;
    });
    return marks;
}

// A graphic and the frame it lies on.
struct region_item {
    const char *type;
    std::vector<Float32> points;
    struct source_frame frame;
    uint32_t slice;
};

static struct region_item region_of(const result_set &set, const struct mark &m)
{
    return {
        graphic_type(m), {m.points, m.points + 2 * (size_t)m.count}, set.frame(m.slice), m.slice};
}

// Part of a frame in pixels: x0 <= column < x1, y0 <= row < y1.
struct box {
    uint32_t x0, y0, x1, y1;
};

static struct region_item border(const struct box &b, const struct source_frame &frame,
                                 uint32_t slice)
{
    const Float32 l = (Float32)b.x0, t = (Float32)b.y0, r = (Float32)b.x1, o = (Float32)b.y1;
    return {"POLYLINE", {l, t, r, t, r, o, l, o, l, t}, frame, slice};
}

// What was searched on slice k: the box round the regions of the label map that belong to no group,
// the whole frame where the analysis names none. x1 is 0 on a slice that was not searched.
static struct box searched(const result_set &set, uint32_t k)
{
    const struct findings &f = set.findings;
    const uint32_t *dim = set.request.volume->dim;
    bool is_searched[256] = {false}, any = false;
    for (uint32_t i = 0; f.labels && i < f.region_count && i < 255; i++)
        any |= is_searched[i + 1] = f.regions[i].group < 0;
    if (!any)
        return {0, 0, dim[0], dim[1]};
    struct box b = {dim[0], dim[1], 0, 0};
    const uint8_t *at = f.labels + (size_t)k * dim[0] * dim[1];
    for (uint32_t y = 0; y < dim[1]; y++) {
        for (uint32_t x = 0; x < dim[0]; x++) {
            if (!is_searched[*at++])
                continue;
            b = {std::min(b.x0, x), std::min(b.y0, y), std::max(b.x1, x + 1), y + 1};
        }
    }
    return b;
}

// Which regions stand for which group. Viewers (OHIF 3.13) stop with an error at a group that has
// none, and draw the first one only, with the group's numbers as text. So
//   - a group has the outlines of its own marks, its key slice first;
//   - one without marks has those of its parts, first one on a slice where nothing else is first:
//     numbers drawn over numbers cannot be read;
//   - where there is none, the border of what was searched comes first, on a slice of its own.
class region_plan
{
  public:
    explicit region_plan(const result_set &result) : set(result), taken(slice_count(), false)
    {
        const struct findings &f = set.findings;
        for (uint32_t i = 0; i < f.group_count; i++)
            add_own(i);
        for (uint32_t i = 0; i < f.group_count; i++)
            if (all[i].empty())
                add_parts(i);
    }

    const std::vector<struct region_item> &of(uint32_t group) const
    {
        return all[group];
    }

    // The border of what was searched on one frame; nothing when there is no frame.
    std::vector<struct region_item> whole()
    {
        const struct result_request &r = set.request;
        if (r.volume) {
            const uint32_t k = free_slice();
            const struct box b = searched(set, k);
            return {
                border(b.x1 ? b : box{0, 0, r.volume->dim[0], r.volume->dim[1]}, set.frame(k), k)};
        }
        const struct volume_slice *first = nullptr;
        for (size_t i = 0; i < r.slice_count; i++)
            if (!first || before(r.slices[i], *first))
                first = &r.slices[i];
        if (!first)
            return {};
        return {border({0, 0, first->columns, first->rows},
                       set.slice_frame((size_t)(first - r.slices)), 0)};
    }

  private:
    uint32_t slice_count() const
    {
        return set.request.volume ? set.request.volume->dim[2] : 0;
    }

    static bool before(const struct volume_slice &a, const struct volume_slice &b)
    {
        const int order = strcmp(a.sop_instance_uid, b.sop_instance_uid);
        return order < 0 || (order == 0 && a.frame < b.frame);
    }

    void add_own(uint32_t group)
    {
        all.emplace_back();
        for (const struct mark *m : marks_of(set.findings, group))
            all[group].push_back(region_of(set, *m));
        if (!all[group].empty())
            taken[all[group][0].slice] = true;
    }

    bool is_part_of(uint32_t part, uint32_t whole) const
    {
        const struct findings &f = set.findings;
        int at = f.groups[part].parent;
        for (uint32_t steps = 0; at >= 0 && steps < f.group_count; steps++) {
            if (at == (int)whole)
                return true;
            at = f.groups[at].parent;
        }
        return false;
    }

    void add_parts(uint32_t group)
    {
        std::vector<struct region_item> found;
        for (uint32_t i = 0; i < set.findings.group_count; i++)
            if (is_part_of(i, group) && !marks_of(set.findings, i).empty())
                found.insert(found.end(), all[i].begin(), all[i].end());
        auto one = std::find_if(found.begin(), found.end(),
                                [this](const struct region_item &r) { return !taken[r.slice]; });
        if (one != found.end()) {
            taken[one->slice] = true;
            std::rotate(found.begin(), one, one + 1);
        } else {
            const std::vector<struct region_item> frame = whole();
            found.insert(found.begin(), frame.begin(), frame.end());
        }
        all[group] = found;
    }

    // The free slice nearest to the middle of the volume, one that was searched where there is one;
    // the middle when none is free.
    uint32_t free_slice()
    {
        const uint32_t count = slice_count(), middle = count / 2;
        for (const bool any : {false, true}) {
            for (uint32_t d = 0; d <= middle; d++) {
                for (const uint32_t k : {middle + d, middle - d}) {
                    if (k < count && !taken[k] && (any || searched(set, k).x1)) {
                        taken[k] = true;
                        return k;
                    }
                }
            }
        }
        return middle;
    }

    const result_set &set;
    std::vector<bool> taken;                          // [slices] a group's first region lies there
    std::vector<std::vector<struct region_item>> all; // [groups]
};

static void put_regions(DcmItem &group, const std::vector<struct region_item> &regions)
{
    for (const struct region_item &r : regions) {
        DcmItem &region = content_region(group, REL_CONTAINS, {"111030", "DCM", "Image Region"},
                                         r.type, r.points);
        content_image(region, REL_SELECTED_FROM, r.frame);
    }
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

static void put_group(DcmItem &parent, const result_set &set, uint32_t index,
                      const std::vector<struct region_item> &regions)
{
    const struct finding_group &g = set.findings.groups[index];
    DcmItem &group = add_group(parent, g.label, set.tracking_uid(g), template_of(regions));
    if (g.finding.value)
        content_code(group, REL_CONTAINS, finding_concept, g.finding);
    put_algorithm(group, set, g.parent < 0);
    put_site(group, g);
    put_regions(group, regions);
    for (uint32_t i = 0; i < g.measurement_count; i++)
        put_measurement(group, set, g.measurements[i]);
    put_evaluations(group, g.evaluations, g.evaluation_count);
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

// A report without groups still says what was tried, and with which parameters.
static void put_verdict_group(DcmItem &parent, const result_set &set,
                              const std::vector<struct region_item> &regions)
{
    const struct stage &stage = *set.request.stage;
    DcmItem &group =
        add_group(parent, stage.title, set.uid("tracking", "whole series"), template_of(regions));
    if (const struct code *code = verdict_code(set.findings.verdict))
        content_code(group, REL_CONTAINS, finding_concept, *code);
    put_algorithm(group, set, true);
    put_regions(group, regions);
    const std::string why = verdict_text(set.findings);
    if (!why.empty())
        content_text(group, REL_CONTAINS, comment, why);
}

static void put_measurements(DcmDataset &root, const result_set &set)
{
    DcmItem &all =
        content_container(root, REL_CONTAINS, {"126010", "DCM", "Imaging Measurements"}, nullptr);
    region_plan plan(set);
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
        content_text(all, REL_CONTAINS, comment, why);
    put_evaluations(all, f.evaluations, f.evaluation_count);
    content_text(all, REL_CONTAINS, comment,
                 std::string(not_for_diagnostic_use) + ". For research use only.");
}

// --- document ---

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
        for (const struct code &code : {m.concept, m.unit, m.method, m.derivation})
            note_scheme(schemes, code);
    }
    note_schemes(schemes, g.evaluations, g.evaluation_count);
}

// Coding Scheme Identification Sequence (PS3.3 C.12.1): whose the private codes are.
static void put_private_schemes(DcmDataset &ds, const struct findings &f)
{
    std::set<std::string> schemes;
    note_scheme(schemes, f.procedure);
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

static void put_evidence(DcmDataset &ds, const result_set &set)
{
    DcmItem &study = encode_item(ds, DCM_CurrentRequestedProcedureEvidenceSequence);
    encode_text(study, DCM_StudyInstanceUID, set.study_uid);
    DcmItem &series = encode_item(study, DCM_ReferencedSeriesSequence);
    encode_text(series, DCM_SeriesInstanceUID, set.series_uid);
    for (const struct result_source *source : set.sources)
        identity_reference(encode_item(series, DCM_ReferencedSOPSequence), *source);
}

static void put_predecessor(DcmDataset &ds, const struct result_predecessor &p)
{
    DcmItem &study = encode_item(ds, DCM_PredecessorDocumentsSequence);
    encode_text(study, DCM_StudyInstanceUID, p.study_instance_uid);
    DcmItem &series = encode_item(study, DCM_ReferencedSeriesSequence);
    encode_text(series, DCM_SeriesInstanceUID, p.series_instance_uid);
    DcmItem &instance = encode_item(series, DCM_ReferencedSOPSequence);
    encode_text(instance, DCM_ReferencedSOPClassUID, p.sop_class_uid);
    encode_text(instance, DCM_ReferencedSOPInstanceUID, p.sop_instance_uid);
}

// PS3.3 C.17.2: the report answers the request of the images.
static void put_request(DcmDataset &ds, const result_set &set)
{
    DcmItem *from = nullptr;
    if (set.head().findAndGetSequenceItem(DCM_RequestAttributesSequence, from, 0).bad() || !from)
        return;
    DcmItem &to = encode_item(ds, DCM_ReferencedRequestSequence);
    encode_text(to, DCM_StudyInstanceUID, set.study_uid);
    encode_empty_sequence(to, DCM_ReferencedStudySequence);
    encode_text(to, DCM_PlacerOrderNumberImagingServiceRequest, "");
    encode_text(to, DCM_FillerOrderNumberImagingServiceRequest, "");
    if (!encode_copy(to, *from, DCM_AccessionNumber) &&
        !encode_copy(to, set.head(), DCM_AccessionNumber))
        encode_text(to, DCM_AccessionNumber, "");
    if (!encode_copy(to, *from, DCM_RequestedProcedureID))
        encode_text(to, DCM_RequestedProcedureID, "");
    if (!encode_copy(to, *from, DCM_RequestedProcedureDescription))
        encode_text(to, DCM_RequestedProcedureDescription, "");
    if (!encode_copy(to, *from, DCM_RequestedProcedureCodeSequence))
        encode_empty_sequence(to, DCM_RequestedProcedureCodeSequence);
}

static void put_document(DcmDataset &ds, const result_set &set)
{
    encode_empty_sequence(ds, DCM_ReferencedPerformedProcedureStepSequence);
    encode_empty_sequence(ds, DCM_PerformedProcedureCodeSequence);
    encode_text(ds, DCM_ContentDate, set.date);
    encode_text(ds, DCM_ContentTime, set.time);
    encode_text(ds, DCM_CompletionFlag, "COMPLETE");
    encode_text(ds, DCM_VerificationFlag, "UNVERIFIED");
    put_request(ds, set);
    put_evidence(ds, set);
    if (set.request.predecessor)
        put_predecessor(ds, *set.request.predecessor);
}

std::unique_ptr<DcmFileFormat> sr_encode(const result_set &set)
{
    std::unique_ptr<DcmFileFormat> file =
        identity_object(set, RESULT_SR, UID_Comprehensive3DSRStorage, "SR");
    DcmDataset &ds = *file->getDataset();
    put_document(ds, set);
    put_private_schemes(ds, set.findings);
    content_container(ds, REL_ROOT, {"126000", "DCM", "Imaging Measurement Report"}, "1500");
    put_observer(ds, set);
    if (set.findings.procedure.value)
        content_code(ds, REL_CONCEPT_MOD, {"121058", "DCM", "Procedure reported"},
                     set.findings.procedure);
    put_library(ds, set);
    put_measurements(ds, set);
    put_qualities(ds, set);
    return file;
}
