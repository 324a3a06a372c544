// Secondary Capture of the pictures: one as a single image, several as frames of one.
// Sources: PS3.3 A.8.1, A.8.5.4, C.8.6.1 to C.8.6.4, C.7.6.1.
#include <algorithm>
#include <cstring>
#include "dimse/write/encoders.h"

static bool shows_a_face(const result_set &set)
{
    const std::string part = item_text(set.head(), DCM_BodyPartExamined, 0);
    for (const char *term : {"HEAD", "SKULL", "FACE", "BRAIN"})
        if (part == term)
            return true;
    return item_text(set.head(), DCM_RecognizableVisualFeatures, 0) == "YES";
}

static void put_image(DcmDataset &ds, const result_set &set)
{
    encode_text(ds, DCM_ImageType, "DERIVED\\SECONDARY");
    encode_text(ds, DCM_ConversionType, "WSD");
    encode_text(ds, DCM_ContentDate, set.date);
    encode_text(ds, DCM_ContentTime, set.time);
    encode_text(ds, DCM_DateOfSecondaryCapture, set.date);
    encode_text(ds, DCM_TimeOfSecondaryCapture, set.time);
    encode_text(ds, DCM_SecondaryCaptureDeviceManufacturer, maker_name);
    encode_text(ds, DCM_SecondaryCaptureDeviceManufacturerModelName, maker_name);
    encode_short(ds, DCM_SecondaryCaptureDeviceSoftwareVersions, set.request.maker.software, 64);
    encode_text(ds, DCM_PatientOrientation, "");
    encode_text(ds, DCM_BurnedInAnnotation, "YES");
    encode_text(ds, DCM_RecognizableVisualFeatures, shows_a_face(set) ? "YES" : "NO");
    encode_text(ds, DCM_LossyImageCompression, "00");
    encode_short(ds, DCM_DerivationDescription,
                 std::string(set.request.stage->title) + ". " + not_for_diagnostic_use, 1024);
    encode_short(ds, DCM_ImageComments, not_for_diagnostic_use, 1024);
    identity_copy_request(ds, set);
    identity_body_part(ds, set);
}

static void put_sources(DcmDataset &ds, const result_set &set)
{
    static const struct code purpose = {"121322", "DCM",
                                        "Source image for image processing operation"};
    for (const struct result_source *source : set.sources) {
        DcmItem &item = encode_item(ds, DCM_SourceImageSequence);
        identity_reference(item, *source);
        encode_code(item, DCM_PurposeOfReferenceCodeSequence, purpose);
    }
}

struct extent {
    uint32_t width, height;
};

static struct extent largest(const struct findings &f)
{
    struct extent e = {0, 0};
    for (uint32_t i = 0; i < f.picture_count; i++) {
        e.width = std::max(e.width, f.pictures[i].width);
        e.height = std::max(e.height, f.pictures[i].height);
    }
    return e;
}

// All frames have the size of the largest picture; smaller ones lie in its upper left corner.
static void put_pixels(DcmDataset &ds, const struct findings &f, struct extent e)
{
    size_t frame = 0, total = 0;
    if (!e.width || !e.height || e.width > UINT16_MAX || e.height > UINT16_MAX ||
        __builtin_mul_overflow((size_t)e.width * 3, e.height, &frame) ||
        __builtin_mul_overflow(frame, f.picture_count, &total) || total > UINT32_MAX - 2)
        throw encode_error(ERR_INTERNAL, "pictures of a size that DICOM cannot hold");
    std::vector<Uint8> pixels(total, 0);
    for (uint32_t i = 0; i < f.picture_count; i++) {
        const struct picture &p = f.pictures[i];
        for (uint32_t row = 0; row < p.height; row++)
            memcpy(&pixels[i * frame + (size_t)row * e.width * 3],
                   p.rgb + (size_t)row * p.width * 3, (size_t)p.width * 3);
    }
    encode_check(ds.putAndInsertUint8Array(DCM_PixelData, pixels.data(), pixels.size()),
                 DCM_PixelData);
}

static void put_pixel_format(DcmDataset &ds, struct extent e)
{
    encode_u16(ds, DCM_SamplesPerPixel, {3});
    encode_text(ds, DCM_PhotometricInterpretation, "RGB");
    encode_u16(ds, DCM_PlanarConfiguration, {0});
    encode_u16(ds, DCM_Rows, {(Uint16)e.height});
    encode_u16(ds, DCM_Columns, {(Uint16)e.width});
    encode_u16(ds, DCM_BitsAllocated, {8});
    encode_u16(ds, DCM_BitsStored, {8});
    encode_u16(ds, DCM_HighBit, {7});
    encode_u16(ds, DCM_PixelRepresentation, {0});
}

// PS3.3 C.8.6.3: the frames are pages.
static void put_frames(DcmDataset &ds, uint32_t count)
{
    std::string pages;
    for (uint32_t i = 1; i <= count; i++)
        pages += (i > 1 ? "\\" : "") + std::to_string(i);
    encode_text(ds, DCM_NumberOfFrames, std::to_string(count));
    encode_check(ds.putAndInsertTagKey(DCM_FrameIncrementPointer, DCM_PageNumberVector),
                 DCM_FrameIncrementPointer);
    encode_text(ds, DCM_PageNumberVector, pages);
}

std::unique_ptr<DcmFileFormat> sc_encode(const result_set &set)
{
    const struct findings &f = set.findings;
    if (!f.picture_count)
        return nullptr;
    const bool many = f.picture_count > 1;
    std::unique_ptr<DcmFileFormat> file =
        identity_object(set, RESULT_SC,
                        many ? UID_MultiframeTrueColorSecondaryCaptureImageStorage
                             : UID_SecondaryCaptureImageStorage,
                        "OT");
    DcmDataset &ds = *file->getDataset();
    put_image(ds, set);
    put_sources(ds, set);
    const struct extent e = largest(f);
    put_pixel_format(ds, e);
    put_pixels(ds, f, e);
    if (many)
        put_frames(ds, f.picture_count);
    return file;
}
