// Frames to stored values. Source: PS3.5 8 (native and encapsulated pixels), A.4 (fragments and
// offset tables), PS3.3 C.7.6.3 (Image Pixel).
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include "base/text.h"
#include "dimse/read/object_parts.h"

// Of one frame: a mammogram has 2^24, a whole leg of three plates less than 2^26. Each takes 8 to
// 12 bytes while it is decoded.
#define PIXELS_MAX (1u << 26)

namespace
{

bool need_number(DcmItem &item, const DcmTagKey &tag, double low, double high, uint32_t *out,
                 struct err *err)
{
    double value = 0;
    char shown[65];
    int n = item_numbers(item, tag, &value, 1);
    if (n == 1 && value >= low && value <= high && value == floor(value)) {
        *out = static_cast<uint32_t>(value);
        return true;
    }
    if (n == 0)
        return err_set(err, ERR_INPUT, "%s is missing", DcmTag(tag).getTagName());
    return err_set(err, ERR_INPUT, "%s %s makes no sense", DcmTag(tag).getTagName(),
                   text_shown(item_text(item, tag).c_str(), shown, sizeof shown));
}

bool read_colour(DcmItem &header, struct pixel_format *out, struct err *err)
{
    static const struct {
        const char *term;
        enum pixel_colour colour;
        uint32_t samples;
    } table[] = {
        {"MONOCHROME1", PIXEL_GREY, 1},      {"MONOCHROME2", PIXEL_GREY, 1},
        {"PALETTE COLOR", PIXEL_PALETTE, 1}, {"RGB", PIXEL_RGB, 3},
        {"YBR_FULL", PIXEL_YBR, 3},          {"YBR_FULL_422", PIXEL_YBR_422, 3},
        {"YBR_RCT", PIXEL_YBR_CODED, 3},     {"YBR_ICT", PIXEL_YBR_CODED, 3},
    };
    uint32_t samples = 0, planar = 0;
    std::string term = item_text(header, DCM_PhotometricInterpretation, 0);
    if (!need_number(header, DCM_SamplesPerPixel, 1, UINT16_MAX, &samples, err))
        return false;
    if (term.empty())
        return err_set(err, ERR_INPUT, "PhotometricInterpretation is missing");
    text_shown(term.c_str(), out->photometric, sizeof out->photometric);
    out->colour = PIXEL_OTHER;
    for (const auto &row : table) {
        if (term != row.term)
            continue;
        if (samples != row.samples)
            return err_set(err, ERR_INPUT, "SamplesPerPixel %" PRIu32 " of %s", samples, row.term);
        out->colour = row.colour;
    }
    // absent: as if 0, which DCMTK assumes too
    if (samples > 1 && header.tagExistsWithValue(DCM_PlanarConfiguration) &&
        !need_number(header, DCM_PlanarConfiguration, 0, 1, &planar, err))
        return false;
    out->samples = static_cast<uint16_t>(samples);
    out->planar = planar == 1;
    out->inverted = term == "MONOCHROME1";
    return true;
}

// Bits of floating point samples are those of their kind.
bool read_float_bits(const struct object *o, struct pixel_format *out, struct err *err)
{
    uint32_t allocated = 0, wanted = o->layout.pixel_number == 0x0009 ? 64 : 32;
    if (!need_number(const_cast<DcmDataset &>(o->header), DCM_BitsAllocated, 1, 64, &allocated,
                     err))
        return false;
    if (allocated != wanted)
        return err_set(err, ERR_INPUT, "BitsAllocated %" PRIu32 " of floating point", allocated);
    out->bits_allocated = static_cast<uint16_t>(allocated);
    out->bits_stored = 32;
    out->high_bit = 31;
    out->is_signed = out->is_float = true;
    return true;
}

bool read_integer_bits(DcmItem &header, struct pixel_format *out, struct err *err)
{
    uint32_t allocated = 0, stored = 0, high = 0, representation = 0;
    if (!need_number(header, DCM_BitsAllocated, 1, 64, &allocated, err))
        return false;
    if (allocated != 1 && allocated != 8 && allocated != 16 && allocated != 32)
        return err_set(err, ERR_UNSUPPORTED, "BitsAllocated %" PRIu32 ": not 1, 8, 16 or 32",
                       allocated);
    if (!need_number(header, DCM_BitsStored, 1, allocated, &stored, err) ||
        !need_number(header, DCM_HighBit, stored - 1, allocated - 1, &high, err) ||
        !need_number(header, DCM_PixelRepresentation, 0, 1, &representation, err))
        return false;
    out->bits_allocated = static_cast<uint16_t>(allocated);
    out->bits_stored = static_cast<uint16_t>(stored);
    out->high_bit = static_cast<uint16_t>(high);
    out->is_signed = representation == 1;
    return true;
}

// What is asked of a compressed stream before its samples are believed. Where High Bit lies above
// the stored bits, a stream that has all bits up to it is a native cell, and a shorter one could be
// that or the stored bits alone.
bool check_precision(const struct pixel_format &f, const struct raw_frame &raw, struct err *err)
{
    const unsigned precision = raw.precision;
    if (precision > f.bits_allocated)
        return err_set(err, ERR_INPUT, "the stream has %u bits, BitsAllocated is %u", precision,
                       f.bits_allocated);
    if (f.high_bit + 1 != f.bits_stored && precision < f.high_bit + 1u)
        return err_set(err, ERR_UNSUPPORTED,
                       "a stream of %u bits, HighBit %u and BitsStored %u: where do values lie",
                       precision, f.high_bit, f.bits_stored);
    if (f.is_signed && !raw.is_signed && precision < f.bits_stored)
        return err_set(err, ERR_INPUT, "the stream has %u bits, BitsStored is %u with a sign",
                       precision, f.bits_stored);
    return true;
}

bool read_fragments(struct object *o, uint32_t frame, const struct pixel_format &f,
                    struct raw_frame *out, struct err *err)
{
    std::vector<uint8_t> stream;
    if (!object_frame_bytes(o, frame, &stream, err))
        return false;
    switch (o->syntax->codec) {
    case CODEC_NATIVE_FRAGMENTS:
        return decode_native_stream(f, stream, out, err);
    case CODEC_RLE:
        return decode_rle(f, stream, out, err);
    case CODEC_J2K:
        return decode_j2k(f, stream, out, err) && check_precision(f, *out, err);
    default:
        return decode_with_dcmtk(*o->syntax, f, stream, out, err) && check_precision(f, *out, err);
    }
}

// Takes the stored bits out of each sample and extends the sign.
template <typename sample>
void spread(const uint8_t *bytes, size_t count, const struct pixel_format &f, int32_t *values)
{
    unsigned shift = f.high_bit + 1u - f.bits_stored;
    uint32_t mask = f.bits_stored == 32 ? UINT32_MAX : (1u << f.bits_stored) - 1;
    uint32_t sign = f.is_signed ? 1u << (f.bits_stored - 1) : 0;
    for (size_t i = 0; i < count; i++) {
        sample raw;
        memcpy(&raw, bytes + i * sizeof raw, sizeof raw);
        uint32_t value = (static_cast<uint32_t>(raw) >> shift) & mask;
        values[i] = static_cast<int32_t>((value ^ sign) - sign);
    }
}

void spread_frame(const struct raw_frame &raw, size_t count, const struct pixel_format &f,
                  int32_t *values)
{
    switch (raw.bytes_per_sample) {
    case 1:
        spread<uint8_t>(raw.bytes.data(), count, f, values);
        break;
    case 2:
        spread<uint16_t>(raw.bytes.data(), count, f, values);
        break;
    default:
        spread<uint32_t>(raw.bytes.data(), count, f, values);
        break;
    }
}

// Bits below the stored ones hold overlays (retired) or nothing. Where they hold values, High Bit
// contradicts the pixels: which bits count is not known.
bool check_low_bits(const struct object *o, const struct raw_frame &raw,
                    const struct pixel_format &f, struct err *err)
{
    const unsigned low = f.high_bit + 1u - f.bits_stored;
    if (low == 0)
        return true;
    for (Uint16 group = 0x6000; group <= 0x601e; group += 2) {
        if (const_cast<DcmDataset &>(o->header).tagExists(DcmTagKey(group, 0x0102)))
            return true;
    }
    const unsigned size = raw.bytes_per_sample;
    for (size_t i = 0; i < raw.bytes.size(); i++) {
        const unsigned first = static_cast<unsigned>(i % size) * 8; // the lowest bit of this byte
        const unsigned mask = first >= low       ? 0
                              : low - first >= 8 ? 0xffu
                                                 : (1u << (low - first)) - 1;
        if (raw.bytes[i] & mask)
            return err_set(err, ERR_INPUT,
                           "HighBit %u makes no sense with BitsStored %u: the %u bits below are "
                           "used, and no overlay is said to be there",
                           f.high_bit, f.bits_stored, low);
    }
    return true;
}

// Decodes a frame whose format is known.
bool read_frame(struct object *o, uint32_t frame, const struct pixel_format &f,
                struct raw_frame *raw, struct err *err)
{
    raw->colour = f.colour;
    if (o->syntax->codec == CODEC_NATIVE && o->layout.encapsulated)
        return err_set(err, ERR_INPUT, "fragments in an uncompressed transfer syntax");
    if (o->syntax->codec != CODEC_NATIVE && !o->layout.encapsulated)
        return err_set(err, ERR_INPUT, "no fragments in a transfer syntax that has them");
    if (f.colour == PIXEL_YBR_CODED && o->syntax->codec != CODEC_J2K)
        return err_set(err, ERR_INPUT, "%s in another transfer syntax than JPEG 2000",
                       f.photometric);
    if (!(o->syntax->codec == CODEC_NATIVE ? decode_native(o, frame, f, raw, err)
                                           : read_fragments(o, frame, f, raw, err)))
        return false;
    if (raw->bytes.size() <
        static_cast<size_t>(f.columns) * f.rows * f.samples * raw->bytes_per_sample)
        return err_set(err, ERR_INPUT, "the frame has too few samples");
    return true;
}

bool find_format(struct object *o, uint32_t frame, bool want_float, struct pixel_format *f,
                 struct err *err)
{
    if (!o->layout.has_pixels)
        return err_set(err, ERR_UNSUPPORTED, "no image");
    if (frame >= o->ids.frames)
        return err_set(err, ERR_INPUT, "no frame %" PRIu32 " of %" PRIu32, frame + 1,
                       o->ids.frames);
    if (!object_pixel_format(o, f, err))
        return false;
    if (f->is_float != want_float)
        return err_set(err, ERR_UNSUPPORTED, "%s pixels",
                       f->is_float ? "floating point" : "integer");
    return true;
}

bool need_grey(const struct pixel_format &f, struct err *err)
{
    return f.colour == PIXEL_GREY ||
           err_set(err, ERR_UNSUPPORTED, "%s pixels are colours, not values", f.photometric);
}

bool decode_frame(struct object *o, uint32_t frame, int32_t *values, struct err *err)
{
    struct pixel_format f = {};
    struct raw_frame raw = {};
    if (!find_format(o, frame, false, &f, err) || !need_grey(f, err) ||
        !read_frame(o, frame, f, &raw, err) || !check_low_bits(o, raw, f, err))
        return false;
    size_t count = static_cast<size_t>(f.columns) * f.rows;
    spread_frame(raw, count, f, values);
    if (o->header.tagExists(DCM_ModalityLUTSequence)) {
        struct lookup_table table = {};
        if (!lookup_table_of_modality(o->header, f.is_signed, &table, err))
            return false;
        for (size_t i = 0; i < count; i++)
            values[i] = lookup_table_value(table, values[i]);
        return true;
    }
    if (f.bits_stored < 32 || f.is_signed)
        return true;
    const int32_t *large = std::find_if(values, values + count, [](int32_t v) { return v < 0; });
    return large == values + count ||
           err_set(err, ERR_UNSUPPORTED, "a value of %" PRIu32 ": %d is the largest",
                   static_cast<uint32_t>(*large), INT32_MAX);
}

bool decode_float_frame(struct object *o, uint32_t frame, float *values, struct err *err)
{
    struct pixel_format f = {};
    struct raw_frame raw = {};
    if (!find_format(o, frame, true, &f, err) || !need_grey(f, err) ||
        !read_frame(o, frame, f, &raw, err))
        return false;
    size_t count = static_cast<size_t>(f.columns) * f.rows;
    if (raw.bytes_per_sample == sizeof *values) {
        memcpy(values, raw.bytes.data(), count * sizeof *values);
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, raw.bytes.data() + i * sizeof value, sizeof value);
        values[i] = static_cast<float>(value);
    }
    return true;
}

// Offsets of the frames behind the first fragment's item tag, by whichever table there is.
bool read_offsets(struct object *o, std::vector<uint64_t> *out, struct err *err)
{
    const std::vector<layout_fragment> &fragments = o->layout.fragments;
    const Uint64 *extended = nullptr;
    unsigned long count = 0;
    if (o->header.findAndGetUint64Array(DCM_ExtendedOffsetTable, extended, &count).good() &&
        extended && count > 0) {
        out->assign(extended, extended + count);
        return true;
    }
    const layout_fragment &table = fragments[0];
    if (table.length % 4 != 0)
        return err_set(err, ERR_INPUT, "broken Basic Offset Table");
    std::vector<uint8_t> bytes(table.length);
    if (!o->source->read(table.offset, bytes.data(), bytes.size(), err))
        return false;
    for (size_t i = 0; i + 4 <= bytes.size(); i += 4)
        out->push_back(bytes[i] | bytes[i + 1] << 8 | bytes[i + 2] << 16 |
                       static_cast<uint64_t>(bytes[i + 3]) << 24);
    return true;
}

// Does a compressed image start here?
bool starts_image(struct object *o, const layout_fragment &fragment, bool *starts, struct err *err)
{
    // the first two bytes of it also occur within a stream
    static const uint8_t j2k[] = {0xff, 0x4f, 0xff, 0x51};
    static const uint8_t jp2[] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
    uint8_t head[8] = {};
    *starts = false;
    if (fragment.length < 2)
        return true;
    if (!o->source->read(fragment.offset, head, std::min<size_t>(fragment.length, sizeof head),
                         err))
        return false;
    *starts = (head[0] == 0xff && head[1] == 0xd8) || memcmp(head, j2k, sizeof j2k) == 0 ||
              memcmp(head, jp2, sizeof jp2) == 0;
    return true;
}

// Pictures that no frame stands for would be left out in silence. RLE and native fragments cannot
// be told apart.
bool check_one_image(struct object *o, struct err *err)
{
    const std::vector<layout_fragment> &fragments = o->layout.fragments;
    enum pixel_codec codec = o->syntax->codec;
    for (size_t i = 2; codec >= CODEC_JPEG && i < fragments.size(); i++) {
        bool starts = false;
        if (!starts_image(o, fragments[i], &starts, err))
            return false;
        if (starts)
            return err_set(err, ERR_INPUT, "one frame, but fragment %zu of %zu starts a second", i,
                           fragments.size() - 1);
    }
    return true;
}

// Index of the first fragment of each frame, where frames have several.
bool find_starts(struct object *o, std::vector<size_t> *out, struct err *err)
{
    const std::vector<layout_fragment> &fragments = o->layout.fragments;
    std::vector<uint64_t> offsets;
    if (!read_offsets(o, &offsets, err))
        return false;
    size_t at = 0;
    for (size_t i = 1; i < fragments.size(); i++) {
        bool starts = false;
        if (!offsets.empty()) {
            uint64_t offset = fragments[i].offset - fragments[1].offset;
            starts = at < offsets.size() && offsets[at] == offset;
            at += starts;
        } else if (!starts_image(o, fragments[i], &starts, err)) {
            return false;
        }
        if (starts)
            out->push_back(i);
    }
    if (out->size() != o->ids.frames || (*out)[0] != 1 || (!offsets.empty() && at < offsets.size()))
        return err_set(err, ERR_INPUT, "offset table or fragments do not fit %" PRIu32 " frames",
                       o->ids.frames);
    return true;
}

// The same, looked for once an object: a frame each would walk all fragments.
bool know_starts(struct object *o, struct err *err)
{
    if (!o->starts_known) {
        o->starts_err = {};
        o->starts.clear();
        find_starts(o, &o->starts, &o->starts_err);
        o->starts_known = o->starts_err.code != ERR_IO && o->starts_err.code != ERR_NOMEM;
        if (o->starts_err.code)
            o->starts.clear();
    }
    if (o->starts_err.code && err)
        *err = o->starts_err;
    return !o->starts_err.code;
}

} // namespace

bool object_pixel_format(struct object *o, struct pixel_format *out, struct err *err)
{
    DcmDataset &header = o->header;
    if (!read_colour(header, out, err) ||
        !need_number(header, DCM_Rows, 1, UINT16_MAX, &out->rows, err) ||
        !need_number(header, DCM_Columns, 1, UINT16_MAX, &out->columns, err) ||
        !(o->layout.pixel_number == 0x0010 ? read_integer_bits(header, out, err)
                                           : read_float_bits(o, out, err)))
        return false;
    if (out->colour == PIXEL_OTHER)
        return err_set(err, ERR_UNSUPPORTED, "PhotometricInterpretation %s of %u samples",
                       out->photometric, out->samples);
    if (static_cast<uint64_t>(out->rows) * out->columns > PIXELS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "%" PRIu32 " x %" PRIu32 " pixels, more than %u",
                       out->columns, out->rows, PIXELS_MAX);
    return true;
}

// With one fragment a frame, or one frame, the fragments say it all; tables are believed only where
// they are needed.
bool object_frame_bytes(struct object *o, uint32_t frame, std::vector<uint8_t> *out,
                        struct err *err)
{
    const std::vector<layout_fragment> &fragments = o->layout.fragments;
    size_t frames = o->ids.frames, pieces = fragments.empty() ? 0 : fragments.size() - 1;
    size_t first = 1, last = pieces;
    if (pieces < frames)
        return err_set(err, ERR_INPUT, "%zu fragments for %zu frames", pieces, frames);
    if (pieces == frames) {
        first = last = static_cast<size_t>(frame) + 1;
    } else if (frames > 1) {
        if (!know_starts(o, err))
            return false;
        first = o->starts[frame];
        last = frame + 1 < o->starts.size() ? o->starts[frame + 1] - 1 : pieces;
    } else if (!check_one_image(o, err)) {
        return false;
    }
    uint64_t size = 0;
    for (size_t i = first; i <= last; i++)
        size += fragments[i].length; // fragments do not overlap: no more than the file
    out->resize(static_cast<size_t>(size));
    size_t at = 0;
    for (size_t i = first; i <= last; i++) {
        if (!o->source->read(fragments[i].offset, out->data() + at, fragments[i].length, err))
            return false;
        at += fragments[i].length;
    }
    return true;
}

// A slice of a mosaic, whose picture is decoded once.
static bool decode_tile(struct object *o, uint32_t tile, int32_t *values, struct err *err)
{
    struct mosaic &m = o->mosaic;
    if (m.picture.empty()) {
        std::vector<int32_t> picture(static_cast<size_t>(m.columns) * m.across * m.rows * m.across);
        if (!decode_frame(o, 0, picture.data(), err))
            return false;
        m.picture = std::move(picture);
    }
    return mosaic_cut(m, tile, values, err);
}

bool object_samples(struct object *o, uint32_t frame, struct pixel_format *format,
                    std::vector<int32_t> *out, struct err *err)
{
    struct raw_frame raw = {};
    if (!find_format(o, frame, false, format, err) || !read_frame(o, frame, *format, &raw, err))
        return false;
    size_t count = static_cast<size_t>(format->columns) * format->rows * format->samples;
    out->resize(count);
    spread_frame(raw, count, *format, out->data());
    format->colour = raw.colour;
    return true;
}

bool object_decode(struct object *o, uint32_t frame, int32_t *values, struct err *err)
{
    return object_guard(err, [&] {
        return o->mosaic.slices ? decode_tile(o, frame, values, err)
                                : decode_frame(o, frame, values, err);
    });
}

bool object_decode_float(struct object *o, uint32_t frame, float *values, struct err *err)
{
    return object_guard(err, [&] { return decode_float_frame(o, frame, values, err); });
}
