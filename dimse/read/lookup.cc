// Lookup tables of palettes and modality values. Source: PS3.3 C.7.6.3.1.5, C.7.6.3.1.6 (palettes),
// C.7.9.2 (segments), C.11.1.1 (Modality LUT).
#include <algorithm>
#include <cmath>
#include "dimse/read/object_parts.h"

namespace
{

// The bytes of a table as numbers of 8 or 16 bits; false: there are none.
bool read_words(DcmItem &header, const DcmTagKey &tag, std::vector<uint16_t> *out)
{
    const Uint16 *words = nullptr;
    unsigned long count = 0;
    DcmElement *element = nullptr;
    Uint8 *bytes = nullptr;
    if (header.findAndGetUint16Array(tag, words, &count).good() && words && count > 0) {
        out->assign(words, words + count);
        return true;
    }
    if (header.findAndGetElement(tag, element).bad() || element->getUint8Array(bytes).bad() ||
        !bytes)
        return false;
    for (size_t i = 0; i + 1 < element->getLengthField(); i += 2)
        out->push_back(static_cast<uint16_t>(bytes[i] | bytes[i + 1] << 8));
    return !out->empty();
}

// Entries of 8 bits lie two and two in words, the first in the low byte; some devices give each a
// word.
void split_words(std::vector<uint16_t> *words, size_t wanted)
{
    std::vector<uint16_t> out;
    if (words->size() >= wanted)
        return;
    for (uint16_t w : *words) {
        out.push_back(w & 0xff);
        out.push_back(w >> 8);
    }
    words->swap(out);
}

class segment_reader
{
  public:
    segment_reader(const std::vector<uint16_t> &words, unsigned bits, size_t wanted)
        : s_(words), bits_(bits), wanted_(wanted)
    {
    }
    bool run(std::vector<uint16_t> *out);

  private:
    bool segment(size_t *at, bool may_point, std::vector<uint16_t> *out);
    bool linear(uint16_t to, size_t count, std::vector<uint16_t> *out) const;
    bool indirect(size_t *at, size_t count, std::vector<uint16_t> *out);
    const std::vector<uint16_t> &s_;
    unsigned bits_;
    size_t wanted_;
};

// From the last entry to `to`.
bool segment_reader::linear(uint16_t to, size_t count, std::vector<uint16_t> *out) const
{
    if (out->empty())
        return false;
    const double from = out->back(), step = (to - from) / static_cast<double>(count ? count : 1);
    for (size_t i = 1; i <= count; i++)
        out->push_back(static_cast<uint16_t>(lround(from + step * static_cast<double>(i))));
    return true;
}

// count segments again that stand at an offset in bytes, which takes two words or four bytes.
bool segment_reader::indirect(size_t *at, size_t count, std::vector<uint16_t> *out)
{
    const size_t parts = bits_ == 8 ? 4 : 2;
    size_t offset = 0;
    if (s_.size() - *at < parts)
        return false;
    for (size_t i = 0; i < parts; i++)
        offset |= static_cast<size_t>(s_[*at + i]) << (i * bits_);
    *at += parts;
    offset /= bits_ / 8;
    for (size_t n = 0; n < count; n++) {
        if (!segment(&offset, false, out))
            return false;
    }
    return true;
}

bool segment_reader::segment(size_t *at, bool may_point, std::vector<uint16_t> *out)
{
    if (*at >= s_.size() || s_.size() - *at < 2)
        return false;
    const unsigned kind = s_[*at];
    const size_t count = s_[*at + 1];
    *at += 2;
    if (kind == 2)
        return may_point && indirect(at, count, out);
    if (kind > 2 || out->size() + count > wanted_ || s_.size() - *at < (kind == 0 ? count : 1))
        return false;
    if (kind == 1)
        return linear(s_[(*at)++], count, out);
    out->insert(out->end(), s_.begin() + static_cast<std::ptrdiff_t>(*at),
                s_.begin() + static_cast<std::ptrdiff_t>(*at + count));
    *at += count;
    return true;
}

bool segment_reader::run(std::vector<uint16_t> *out)
{
    for (size_t at = 0; at < s_.size() && out->size() < wanted_;) {
        if (!segment(&at, true, out))
            return false;
    }
    return out->size() == wanted_;
}

bool read_descriptor(DcmItem &header, const DcmTagKey &tag, bool is_signed,
                     struct lookup_table *out, size_t *entries, struct err *err)
{
    double d[3];
    DcmTag named(tag); // owns its name
    const char *name = named.getTagName();
    int n = item_numbers(header, tag, d, 3);
    if (n == 0)
        return err_set(err, ERR_INPUT, "%s is missing", name);
    // the first and second are unsigned or signed by their VR; 0 entries are 2^16
    *entries = n == 3 ? static_cast<size_t>(static_cast<uint16_t>(static_cast<int32_t>(d[0]))) : 0;
    *entries = n == 3 && *entries == 0 ? 65536 : *entries;
    if (n != 3 || d[2] < 8 || d[2] > 16 || d[2] != floor(d[2]))
        return err_set(err, ERR_INPUT, "%s makes no sense", name);
    const int32_t first = static_cast<int32_t>(d[1]);
    out->first = is_signed ? static_cast<int16_t>(first) : static_cast<uint16_t>(first);
    out->bits = static_cast<unsigned>(d[2]);
    return true;
}

} // namespace

bool lookup_table_read(DcmItem &item, const DcmTagKey &descriptor, const DcmTagKey &data,
                       const DcmTagKey *segmented, bool is_signed, struct lookup_table *out,
                       struct err *err)
{
    size_t entries = 0;
    std::vector<uint16_t> words;
    if (!read_descriptor(item, descriptor, is_signed, out, &entries, err))
        return false;
    if (read_words(item, data, &words)) {
        if (out->bits == 8)
            split_words(&words, entries);
        if (words.size() < entries)
            return err_set(err, ERR_INPUT, "%s has %zu of %zu entries", DcmTag(data).getTagName(),
                           words.size(), entries);
        words.resize(entries);
        out->entries.swap(words);
        return true;
    }
    if (!segmented || !read_words(item, *segmented, &words))
        return err_set(err, ERR_INPUT, "%s is missing", DcmTag(data).getTagName());
    if (out->bits == 8)
        split_words(&words, SIZE_MAX);
    return segment_reader(words, out->bits, entries).run(&out->entries) ||
           err_set(err, ERR_INPUT, "%s makes no sense", DcmTag(*segmented).getTagName());
}

uint16_t lookup_table_value(const struct lookup_table &t, int32_t value)
{
    const int64_t at = static_cast<int64_t>(value) - t.first;
    const int64_t last = static_cast<int64_t>(t.entries.size()) - 1;
    return t.entries[static_cast<size_t>(std::clamp<int64_t>(at, 0, last))];
}

bool lookup_table_of_modality(DcmItem &header, bool is_signed, struct lookup_table *out,
                              struct err *err)
{
    DcmItem *item = item_of(header, DCM_ModalityLUTSequence);
    return item ? lookup_table_read(*item, DCM_LUTDescriptor, DCM_LUTData, nullptr, is_signed, out,
                                    err)
                : err_set(err, ERR_INPUT, "ModalityLUTSequence without an item");
}
