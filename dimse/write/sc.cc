// Secondary Captures of the pictures, one a product: one picture as a single image, several as
// pages, frames that follow each other in time as cine.
// Sources: PS3.3 A.8.1, A.8.5.4, C.8.6.1 to C.8.6.4, C.7.6.1, C.7.6.5.
#include <algorithm>
#include <cmath>
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

static void sc_put_image(DcmDataset &ds, const result_set &set)
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
    encode_text(ds, DCM_BurnedInAnnotation, "YES");
    encode_text(ds, DCM_RecognizableVisualFeatures, shows_a_face(set) ? "YES" : "NO");
    encode_text(ds, DCM_LossyImageCompression, "00");
    encode_short(ds, DCM_DerivationDescription,
                 set.text(set.request.stage.title) + ". " + not_for_diagnostic_use, 1024);
    encode_short(ds, DCM_ImageComments, not_for_diagnostic_use, 1024);
    identity_copy_request(ds, set);
    identity_body_part(ds, set);
}

struct extent {
    uint32_t width, height;
};

// The pictures of one product.
typedef std::vector<const struct picture *> product;

static struct extent largest(const product &pictures)
{
    struct extent e = {0, 0};
    for (const struct picture *p : pictures) {
        e.width = std::max(e.width, p->width);
        e.height = std::max(e.height, p->height);
    }
    return e;
}

static uint32_t sc_frames_of(const product &pictures)
{
    uint64_t frames = 0;
    for (const struct picture *p : pictures)
        frames += std::max(p->frames, 1U);
    if (frames > INT32_MAX)
        throw encode_error(ERR_INTERNAL, "more frames than DICOM can count");
    return (uint32_t)frames;
}

// All frames have the size of the largest picture; smaller ones lie in its upper left corner.
static void sc_put_pixels(DcmDataset &ds, const product &pictures, struct extent e, uint32_t frames)
{
    size_t frame = 0, total = 0;
    if (!e.width || !e.height || e.width > UINT16_MAX || e.height > UINT16_MAX ||
        __builtin_mul_overflow((size_t)e.width * 3, e.height, &frame) ||
        __builtin_mul_overflow(frame, frames, &total) || total > UINT32_MAX - 2)
        throw encode_error(ERR_INTERNAL, "pictures of a size that DICOM cannot hold");
    std::vector<Uint8> pixels(total, 0);
    Uint8 *to = pixels.data();
    for (const struct picture *p : pictures) {
        const uint8_t *from = p->rgb;
        for (uint32_t i = 0; i < std::max(p->frames, 1U); i++, to += frame)
            for (uint32_t row = 0; row < p->height; row++, from += (size_t)p->width * 3)
                memcpy(to + (size_t)row * e.width * 3, from, (size_t)p->width * 3);
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

static void put_increment(DcmDataset &ds, uint32_t frames, const DcmTagKey &pointer)
{
    encode_text(ds, DCM_NumberOfFrames, std::to_string(frames));
    encode_check(ds.putAndInsertTagKey(DCM_FrameIncrementPointer, pointer),
                 DCM_FrameIncrementPointer);
}

// PS3.3 C.8.6.3: the frames are pages.
static void put_pages(DcmDataset &ds, uint32_t count)
{
    std::string pages;
    for (uint32_t i = 1; i <= count; i++)
        pages += (i > 1 ? "\\" : "") + std::to_string(i);
    put_increment(ds, count, DCM_PageNumberVector);
    encode_text(ds, DCM_PageNumberVector, pages);
}

// PS3.3 C.7.6.5: the frames follow each other in time, again and again.
static void put_cine(DcmDataset &ds, uint32_t count, double frame_ms)
{
    const long rate = std::max(1L, std::lround(1000 / frame_ms)); // frames a second
    put_increment(ds, count, DCM_FrameTime);
    encode_text(ds, DCM_FrameTime, encode_decimal(frame_ms));
    encode_text(ds, DCM_RecommendedDisplayFrameRate, std::to_string(rate));
    encode_text(ds, DCM_CineRate, std::to_string(rate));
    encode_u16(ds, DCM_PreferredPlaybackSequencing, {0});
}

// PS3.3 C.7.6.1.1.1; empty where it is not known or the frames differ.
static void put_orientation(DcmDataset &ds, const product &pictures)
{
    const struct picture &first = *pictures[0];
    bool known = first.directions[0][0] && first.directions[1][0];
    for (const struct picture *p : pictures)
        for (int i = 0; i < 2; i++)
            known = known && strcmp(p->directions[i], first.directions[i]) == 0;
    encode_text(ds, DCM_PatientOrientation,
                known ? std::string(first.directions[0]) + "\\" + first.directions[1] : "");
}

static void encode_product(const result_set &set, const std::string &name, const product &pictures,
                           object_sink &sink)
{
    const uint32_t frames = sc_frames_of(pictures);
    const double frame_ms = pictures[0]->frame_ms;
    for (const struct picture *p : pictures)
        if (p->frame_ms != frame_ms || !p->rgb)
            throw encode_error(ERR_INTERNAL, std::string(p->name) + " does not fit " + name);
    const struct object_name object = {RESULT_SC, name == usual_product ? "" : name, 1};
    std::unique_ptr<DcmFileFormat> file =
        identity_object(set, object,
                        frames > 1 ? UID_MultiframeTrueColorSecondaryCaptureImageStorage
                                   : UID_SecondaryCaptureImageStorage,
                        "OT");
    DcmDataset &ds = *file->getDataset();
    sc_put_image(ds, set);
    put_orientation(ds, pictures);
    identity_sources(ds, set);
    const struct extent e = largest(pictures);
    put_pixel_format(ds, e);
    sc_put_pixels(ds, pictures, e, frames);
    if (frames > 1 && frame_ms > 0)
        put_cine(ds, frames, frame_ms);
    else if (frames > 1)
        put_pages(ds, frames);
    sink.put(object, *file);
}

void sc_encode(const result_set &set, object_sink &sink)
{
    std::vector<std::pair<std::string, product>> products; // in the order of the first picture
    for (uint32_t i = 0; i < set.findings.picture_count; i++) {
        const struct picture &p = set.findings.pictures[i];
        const std::string name = p.product && *p.product ? p.product : usual_product;
        auto found = std::find_if(products.begin(), products.end(),
                                  [&name](const auto &known) { return known.first == name; });
        if (found == products.end())
            found = products.insert(products.end(), {name, {}});
        found->second.push_back(&p);
    }
    for (const auto &[name, pictures] : products)
        encode_product(set, name, pictures, sink);
}
