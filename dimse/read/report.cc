#include "dimse/read/report.h"
#include <cmath>
#include <cstring>
#include <string>
#include <sys/stat.h>
#include <vector>
#include "dimse/read/object_parts.h"

static const char *const own_name = "anode"; // Manufacturer, and before the name of an analysis
static const char *const score_tail = ". NOT FOR DIAGNOSTIC USE"; // of a summary

namespace
{
// Texts on their way into an arena.
class report_texts
{
  public:
    report_texts(DcmItem &dataset, struct arena *arena) : decoder_(dataset), arena_(arena) {}

    // Cut to PRIOR_TEXT_MAX bytes between two letters; control characters become blanks.
    const char *keep(std::string text, size_t most = PRIOR_TEXT_MAX)
    {
        size_t size = std::min<size_t>(text.size(), most);
        cut = cut || size < text.size();
        while (size < text.size() && size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
            size--;
        text.resize(size);
        for (char &c : text)
            c = (unsigned char)c < 0x20 || c == 0x7f ? ' ' : c;
        const char *kept = arena_strdup(arena_, text.c_str());
        if (!kept)
            throw std::bad_alloc();
        return kept;
    }
    std::string of(DcmItem &item, const DcmTagKey &tag)
    {
        return decoder_.decode(item_text(item, tag, 0), true);
    }
    const char *keep(DcmItem &item, const DcmTagKey &tag)
    {
        return keep(of(item, tag));
    }
    // UT and LT have one value, whatever is in it.
    std::string whole(DcmItem &item, const DcmTagKey &tag)
    {
        return decoder_.decode(item_text(item, tag, -1), true);
    }

    bool cut = false; // a text was longer than is kept

  private:
    text_decoder decoder_;
    struct arena *arena_;
};
} // namespace

// "450360000 SCT" of the first code of a sequence; "" when there is none.
static std::string code_text(DcmItem &item, const DcmTagKey &sequence)
{
    DcmItem *code = item_of(item, sequence);
    if (!code)
        return "";
    const std::string value = item_text(*code, DCM_CodeValue, 0),
                      scheme = item_text(*code, DCM_CodingSchemeDesignator, 0);
    return value.empty() || scheme.empty() ? "" : value + " " + scheme;
}

static std::string concept_of(DcmItem &item)
{
    return code_text(item, DCM_ConceptNameCodeSequence);
}

static bool is_type(DcmItem &item, const char *value_type)
{
    return item_text(item, DCM_ValueType, 0) == value_type;
}

// Calls each child of a content item, in order, until one returns false.
template <typename Each> static void for_children(DcmItem &parent, Each each)
{
    DcmSequenceOfItems *content = nullptr;
    if (parent.findAndGetSequence(DCM_ContentSequence, content).bad() || !content)
        return;
    for (DcmObject *o = content->nextInContainer(nullptr); o; o = content->nextInContainer(o)) {
        if (!each(*static_cast<DcmItem *>(o)))
            return;
    }
}

// The first child of a value type and concept; NULL: none.
static DcmItem *child_of(DcmItem &parent, const char *value_type, const char *concept)
{
    DcmItem *found = nullptr;
    for_children(parent, [&](DcmItem &child) {
        if (is_type(child, value_type) && concept_of(child) == concept)
            found = &child;
        return !found;
    });
    return found;
}

static std::string child_text(report_texts &texts, DcmItem &parent, const char *concept)
{
    DcmItem *child = child_of(parent, "TEXT", concept);
    return child ? texts.whole(*child, DCM_TextValue) : "";
}

static bool number_of(DcmItem &item, double *value, std::string *unit)
{
    DcmItem *measured = item_of(item, DCM_MeasuredValueSequence);
    if (!measured || !item_number(*measured, DCM_NumericValue, 0, value))
        return false;
    DcmItem *code = item_of(*measured, DCM_MeasurementUnitsCodeSequence);
    if (unit)
        *unit = code ? item_text(*code, DCM_CodeValue, 0) : "";
    return true;
}

// NAN: there is no such number.
static double child_number(DcmItem &parent, const char *concept)
{
    DcmItem *child = child_of(parent, "NUM", concept);
    double value = NAN;
    return child && number_of(*child, &value, nullptr) ? value : NAN;
}

// --- the parts of a report ---

// A measurement with the range that the properties of TID 310 span.
static bool read_number(report_texts &texts, DcmItem &item, const char *group,
                        struct prior_number *out)
{
    std::string unit;
    const std::string concept = concept_of(item);
    *out = {};
    if (concept.empty() || !number_of(item, &out->value, &unit))
        return false;
    DcmItem *method = child_of(item, "CODE", "370129005 SCT");
    const double above = child_number(item, "371886008 SCT"),
                 below = child_number(item, "371885007 SCT");
    out->group = group;
    out->concept = texts.keep(concept);
    out->unit = texts.keep(unit);
    out->method = texts.keep(method ? code_text(*method, DCM_ConceptCodeSequence) : "");
    out->low = out->high = out->value;
    if (above >= 0 && below >= 0 && std::isfinite(out->value + above) &&
        std::isfinite(out->value - below)) {
        out->ranged = true;
        out->low = out->value - below;
        out->high = out->value + above;
    }
    return true;
}

static void read_groups(report_texts &texts, DcmItem &all, struct arena *arena, struct prior *out)
{
    std::vector<struct prior_number> numbers;
    for_children(all, [&](DcmItem &group) {
        if (concept_of(group) != "125007 DCM")
            return true;
        const char *label = texts.keep(child_text(texts, group, "112039 DCM"));
        if (!*out->stage) {
            const std::string name = child_text(texts, group, "111001 DCM");
            if (name.compare(0, strlen(own_name) + 1, std::string(own_name) + " ") == 0)
                out->stage = texts.keep(name.substr(strlen(own_name) + 1));
            out->version = texts.keep(child_text(texts, group, "111003 DCM"));
        }
        for_children(group, [&](DcmItem &item) {
            struct prior_number number;
            if (numbers.size() < PRIOR_NUMBERS_MAX && is_type(item, "NUM") &&
                read_number(texts, item, label, &number))
                numbers.push_back(number);
            return numbers.size() < PRIOR_NUMBERS_MAX;
        });
        return numbers.size() < PRIOR_NUMBERS_MAX;
    });
    auto *kept = static_cast<struct prior_number *>(
        arena_alloc(arena, numbers.size() + 1, sizeof(struct prior_number)));
    if (!kept)
        throw std::bad_alloc();
    std::copy(numbers.begin(), numbers.end(), kept);
    out->numbers = kept;
    out->number_count = numbers.size();
}

static void read_library(report_texts &texts, DcmItem &library, struct prior *out)
{
    DcmItem *group = child_of(library, "CONTAINER", "126200 DCM");
    if (!group)
        return;
    out->kvp = child_number(*group, "113733 DCM");
    out->thickness_mm = child_number(*group, "112225 DCM");
    out->spacing_mm = child_number(*group, "112226 DCM");
    out->maker = texts.keep(child_text(texts, *group, "113878 DCM"));
    out->model = texts.keep(child_text(texts, *group, "113879 DCM"));
    out->kernel = texts.keep(child_text(texts, *group, "KERNEL 99ANODE"));
}

// How it ended, and the first statement of the whole.
static void read_qualities(report_texts &texts, DcmItem &all, struct prior *out)
{
    static const struct {
        const char *code;
        enum prior_end end;
    } ends[] = {{"260413007 SCT", PRIOR_NOTHING_FOUND},
                {"373121007 SCT", PRIOR_NOT_EVALUABLE},
                {"114006 DCM", PRIOR_FAILED}};
    if (DcmItem *finding = child_of(all, "CODE", "121071 DCM")) {
        const std::string code = code_text(*finding, DCM_ConceptCodeSequence);
        out->end = PRIOR_ENDS;
        for (const auto &e : ends)
            out->end = code == e.code ? e.end : out->end;
    }
    for_children(all, [&](DcmItem &item) {
        if (is_type(item, "TEXT") && concept_of(item) != "121106 DCM")
            out->class_text = texts.keep(texts.whole(item, DCM_TextValue));
        return !*out->class_text;
    });
}

static void read_content(report_texts &texts, DcmItem &root, struct arena *arena, struct prior *out)
{
    std::string summary = child_text(texts, root, "121111 DCM");
    const size_t tail = strlen(score_tail);
    if (summary.size() > tail && summary.compare(summary.size() - tail, tail, score_tail) == 0)
        summary.resize(summary.size() - tail);
    out->headline = texts.keep(summary);
    if (DcmItem *library = child_of(root, "CONTAINER", "111028 DCM"))
        read_library(texts, *library, out);
    if (DcmItem *qualities = child_of(root, "CONTAINER", "C0034375 UMLS"))
        read_qualities(texts, *qualities, out);
    if (DcmItem *measured = child_of(root, "CONTAINER", "126010 DCM"))
        read_groups(texts, *measured, arena, out);
}

static void read_identity(report_texts &texts, DcmDataset &ds, const struct object_ids &ids,
                          struct prior *out)
{
    struct object_id &id = out->id;
    OFStandard::strlcpy(id.kind, "sr", sizeof id.kind);
    OFStandard::strlcpy(id.study_instance_uid, ids.id.study_instance_uid,
                        sizeof id.study_instance_uid);
    OFStandard::strlcpy(id.series_instance_uid, ids.id.series_instance_uid,
                        sizeof id.series_instance_uid);
    OFStandard::strlcpy(id.sop_instance_uid, ids.id.sop_instance_uid, sizeof id.sop_instance_uid);
    OFStandard::strlcpy(id.sop_class_uid, ids.id.sop_class_uid, sizeof id.sop_class_uid);
    out->patient = texts.keep(ds, DCM_PatientID);
    out->issuer = texts.keep(ds, DCM_IssuerOfPatientID);
    out->birth = texts.keep(ds, DCM_PatientBirthDate);
    out->sex = texts.keep(ds, DCM_PatientSex);
    out->date = texts.keep(ds, DCM_StudyDate);
    out->time = texts.keep(ds, DCM_StudyTime);
    DcmItem *replaced = item_of(ds, DCM_PredecessorDocumentsSequence);
    replaced = replaced ? item_of(*replaced, DCM_ReferencedSeriesSequence) : nullptr;
    replaced = replaced ? item_of(*replaced, DCM_ReferencedSOPSequence) : nullptr;
    if (replaced)
        OFStandard::strlcpy(out->replaces,
                            item_text(*replaced, DCM_ReferencedSOPInstanceUID, 0).c_str(),
                            sizeof out->replaces);
}

static bool is_own_report(DcmDataset &ds, const struct object_ids &ids, struct err *err)
{
    static const char *const classes[] = {UID_Comprehensive3DSRStorage, UID_ComprehensiveSRStorage,
                                          UID_EnhancedSRStorage};
    bool known = false;
    for (const char *c : classes)
        known = known || strcmp(ids.id.sop_class_uid, c) == 0;
    if (!known)
        return err_set(err, ERR_INPUT, "no structured report that an analysis writes: %s",
                       object_class_name(ids.id.sop_class_uid));
    const std::string maker = item_text(ds, DCM_Manufacturer, 0);
    if (maker != own_name)
        return err_set(err, ERR_INPUT, "a report of another maker than %s", own_name);
    DcmItem *named = item_of(ds, DCM_ContentTemplateSequence);
    const std::string id = named ? item_text(*named, DCM_TemplateIdentifier, 0) : "";
    return id == "1500" ||
           err_set(err, ERR_INPUT, "a report by template \"%.16s\", not by TID 1500", id.c_str());
}

static bool read_report(DcmDataset &ds, const struct object_ids &ids, struct arena *arena,
                        struct prior *out, struct err *err)
{
    if (ids.fault[0])
        return err_set(err, ERR_INPUT, "%s", ids.fault);
    if (!is_own_report(ds, ids, err))
        return false;
    report_texts texts(ds, arena);
    read_identity(texts, ds, ids, out);
    read_content(texts, ds, arena, out);
    return *out->stage || err_set(err, ERR_INPUT, "it names no analysis of %s", own_name);
}

// --- all of it ---

template <typename T>
static const T *keep_list(struct arena *arena, const std::vector<T> &list, size_t *count)
{
    T *kept = static_cast<T *>(arena_alloc(arena, list.size() + 1, sizeof(T)));
    if (!kept)
        throw std::bad_alloc();
    std::copy(list.begin(), list.end(), kept);
    *count = list.size();
    return kept;
}

static struct told_code read_code(report_texts &texts, DcmItem *parent, const DcmTagKey &sequence)
{
    DcmItem *code = parent ? item_of(*parent, sequence) : nullptr;
    if (!code)
        return {"", "", ""};
    return {texts.keep(*code, DCM_CodeValue), texts.keep(*code, DCM_CodingSchemeDesignator),
            texts.keep(*code, DCM_CodeMeaning)};
}

#define DECIMALS_MAX 12 // of a decimal string, which has 16 characters (PS3.5 6.2)

// Digits behind the point as a number was written, more where it was written with an exponent.
static int decimals_of(DcmItem *item)
{
    DcmItem *measured = item ? item_of(*item, DCM_MeasuredValueSequence) : nullptr;
    const std::string text = measured ? item_text(*measured, DCM_NumericValue, 0) : "";
    const double value = strtod(text.c_str(), nullptr);
    const size_t point = text.find('.');
    int count = 0;
    while (point != std::string::npos &&
           isdigit((unsigned char)text.c_str()[point + 1 + (size_t)count]))
        count++;
    for (; count < DECIMALS_MAX; count++) {
        char written[400]; // 1e308 has 309 digits
        snprintf(written, sizeof written, "%.*f", count, value);
        if (strtod(written, nullptr) == value)
            break;
    }
    return count;
}

// A sum of decimals as a decimal.
static double round_to(double value, int decimals)
{
    char written[400];
    snprintf(written, sizeof written, "%.*f", decimals, value);
    return strtod(written, nullptr);
}

// sr_measurements.cc writes "between 3 and 19 mg: why".
static const char *range_reason(report_texts &texts, DcmItem &item)
{
    const std::string text = child_text(texts, item, "121106 DCM");
    const size_t at = text.find(": ");
    return at == std::string::npos ? "" : texts.keep(text.substr(at + 2), TOLD_LINE_MAX);
}

static bool tell_number(report_texts &texts, DcmItem &item, struct told_number *out)
{
    struct prior_number read;
    if (!read_number(texts, item, out->group, &read))
        return false;
    const auto modifier = [&](const char *concept) {
        return read_code(texts, child_of(item, "CODE", concept), DCM_ConceptCodeSequence);
    };
    out->concept = read_code(texts, &item, DCM_ConceptNameCodeSequence);
    out->unit = read_code(texts, item_of(item, DCM_MeasuredValueSequence),
                          DCM_MeasurementUnitsCodeSequence);
    out->method = modifier("370129005 SCT");
    out->derivation = modifier("121401 DCM");
    out->phase = modifier("272518008 SCT");
    out->value = read.value;
    out->decimals =
        std::max({decimals_of(&item), decimals_of(child_of(item, "NUM", "371886008 SCT")),
                  decimals_of(child_of(item, "NUM", "371885007 SCT"))});
    out->ranged = read.ranged;
    out->low = round_to(read.low, out->decimals);
    out->high = round_to(read.high, out->decimals);
    out->range_why = read.ranged ? range_reason(texts, item) : "";
    return true;
}

// A statement of the whole or of a group, but for how it ended and what every report says.
static bool tell_line(report_texts &texts, DcmItem &item, const char *group, struct told_line *out)
{
    const bool text = is_type(item, "TEXT"), code = is_type(item, "CODE");
    const std::string relation = item_text(item, DCM_RelationshipType, 0), of = concept_of(item);
    if ((!text && !code) || relation != "CONTAINS" || of == "121071 DCM" || of == "121106 DCM")
        return false;
    out->concept = read_code(texts, &item, DCM_ConceptNameCodeSequence);
    out->group = group;
    out->text = text ? texts.keep(texts.whole(item, DCM_TextValue), TOLD_LINE_MAX)
                     : read_code(texts, &item, DCM_ConceptCodeSequence).meaning;
    return true;
}

static void tell_group(report_texts &texts, DcmItem &group, struct told *out,
                       std::vector<struct told_number> &numbers,
                       std::vector<struct told_line> &lines)
{
    const char *label = texts.keep(child_text(texts, group, "112039 DCM"));
    const bool part = !child_of(group, "TEXT", "111002 DCM");
    for_children(group, [&](DcmItem &item) {
        struct told_number number = {};
        struct told_line line = {};
        number.group = label;
        number.part = part;
        if (is_type(item, "NUM")) {
            out->number_total++;
            if (numbers.size() < PRIOR_NUMBERS_MAX && tell_number(texts, item, &number))
                numbers.push_back(number);
        } else if (lines.size() < TOLD_LINES_MAX && tell_line(texts, item, label, &line)) {
            lines.push_back(line);
        }
        return true;
    });
}

// TEXT items of a container in the root, as they stand.
static const char *const *tell_texts(report_texts &texts, DcmItem &root, const char *concept,
                                     struct arena *arena, size_t *count)
{
    std::vector<const char *> lines;
    DcmItem *all = child_of(root, "CONTAINER", concept);
    if (all)
        for_children(*all, [&](DcmItem &item) {
            if (is_type(item, "TEXT") && lines.size() < TOLD_LINES_MAX)
                lines.push_back(texts.keep(texts.whole(item, DCM_TextValue), TOLD_LINE_MAX));
            texts.cut = texts.cut || lines.size() == TOLD_LINES_MAX;
            return true;
        });
    return keep_list(arena, lines, count);
}

// Series of the study that it rests on; segmentations that it refers to are no input.
static const char *const *tell_series(report_texts &texts, DcmItem &root, struct arena *arena,
                                      size_t *count)
{
    std::vector<const char *> list;
    DcmItem *study = item_of(root, DCM_CurrentRequestedProcedureEvidenceSequence);
    DcmSequenceOfItems *all = nullptr;
    if (study && study->findAndGetSequence(DCM_ReferencedSeriesSequence, all).good() && all) {
        for (DcmObject *o = all->nextInContainer(nullptr); o; o = all->nextInContainer(o)) {
            DcmItem &series = *static_cast<DcmItem *>(o);
            DcmItem *first = item_of(series, DCM_ReferencedSOPSequence);
            if (first && list.size() < TOLD_LINES_MAX &&
                item_text(*first, DCM_ReferencedSOPClassUID, 0) != UID_SegmentationStorage)
                list.push_back(texts.keep(series, DCM_SeriesInstanceUID));
        }
    }
    return keep_list(arena, list, count);
}

static void read_told(DcmDataset &ds, struct arena *arena, struct told *out)
{
    report_texts texts(ds, arena);
    std::vector<struct told_number> numbers;
    std::vector<struct told_line> lines;
    out->procedure = read_code(texts, child_of(ds, "CODE", "121058 DCM"), DCM_ConceptCodeSequence);
    out->why = "";
    if (DcmItem *qualities = child_of(ds, "CONTAINER", "C0034375 UMLS"))
        for_children(*qualities, [&](DcmItem &item) {
            struct told_line line = {};
            if (lines.size() < TOLD_LINES_MAX && tell_line(texts, item, "", &line))
                lines.push_back(line);
            else if (!*out->why && out->result.end != PRIOR_DONE && is_type(item, "TEXT") &&
                     concept_of(item) == "121106 DCM") // sr_measurements.cc puts it first
                out->why = texts.keep(texts.whole(item, DCM_TextValue), TOLD_LINE_MAX);
            return true;
        });
    if (DcmItem *measured = child_of(ds, "CONTAINER", "126010 DCM"))
        for_children(*measured, [&](DcmItem &group) {
            if (concept_of(group) == "125007 DCM")
                tell_group(texts, group, out, numbers, lines);
            return true;
        });
    out->series = tell_series(texts, ds, arena, &out->series_count);
    out->numbers = keep_list(arena, numbers, &out->number_count);
    out->lines = keep_list(arena, lines, &out->line_count);
    out->exclusions = tell_texts(texts, ds, "EXCLUDED 99ANODE", arena, &out->exclusion_count);
    out->earlier = tell_texts(texts, ds, "121068 DCM", arena, &out->earlier_count);
    out->cut = texts.cut || lines.size() == TOLD_LINES_MAX;
    out->result.numbers = nullptr;
    out->result.number_count = 0;
}

static void begin(struct prior *out)
{
    *out = {};
    out->stage = out->version = out->headline = out->maker = out->model = out->kernel = "";
    out->class_text = "";
    out->kvp = out->thickness_mm = out->spacing_mm = NAN;
}

// full NULL: only what an analysis may compare with.
static bool read_file(const char *path, struct arena *arena, struct prior *out, struct told *full,
                      struct err *err)
{
    struct stat st;
    begin(out);
    if (stat(path, &st) != 0)
        return err_set(err, ERR_IO, "cannot look at it");
    if (!S_ISREG(st.st_mode) || st.st_size > REPORT_BYTES_MAX)
        return err_set(err, ERR_INPUT, "no file, or larger than %u bytes", REPORT_BYTES_MAX);
    struct object *o = object_open(path, err);
    if (!o)
        return false;
    const bool ok = object_guard(err, [&] {
        const bool read = read_report(o->header, o->ids, arena, out, err);
        if (read && full)
            read_told(o->header, arena, full);
        return read;
    });
    object_close(o);
    return ok;
}

bool report_read(const char *path, struct arena *arena, struct prior *out, struct err *err)
{
    return read_file(path, arena, out, nullptr, err);
}

bool report_read_told(const char *path, struct arena *arena, struct told *out, struct err *err)
{
    *out = {};
    return read_file(path, arena, &out->result, out, err);
}

bool report_read_data(const void *data, size_t size, const char *transfer_syntax,
                      struct arena *arena, struct prior *out, struct err *err)
{
    begin(out);
    const struct syntax *syntax = syntax_find(transfer_syntax);
    if (!syntax || syntax->deflated)
        return err_set(err, ERR_UNSUPPORTED, "transfer syntax %s", transfer_syntax);
    if (size > REPORT_BYTES_MAX)
        return err_set(err, ERR_INPUT, "larger than %u bytes", REPORT_BYTES_MAX);
    return object_guard(err, [&] {
        layout_memory source(data, size);
        struct layout layout = {};
        layout.is_explicit = syntax->header != EXS_LittleEndianImplicit;
        layout.big_endian = syntax->header == EXS_BigEndianExplicit;
        DcmDataset ds;
        struct object_ids ids = {};
        if (!layout_read_data(source, false, &layout, err) ||
            !object_parse(source, layout, &ds, err))
            return false;
        object_read_ids(ds, &ids);
        return read_report(ds, ids, arena, out, err);
    });
}
