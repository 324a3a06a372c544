// The image library of a mammography report: which images were looked at, which breast and view
// they show, how they lie. Sources: PS3.16 TID 4020, CID 4014, 4015, 6022.
#include <cmath>
#include <cstring>
#include "dimse/write/content.h"
#include "dimse/write/encoders.h"

static const struct code breast_millimeter = {"mm", "UCUM", "millimeter"};
static const struct code degree = {"deg", "UCUM", "degrees of plane angle"};

// A view or a modifier of one: how headers spell it, and the code of today.
struct view_code {
    const char *retired;  // SNOMED RT, as headers before 2016 have it; "": none
    const char *position; // View Position; "": none
    struct code code;
};

static const struct view_code view_codes[] = {
    {"R-10224", "ML", {"399260004", "SCT", "medio-lateral"}},
    {"R-10226", "MLO", {"399368009", "SCT", "medio-lateral oblique"}},
    {"R-10228", "LM", {"399352003", "SCT", "latero-medial"}},
    {"R-10230", "LMO", {"399099002", "SCT", "latero-medial oblique"}},
    {"R-10242", "CC", {"399162004", "SCT", "cranio-caudal"}},
    {"R-10244", "FB", {"399196006", "SCT", "caudo-cranial (from below)"}},
    {"R-102D0", "SIO", {"399188001", "SCT", "superolateral to inferomedial oblique"}},
    {"R-40AAA", "ISO", {"441555000", "SCT", "inferomedial to superolateral oblique"}},
    {"R-1024A", "XCCL", {"399192008", "SCT", "cranio-caudal exaggerated laterally"}},
    {"R-1024B", "XCCM", {"399101009", "SCT", "cranio-caudal exaggerated medially"}},
    {"G-8310", "", {"127457009", "SCT", "tissue specimen from breast"}},
};
static const struct view_code modifier_codes[] = {
    {"R-102D2", "", {"399161006", "SCT", "Cleavage"}},
    {"R-102D1", "", {"399011000", "SCT", "Axillary Tail"}},
    {"R-102D3", "", {"399197002", "SCT", "Rolled Lateral"}},
    {"R-102D4", "", {"399226006", "SCT", "Rolled Medial"}},
    {"R-102CA", "", {"414493004", "SCT", "Rolled Inferior"}},
    {"R-102C9", "", {"415670009", "SCT", "Rolled Superior"}},
    {"R-102D5", "", {"399209000", "SCT", "Implant Displaced"}},
    {"R-102D6", "", {"399163009", "SCT", "Magnification"}},
    {"R-102D7", "", {"399055006", "SCT", "Spot Compression"}},
    {"R-102C2", "", {"399110001", "SCT", "Tangential"}},
};
static const struct view_code side_codes[] = {
    {"", "L", {"80248007", "SCT", "Left breast"}},
    {"", "R", {"73056007", "SCT", "Right breast"}},
    {"", "B", {"63762007", "SCT", "Both breasts"}},
};

// By the code of an item, in either spelling.
template <size_t N>
static const struct code *known_code(const struct view_code (&table)[N], DcmItem *item)
{
    const std::string value = item ? item_text(*item, DCM_CodeValue, 0) : "";
    for (const struct view_code &row : table)
        if (!value.empty() && (value == row.code.value || value == row.retired))
            return &row.code;
    return nullptr;
}

template <size_t N>
static const struct code *code_of_position(const struct view_code (&table)[N],
                                           const std::string &position)
{
    for (const struct view_code &row : table)
        if (!position.empty() && position == row.position)
            return &row.code;
    return nullptr;
}

static void put_view(DcmItem &entry, DcmDataset &head)
{
    DcmItem *item = nullptr, *modifier = nullptr;
    if (head.findAndGetSequenceItem(DCM_ViewCodeSequence, item, 0).bad())
        item = nullptr;
    const struct code *view = known_code(view_codes, item);
    if (!view)
        view = code_of_position(view_codes, item_text(head, DCM_ViewPosition, 0));
    if (!view)
        return;
    DcmItem &put = content_code(entry, REL_ACQ_CONTEXT, {"111031", "DCM", "Image View"}, *view);
    for (long i = 0;
         item && item->findAndGetSequenceItem(DCM_ViewModifierCodeSequence, modifier, i).good();
         i++)
        if (const struct code *code = known_code(modifier_codes, modifier))
            content_code(put, REL_CONCEPT_MOD, {"111032", "DCM", "Image View Modifier"}, *code);
}

static void put_rows_and_columns(DcmItem &entry, DcmDataset &head)
{
    static const struct code concepts[2] = {{"111044", "DCM", "Patient Orientation Row"},
                                            {"111043", "DCM", "Patient Orientation Column"}};
    for (int i = 0; i < 2; i++)
        if (const std::string text = item_text(head, DCM_PatientOrientation, i); !text.empty())
            content_text(entry, REL_ACQ_CONTEXT, concepts[i], text);
}

static void put_times(DcmItem &entry, DcmDataset &head)
{
    static const struct {
        struct code date_concept, time_concept;
        DcmTagKey date, time;
    } rows[] = {
        {{"111060", "DCM", "Study Date"},
         {"111061", "DCM", "Study Time"},
         DCM_StudyDate,
         DCM_StudyTime},
        {{"111018", "DCM", "Content Date"},
         {"111019", "DCM", "Content Time"},
         DCM_ContentDate,
         DCM_ContentTime},
    };
    for (const auto &r : rows) {
        const std::string date = encode_date_of_today(item_text(head, r.date, 0)),
                          time = encode_time_of_today(item_text(head, r.time, 0));
        if (encode_is_date(date))
            content_date(entry, REL_ACQ_CONTEXT, r.date_concept, date);
        if (encode_is_time(time))
            content_time(entry, REL_ACQ_CONTEXT, r.time_concept, time);
    }
}

static void put_geometry(DcmItem &entry, DcmDataset &head)
{
    double spacing[2] = {NAN, NAN}; // rows, columns
    if (item_numbers(head, DCM_ImagerPixelSpacing, spacing, 2) != 2)
        item_numbers(head, DCM_PixelSpacing, spacing, 2);
    const struct {
        struct code concept;
        double value;
    } sizes[] = {{{"111026", "DCM", "Horizontal Pixel Spacing"}, spacing[1]},
                 {{"111066", "DCM", "Vertical Pixel Spacing"}, spacing[0]}};
    for (const auto &s : sizes)
        if (std::isfinite(s.value) && s.value > 0)
            content_number(entry, REL_ACQ_CONTEXT, s.concept, encode_decimal(s.value),
                           breast_millimeter);
    double angle = NAN;
    if (item_number(head, DCM_PositionerPrimaryAngle, 0, &angle) && std::isfinite(angle))
        content_number(entry, REL_ACQ_CONTEXT, {"112011", "DCM", "Positioner Primary Angle"},
                       encode_decimal(angle), degree);
}

static void put_entry(DcmItem &library, const struct result_source &source)
{
    DcmItem &entry = content_image(library, REL_CONTAINS, {&source, 1, false});
    source_header header;
    try {
        header = identity_open(source.path);
    } catch (const encode_error &) {
        return; // it is named all the same
    }
    DcmDataset &head = header->header;
    if (const struct code *side =
            code_of_position(side_codes, item_text(head, DCM_ImageLaterality, 0)))
        content_code(entry, REL_ACQ_CONTEXT, {"111027", "DCM", "Image Laterality"}, *side);
    put_view(entry, head);
    put_rows_and_columns(entry, head);
    put_times(entry, head);
    put_geometry(entry, head);
}

library_positions sr_mammo_library(const result_set &set, DcmDataset &root, Uint32 number)
{
    DcmItem &library =
        content_container(root, REL_CONTAINS, {"111028", "DCM", "Image Library"}, nullptr);
    library_positions positions;
    Uint32 entries = 0;
    for (const struct result_source *source : set.sources) {
        if (source->frames == 0)
            continue;
        put_entry(library, *source);
        positions[source] = {1, number, ++entries};
    }
    return positions;
}
