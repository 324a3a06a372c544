// Where things lie in a DICOM file, found by walking its headers without recursion and before
// DCMTK's recursive parser sees a byte of it: meta header, data set, pixel data, fragments.
// Source: PS3.5 7 (data elements), A.4 (encapsulation), PS3.10 7.1 (file format). C++ only.
// Process: as dimse/read/object.h. Thread-safety: a layout belongs to one thread.
#pragma once
#ifndef __cplusplus
#error "dimse/read/layout.h is for C++"
#endif
#include <stddef.h>
#include <stdint.h>
#include <string>
#include <vector>
#include "base/err.h"

#define LAYOUT_DEPTH_MAX    32      // nested sequences
#define LAYOUT_ELEMENTS_MAX 2000000 // DCMTK needs some 200 bytes for each
#define LAYOUT_MENDS_MAX    4096    // elements that are not as the standard has them
// Steps of some 10 ns to put elements in order: 5000 that all descend take 13 million.
#define LAYOUT_SORTING_MAX 16000000

// Bytes at offsets: a file, or memory.
class layout_source
{
  public:
    virtual ~layout_source() {}
    virtual uint64_t size() const = 0;
    // Exactly count bytes; the caller stays within size(). ERR_IO
    virtual bool read(uint64_t offset, void *out, size_t count, struct err *err) = 0;
};

class layout_memory : public layout_source
{
  public:
    layout_memory(const void *data, size_t size)
        : data_(static_cast<const uint8_t *>(data)), size_(size)
    {
    }
    uint64_t size() const override
    {
        return size_;
    }
    bool read(uint64_t offset, void *out, size_t count, struct err *err) override;

  private:
    const uint8_t *data_; // borrowed
    size_t size_;
};

// Keeps a window of the file, since headers are read in small pieces. Owns the descriptor.
class layout_file : public layout_source
{
  public:
    layout_file() {}
    ~layout_file() override;
    layout_file(const layout_file &) = delete;
    layout_file &operator=(const layout_file &) = delete;
    bool open(const char *path, struct err *err); // ERR_IO; ERR_INPUT: no regular file
    bool take(int fd, struct err *err);           // one that is open; taken over. As above
    uint64_t size() const override
    {
        return size_;
    }
    bool read(uint64_t offset, void *out, size_t count, struct err *err) override;

  private:
    bool read_directly(uint64_t offset, void *out, size_t count, struct err *err);
    int fd_ = -1;
    uint64_t size_ = 0, window_at_ = 0;
    std::vector<uint8_t> window_;
};

struct layout_fragment {
    uint64_t offset;
    uint32_t length;
};

// A header that is not as the standard has it, and the one that DCMTK reads in its stead. An
// element that cannot be written right where it stands has none: it is left out.
struct layout_mend {
    uint64_t offset, bytes; // what it replaces
    uint8_t header[12];
    uint8_t size; // of header; 0: left out
};

struct layout {
    uint64_t data_offset;  // first byte of the data set
    bool is_explicit;      // how its elements are written
    bool big_endian;       // the same
    uint64_t header_end;   // end of the elements before pixel data (or of the whole data set)
    bool has_pixels;       // Pixel Data (7FE0,0010) or one of the floating point kinds is there
    uint16_t pixel_number; // 0x0010, 0x0008 Float Pixel Data, 0x0009 Double Float Pixel Data
    bool pixel_words;      // its VR is OW
    bool encapsulated;     // in fragments
    uint64_t pixel_offset; // native: of the first byte
    uint64_t pixel_length;
    std::vector<layout_fragment> fragments; // encapsulated: the offset table first
    std::vector<layout_mend> mends;         // by offset, before header_end
};

// Reads the meta header, with a preamble or without one. Sets data_offset and the Transfer Syntax
// UID, "" where there is none: the file may be a data set alone, or no DICOM file at all.
//   ERR_INPUT the meta header is broken; ERR_IO
bool layout_read_meta(layout_source &source, struct layout *out, std::string *transfer_syntax,
                      struct err *err);

// Do the bytes at out->data_offset begin a data set that is written so? By its first elements.
bool layout_reads_as(layout_source &source, const struct layout *layout, bool is_explicit,
                     bool big_endian);

// Walks the data set from out->data_offset, written as out->is_explicit and out->big_endian say, up
// to and including Pixel Data. An unknown value representation is no error where the place of the
// next element tells how the length is written (out->mends).
// partial  the source may end anywhere: header_end is then the end of its last whole element, and
//          the walk ends before Per-frame Functional Groups
//   ERR_INPUT truncated, malformed, too deep, too many elements, or so many out of order that
//   parsing would hang; ERR_IO
bool layout_read_data(layout_source &source, bool partial, struct layout *out, struct err *err);
// May a data set that begins so be one that layout_read_data() takes, once all of it is there?
//   ERR_INPUT no, whatever follows; ERR_IO
bool layout_may_begin_so(layout_source &source, struct layout *out, struct err *err);
