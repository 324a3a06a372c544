// Segmentations: one of each label map, binary, and one of each fraction map, fractional. Only
// frames with voxels are written: what is left out is empty (PS3.3 C.8.20.2.3).
// Sources: PS3.3 A.51, C.8.20; PS3.16 CID 7150, 7162.
#include <algorithm>
#include <cstring>
#include "dimse/write/encoders.h"
#include "dimse/write/multiframe.h"

static const struct code segmentation = {"113076", "DCM", "Segmentation"};
// What a region is that its analysis does not name.
static const struct code any_category = {"91723000", "SCT", "Anatomical Structure"};
static const struct code any_type = {"85756007", "SCT", "Tissue"};
// CID 7162 is extensible: a family of our own where the analysis names none.
static const struct code any_family = {"IMAGE_PROCESSING", "99ANODE", "Image processing"};

static const std::vector<struct multiframe_index> segment_dimensions = {
    {DCM_ReferencedSegmentNumber, DCM_SegmentIdentificationSequence, "Segment"},
    {DCM_ImagePositionPatient, DCM_PlanePositionSequence, "Position"},
};

// The group whose tracking identifier a segment shares; NULL: none.
static const struct finding_group *group_of(const struct findings &f, uint32_t region)
{
    if (f.regions[region].group >= 0)
        return &f.groups[f.regions[region].group];
    for (uint32_t i = 0; i < f.group_count; i++)
        if (f.groups[i].region == (int)region)
            return &f.groups[i];
    return nullptr;
}

static void seg_put_site(DcmItem &segment, const struct region &r)
{
    if (!r.site.value) {
        DcmItem *type = item_of(segment, DCM_SegmentedPropertyTypeCodeSequence);
        if (r.laterality.value && type)
            encode_code(*type, DCM_SegmentedPropertyTypeModifierCodeSequence, r.laterality);
        return;
    }
    DcmItem &site = encode_item(segment, DCM_AnatomicRegionSequence);
    encode_code_item(site, r.site);
    if (r.laterality.value)
        encode_code(site, DCM_AnatomicRegionModifierSequence, r.laterality);
}

static void seg_put_algorithm(DcmItem &segment, const result_set &set, const struct region &r)
{
    const struct result_stage &stage = set.request.stage;
    const std::string name = set.text(r.algorithm.name ? r.algorithm.name : stage.title);
    const bool own = r.algorithm.name && r.algorithm.version;
    encode_text(segment, DCM_SegmentAlgorithmType, r.automatic ? "AUTOMATIC" : "SEMIAUTOMATIC");
    encode_short(segment, DCM_SegmentAlgorithmName, name, 64);
    DcmItem &item = encode_item(segment, DCM_SegmentationAlgorithmIdentificationSequence);
    encode_code(item, DCM_AlgorithmFamilyCodeSequence,
                r.algorithm.family.value ? r.algorithm.family : any_family);
    encode_short(item, DCM_AlgorithmName, name, 64);
    encode_short(item, DCM_AlgorithmVersion, own ? r.algorithm.version : stage.version, 64);
    if (r.algorithm.parameters)
        encode_short(item, DCM_AlgorithmParameters, set.text(r.algorithm.parameters), 1024);
    encode_text(item, DCM_AlgorithmSource, maker_name);
}

static void put_segment(DcmDataset &ds, const result_set &set, uint32_t region, Uint16 number)
{
    const struct region &r = set.findings.regions[region];
    const struct finding_group *group = group_of(set.findings, region);
    DcmItem &segment = encode_item(ds, DCM_SegmentSequence);
    encode_u16(segment, DCM_SegmentNumber, {number});
    encode_short(segment, DCM_SegmentLabel, set.text(r.label), 64);
    encode_code(segment, DCM_SegmentedPropertyCategoryCodeSequence,
                r.category.value ? r.category : any_category);
    encode_code(segment, DCM_SegmentedPropertyTypeCodeSequence, r.type.value ? r.type : any_type);
    seg_put_site(segment, r);
    seg_put_algorithm(segment, set, r);
    encode_u16(segment, DCM_RecommendedDisplayCIELabValue, encode_cielab(r.rgb));
    if (group) {
        encode_text(segment, DCM_TrackingID, set.text(group->label));
        encode_text(segment, DCM_TrackingUID, set.tracking_uid(*group));
    }
}

// bits of a pixel: 1 or 8.
static void put_format(DcmDataset &ds, Uint16 bits, const char *type)
{
    encode_text(ds, DCM_ImageType, "DERIVED\\PRIMARY");
    encode_u16(ds, DCM_BitsAllocated, {bits});
    encode_u16(ds, DCM_BitsStored, {bits});
    encode_u16(ds, DCM_HighBit, {(Uint16)(bits - 1)});
    encode_u16(ds, DCM_PixelRepresentation, {0});
    encode_text(ds, DCM_SegmentationType, type);
}

// Zeroed pixel data of bits bits, an even number of bytes; owned by the data set.
static Uint8 *make_pixels(DcmDataset &ds, size_t frames, size_t frame_bits)
{
    size_t bits = 0;
    if (frames > INT32_MAX || __builtin_mul_overflow(frames, frame_bits, &bits) ||
        bits / 8 > UINT32_MAX - 4)
        throw encode_error(ERR_INTERNAL, "more voxels than a segmentation can hold");
    const size_t bytes = ((bits + 7) / 8 + 1) & ~(size_t)1;
    Uint8 *at = nullptr;
    auto element = std::make_unique<DcmPixelData>(DcmTag(DCM_PixelData, EVR_OB));
    encode_check(element->createUint8Array((Uint32)bytes, at), DCM_PixelData);
    memset(at, 0, bytes);
    encode_check(ds.insert(element.get(), OFTrue), DCM_PixelData);
    (void)element.release(); // the data set owns it now
    encode_text(ds, DCM_NumberOfFrames, std::to_string(frames));
    return at;
}

static void add_frame(DcmDataset &ds, const struct multiframe &of, uint32_t slice, Uint16 segment)
{
    DcmItem &groups = multiframe_add(ds, of, slice, {segment});
    encode_u16(encode_item(groups, DCM_SegmentIdentificationSequence), DCM_ReferencedSegmentNumber,
               {segment});
}

// PS3.5 8.1.1, annex D: bits of all frames follow each other without gaps, the lowest bit first.
static void pack_region(const struct label_map &map, const struct image &image, uint32_t slice,
                        const struct label_box &box, size_t first_bit, Uint8 *bits)
{
    const size_t columns = image.dim[0];
    const uint16_t *labels = map.labels + (size_t)slice * columns * image.dim[1];
    for (size_t y = box.y0; y < box.y1; y++)
        for (size_t x = box.x0; x < box.x1; x++)
            if (labels[y * columns + x] == box.region + 1) {
                const size_t bit = first_bit + y * columns + x;
                bits[bit / 8] = (Uint8)(bits[bit / 8] | 1U << bit % 8);
            }
}

struct segment_frame {
    Uint16 segment;
    uint32_t slice;
    const struct label_box *box;
};

// By segment, then slice.
static std::vector<struct segment_frame> seg_frames_of(const result_set &set, uint32_t map,
                                                       const struct multiframe &of)
{
    std::vector<struct segment_frame> frames;
    for (uint32_t slice : multiframe_slices(of))
        for (const struct label_box &box : set.labels().boxes(map, slice))
            frames.push_back({set.labels().segment(map, box.region), slice, &box});
    std::stable_sort(frames.begin(), frames.end(),
                     [](const struct segment_frame &a, const struct segment_frame &b) {
                         return a.segment < b.segment;
                     });
    return frames;
}

static void encode_labels(const result_set &set, uint32_t index, object_sink &sink)
{
    const struct label_map &map = set.findings.labels[index];
    const struct multiframe of = {set, set.image(map.image), {map.point}, segmentation};
    const struct object_name name = labels_seg_name(index);
    std::unique_ptr<DcmFileFormat> file =
        identity_object(set, name, UID_SegmentationStorage, "SEG");
    DcmDataset &ds = *file->getDataset();
    multiframe_begin(ds, of, set.request.stage.name, set.request.stage.title, segment_dimensions);
    put_format(ds, 1, "BINARY");
    encode_text(ds, DCM_SegmentsOverlap, "NO");
    Uint16 number = 0;
    for (uint32_t region : set.labels().regions(index))
        put_segment(ds, set, region, ++number);
    const std::vector<struct segment_frame> frames = seg_frames_of(set, index, of);
    const size_t area = (size_t)of.image.dim[0] * of.image.dim[1];
    Uint8 *bits = make_pixels(ds, frames.size(), area);
    for (size_t i = 0; i < frames.size(); i++) {
        const struct segment_frame &f = frames[i];
        add_frame(ds, of, f.slice, f.segment);
        pack_region(map, of.image, f.slice, *f.box, i * area, bits);
    }
    multiframe_end(ds);
    sink.put(name, *file);
}

static void encode_fractions(const result_set &set, uint32_t index, object_sink &sink)
{
    const struct fraction_map &map = set.findings.fractions[index];
    const struct multiframe of = {set, set.image(map.image), {map.point}, segmentation};
    const size_t area = (size_t)of.image.dim[0] * of.image.dim[1];
    std::vector<uint32_t> slices;
    for (uint32_t slice : multiframe_slices(of)) {
        const uint8_t *from = map.values + slice * area;
        if (std::any_of(from, from + area, [](uint8_t value) { return value != 0; }))
            slices.push_back(slice);
    }
    if (slices.empty())
        return;
    const struct object_name name = {RESULT_SEG, "", set.findings.label_count + index + 1};
    std::unique_ptr<DcmFileFormat> file =
        identity_object(set, name, UID_SegmentationStorage, "SEG");
    DcmDataset &ds = *file->getDataset();
    multiframe_begin(ds, of, set.request.stage.name, set.request.stage.title, segment_dimensions);
    put_format(ds, 8, "FRACTIONAL");
    encode_text(ds, DCM_SegmentationFractionalType, map.probability ? "PROBABILITY" : "OCCUPANCY");
    encode_u16(ds, DCM_MaximumFractionalValue, {255});
    put_segment(ds, set, (uint32_t)map.region, 1);
    Uint8 *to = make_pixels(ds, slices.size(), area * 8);
    for (size_t i = 0; i < slices.size(); i++) {
        add_frame(ds, of, slices[i], 1);
        memcpy(to + i * area, map.values + slices[i] * area, area);
    }
    multiframe_end(ds);
    sink.put(name, *file);
}

void seg_encode(const result_set &set, object_sink &sink)
{
    for (uint32_t i = 0; i < set.findings.label_count; i++)
        if (labels_have_seg(set, i))
            encode_labels(set, i, sink);
    for (uint32_t i = 0; i < set.findings.fraction_count; i++)
        if (multiframe_has_place(set, set.findings.fractions[i].image))
            encode_fractions(set, i, sink);
}
