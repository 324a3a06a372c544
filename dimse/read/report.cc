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
    const char *keep(std::string text)
    {
        size_t size = std::min<size_t>(text.size(), PRIOR_TEXT_MAX);
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

static void begin(struct prior *out)
{
    *out = {};
    out->stage = out->version = out->headline = out->maker = out->model = out->kernel = "";
    out->class_text = "";
    out->kvp = out->thickness_mm = out->spacing_mm = NAN;
}

bool report_read(const char *path, struct arena *arena, struct prior *out, struct err *err)
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
    const bool ok =
        object_guard(err, [&] { return read_report(o->header, o->ids, arena, out, err); });
    object_close(o);
    return ok;
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
