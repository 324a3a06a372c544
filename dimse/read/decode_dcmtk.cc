// JPEG and JPEG-LS through DCMTK's codecs: one frame at a time, in a data set of our own
// making that says what the stream itself says, so that no hostile header or offset table gets
// there.
#include "dcmtk/dcmdata/dcpixel.h"
#include "dcmtk/dcmdata/dcpixseq.h"
#include "dcmtk/dcmdata/dcpxitem.h"
#include "dimse/read/object_parts.h"

namespace
{

bool put(DcmDataset &d, const DcmTagKey &tag, uint32_t value)
{
    return d.putAndInsertUint16(tag, static_cast<Uint16>(value)).good();
}

// A data set with nothing but the pixels as the stream describes them; takes over none of stream.
DcmPixelData *wrap(DcmDataset &d, const struct syntax &syntax, const struct jpeg_stream &says,
                   unsigned allocated, std::vector<uint8_t> &stream)
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
    bool colour = says.components > 1; // called RGB whatever it is: no conversion then
    bool ok = put(d, DCM_Rows, says.rows) && put(d, DCM_Columns, says.columns) &&
              put(d, DCM_SamplesPerPixel, says.components) &&
              (!colour || put(d, DCM_PlanarConfiguration, 0)) &&
              put(d, DCM_BitsAllocated, allocated) && put(d, DCM_BitsStored, says.precision) &&
              put(d, DCM_HighBit, says.precision - 1) && put(d, DCM_PixelRepresentation, 0) &&
              d.putAndInsertString(DCM_PhotometricInterpretation, colour ? "RGB" : "MONOCHROME2")
                  .good() &&
              d.putAndInsertString(DCM_NumberOfFrames, "1").good() &&
              d.insert(pixels.release(), OFTrue).good();
    return ok ? borrowed : nullptr;
}

} // namespace

bool decode_with_dcmtk(const struct syntax &syntax, const struct pixel_format &format,
                       std::vector<uint8_t> &stream, struct raw_frame *out, struct err *err)
{
    struct jpeg_stream says;
    if (!jpeg_stream_read(stream, &says, err))
        return false;
    if (says.rows != format.rows || says.columns != format.columns ||
        says.components != format.samples)
        return err_set(err, ERR_INPUT, "JPEG stream of %u x %u x %u, data set of %u x %u x %u",
                       says.columns, says.rows, says.components, format.columns, format.rows,
                       format.samples);
    if ((says.process == 55) != (syntax.codec == CODEC_JPEG_LS))
        return err_set(err, ERR_INPUT, "%s stream in a transfer syntax of another kind",
                       says.process == 55 ? "JPEG-LS" : "JPEG");
    if (says.precision < 2 || says.precision > 16)
        return err_set(err, ERR_INPUT, "JPEG stream of %u bits", says.precision);
    unsigned allocated = says.precision <= 8 ? 8 : 16;
    DcmDataset d;
    DcmPixelData *pixels = wrap(d, syntax, says, allocated, stream);
    if (!pixels)
        return err_set(err, ERR_NOMEM, "no memory");
    size_t bytes =
        static_cast<size_t>(format.columns) * format.rows * format.samples * (allocated / 8);
    out->bytes.assign(bytes + bytes % 2, 0);
    out->bytes_per_sample = allocated / 8;
    out->precision = says.precision;
    // a lossy stream that tells its colours knows better; only its decoder shares chrominance
    if (format.samples > 1 && says.process <= 1 && says.colour != PIXEL_OTHER)
        out->colour = says.colour;
    else if (format.colour == PIXEL_YBR_422)
        out->colour = PIXEL_YBR;
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
