// What a JPEG 2000 code stream must hold. Source: ISO 15444-1 A.4 (delimiters, SOT), A.5.1 (SIZ),
// B.3 (tiles), I.4 (boxes of JP2).
#include <algorithm>
#include <cstring>
#include "dimse/read/object_parts.h"

#define TILES_MAX 65535 // Isot has 16 bits
#define SOT_BYTES 12    // marker and segment

namespace
{

uint32_t be(const uint8_t *p, int bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

// ---- JP2 ----------------------------------------------------------------------------------------

bool is_jp2(const std::vector<uint8_t> &s)
{
    static const uint8_t signature[] = {0, 0, 0, 12, 'j', 'P', ' ', ' '};
    return s.size() > sizeof signature && memcmp(s.data(), signature, sizeof signature) == 0;
}

struct box {
    size_t begin, end; // of its contents
    char type[5];
};

// The box at *at of [*at, end), moving on; false: none.
bool next_box(const std::vector<uint8_t> &s, size_t *at, size_t end, struct box *out)
{
    size_t header = 8;
    if (end - *at < header)
        return false;
    uint64_t size = be(&s[*at], 4);
    memcpy(out->type, &s[*at + 4], 4);
    if (size == 1 && end - *at >= 16) {
        header = 16;
        size = static_cast<uint64_t>(be(&s[*at + 8], 4)) << 32 | be(&s[*at + 12], 4);
    } else if (size == 0) {
        size = end - *at; // to the end
    }
    if (size < header || size > end - *at)
        return false;
    out->begin = *at + header;
    out->end = *at + static_cast<size_t>(size);
    *at = out->end;
    return true;
}

// Leaves the code stream of a JP2 file. A palette would change what its samples are.
bool unwrap_jp2(std::vector<uint8_t> *s, struct err *err)
{
    struct box box = {}, inner = {};
    for (size_t at = 0; next_box(*s, &at, s->size(), &box);) {
        size_t in = box.begin;
        while (strcmp(box.type, "jp2h") == 0 && next_box(*s, &in, box.end, &inner)) {
            if (strcmp(inner.type, "pclr") == 0)
                return err_set(err, ERR_UNSUPPORTED, "JP2 file with a palette");
        }
        if (strcmp(box.type, "jp2c") != 0)
            continue;
        s->resize(box.end);
        s->erase(s->begin(), s->begin() + static_cast<std::ptrdiff_t>(box.begin));
        return true;
    }
    return err_set(err, ERR_INPUT, "JP2 file without a code stream, or it is cut short");
}

// ---- Code stream --------------------------------------------------------------------------------

struct tile {
    unsigned parts;  // that are here
    unsigned wanted; // that there are, 0: not said
};

bool read_siz(const uint8_t *p, size_t size, std::vector<struct tile> *tiles, struct err *err)
{
    if (size < 36)
        return err_set(err, ERR_INPUT, "JPEG 2000 header: its size segment is cut short");
    uint64_t count[2];
    for (int axis = 0; axis < 2; axis++) {
        uint64_t extent = be(p + 2 + 4 * axis, 4), tile_size = be(p + 18 + 4 * axis, 4),
                 origin = be(p + 26 + 4 * axis, 4);
        if (tile_size == 0 || origin >= extent)
            return err_set(err, ERR_INPUT, "JPEG 2000 header: its size makes no sense");
        count[axis] = (extent - origin + tile_size - 1) / tile_size;
    }
    if (count[0] > TILES_MAX || count[1] > TILES_MAX || count[0] * count[1] > TILES_MAX)
        return err_set(err, ERR_INPUT, "JPEG 2000 header: more than %d tiles", TILES_MAX);
    tiles->resize(static_cast<size_t>(count[0] * count[1]));
    return true;
}

// Main header up to the first tile part at *at.
bool read_main(const std::vector<uint8_t> &s, size_t *at, std::vector<struct tile> *tiles,
               struct err *err)
{
    if (s.size() < 4 || be(s.data(), 2) != 0xff4f)
        return err_set(err, ERR_INPUT, "no JPEG 2000 stream");
    for (*at = 2; *at + 4 <= s.size();) {
        uint32_t marker = be(&s[*at], 2), length = be(&s[*at + 2], 2);
        if (marker == 0xff90 && !tiles->empty())
            return true;
        if (marker < 0xff01 || length < 2 || length > s.size() - *at - 2)
            break;
        if (marker == 0xff51 && tiles->empty() && !read_siz(&s[*at + 4], length - 2, tiles, err))
            return false;
        *at += 2 + length;
    }
    return err_set(err, ERR_INPUT, "JPEG 2000 stream is cut short in its header");
}

// Where a part ends that says it goes on to the end of the stream. Frames are padded.
size_t stream_end(const std::vector<uint8_t> &s)
{
    size_t end = s.size();
    while (end > 2 && s[end - 1] == 0)
        end--;
    return end > 2 && be(&s[end - 2], 2) == 0xffd9 ? end - 2 : 0;
}

bool read_parts(const std::vector<uint8_t> &s, size_t at, std::vector<struct tile> *tiles,
                struct err *err)
{
    while (at + SOT_BYTES <= s.size() && be(&s[at], 2) == 0xff90) {
        uint32_t index = be(&s[at + 4], 2), size = be(&s[at + 6], 4);
        size_t end = size ? at + size : stream_end(s);
        if (index >= tiles->size())
            return err_set(err, ERR_INPUT, "JPEG 2000 tile %u of %zu", index + 1, tiles->size());
        struct tile &t = (*tiles)[index];
        if (end < at + SOT_BYTES || end > s.size())
            return err_set(err, ERR_INPUT, "JPEG 2000 stream is cut short in tile %u of %zu",
                           index + 1, tiles->size());
        if (s[at + 10] != t.parts)
            return err_set(err, ERR_INPUT, "JPEG 2000 tile %u: part %u where part %u is due",
                           index + 1, s[at + 10] + 1u, t.parts + 1);
        t.parts++;
        t.wanted = std::max<unsigned>(t.wanted, s[at + 11]);
        at = end;
    }
    return true;
}

bool check_tiles(const std::vector<struct tile> &tiles, struct err *err)
{
    size_t missing = 0, here = tiles.size();
    for (const struct tile &t : tiles)
        missing += t.parts == 0 || t.parts < t.wanted;
    return missing == 0 ||
           err_set(err, ERR_INPUT, "JPEG 2000 stream has %zu of %zu tiles", here - missing, here);
}

} // namespace

bool j2k_stream_prepare(std::vector<uint8_t> *stream, struct err *err)
{
    std::vector<struct tile> tiles;
    size_t at = 0;
    if (is_jp2(*stream) && !unwrap_jp2(stream, err))
        return false;
    return read_main(*stream, &at, &tiles, err) && read_parts(*stream, at, &tiles, err) &&
           check_tiles(tiles, err);
}
