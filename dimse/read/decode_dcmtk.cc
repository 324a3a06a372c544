// JPEG and JPEG-LS through DCMTK's codecs: one frame at a time, in a data set of our own
// making that says what the stream itself says, so that no hostile header or offset table gets
// there. Source: ISO 10918-1 B.2.2 (frame header), ISO 14495-1 C.2.2.
#include <algorithm>
#include <cstring>
#include "dcmtk/dcmdata/dcpixel.h"
#include "dcmtk/dcmdata/dcpixseq.h"
#include "dcmtk/dcmdata/dcpxitem.h"
#include "dimse/read/object_parts.h"

namespace
{

struct stream_size {
    unsigned precision, rows, columns, components;
};

bool is_frame_header(uint8_t marker)
{
    // SOF0-15 but DHT, JPG, DAC; SOF55 of JPEG-LS
    return (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 &&
            marker != 0xcc) ||
           marker == 0xf7;
}

// Segments that may stand before the frame header. DCMTK's search for it never ends at some others.
bool may_come_first(uint8_t marker)
{
    return marker == 0xc4 || marker == 0xcc || marker == 0xdb || marker == 0xdd ||
           (marker >= 0xe0 && marker <= 0xef) || marker == 0xfe || marker == 0xf8;
}

// Walks the marker segments up to the frame header.
bool read_frame_header(const std::vector<uint8_t> &s, struct stream_size *out)
{
    if (s.size() < 4 || s[0] != 0xff || s[1] != 0xd8)
        return false;
    for (size_t at = 2; at + 4 <= s.size();) {
        if (s[at] != 0xff)
            return false;
        uint8_t marker = s[at + 1];
        if (marker == 0xff) { // fill byte
            at++;
            continue;
        }
        size_t length = static_cast<size_t>(s[at + 2]) << 8 | s[at + 3];
        if (length < 2 || length > s.size() - at - 2)
            return false;
        if (is_frame_header(marker)) {
            const uint8_t *p = s.data() + at + 4;
            if (length < 8)
                return false;
            *out = {p[0], static_cast<unsigned>(p[1] << 8 | p[2]),
                    static_cast<unsigned>(p[3] << 8 | p[4]), p[5]};
            return true;
        }
        if (!may_come_first(marker))
            return false;
        at += 2 + length;
    }
    return false;
}

// The decoders fill what a cut stream lacks with grey and call it success: ask for the end marker.
bool has_end(const std::vector<uint8_t> &s)
{
    for (size_t i = s.size(); i >= 2; i--) {
        if (s[i - 2] == 0xff && s[i - 1] == 0xd9)
            return true;
        if (s.size() - i > 64) // padding
            return false;
    }
    return false;
}

bool put(DcmDataset &d, const DcmTagKey &tag, uint32_t value)
{
    return d.putAndInsertUint16(tag, static_cast<Uint16>(value)).good();
}

// A data set with nothing but the pixels; takes over none of stream.
DcmPixelData *wrap(DcmDataset &d, const struct syntax &syntax, const struct pixel_format &f,
                   unsigned precision, unsigned allocated, std::vector<uint8_t> &stream)
{
    std::unique_ptr<DcmPixelSequence> sequence(new DcmPixelSequence(DCM_PixelSequenceTag));
    std::unique_ptr<DcmPixelItem> table(new DcmPixelItem(DCM_PixelItemTag));
    std::unique_ptr<DcmPixelItem> item(new DcmPixelItem(DCM_PixelItemTag));
    if (stream.size() % 2)
        stream.push_back(0);
    if (stream.size() > UINT32_MAX - 1 ||
        item->putUint8Array(stream.data(), static_cast<unsigned long>(stream.size())).bad() ||
        sequence->insert(table.release()).bad() || sequence->insert(item.release()).bad())
        return nullptr;
    std::unique_ptr<DcmPixelData> pixels(new DcmPixelData(DcmTag(DCM_PixelData, EVR_OB)));
    pixels->putOriginalRepresentation(syntax.dcmtk, nullptr, sequence.release());
    DcmPixelData *borrowed = pixels.get();
    bool ok = put(d, DCM_Rows, f.rows) && put(d, DCM_Columns, f.columns) &&
              put(d, DCM_SamplesPerPixel, 1) && put(d, DCM_BitsAllocated, allocated) &&
              put(d, DCM_BitsStored, precision) && put(d, DCM_HighBit, precision - 1) &&
              put(d, DCM_PixelRepresentation, 0) &&
              d.putAndInsertString(DCM_PhotometricInterpretation, "MONOCHROME2").good() &&
              d.putAndInsertString(DCM_NumberOfFrames, "1").good() &&
              d.insert(pixels.release(), OFTrue).good();
    return ok ? borrowed : nullptr;
}

} // namespace

bool decode_with_dcmtk(const struct syntax &syntax, const struct pixel_format &format,
                       std::vector<uint8_t> &stream, struct raw_frame *out, struct err *err)
{
    struct stream_size size;
    if (!read_frame_header(stream, &size))
        return err_set(err, ERR_INPUT, "no JPEG stream");
    if (size.rows != format.rows || size.columns != format.columns || size.components != 1)
        return err_set(err, ERR_INPUT, "JPEG stream of %u x %u x %u, data set of %u x %u",
                       size.columns, size.rows, size.components, format.columns, format.rows);
    if (size.precision < 2 || size.precision > 16)
        return err_set(err, ERR_INPUT, "JPEG stream of %u bits", size.precision);
    if (!has_end(stream))
        return err_set(err, ERR_INPUT, "JPEG stream without an end");
    unsigned allocated = size.precision <= 8 ? 8 : 16;
    DcmDataset d;
    DcmPixelData *pixels = wrap(d, syntax, format, size.precision, allocated, stream);
    if (!pixels)
        return err_set(err, ERR_NOMEM, "no memory");
    size_t bytes = static_cast<size_t>(format.columns) * format.rows * (allocated / 8);
    out->bytes.assign(bytes + bytes % 2, 0);
    out->bytes_per_sample = allocated / 8;
    out->precision = size.precision;
    Uint32 fragment = 1;
    OFString colour;
    std::string warning;
    decoder_warning = &warning;
    OFCondition status = pixels->getUncompressedFrame(
        &d, 0, fragment, out->bytes.data(), static_cast<Uint32>(out->bytes.size()), colour);
    decoder_warning = nullptr;
    if (status.bad())
        return err_set(err, ERR_INPUT, "%s", status.text());
    if (!warning.empty())
        return err_set(err, ERR_INPUT, "%s", warning.c_str());
    return true;
}
