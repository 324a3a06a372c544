// What the files behind dimse/read/object.h share. C++ only.
#pragma once
#ifndef __cplusplus
#error "dimse/read/object_parts.h is for C++"
#endif
#include <memory>
#include <new>
#include <set>
#include <string>
#include <utility>
#include <vector>
#include "dcmtk/config/osconfig.h"
#include "dcmtk/dcmdata/dctk.h"
#include "dimse/read/layout.h"
#include "dimse/read/mosaic.hh"
#include "dimse/read/object.h"

enum pixel_codec {
    CODEC_NATIVE,
    CODEC_NATIVE_FRAGMENTS,
    CODEC_RLE,
    CODEC_JPEG,
    CODEC_JPEG_LS,
    CODEC_J2K
};

// A row of the table of transfer syntaxes.
struct syntax {
    const char *uid;
    E_TransferSyntax dcmtk;  // as DCMTK's decoders know it
    E_TransferSyntax header; // in which the elements are written, once inflated
    enum pixel_codec codec;
    bool deflated;
};
const struct syntax *syntax_find(const char *uid); // NULL: not one of ours

struct object {
    struct object_ids ids;
    const struct syntax *syntax;
    std::unique_ptr<layout_source> source; // the file, or what it inflates to
    std::vector<uint8_t> inflated;
    struct layout layout;
    std::string remark; // what is not as the standard has it; see object_remark()
    DcmDataset header;  // everything before Pixel Data
    // Functional groups of a multi-frame object: DCMTK's sequences are lists, and finding item n
    // of them takes n steps.
    bool enhanced;                       // it has some
    DcmItem *shared_groups;              // NULL: none; borrowed from header
    std::vector<DcmItem *> frame_groups; // in the order of frames; may be fewer than frames
    std::vector<double> frame_times_ms;  // by Frame Time Vector, summed up; empty: none
    // Where frames of several fragments start, found when one is asked for the first time.
    bool starts_known;
    struct err starts_err;      // ERR_NONE: starts holds
    std::vector<size_t> starts; // index of the first fragment of each frame
    struct mosaic mosaic;
};

// Reads the elements from layout.data_offset to header_end into header, mended. ERR_INPUT, ERR_IO,
// ERR_NOMEM
bool object_parse(layout_source &source, const struct layout &layout, DcmDataset *header,
                  struct err *err);
bool object_read_ids(DcmDataset &header, struct object_ids *out);

// Inflates a raw deflate stream that may end anywhere; what it inflates to is limited to max bytes.
//   ERR_INPUT broken (whole: or cut short), ERR_UNSUPPORTED larger than max, ERR_NOMEM
bool inflate_raw(const uint8_t *data, size_t size, bool whole, size_t max,
                 std::vector<uint8_t> *out, struct err *err);

// Values as text, without padding; "" when absent. component -1: all of them.
std::string item_text(DcmItem &item, const DcmTagKey &tag, long component = -1);
// One finite number. False: absent, or none.
bool item_number(DcmItem &item, const DcmTagKey &tag, long component, double *out);
// As many numbers as asked for, exactly. 0: absent or empty; -1: not that many, or no finite
// numbers; else count.
int item_numbers(DcmItem &item, const DcmTagKey &tag, double *out, int count);
// First item of a sequence, or item index of it, in index steps; NULL: none.
DcmItem *item_of(DcmItem &item, const DcmTagKey &sequence, long index = 0);
// The element number of the block that creator reserved in group; NULL: none.
DcmElement *private_element(DcmItem &item, uint16_t group, uint8_t number, const char *creator);
// The same of a sequence.
DcmSequenceOfItems *private_sequence(DcmItem &item, uint16_t group, uint8_t number,
                                     const char *creator);
// Its number. After a transfer in implicit encoding its value representation may be unknown: then
// vr tells what its bytes are.
bool private_number(DcmItem &item, uint16_t group, uint8_t number, const char *creator, DcmEVR vr,
                    double *out);
// The whole value of an element as text, as above.
std::string element_text(DcmElement &element);
// "1.5 " to 1.5 whatever the locale. False, and *out is as it was: anything else stands there, or
// no finite number.
bool text_number(const std::string &text, double *out);

// Converts to UTF-8 by the Specific Character Set of dataset, with code extensions (ISO 2022) and
// also by the names that some write for one ("ISO-IR 100"). Bytes that mean nothing become '?'; a
// set that nobody knows counts as none, and then well-formed UTF-8 is taken.
class text_decoder
{
  public:
    explicit text_decoder(DcmItem &dataset);
    ~text_decoder();
    text_decoder(const text_decoder &) = delete;
    text_decoder &operator=(const text_decoder &) = delete;
    // affected: the value representation follows Specific Character Set
    std::string decode(const std::string &raw, bool affected);

  private:
    std::string convert(const std::string &raw, const char *from);
    std::string extended(const std::string &raw);

    std::vector<std::pair<const char *, void *>> open_; // iconv descriptors by name
    const char *whole_ = nullptr; // the one set of all bytes; NULL: G0 and G1 by escapes
    const char *g1_ = nullptr;    // of the upper half before any escape
    bool extensions_ = false;     // there are escapes
};

// Attributes as text on their way into a list. Lists have a limit: when it does not hold all, long
// values come last and are the ones left out.
class attribute_list
{
  public:
    attribute_list(DcmItem &dataset, struct attrs *out) : decoder_(dataset), out_(out) {}
    // Every text or number of item whose keyword is not there yet.
    void add_item(DcmItem &item);
    void add_as(const char *keyword, DcmElement &element);
    void add_watched(DcmItem &dataset); // see object_watch()
    bool finish(struct err *err);       // ERR_NOMEM

  private:
    text_decoder decoder_;
    struct attrs *out_;
    std::set<std::string> keywords_;
    std::vector<std::pair<std::string, std::string>> values_;
};

// Colour of the samples of a pixel, after Photometric Interpretation (PS3.3 C.7.6.3.1.2).
enum pixel_colour {
    PIXEL_GREY,    // MONOCHROME1, MONOCHROME2
    PIXEL_PALETTE, // one sample, an index into a palette
    PIXEL_RGB,
    PIXEL_YBR,       // YBR_FULL
    PIXEL_YBR_422,   // YBR_FULL_422: native pixels share their chrominance, two and two
    PIXEL_YBR_CODED, // YBR_RCT, YBR_ICT: the JPEG 2000 decoder gives RGB
    PIXEL_OTHER,     // not decoded
};

#define PIXEL_SAMPLES_MAX 3

// What the decoders need to know of the pixels.
struct pixel_format {
    uint32_t columns, rows;
    uint16_t samples; // a pixel: 3 of colour but palettes, else 1
    uint16_t bits_allocated, bits_stored, high_bit;
    enum pixel_colour colour;
    bool planar; // native: all of the first sample, then all of the second
    bool is_signed;
    bool is_float;        // of 32 or 64 bits allocated; bits_stored is 32
    bool inverted;        // MONOCHROME1
    char photometric[17]; // as it stands there
};

// The attributes of the pixel description, checked against each other.
//   ERR_INPUT contradictory or absent; ERR_UNSUPPORTED bits or colours that are not decoded
bool object_pixel_format(struct object *o, struct pixel_format *out, struct err *err);

// One frame's compressed bytes.
//   ERR_INPUT fragments and offset tables do not tell where it is
bool object_frame_bytes(struct object *o, uint32_t frame, std::vector<uint8_t> *out,
                        struct err *err);

// Samples as a codec gives them: low bits of one, two or four bytes, host order, those of a pixel
// side by side.
struct raw_frame {
    std::vector<uint8_t> bytes;
    unsigned bytes_per_sample; // 1, 2, 4; 8 of floating point
    unsigned precision;        // bits of a sample that mean something
    bool is_signed;            // the stream says that they have a sign, which is extended already
    enum pixel_colour colour;  // of the samples, which the stream may know better than the data set
};

// All samples of a frame: [rows][columns][samples], stored bits only, the sign extended; 32 bits
// without a sign are bit patterns. Where a stream knows better, format->colour is that of the
// samples. ERR_UNSUPPORTED floating point, and the errors of object_decode().
bool object_samples(struct object *o, uint32_t frame, struct pixel_format *format,
                    std::vector<int32_t> *out, struct err *err);

// Frames of an uncompressed transfer syntax: one behind the other in Pixel Data, or each in
// fragments of its own (stream). Bits of 1 allocated are spread to bytes.
//   ERR_INPUT there are too few bytes, or so many that the data set must be wrong
bool decode_native(struct object *o, uint32_t frame, const struct pixel_format &format,
                   struct raw_frame *out, struct err *err);
bool decode_native_stream(const struct pixel_format &format, const std::vector<uint8_t> &stream,
                          struct raw_frame *out, struct err *err);

// Compressed streams. Each proves that all of the picture is there.
//   ERR_INPUT broken stream or cut short, or it is of another size than the data set says
//   ERR_UNSUPPORTED a process of the standard that is not decoded; ERR_NOMEM
bool decode_with_dcmtk(const struct syntax &syntax, const struct pixel_format &format,
                       std::vector<uint8_t> &stream, struct raw_frame *out, struct err *err);
bool decode_rle(const struct pixel_format &format, const std::vector<uint8_t> &stream,
                struct raw_frame *out, struct err *err);
bool decode_j2k(const struct pixel_format &format, std::vector<uint8_t> &stream,
                struct raw_frame *out, struct err *err);

// A table by stored value (PS3.3 C.7.6.3.1.5, C.11.1.1).
struct lookup_table {
    std::vector<uint16_t> entries; // of bits bits
    int32_t first;                 // stored value of entries[0]
    unsigned bits;                 // 8..16
};
// segmented: where the data stand else, in segments; NULL: nowhere. is_signed: of the pixels.
//   ERR_INPUT the table is missing, short or makes no sense
bool lookup_table_read(DcmItem &item, const DcmTagKey &descriptor, const DcmTagKey &data,
                       const DcmTagKey *segmented, bool is_signed, struct lookup_table *out,
                       struct err *err);
// Of Modality LUT Sequence, which is there.
bool lookup_table_of_modality(DcmItem &header, bool is_signed, struct lookup_table *out,
                              struct err *err);
// Values below the first entry get the first, those above the last one the last.
uint16_t lookup_table_value(const struct lookup_table &t, int32_t value);

// What the marker segments of a JPEG or JPEG-LS stream say.
struct jpeg_stream {
    unsigned process; // n of SOFn; 55: JPEG-LS
    unsigned precision, rows, columns, components;
    enum pixel_colour colour; // PIXEL_OTHER: it does not say
};
// Reads all of them and checks that scans of all components and the end are there.
//   ERR_INPUT no stream, cut short, scans missing; ERR_UNSUPPORTED a process that is not decoded
bool jpeg_stream_read(const std::vector<uint8_t> &stream, struct jpeg_stream *out, struct err *err);

// Leaves the code stream that is in stream, bare or in a JP2 file, and proves that all parts of all
// tiles are there: OpenJPEG takes missing tiles for empty ones.
//   ERR_INPUT no code stream, cut short, tiles or their parts missing; ERR_UNSUPPORTED JP2 palette
bool j2k_stream_prepare(std::vector<uint8_t> *stream, struct err *err);

// The JPEG decoders fill in what a broken stream lacks and only warn of it: while one runs, the
// first such warning of this thread is kept here, and none is logged. NULL: log them.
extern thread_local std::string *decoder_warning;

// Runs body; C++ exceptions end here as struct err.
template <typename body_type> bool object_guard(struct err *err, body_type body)
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return err_set(err, ERR_NOMEM, "no memory");
    } catch (const std::exception &e) {
        return err_set(err, ERR_INTERNAL, "%s", e.what());
    }
}
