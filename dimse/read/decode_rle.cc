// RLE. Source: PS3.5 G. An own decoder since DCMTK's takes a stream that was cut short for whole.
#include <cstring>
#include "dimse/read/object_parts.h"

#define HEADER_SIZE  64
#define SEGMENTS_MAX 15

namespace
{

uint32_t u32(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | static_cast<uint32_t>(p[3]) << 24;
}

// PackBits: writes count bytes, step apart. False: the segment is short, or holds more.
bool unpack(const uint8_t *p, const uint8_t *end, uint8_t *out, size_t count, size_t step)
{
    size_t done = 0;
    while (done < count && p < end) {
        uint8_t head = *p++;
        if (head == 128)
            continue;
        size_t run = head < 128 ? head + 1u : 257u - head;
        size_t taken = head < 128 ? run : 1;
        if (run > count - done || taken > static_cast<size_t>(end - p))
            return false;
        uint8_t *to = out + done * step;
        if (head < 128) {
            for (size_t i = 0; i < run; i++, to += step)
                *to = p[i];
        } else {
            const uint8_t value = *p;
            for (size_t i = 0; i < run; i++, to += step)
                *to = value;
        }
        done += run;
        p += taken;
    }
    return done == count;
}

} // namespace

bool decode_rle(const struct pixel_format &format, const std::vector<uint8_t> &stream,
                struct raw_frame *out, struct err *err)
{
    size_t bytes = format.bits_allocated / 8, cell = bytes * format.samples;
    size_t pixels = static_cast<size_t>(format.columns) * format.rows;
    if (stream.size() < HEADER_SIZE)
        return err_set(err, ERR_INPUT, "RLE header is cut short");
    uint32_t segments = u32(stream.data());
    if (segments != cell || segments == 0 || segments > SEGMENTS_MAX)
        return err_set(err, ERR_INPUT, "RLE of %u segments, data set of %u bits a pixel", segments,
                       format.bits_allocated * format.samples);
    if (pixels / 64 > stream.size()) // two bytes make 128 at most
        return err_set(err, ERR_INPUT, "RLE stream is cut short");
    out->bytes.resize(pixels * cell);
    out->bytes_per_sample = static_cast<unsigned>(bytes);
    out->precision = format.bits_allocated;
    for (uint32_t s = 0; s < segments; s++) {
        uint64_t start = u32(stream.data() + 4 + 4 * s);
        uint64_t end = s + 1 < segments ? u32(stream.data() + 8 + 4 * s) : stream.size();
        if (start < HEADER_SIZE || start > end || end > stream.size())
            return err_set(err, ERR_INPUT, "RLE segments lie outside the stream");
        // sample after sample, of each the most significant byte first
        size_t at = s / bytes * bytes + (bytes - 1 - s % bytes);
        if (!unpack(stream.data() + start, stream.data() + end, out->bytes.data() + at, pixels,
                    cell))
            return err_set(err, ERR_INPUT, "RLE segment %u of %u does not fill the frame", s + 1,
                           segments);
    }
    return true;
}
