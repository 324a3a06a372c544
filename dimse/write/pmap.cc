// Parametric Maps: one a map of the findings, a frame for every slice of its image.
// Sources: PS3.3 A.75, C.8.32, C.7.6.16.2.9 (Pixel Value Transformation), C.7.6.16.2.11 (Real World
// Value Mapping), C.7.6.24 (Floating Point Image Pixel).
#include <algorithm>
#include <cmath>
#include <numeric>
#include "dimse/write/encoders.h"
#include "dimse/write/multiframe.h"

static const char image_type[] = "DERIVED\\PRIMARY\\VOLUME\\QUANTITY";
static const struct code quantity = {"246205007", "SCT", "Quantity"};
static const struct code method = {"370129005", "SCT", "Measurement Method"};
static const struct code derivation = {"121401", "DCM", "Derivation"};
// CID 7203 is extensible: a code of our own where the analysis names none.
static const struct code any_derivation = {"PARAMETRIC_MAP", "99ANODE", "Parametric map"};

static const std::vector<struct multiframe_index> map_dimensions = {
    {DCM_ImagePositionPatient, DCM_PlanePositionSequence, "Position"},
};

// Least and largest of the values there are.
struct span {
    bool any, gaps; // gaps: some are no numbers
    float low, high;
};

static struct span span_of(const float *values, size_t count)
{
    struct span s = {false, false, 0, 0};
    for (size_t i = 0; i < count; i++) {
        if (!std::isfinite(values[i])) {
            s.gaps = true;
            continue;
        }
        s.low = s.any ? std::min(s.low, values[i]) : values[i];
        s.high = s.any ? std::max(s.high, values[i]) : values[i];
        s.any = true;
    }
    return s;
}

// What stands where there is no value: below all values, so that no real one is taken for it, and
// near enough that a viewer which does not know of padding shows it as black.
static float padding_of(const struct span &s)
{
    const double below = (double)s.low - std::max(1.0, (double)s.high - (double)s.low);
    const float next = std::nextafterf(s.low, -INFINITY);
    return below > -3e38 ? std::min((float)below, next) : next;
}

static void put_concept(DcmItem &mapping, const struct code &concept, const struct code &value)
{
    if (!value.value)
        return;
    DcmItem &item = encode_item(mapping, DCM_QuantityDefinitionSequence);
    encode_text(item, DCM_ValueType, "CODE");
    encode_code(item, DCM_ConceptNameCodeSequence, concept);
    encode_code(item, DCM_ConceptCodeSequence, value);
}

static void put_f64(DcmItem &item, const DcmTagKey &tag, double value)
{
    encode_check(item.putAndInsertFloat64(tag, value), tag);
}

static void put_mapping(DcmItem &shared, const result_set &set, const struct value_map &map,
                        const struct span &s)
{
    DcmItem &mapping = encode_item(shared, DCM_RealWorldValueMappingSequence);
    put_f64(mapping, DCM_DoubleFloatRealWorldValueFirstValueMapped, (double)s.low);
    put_f64(mapping, DCM_DoubleFloatRealWorldValueLastValueMapped, (double)s.high);
    put_f64(mapping, DCM_RealWorldValueIntercept, 0);
    put_f64(mapping, DCM_RealWorldValueSlope, 1);
    encode_short(mapping, DCM_LUTExplanation, set.text(map.title ? map.title : map.name), 64);
    encode_short(mapping, DCM_LUTLabel, map.name, 16);
    encode_code(mapping, DCM_MeasurementUnitsCodeSequence, map.unit);
    put_concept(mapping, quantity, map.quantity);
    put_concept(mapping, method, map.method);
    put_concept(mapping, derivation, map.derivation);
}

static void pmap_put_window(DcmItem &shared, const struct value_map &map)
{
    if (!(map.window[1] > 0) || !std::isfinite(map.window[0]) || !std::isfinite(map.window[1]))
        return;
    DcmItem &voi = encode_item(shared, DCM_FrameVOILUTSequence);
    encode_text(voi, DCM_WindowCenter, encode_decimal(map.window[0]));
    encode_text(voi, DCM_WindowWidth, encode_decimal(map.window[1]));
    encode_text(voi, DCM_VOILUTFunction, "LINEAR_EXACT");
}

// PS3.3 C.7.6.16.2.8, which asks for a code: the source's, or that of Body Part Examined.
static void put_anatomy(DcmItem &shared, DcmDataset &head)
{
    static const struct {
        const char *term;
        struct code code;
    } parts[] = {
        {"ABDOMEN", {"818981001", "SCT", "Abdomen"}}, {"BRAIN", {"12738006", "SCT", "Brain"}},
        {"BREAST", {"76752008", "SCT", "Breast"}},    {"CHEST", {"816094009", "SCT", "Chest"}},
        {"HEAD", {"69536005", "SCT", "Head"}},        {"HEART", {"80891009", "SCT", "Heart"}},
        {"LIVER", {"10200004", "SCT", "Liver"}},      {"PELVIS", {"816092008", "SCT", "Pelvis"}},
    };
    static const struct code whole = {"38266002", "SCT", "Entire Body"};
    DcmItem &anatomy = encode_item(shared, DCM_FrameAnatomySequence);
    encode_text(anatomy, DCM_FrameLaterality, "U");
    if (item_of(head, DCM_AnatomicRegionSequence)) {
        encode_copy(anatomy, head, DCM_AnatomicRegionSequence);
        return;
    }
    const std::string part = item_text(head, DCM_BodyPartExamined, 0);
    const auto *found = std::find_if(std::begin(parts), std::end(parts),
                                     [&part](const auto &row) { return part == row.term; });
    encode_code(anatomy, DCM_AnatomicRegionSequence,
                found == std::end(parts) ? whole : found->code);
}

static void put_shared(DcmItem &shared, const result_set &set, const struct value_map &map,
                       const struct span &s, DcmDataset &head)
{
    DcmItem &identity = encode_item(shared, DCM_PixelValueTransformationSequence);
    encode_text(identity, DCM_RescaleIntercept, "0");
    encode_text(identity, DCM_RescaleSlope, "1");
    encode_text(identity, DCM_RescaleType, "US");
    encode_text(encode_item(shared, DCM_ParametricMapFrameTypeSequence), DCM_FrameType, image_type);
    put_anatomy(shared, head);
    put_mapping(shared, set, map, s);
    pmap_put_window(shared, map);
}

// Pixels in the order of the frames. They are copied once, into the data set.
static void put_pixels(DcmDataset &ds, const struct value_map &map, const struct image &image,
                       const std::vector<uint32_t> &slices, const struct span &s)
{
    const size_t area = (size_t)image.dim[0] * image.dim[1], count = area * image.dim[2];
    if (count > (UINT32_MAX - 4) / sizeof(Float32) || image.dim[2] > INT32_MAX)
        throw encode_error(ERR_INTERNAL, "more voxels than a parametric map can hold");
    encode_check(ds.putAndInsertFloat32Array(DCM_FloatPixelData, map.values, count),
                 DCM_FloatPixelData);
    DcmElement *element = nullptr;
    Float32 *to = nullptr;
    encode_check(ds.findAndGetElement(DCM_FloatPixelData, element), DCM_FloatPixelData);
    encode_check(element->getFloat32Array(to), DCM_FloatPixelData);
    if (!std::is_sorted(slices.begin(), slices.end()))
        for (size_t i = 0; i < slices.size(); i++)
            std::copy_n(map.values + slices[i] * area, area, to + i * area);
    if (!s.gaps)
        return;
    const float padding = padding_of(s);
    std::replace_if(
        to, to + count, [](float value) { return !std::isfinite(value); }, padding);
    // a range of one value: validators ask for its end
    encode_f32(ds, DCM_FloatPixelPaddingValue, {padding});
    encode_f32(ds, DCM_FloatPixelPaddingRangeLimit, {padding});
}

static void encode_map(const result_set &set, const struct value_map &map, object_sink &sink)
{
    const struct image &image = set.image(map.image);
    struct multiframe of = {set, image, std::vector<uint32_t>(image.dim[3]),
                            map.derivation.value ? map.derivation : any_derivation};
    std::iota(of.points.begin(), of.points.end(), 0U);
    uint32_t frame = IMAGE_NO_FRAME;
    for (size_t i = 0; frame == IMAGE_NO_FRAME; i++)
        frame = image.frame[i]; // there is one: the image has a place
    DcmDataset *own = set.head(set.series_of(frame));
    DcmDataset &head = own ? *own : set.head();
    const std::string modality = item_text(head, DCM_Modality, 0);
    const struct object_name name = {RESULT_PMAP, map.name, 1};
    std::unique_ptr<DcmFileFormat> file = identity_object(
        set, name, UID_ParametricMapStorage, modality.empty() ? "OT" : modality.c_str());
    DcmDataset &ds = *file->getDataset();
    const struct span s = span_of(map.values, (size_t)image.dim[0] * image.dim[1] * image.dim[2]);
    DcmItem &shared =
        multiframe_begin(ds, of, map.name, map.title ? map.title : map.name, map_dimensions);
    encode_text(ds, DCM_ImageType, image_type);
    encode_text(ds, DCM_BurnedInAnnotation, "NO");
    encode_text(ds, DCM_RecognizableVisualFeatures, "NO");
    encode_text(ds, DCM_PresentationLUTShape, "IDENTITY");
    encode_u16(ds, DCM_BitsAllocated, {32});
    encode_text(ds, DCM_NumberOfFrames, std::to_string(image.dim[2]));
    encode_empty_sequence(ds, DCM_AcquisitionContextSequence);
    identity_body_part(ds, set);
    ds.findAndDeleteElement(DCM_Laterality); // each frame says it: PS3.3 C.7.3.1
    put_shared(shared, set, map, s, head);
    const std::vector<uint32_t> slices = multiframe_slices(of);
    for (uint32_t slice : slices)
        multiframe_add(ds, of, slice, {});
    put_pixels(ds, map, image, slices, s);
    multiframe_end(ds);
    sink.put(name, *file);
}

void pmap_encode(const result_set &set, object_sink &sink)
{
    for (uint32_t i = 0; i < set.findings.map_count; i++)
        if (multiframe_has_place(set, set.findings.maps[i].image))
            encode_map(set, set.findings.maps[i], sink);
}
