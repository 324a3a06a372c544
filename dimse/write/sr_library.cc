// The image library of a report: which images it rests on, where they lie, how they were acquired.
// Sources: PS3.16 TID 1600 to 1606, CID 29, 4031.
#include <cmath>
#include <cstring>
#include <map>
#include "dimse/write/content.h"
#include "dimse/write/encoders.h"

static const struct code library_group = {"126200", "DCM", "Image Library Group"};
static const struct code millimeter = {"mm", "UCUM", "millimeter"};
static const struct code pixels = {"{pixels}", "UCUM", "pixels"};
static const struct code cosine = {"{-1:1}", "UCUM", "{-1:1}"};

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
    const std::string date = encode_date_of_today(item_text(head, DCM_StudyDate, 0)),
                      time = encode_time_of_today(item_text(head, DCM_StudyTime, 0));
    if (encode_is_date(date))
        content_date(group, REL_ACQ_CONTEXT, {"111060", "DCM", "Study Date"}, date);
    if (encode_is_time(time))
        content_time(group, REL_ACQ_CONTEXT, {"111061", "DCM", "Study Time"}, time);
}

// TID 1602, and TID 1604 where it has a place: what holds for every frame of the image.
static void put_grid(DcmItem &group, const struct image &image, const struct image_frame &frame)
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
        double value;
        struct code unit;
    } rows[] = {
        {{"110910", "DCM", "Pixel Data Rows"}, (double)image.dim[1], pixels},
        {{"110911", "DCM", "Pixel Data Columns"}, (double)image.dim[0], pixels},
        {{"111026", "DCM", "Horizontal Pixel Spacing"}, image.spacing[0], millimeter},
        {{"111066", "DCM", "Vertical Pixel Spacing"}, image.spacing[1], millimeter},
        {{"112226", "DCM", "Spacing between slices"},
         image.dim[2] > 1 ? image.spacing[2] : NAN, // one slice lies beside none
         millimeter},
    };
    if (*frame.frame_of_reference_uid)
        content_uid(group, REL_ACQ_CONTEXT, {"112227", "DCM", "Frame of Reference UID"},
                    frame.frame_of_reference_uid);
    for (const auto &r : rows)
        if (std::isfinite(r.value) && r.value > 0)
            content_number(group, REL_ACQ_CONTEXT, r.concept, encode_decimal(r.value), r.unit);
    for (int i = 0; image.placed && i < 6; i++)
        content_number(group, REL_ACQ_CONTEXT, {axes[i][0], "DCM", axes[i][1]},
                       encode_decimal(frame.orientation[i]), cosine);
}

// Image Position (Patient) along the axes asked for.
static void put_position(DcmItem &item, const struct image_frame &frame, const bool axes[3])
{
    static const char *const names[3][2] = {
        {"110901", "Image Position (Patient) X"},
        {"110902", "Image Position (Patient) Y"},
        {"110903", "Image Position (Patient) Z"},
    };
    for (int i = 0; i < 3; i++)
        if (axes[i])
            content_number(item, REL_ACQ_CONTEXT, {names[i][0], "DCM", names[i][1]},
                           encode_decimal(frame.position[i]), millimeter);
}

// How the image was acquired, as far as comparisons with later ones ask (TID 1605 and, of what it
// has no row for, codes of the dose reports' devices and our own).
static const struct code kernel_concept = {"KERNEL", "99ANODE", "Convolution Kernel"};

static const char *frame_text(const struct image_frame &frame, const char *keyword)
{
    const char *text = frame.attrs ? attrs_get(frame.attrs, keyword) : nullptr;
    return text ? text : "";
}

static void put_acquisition(DcmItem &group, const result_set &set, const struct image_frame &frame)
{
    static const struct {
        const char *keyword;
        struct code concept, unit;
    } numbers[] = {
        {"KVP", {"113733", "DCM", "KVP"}, {"kV", "UCUM", "kV"}},
        {"SliceThickness", {"112225", "DCM", "Slice Thickness"}, {"mm", "UCUM", "mm"}},
    };
    const struct {
        const char *keyword;
        struct code concept;
    } texts[] = {
        {"Manufacturer", {"113878", "DCM", "Device Manufacturer"}},
        {"ManufacturerModelName", {"113879", "DCM", "Device Model Name"}},
        {"ConvolutionKernel", kernel_concept},
    };
    for (const auto &n : numbers) {
        double value = NAN;
        if (text_number(frame_text(frame, n.keyword), &value) && value > 0)
            content_number(group, REL_ACQ_CONTEXT, n.concept, encode_decimal(value), n.unit);
    }
    for (const auto &t : texts)
        if (const char *text = frame_text(frame, t.keyword); *text)
            content_text(group, REL_ACQ_CONTEXT, t.concept, set.text(text));
}

// head: of a source of the group; NULL when none can be read.
static void put_library_head(DcmItem &group, DcmDataset *head)
{
    static const struct code modality_concept = {"121139", "DCM", "Modality"};
    static const struct code region_concept = {"123014", "DCM", "Target Region"};
    if (!head)
        return;
    const std::string modality = item_text(*head, DCM_Modality, 0);
    if (const struct code *code = find_code(modalities, modality))
        content_code(group, REL_ACQ_CONTEXT, modality_concept, *code);
    else if (!modality.empty())
        content_code(group, REL_ACQ_CONTEXT, modality_concept,
                     {modality.c_str(), "DCM", modality.c_str()});
    if (const struct code *code = find_code(body_parts, item_text(*head, DCM_BodyPartExamined, 0)))
        content_code(group, REL_ACQ_CONTEXT, region_concept, *code);
    put_dates(group, *head);
}

// The frames of an image by points, then slices.
static std::vector<uint32_t> frames_of(const struct image &image)
{
    std::vector<uint32_t> frames;
    for (size_t cell = 0; cell < (size_t)image.dim[2] * image.dim[3]; cell++)
        if (image.frame[cell] != IMAGE_NO_FRAME)
            frames.push_back(image.frame[cell]);
    return frames;
}

// The instances that make an image. What all share is said once; an instance with many frames is
// one entry.
static void put_image(DcmItem &library, const result_set &set, const struct image &image,
                      std::vector<bool> &used)
{
    const struct result_request &r = set.request;
    const std::vector<uint32_t> frames = frames_of(image);
    if (frames.empty())
        return;
    DcmItem &group = content_container(library, REL_CONTAINS, library_group, nullptr);
    const struct image_frame &first = r.images->frames[frames[0]];
    bool shared[3] = {image.placed, image.placed, image.placed}, differs[3];
    for (const uint32_t f : frames)
        for (int i = 0; i < 3; i++)
            shared[i] = shared[i] && r.images->frames[f].position[i] == first.position[i];
    for (int i = 0; i < 3; i++)
        differs[i] = image.placed && !shared[i];
    put_library_head(group, set.head(set.series_of(frames[0])));
    put_grid(group, image, first);
    put_acquisition(group, set, first);
    put_position(group, first, shared);
    for (const uint32_t f : frames) {
        const struct source_frame frame = set.frame(f);
        const size_t source = (size_t)(frame.source - r.sources);
        if (used[source])
            continue;
        used[source] = true;
        DcmItem &entry = content_image(group, REL_CONTAINS, {frame.source, 1, false});
        if (!frame.part)
            put_position(entry, r.images->frames[f], differs);
    }
}

// What was set aside, or is no image, is in groups of its own, one a series.
static void put_rest(DcmItem &library, const result_set &set, const std::vector<bool> &used)
{
    for (const struct source_series &series : set.series) {
        DcmItem *group = nullptr;
        for (const struct result_source *source : series.sources) {
            if (used[(size_t)(source - set.request.sources)] || source->frames == 0)
                continue;
            if (!group) {
                group = &content_container(library, REL_CONTAINS, library_group, nullptr);
                put_library_head(*group, set.head(series));
            }
            content_image(*group, REL_CONTAINS, {source, 1, false});
        }
    }
}

void sr_library(const result_set &set, DcmDataset &root)
{
    DcmItem &library =
        content_container(root, REL_CONTAINS, {"111028", "DCM", "Image Library"}, "1600");
    std::vector<bool> used(set.request.source_count, false);
    for (uint32_t i = 0; i < set.image_count(); i++)
        put_image(library, set, set.image(i), used);
    put_rest(library, set, used);
}

bool sr_library_has_private(const result_set &set)
{
    for (uint32_t i = 0; i < set.image_count(); i++) {
        const std::vector<uint32_t> frames = frames_of(set.image(i));
        if (!frames.empty() &&
            *frame_text(set.request.images->frames[frames[0]], "ConvolutionKernel"))
            return true;
    }
    return false;
}
