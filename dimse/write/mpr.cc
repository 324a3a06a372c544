// Reformatted planes as single CT or MR images: what a viewer takes for any other series of the
// scanner, scrolls through and measures in.
// Sources: PS3.3 A.3, A.4 (IODs), C.7.4.1 (Frame of Reference), C.7.6.1 (General Image), C.7.6.2
// (Image Plane), C.8.2.1 (CT Image), C.8.3.1 (MR Image); PS3.16 CID 7203.
#include <cstring>
#include "dimse/write/encoders.h"
#include "dimse/write/multiframe.h"

static const char mpr_type[] = "DERIVED\\SECONDARY\\MPR";
static const struct code reformatting = {"113072", "DCM", "Multiplanar reformatting"};

// What stands in the source of either kind, where all frames say the same. Type 2 attributes are
// there without a value otherwise.
struct mpr_attribute {
    const char *keyword;
    DcmTagKey tag;
    bool type2;
    const char *otherwise; // of Type 1; NULL: none
};
static const std::vector<struct mpr_attribute> mpr_common = {
    {"PatientPosition", DCM_PatientPosition, true, nullptr},
    {"AcquisitionNumber", DCM_AcquisitionNumber, true, nullptr},
    {"AcquisitionDate", DCM_AcquisitionDate, false, nullptr},
    {"AcquisitionTime", DCM_AcquisitionTime, false, nullptr},
    {"ContrastBolusAgent", DCM_ContrastBolusAgent, false, nullptr},
};
static const std::vector<struct mpr_attribute> mpr_ct = {
    {"KVP", DCM_KVP, true, nullptr},
    {"ConvolutionKernel", DCM_ConvolutionKernel, false, nullptr},
};
// C.8.3.1.1: RM (research mode) and NONE where the source, as an enhanced one, does not say.
static const std::vector<struct mpr_attribute> mpr_mr = {
    {"ScanningSequence", DCM_ScanningSequence, true, "RM"},
    {"SequenceVariant", DCM_SequenceVariant, true, "NONE"},
    {"ScanOptions", DCM_ScanOptions, true, nullptr},
    {"MRAcquisitionType", DCM_MRAcquisitionType, true, nullptr},
    {"RepetitionTime", DCM_RepetitionTime, true, nullptr},
    {"EchoTime", DCM_EchoTime, true, nullptr},
    {"EchoTrainLength", DCM_EchoTrainLength, true, nullptr},
    {"MagneticFieldStrength", DCM_MagneticFieldStrength, false, nullptr},
};

static void copy_said(DcmDataset &ds, const result_set &set, const struct image &image,
                      const std::vector<struct mpr_attribute> &attributes)
{
    for (const struct mpr_attribute &a : attributes) {
        const char *said = image_text(set.request.images, &image, a.keyword);
        if (*said)
            encode_text(ds, a.tag, set.text(said));
        else if (a.otherwise)
            encode_text(ds, a.tag, a.otherwise);
        else if (a.type2)
            encode_text(ds, a.tag, "");
    }
}

static std::string numbers(const double *values, int count)
{
    std::string text;
    for (int i = 0; i < count; i++)
        text += (i ? "\\" : "") + encode_decimal(values[i]);
    return text;
}

static uint32_t first_frame_of(const result_set &set, const struct reformat &r)
{
    const struct image &image = set.image(r.image);
    uint32_t frame = IMAGE_NO_FRAME;
    for (size_t i = 0; frame == IMAGE_NO_FRAME; i++)
        frame = image.frame[i]; // there is one: the image has a place
    return frame;
}

// Every instance that the plane was made of.
static void mpr_put_sources(DcmDataset &ds, const result_set &set, const struct reformat &r,
                            uint32_t plane)
{
    static const struct code purpose = {"121322", "DCM",
                                        "Source image for image processing operation"};
    const struct image &image = set.image(r.image);
    for (uint32_t k = r.slices[plane][0]; k <= r.slices[plane][1] && k < image.dim[2]; k++) {
        const uint32_t index = image.frame[k];
        if (index == IMAGE_NO_FRAME)
            continue;
        DcmItem &item = encode_item(ds, DCM_SourceImageSequence);
        identity_reference(item, set.frame(index));
        encode_code(item, DCM_PurposeOfReferenceCodeSequence, purpose);
    }
}

static void put_plane(DcmDataset &ds, const result_set &set, const struct reformat &r,
                      uint32_t plane)
{
    double first[3];
    for (int i = 0; i < 3; i++)
        first[i] = r.first[i] + plane * r.spacing[2] * r.axes[2][i];
    const double rows_first[2] = {r.spacing[1], r.spacing[0]};
    const double directions[6] = {r.axes[0][0], r.axes[0][1], r.axes[0][2],
                                  r.axes[1][0], r.axes[1][1], r.axes[1][2]};
    const struct image_frame &source = set.request.images->frames[first_frame_of(set, r)];
    encode_text(ds, DCM_FrameOfReferenceUID, source.frame_of_reference_uid);
    encode_text(ds, DCM_PositionReferenceIndicator, "");
    encode_text(ds, DCM_PixelSpacing, numbers(rows_first, 2));
    encode_text(ds, DCM_ImageOrientationPatient, numbers(directions, 6));
    encode_text(ds, DCM_ImagePositionPatient, numbers(first, 3));
    encode_text(ds, DCM_SliceThickness, r.thickness_mm > 0 ? encode_decimal(r.thickness_mm) : "");
    encode_text(ds, DCM_SpacingBetweenSlices, encode_decimal(r.spacing[2]));
}

static void mpr_put_pixels(DcmDataset &ds, const struct reformat &r, uint32_t plane)
{
    const size_t area = (size_t)r.dim[0] * r.dim[1];
    const auto *values =
        reinterpret_cast<const Uint16 *>(r.values + (size_t)plane * area); // two's complement
    encode_u16(ds, DCM_SamplesPerPixel, {1});
    encode_text(ds, DCM_PhotometricInterpretation, "MONOCHROME2");
    encode_u16(ds, DCM_Rows, {(Uint16)r.dim[1]});
    encode_u16(ds, DCM_Columns, {(Uint16)r.dim[0]});
    encode_u16(ds, DCM_BitsAllocated, {16});
    encode_u16(ds, DCM_BitsStored, {16});
    encode_u16(ds, DCM_HighBit, {15});
    encode_u16(ds, DCM_PixelRepresentation, {1});
    if (r.padded) {
        const DcmTag padding(DCM_PixelPaddingValue, EVR_SS);
        encode_check(ds.putAndInsertSint16(padding, r.padding), padding);
    }
    encode_check(ds.putAndInsertUint16Array(DCM_PixelData, values, area), DCM_PixelData);
}

static void mpr_put_image(DcmDataset &ds, const result_set &set, const struct reformat &r)
{
    const std::string slab = r.thickness_mm > 0 ? ", " + std::string(r.method) + " of " +
                                                      encode_decimal(r.thickness_mm, 2) + " mm"
                                                : "";
    encode_text(ds, DCM_ImageType, mpr_type);
    encode_text(ds, DCM_ContentDate, set.date);
    encode_text(ds, DCM_ContentTime, set.time);
    encode_text(ds, DCM_BurnedInAnnotation, "NO");
    encode_short(ds, DCM_DerivationDescription,
                 set.text(r.title + slab + ". " + not_for_diagnostic_use), 1024);
    encode_short(ds, DCM_ImageComments, not_for_diagnostic_use, 1024);
    encode_code(ds, DCM_DerivationCodeSequence, reformatting);
    if (r.window[1] > 0) {
        encode_text(ds, DCM_WindowCenter, encode_decimal(r.window[0]));
        encode_text(ds, DCM_WindowWidth, encode_decimal(r.window[1]));
    }
    identity_copy_request(ds, set);
    identity_body_part(ds, set);
    multiframe_put_lossy(ds, set);
}

static void encode_plane(const result_set &set, const struct reformat &r, uint32_t plane, bool ct,
                         object_sink &sink)
{
    const struct object_name name = {RESULT_MPR, r.name, plane + 1};
    const struct image &image = set.image(r.image);
    std::unique_ptr<DcmFileFormat> file =
        identity_object(set, name, ct ? UID_CTImageStorage : UID_MRImageStorage, ct ? "CT" : "MR");
    DcmDataset &ds = *file->getDataset();
    mpr_put_image(ds, set, r);
    copy_said(ds, set, image, mpr_common);
    copy_said(ds, set, image, ct ? mpr_ct : mpr_mr);
    if (ct) { // an MR image has no rescaling: its values are the stored ones
        encode_text(ds, DCM_RescaleIntercept, "0");
        encode_text(ds, DCM_RescaleSlope, "1");
        encode_text(ds, DCM_RescaleType, strcmp(image.unit, "[hnsf'U]") == 0 ? "HU" : "US");
    }
    put_plane(ds, set, r, plane);
    mpr_put_sources(ds, set, r, plane);
    mpr_put_pixels(ds, r, plane);
    sink.put(name, *file);
}

void mpr_encode(const result_set &set, object_sink &sink)
{
    for (uint32_t i = 0; i < set.findings.reformat_count; i++) {
        const struct reformat &r = set.findings.reformats[i];
        if (!multiframe_has_place(set, r.image))
            continue;
        DcmDataset *own = set.head(set.series_of(first_frame_of(set, r)));
        const std::string modality = item_text(own ? *own : set.head(), DCM_Modality, 0);
        if (modality != "CT" && modality != "MR")
            throw encode_error(ERR_INTERNAL, "planes of modality " + modality);
        if (!r.dim[0] || !r.dim[1] || r.dim[0] > UINT16_MAX || r.dim[1] > UINT16_MAX)
            throw encode_error(ERR_INTERNAL, "planes of a size that DICOM cannot hold");
        for (uint32_t plane = 0; plane < r.dim[2]; plane++)
            encode_plane(set, r, plane, modality == "CT", sink);
    }
}
