// Uncompressed frames. Source: PS3.5 8.1.1 (pixel cells), 8.2 (native and encapsulated), A.3 (big
// endian), A.4.11 (encapsulated uncompressed), PS3.3 C.7.6.3.1.2 (YBR_FULL_422), C.7.6.3.1.3
// (planar configuration).
#include <algorithm>
#include <cinttypes>
#include <cstring>
#include "dimse/read/object_parts.h"

namespace
{

size_t pixels_of(const struct pixel_format &f)
{
    return static_cast<size_t>(f.columns) * f.rows;
}

// Bytes that frames frames take; shared: chrominance is. No overflow: 2^27 pixels of 12 bytes, 2^31
// frames. Bits of 1 allocated run on from frame to frame.
uint64_t native_size(const struct pixel_format &f, bool shared, uint64_t frames)
{
    uint64_t samples = pixels_of(f) * frames * (shared ? 2 : f.samples);
    return f.bits_allocated == 1 ? (samples + 7) / 8 : samples * (f.bits_allocated / 8u);
}

// Does Pixel Data of length bytes hold as many as size says: all, and no frame more.
bool is_length(uint64_t length, uint64_t size, uint64_t frame)
{
    return length >= size && (length - size < frame || length - size <= 1);
}

// Whether chrominance is shared in pairs. Decoders exist that write all of it and leave
// YBR_FULL_422 standing: then the length tells.
bool shares_chrominance(const struct pixel_format &f, uint64_t length, uint64_t frames)
{
    if (f.colour != PIXEL_YBR_422)
        return false;
    uint64_t full = native_size(f, false, frames);
    return length < full || length - full > 1;
}

// Turns the bytes of every size of them around.
void swap_bytes(std::vector<uint8_t> &bytes, size_t size)
{
    for (size_t i = 0; i + size <= bytes.size(); i += size)
        std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                     bytes.begin() + static_cast<std::ptrdiff_t>(i + size));
}

// Bits from bit first on to a byte each; the lowest bit of a byte comes first.
void spread_bits(std::vector<uint8_t> &bytes, unsigned first, size_t count)
{
    std::vector<uint8_t> out(count);
    for (size_t i = 0; i < count; i++)
        out[i] = bytes[(first + i) / 8] >> (first + i) % 8 & 1;
    bytes.swap(out);
}

// Planes of one sample each to samples side by side.
void join_planes(std::vector<uint8_t> &bytes, size_t pixels, unsigned samples, unsigned size)
{
    std::vector<uint8_t> out(pixels * samples * size);
    for (unsigned s = 0; s < samples; s++) {
        const uint8_t *from = bytes.data() + s * pixels * size;
        for (size_t i = 0; i < pixels; i++)
            memcpy(&out[(i * samples + s) * size], from + i * size, size);
    }
    bytes.swap(out);
}

// Y1 Y2 Cb Cr to Y1 Cb Cr Y2 Cb Cr.
void give_chrominance(std::vector<uint8_t> &bytes, size_t pixels)
{
    std::vector<uint8_t> out(pixels * 3);
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *pair = bytes.data() + i / 2 * 4;
        out[3 * i] = pair[i % 2];
        out[3 * i + 1] = pair[2];
        out[3 * i + 2] = pair[3];
    }
    bytes.swap(out);
}

// Bytes of one frame, in host order, to samples side by side. first: its first bit.
bool arrange(const struct pixel_format &f, bool shared, unsigned first, struct raw_frame *out,
             struct err *err)
{
    size_t pixels = pixels_of(f);
    if (shared && (f.bits_allocated != 8 || pixels % 2 != 0 || f.columns % 2 != 0 || f.planar))
        return err_set(err, ERR_INPUT,
                       "%s of %" PRIu32 " columns, %u bits: pairs of pixels share chrominance",
                       f.photometric, f.columns, f.bits_allocated);
    out->bytes_per_sample = f.bits_allocated == 1 ? 1 : f.bits_allocated / 8u;
    out->precision = f.bits_allocated;
    if (f.bits_allocated == 1)
        spread_bits(out->bytes, first, pixels * f.samples);
    if (shared)
        give_chrominance(out->bytes, pixels);
    else if (f.planar && f.samples > 1)
        join_planes(out->bytes, pixels, f.samples, out->bytes_per_sample);
    return true;
}

// Whether what follows the last frame is padding, one value over and over: anything else is pixels
// that the data set does not speak of, and its size is wrong.
bool is_padding(struct object *o, uint64_t from, bool *padding, struct err *err)
{
    std::vector<uint8_t> rest(static_cast<size_t>(o->layout.pixel_length - from));
    *padding = true;
    if (rest.size() <= 1)
        return true;
    if (!o->source->read(o->layout.pixel_offset + from, rest.data(), rest.size(), err))
        return false;
    *padding = std::all_of(rest.begin(), rest.end(), [&](uint8_t b) { return b == rest[0]; });
    return true;
}

} // namespace

bool decode_native(struct object *o, uint32_t frame, const struct pixel_format &f,
                   struct raw_frame *out, struct err *err)
{
    const struct layout &l = o->layout;
    bool shared = shares_chrominance(f, l.pixel_length, o->ids.frames);
    uint64_t size = native_size(f, shared, 1), all = native_size(f, shared, o->ids.frames);
    bool padding = true;
    const bool length = is_length(l.pixel_length, all, size);
    if (length && !is_padding(o, all, &padding, err))
        return false;
    if (!length || !padding)
        return err_set(err, ERR_INPUT,
                       "%" PRIu64 " bytes of pixel data, but %" PRIu64 " by the data set (%" PRIu32
                       " x %" PRIu32 " x %u samples of %u bits, %" PRIu32 " frames)",
                       l.pixel_length, all, f.columns, f.rows, f.samples, f.bits_allocated,
                       o->ids.frames);
    uint64_t first_bit = f.bits_allocated == 1 ? pixels_of(f) * f.samples * frame : 0;
    uint64_t start = f.bits_allocated == 1 ? first_bit / 8 : size * frame;
    uint64_t end =
        f.bits_allocated == 1 ? (first_bit + pixels_of(f) * f.samples + 7) / 8 : start + size;
    bool big = o->syntax->header == EXS_BigEndianExplicit;
    bool pairs = big && f.bits_allocated <= 8 && l.pixel_words; // bytes packed in swapped words
    uint64_t from = pairs ? start & ~1ull : start;
    uint64_t to = pairs ? (end + 1) & ~1ull : end;
    if (to > l.pixel_length)
        return err_set(err, ERR_INPUT, "pixel data end in half a word");
    out->bytes.resize(static_cast<size_t>(to - from));
    if (!o->source->read(l.pixel_offset + from, out->bytes.data(), out->bytes.size(), err))
        return false;
    if (pairs || (big && f.bits_allocated >= 16))
        swap_bytes(out->bytes, pairs ? 2 : f.bits_allocated / 8u);
    if (from != start)
        out->bytes.erase(out->bytes.begin());
    return arrange(f, shared, static_cast<unsigned>(first_bit % 8), out, err);
}

bool decode_native_stream(const struct pixel_format &f, const std::vector<uint8_t> &stream,
                          struct raw_frame *out, struct err *err)
{
    bool shared = shares_chrominance(f, stream.size(), 1);
    uint64_t size = native_size(f, shared, 1);
    if (stream.size() < size || stream.size() - size > 1)
        return err_set(err, ERR_INPUT,
                       "%zu bytes in the fragments of a frame, but %" PRIu64 " by the data set",
                       stream.size(), size);
    out->bytes.assign(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
    return arrange(f, shared, 0, out, err);
}
