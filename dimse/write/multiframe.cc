#include "dimse/write/multiframe.h"
#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>
#include <set>

static uint32_t cell(const struct image &image, uint32_t slice, uint32_t point)
{
    return image.frame[(size_t)point * image.dim[2] + slice];
}

// Any frame of the image: all have one orientation and frame of reference.
static const struct image_frame *any_frame(const result_set &set, const struct image &image)
{
    for (size_t i = 0; i < (size_t)image.dim[2] * image.dim[3]; i++)
        if (image.frame[i] != IMAGE_NO_FRAME)
            return &set.request.images->frames[image.frame[i]];
    return nullptr;
}

bool multiframe_has_place(const result_set &set, uint32_t index)
{
    return image_has_reference(set.request.images, &set.image(index));
}

static std::string decimals(const double *values, int count)
{
    std::string text;
    for (int i = 0; i < count; i++)
        text += (i ? "\\" : "") + encode_decimal(values[i]);
    return text;
}

// As the source says it, or where the grid has it when there is no source.
static void slice_position(const struct multiframe &of, uint32_t slice, double mm[3])
{
    for (uint32_t point : of.points) {
        const uint32_t frame = cell(of.image, slice, point);
        if (frame == IMAGE_NO_FRAME)
            continue;
        std::copy_n(of.set.request.images->frames[frame].position, 3, mm);
        return;
    }
    const double ijk[3] = {0, 0, (double)slice};
    image_to_patient(&of.image, ijk, mm);
}

std::vector<uint32_t> multiframe_slices(const struct multiframe &of)
{
    const double *o = any_frame(of.set, of.image)->orientation;
    const double normal[3] = {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5],
                              o[0] * o[4] - o[1] * o[3]};
    std::vector<double> along(of.image.dim[2]);
    for (uint32_t k = 0; k < of.image.dim[2]; k++) {
        double mm[3];
        slice_position(of, k, mm);
        along[k] = mm[0] * normal[0] + mm[1] * normal[1] + mm[2] * normal[2];
    }
    std::vector<uint32_t> order(of.image.dim[2]);
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(),
                     [&along](uint32_t a, uint32_t b) { return along[a] < along[b]; });
    return order;
}

// --- modules ---

static void put_content(DcmDataset &ds, const result_set &set, const std::string &label,
                        const std::string &description)
{
    std::string code;
    for (unsigned char c : label.substr(0, 16))
        code += isalnum(c) ? (char)toupper(c) : '_';
    encode_text(ds, DCM_ContentLabel, code);
    encode_short(ds, DCM_ContentDescription, set.text(description), 64);
    encode_text(ds, DCM_ContentCreatorName, std::string(maker_name) + "^");
    encode_text(ds, DCM_ContentDate, set.date);
    encode_text(ds, DCM_ContentTime, set.time);
}

// What was lost in the source stays lost.
void multiframe_put_lossy(DcmDataset &ds, const result_set &set)
{
    DcmDataset &head = set.head();
    const bool lossy = item_text(head, DCM_LossyImageCompression, 0) == "01" &&
                       !item_text(head, DCM_LossyImageCompressionRatio).empty() &&
                       !item_text(head, DCM_LossyImageCompressionMethod).empty();
    encode_text(ds, DCM_LossyImageCompression, lossy ? "01" : "00");
    if (lossy) {
        encode_copy(ds, head, DCM_LossyImageCompressionRatio);
        encode_copy(ds, head, DCM_LossyImageCompressionMethod);
    }
}

static void put_dimensions(DcmDataset &ds, const result_set &set,
                           const std::vector<struct multiframe_index> &indices)
{
    const std::string uid = set.uid("dimensions", item_text(ds, DCM_SOPInstanceUID));
    encode_text(encode_item(ds, DCM_DimensionOrganizationSequence), DCM_DimensionOrganizationUID,
                uid);
    for (const struct multiframe_index &index : indices) {
        DcmItem &item = encode_item(ds, DCM_DimensionIndexSequence);
        encode_text(item, DCM_DimensionOrganizationUID, uid);
        encode_check(item.putAndInsertTagKey(DCM_DimensionIndexPointer, index.attribute),
                     DCM_DimensionIndexPointer);
        encode_check(item.putAndInsertTagKey(DCM_FunctionalGroupPointer, index.group),
                     DCM_FunctionalGroupPointer);
        encode_text(item, DCM_DimensionDescriptionLabel, index.label);
    }
}

// Every instance that a frame is made of, by series; those of another study stand apart.
static void put_references(DcmDataset &ds, const struct multiframe &of)
{
    const result_set &set = of.set;
    std::set<std::string> known;
    for (const struct source_series &series : set.series) {
        DcmItem *item = nullptr;
        for (uint32_t k = 0; k < of.image.dim[2]; k++) {
            for (uint32_t point : of.points) {
                const uint32_t frame = cell(of.image, k, point);
                if (frame == IMAGE_NO_FRAME || &set.series_of(frame) != &series)
                    continue;
                const struct result_source &source = *set.frame(frame).source;
                if (!known.insert(source.sop_instance_uid).second)
                    continue;
                if (!item) {
                    DcmItem *study = &ds;
                    if (series.study_uid != set.study_uid) {
                        study =
                            &encode_item(ds, DCM_StudiesContainingOtherReferencedInstancesSequence);
                        encode_text(*study, DCM_StudyInstanceUID, series.study_uid);
                    }
                    item = &encode_item(*study, DCM_ReferencedSeriesSequence);
                    encode_text(*item, DCM_SeriesInstanceUID, series.series_uid);
                }
                identity_reference(encode_item(*item, DCM_ReferencedInstanceSequence), source);
            }
        }
    }
}

// PS3.3 C.7.6.16.2.1, C.7.6.16.2.4.
static void put_planes(DcmItem &shared, const struct multiframe &of,
                       const struct image_frame &frame)
{
    const struct image &image = of.image;
    double thickness = NAN;
    if (image_number(of.set.request.images, &image, "SliceThickness", &thickness) !=
            IMAGE_ATTR_SAME ||
        !(thickness > 0))
        thickness = image.spacing[2];
    DcmItem &measures = encode_item(shared, DCM_PixelMeasuresSequence);
    if (thickness > 0)
        encode_text(measures, DCM_SliceThickness, encode_decimal(thickness));
    if (image.spacing[2] > 0 && image.dim[2] > 1)
        encode_text(measures, DCM_SpacingBetweenSlices, encode_decimal(image.spacing[2]));
    const double rows_first[2] = {image.spacing[1], image.spacing[0]};
    encode_text(measures, DCM_PixelSpacing, decimals(rows_first, 2));
    encode_text(encode_item(shared, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient,
                decimals(frame.orientation, 6));
}

DcmItem &multiframe_begin(DcmDataset &ds, const struct multiframe &of, const std::string &label,
                          const std::string &description,
                          const std::vector<struct multiframe_index> &indices)
{
    const struct image &image = of.image;
    const struct image_frame *frame = any_frame(of.set, image);
    if (!frame || image.dim[0] > UINT16_MAX || image.dim[1] > UINT16_MAX)
        throw encode_error(ERR_INTERNAL, "frames of a size that DICOM cannot hold");
    put_content(ds, of.set, label, description);
    encode_text(ds, DCM_FrameOfReferenceUID, frame->frame_of_reference_uid);
    encode_text(ds, DCM_PositionReferenceIndicator, "");
    encode_u16(ds, DCM_SamplesPerPixel, {1});
    encode_text(ds, DCM_PhotometricInterpretation, "MONOCHROME2");
    encode_u16(ds, DCM_Rows, {(Uint16)image.dim[1]});
    encode_u16(ds, DCM_Columns, {(Uint16)image.dim[0]});
    multiframe_put_lossy(ds, of.set);
    put_dimensions(ds, of.set, indices);
    put_references(ds, of);
    DcmItem &shared = encode_item(ds, DCM_SharedFunctionalGroupsSequence);
    put_planes(shared, of, *frame);
    return shared;
}

// PS3.3 C.7.6.16.2.6: what lies at the slice.
static void put_derivation(DcmItem &groups, const struct multiframe &of, uint32_t slice)
{
    static const struct code source = {"121322", "DCM",
                                       "Source image for image processing operation"};
    DcmItem *derivation = nullptr;
    for (uint32_t point : of.points) {
        const uint32_t frame = cell(of.image, slice, point);
        if (frame == IMAGE_NO_FRAME)
            continue;
        if (!derivation) {
            derivation = &encode_item(groups, DCM_DerivationImageSequence);
            encode_code(*derivation, DCM_DerivationCodeSequence, of.derivation);
        }
        DcmItem &image = encode_item(*derivation, DCM_SourceImageSequence);
        identity_reference(image, of.set.frame(frame));
        encode_text(image, DCM_SpatialLocationsPreserved, "YES");
        encode_code(image, DCM_PurposeOfReferenceCodeSequence, source);
    }
    if (!derivation)
        encode_empty_sequence(groups, DCM_DerivationImageSequence);
}

DcmItem &multiframe_add(DcmDataset &ds, const struct multiframe &of, uint32_t slice,
                        const std::vector<Uint32> &indices)
{
    std::vector<Uint32> all = indices;
    all.push_back(slice + 1);
    DcmItem &groups = encode_item(ds, DCM_PerFrameFunctionalGroupsSequence);
    DcmItem &content = encode_item(groups, DCM_FrameContentSequence);
    encode_check(content.putAndInsertUint32Array(DCM_DimensionIndexValues, all.data(), all.size()),
                 DCM_DimensionIndexValues);
    if (of.points.size() == 1 && of.image.dim[3] > 1 &&
        (of.image.axis == IMAGE_TIME || of.image.axis == IMAGE_PHASE))
        encode_check(content.putAndInsertUint32(DCM_TemporalPositionIndex, of.points[0] + 1),
                     DCM_TemporalPositionIndex);
    double mm[3];
    slice_position(of, slice, mm);
    encode_text(encode_item(groups, DCM_PlanePositionSequence), DCM_ImagePositionPatient,
                decimals(mm, 3));
    put_derivation(groups, of, slice);
    return groups;
}

void multiframe_end(DcmDataset &ds)
{
    std::set<std::string> schemes;
    DcmStack stack;
    while (ds.nextObject(stack, OFTrue).good()) {
        DcmObject *found = stack.top();
        if (found->getTag() != DCM_CodingSchemeDesignator || !found->isLeaf())
            continue;
        const std::string scheme = element_text(*OFstatic_cast(DcmElement *, found));
        if (scheme.rfind("99", 0) == 0)
            schemes.insert(scheme);
    }
    for (const std::string &scheme : schemes) {
        DcmItem &item = encode_item(ds, DCM_CodingSchemeIdentificationSequence);
        encode_short(item, DCM_CodingSchemeDesignator, scheme, 16);
        encode_text(item, DCM_CodingSchemeName, std::string("Private codes of ") + maker_name);
        encode_text(item, DCM_CodingSchemeResponsibleOrganization, maker_name);
    }
}
