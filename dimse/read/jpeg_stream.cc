// Marker segments of JPEG and JPEG-LS streams. Source: ISO 10918-1 B.1.1 (markers), B.2 (order),
// ISO 14495-1 C.1 (after a byte FF of a scan the next one begins with bit 0), ISO 10918-6 6.5.3
// (Adobe), ISO 10918-5 10.1 (JFIF), ISO 10918-1 B.2.4.2 (Huffman tables), F.1.2.1 and H.1.2.2
// (their categories).
#include <cstring>
#include "dimse/read/object_parts.h"

#define PROCESS_LOSSLESS 3
#define PROCESS_JPEG_LS  55
// Bits that a difference can have (tables F.1, F.6, H.2). DCMTK takes larger ones from a table and
// then reads behind the end of its own.
#define CATEGORY_MAX          15
#define CATEGORY_MAX_LOSSLESS 16
#define CODE_LENGTHS          16 // of Huffman codes, in bits

namespace
{

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

class jpeg_walk
{
  public:
    jpeg_walk(const std::vector<uint8_t> &stream, struct jpeg_stream *out) : s_(stream), out_(out)
    {
    }
    bool run(struct err *err);

  private:
    bool segment(uint8_t marker, const uint8_t *p, size_t size, struct err *err);
    bool frame_header(uint8_t marker, const uint8_t *p, size_t size, struct err *err);
    bool huffman_tables(const uint8_t *p, size_t size, struct err *err);
    bool scan_header(const uint8_t *p, size_t size, struct err *err);
    void application(uint8_t marker, const uint8_t *p, size_t size);
    void skip_scan();

    const std::vector<uint8_t> &s_;
    struct jpeg_stream *out_;
    size_t at_ = 2;
    bool framed_ = false;
    unsigned category_ = 0; // the largest of all tables of differences
    uint8_t ids_[PIXEL_SAMPLES_MAX] = {};
    unsigned scanned_[PIXEL_SAMPLES_MAX] = {}; // scans of each component
};

bool jpeg_walk::frame_header(uint8_t marker, const uint8_t *p, size_t size, struct err *err)
{
    if (framed_ || size < 6 || size < 6 + 3u * p[5])
        return err_set(err, ERR_INPUT, "no JPEG stream: its frame header is broken");
    framed_ = true;
    out_->process = marker == 0xf7 ? PROCESS_JPEG_LS : marker - 0xc0u;
    out_->precision = p[0];
    out_->rows = static_cast<unsigned>(p[1] << 8 | p[2]);
    out_->columns = static_cast<unsigned>(p[3] << 8 | p[4]);
    out_->components = p[5];
    if (out_->process != 0 && out_->process != 1 && out_->process != PROCESS_LOSSLESS &&
        out_->process != PROCESS_JPEG_LS)
        return err_set(err, ERR_UNSUPPORTED,
                       "a progressive, hierarchical or arithmetic JPEG "
                       "stream (SOF%u)",
                       out_->process);
    for (unsigned c = 0; c < out_->components && c < PIXEL_SAMPLES_MAX; c++)
        ids_[c] = p[6 + 3 * c];
    if (out_->components == 3 && memcmp(ids_, "RGB", 3) == 0)
        out_->colour = PIXEL_RGB;
    return true;
}

bool jpeg_walk::huffman_tables(const uint8_t *p, size_t size, struct err *err)
{
    while (size > CODE_LENGTHS) {
        const bool differences = p[0] >> 4 == 0; // class 0: DC or lossless
        size_t count = 0;
        for (size_t i = 1; i <= CODE_LENGTHS; i++)
            count += p[i];
        p += 1 + CODE_LENGTHS;
        size -= 1 + CODE_LENGTHS;
        if (count > size)
            break;
        for (size_t i = 0; differences && i < count; i++)
            category_ = p[i] > category_ ? p[i] : category_;
        p += count;
        size -= count;
    }
    return size == 0 || err_set(err, ERR_INPUT, "no JPEG stream: a Huffman table is broken");
}

bool jpeg_walk::scan_header(const uint8_t *p, size_t size, struct err *err)
{
    if (!framed_ || size < 1 || size < 1 + 2u * p[0])
        return err_set(err, ERR_INPUT, "no JPEG stream: a scan header is broken");
    const unsigned most = out_->process == PROCESS_LOSSLESS ? CATEGORY_MAX_LOSSLESS : CATEGORY_MAX;
    if (category_ > most)
        return err_set(err, ERR_UNSUPPORTED,
                       "a JPEG stream whose Huffman table has differences of %u bits, more than %u",
                       category_, most);
    for (unsigned n = 0; n < p[0]; n++) {
        for (unsigned c = 0; c < out_->components && c < PIXEL_SAMPLES_MAX; c++)
            scanned_[c] += ids_[c] == p[1 + 2 * n];
    }
    return true;
}

// An Adobe segment tells more than a JFIF one.
void jpeg_walk::application(uint8_t marker, const uint8_t *p, size_t size)
{
    if (marker == 0xee && size >= 12 && memcmp(p, "Adobe", 5) == 0)
        out_->colour = p[11] == 0 ? PIXEL_RGB : PIXEL_YBR;
    else if (marker == 0xe0 && size >= 5 && memcmp(p, "JFIF", 5) == 0 &&
             out_->colour == PIXEL_OTHER)
        out_->colour = PIXEL_YBR;
}

bool jpeg_walk::segment(uint8_t marker, const uint8_t *p, size_t size, struct err *err)
{
    if (is_frame_header(marker))
        return frame_header(marker, p, size, err);
    if (marker == 0xda)
        return scan_header(p, size, err);
    if (marker == 0xc4 && out_->process != PROCESS_JPEG_LS)
        return huffman_tables(p, size, err);
    if (!framed_ && !may_come_first(marker))
        return err_set(err, ERR_INPUT, "no JPEG stream: marker FF%02X before its frame header",
                       marker);
    application(marker, p, size);
    return true;
}

// To the next marker that is none of the scan.
void jpeg_walk::skip_scan()
{
    bool ls = out_->process == PROCESS_JPEG_LS;
    while (at_ + 1 < s_.size()) {
        const void *found = memchr(s_.data() + at_, 0xff, s_.size() - 1 - at_);
        if (!found)
            break;
        at_ = static_cast<size_t>(static_cast<const uint8_t *>(found) - s_.data());
        uint8_t next = s_[at_ + 1];
        bool restart = next >= 0xd0 && next <= 0xd7;
        if (next == 0xff)
            at_++;
        else if (restart || (ls ? next < 0x80 : next == 0))
            at_ += 2;
        else
            return;
    }
    at_ = s_.size();
}

bool jpeg_walk::run(struct err *err)
{
    *out_ = {};
    out_->colour = PIXEL_OTHER;
    if (s_.size() < 4 || s_[0] != 0xff || s_[1] != 0xd8)
        return err_set(err, ERR_INPUT, "no JPEG stream");
    while (at_ + 2 <= s_.size()) {
        uint8_t marker = s_[at_ + 1];
        if (s_[at_] != 0xff)
            return err_set(err, ERR_INPUT, "no JPEG stream: no marker where one is due");
        if (marker == 0xff) { // fill byte
            at_++;
            continue;
        }
        if (marker == 0xd9) {
            for (unsigned c = 0; c < out_->components && c < PIXEL_SAMPLES_MAX; c++) {
                if (scanned_[c] != 1)
                    return err_set(err, ERR_INPUT, "JPEG stream with %u scans of component %u",
                                   scanned_[c], c + 1);
            }
            return framed_ || err_set(err, ERR_INPUT, "no JPEG stream: no frame header");
        }
        size_t length = at_ + 4 <= s_.size() ? s_[at_ + 2] << 8u | s_[at_ + 3] : 0;
        if (length < 2 || length > s_.size() - at_ - 2)
            break;
        if (!segment(marker, s_.data() + at_ + 4, length - 2, err))
            return false;
        at_ += 2 + length;
        if (marker == 0xda)
            skip_scan();
    }
    return err_set(err, ERR_INPUT, "JPEG stream without an end: it is cut short");
}

} // namespace

bool jpeg_stream_read(const std::vector<uint8_t> &stream, struct jpeg_stream *out, struct err *err)
{
    return jpeg_walk(stream, out).run(err);
}
