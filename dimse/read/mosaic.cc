#include "dimse/read/mosaic.hh"
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <map>
#include "base/text.h"
#include "dimse/read/object_parts.h"

#define CSA_TAGS_MAX   1024 // a header has about a hundred
#define CSA_ITEMS_MAX  4096 // of a tag
#define CSA_BYTES_MAX  (4u << 20)
#define CSA_TAG_BYTES  84     // name, multiplicity, representation, type, number of items, a mark
#define CSA_NAME_BYTES 64     // of them
#define CSA_ITEM_BYTES 16     // of the numbers before the value of an item
#define SLICES_MAX     1024   // of a mosaic
#define PARALLEL_COS   0.9999 // of less than a degree
// Between the places of slices and what Spacing Between Slices says of them: 2e-7 mm in 51 real
// protocols of eight software versions (syngo MR 2006T to E11).
#define AGREE_MM 1e-3

namespace
{

// ---- The vendor's header ------------------------------------------------------------------------

class csa_reader
{
  public:
    explicit csa_reader(const std::vector<uint8_t> &bytes) : bytes_(bytes) {}
    bool has(size_t count) const
    {
        return count <= bytes_.size() - at_;
    }
    // False: past the end.
    bool skip(size_t count)
    {
        at_ = has(count) ? at_ + count : bytes_.size();
        return at_ < bytes_.size();
    }
    uint32_t number()
    {
        uint32_t value = 0;
        for (size_t i = 0; i < 4 && has(4); i++)
            value |= static_cast<uint32_t>(bytes_[at_ + i]) << 8 * i;
        skip(4);
        return value;
    }
    // Text that ends with a 0, or after count bytes.
    std::string text(size_t count)
    {
        count = std::min(count, bytes_.size() - at_);
        const char *start = reinterpret_cast<const char *>(bytes_.data()) + at_;
        std::string out(start, strnlen(start, count));
        skip(count);
        return out;
    }

  private:
    const std::vector<uint8_t> &bytes_;
    size_t at_ = 0;
};

// The items of a tag. In the older version their lengths count from the number of items of the very
// first tag. False: nothing that follows can be read.
bool csa_items(csa_reader &in, uint32_t items, bool newer, uint32_t first,
               std::vector<std::string> *out)
{
    for (uint32_t i = 0; i < items; i++) {
        if (!in.has(CSA_ITEM_BYTES))
            return false;
        const uint32_t head = in.number(), second = in.number();
        in.skip(CSA_ITEM_BYTES - 8);
        const uint32_t length =
            newer ? second : head - first; // wraps to a length that is not there
        if (!in.has(length))
            return false;
        std::string value = in.text(length);
        in.skip((4 - length % 4) % 4);
        value.erase(0, std::min(value.find_first_not_of(' '), value.size()));
        value.erase(value.find_last_not_of(' ') + 1);
        if (!value.empty())
            out->push_back(value);
    }
    return true;
}

// The values of a name, as text; empty: it has none.
std::vector<std::string> csa_values(const std::vector<uint8_t> &header, const char *name)
{
    std::vector<std::string> values;
    csa_reader in(header);
    const bool newer = header.size() > 4 && memcmp(header.data(), "SV10", 4) == 0;
    if (newer)
        in.skip(8);
    const uint32_t tags = in.number();
    in.number();
    uint32_t first = 0;
    for (uint32_t t = 0; t < tags && tags <= CSA_TAGS_MAX && in.has(CSA_TAG_BYTES); t++) {
        const bool wanted = in.text(CSA_NAME_BYTES) == name;
        in.skip(12);
        const uint32_t items = in.number();
        in.number();
        first = t == 0 ? items : first;
        values.clear();
        if (items > CSA_ITEMS_MAX || !csa_items(in, items, newer, first, &values))
            break;
        if (wanted)
            return values;
    }
    return {};
}

enum csa_header { CSA_IMAGE = 0x10, CSA_SERIES = 0x20 };

std::vector<uint8_t> csa_bytes(DcmItem &header, enum csa_header which)
{
    DcmElement *element = private_element(header, 0x0029, which, "SIEMENS CSA HEADER");
    Uint8 *bytes = nullptr;
    if (!element || element->getLengthField() > CSA_BYTES_MAX ||
        element->getUint8Array(bytes).bad() || !bytes)
        return {};
    return std::vector<uint8_t>(bytes, bytes + element->getLengthField());
}

// ---- What it says -------------------------------------------------------------------------------

bool mosaic_fault(struct mosaic *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool mosaic_fault(struct mosaic *out, const char *format, ...)
{
    char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    out->slices = 0;
    return err_set(&out->fault, ERR_UNSUPPORTED,
                   "a mosaic of slices that cannot be told: %s; send slices, or an enhanced object",
                   text);
}

// The number of slices as both places that say it have it; 0: faulty, or none.
bool mosaic_count(double said, const std::vector<std::string> &csa, struct mosaic *out)
{
    double again = said;
    if (!csa.empty() && !text_number(csa[0], &again))
        return mosaic_fault(out, "NumberOfImagesInMosaic of the CSA header is no number");
    if (!(said > 0))
        said = again;
    if (!(said > 0))
        return mosaic_fault(out, "neither (0019,100A) of SIEMENS MR HEADER nor the CSA header says "
                                 "how many there are");
    if (again != said)
        return mosaic_fault(out, "(0019,100A) says that there are %g, the CSA header %g", said,
                            again);
    if (said > SLICES_MAX || said != floor(said))
        return mosaic_fault(out, "%g of them make no sense", said);
    out->slices = static_cast<uint32_t>(said);
    return true;
}

bool mosaic_tiles(DcmDataset &header, struct mosaic *out)
{
    double rows = 0, columns = 0;
    if (!item_number(header, DCM_Rows, 0, &rows) || !item_number(header, DCM_Columns, 0, &columns))
        return mosaic_fault(out, "Rows or Columns are missing");
    while (out->across * out->across < out->slices)
        out->across++;
    out->down = out->tiles.empty() ? out->across : (out->slices + out->across - 1) / out->across;
    if (fmod(rows, out->down) != 0 || fmod(columns, out->across) != 0)
        return mosaic_fault(out,
                            "%g x %g pixels cannot be divided into %" PRIu32 " x %" PRIu32
                            " tiles for %" PRIu32 " slices",
                            columns, rows, out->across, out->down, out->slices);
    out->rows = static_cast<uint32_t>(rows) / out->down;
    out->columns = static_cast<uint32_t>(columns) / out->across;
    return true;
}

bool mosaic_direction(const std::vector<std::string> &normal, struct mosaic *out)
{
    double length = 0;
    for (size_t a = 0; a < 3; a++) {
        if (normal.size() != 3 || !text_number(normal[a], &out->normal[a]))
            return mosaic_fault(out, "SliceNormalVector of the CSA header, which says in which "
                                     "order they lie, is missing");
        length += out->normal[a] * out->normal[a];
    }
    if (fabs(length - 1) > 0.01)
        return mosaic_fault(out, "SliceNormalVector of the CSA header is no direction");
    for (double &component : out->normal)
        component /= sqrt(length);
    return true;
}

// ---- The protocol of the measurement, which has the place of each slice -------------------------

typedef std::map<std::string, double> slice_places; // by name behind PLACES

#define PLACES "sSliceArray."

// The numbers that the protocol ("a.b[0].c = 1.5" a line) has of slices.
slice_places protocol_places(DcmDataset &header)
{
    slice_places found;
    const std::vector<uint8_t> csa = csa_bytes(header, CSA_SERIES);
    std::vector<std::string> text = csa_values(csa, "MrPhoenixProtocol");
    if (text.empty())
        text = csa_values(csa, "MrProtocol");
    const std::string protocol = text.empty() ? "" : text[0];
    for (size_t at = 0, end; at < protocol.size(); at = end + 1) {
        end = std::min(protocol.find('\n', at), protocol.size());
        const std::string line = protocol.substr(at, end - at);
        const size_t equals = line.find('=');
        double value;
        if (equals == std::string::npos || line.compare(0, strlen(PLACES), PLACES) != 0)
            continue;
        const size_t behind = line.find_last_not_of(" \t", equals - 1) + 1;
        const size_t start = line.find_first_not_of(" \t", equals + 1);
        if (behind <= strlen(PLACES) || start == std::string::npos)
            continue;
        const size_t stop = line.find_last_not_of(" \t\r") + 1;
        if (text_number(line.substr(start, stop - start), &value))
            found.emplace(line.substr(strlen(PLACES), behind - strlen(PLACES)), value);
    }
    return found;
}

// The distance between slices by their places in the protocol, where it has one for each slice of
// the mosaic; 0: it has not. False: the places are no even row.
bool protocol_spacing(DcmDataset &header, struct mosaic *out, double *spacing_mm)
{
    static const char *const axes[3] = {"Sag", "Cor", "Tra"};
    const slice_places places = protocol_places(header);
    const auto count = places.find("lSize");
    double before[3] = {0};
    *spacing_mm = 0;
    if (count == places.end() || count->second != out->slices)
        return true;
    for (uint32_t i = 0; i < out->slices; i++) {
        double square = 0;
        for (size_t a = 0; a < 3; a++) {
            const auto place =
                places.find("asSlice[" + std::to_string(i) + "].sPosition.d" + axes[a]);
            const double at = place == places.end() ? 0 : place->second; // 0 is not written
            square += (at - before[a]) * (at - before[a]);
            before[a] = at;
        }
        if (i == 1)
            *spacing_mm = sqrt(square);
        if (i > 1 && fabs(sqrt(square) - *spacing_mm) > AGREE_MM)
            return mosaic_fault(out,
                                "the protocol of the CSA header has slices %" PRIu32 " and %" PRIu32
                                " %g mm apart, the first two %g mm",
                                i, i + 1, sqrt(square), *spacing_mm);
    }
    return true;
}

bool mosaic_spacing(DcmDataset &header, struct mosaic *out)
{
    double said = 0, placed = 0;
    if (!item_number(header, DCM_SpacingBetweenSlices, 0, &said) || !(said > 0))
        said = 0;
    if (!protocol_spacing(header, out, &placed))
        return false;
    if (said > 0 && placed > 0 && fabs(said - placed) > AGREE_MM)
        return mosaic_fault(out,
                            "SpacingBetweenSlices is %g mm, the places of the slices in the "
                            "protocol of the CSA header are %g mm apart",
                            said, placed);
    out->spacing_mm = said > 0 ? said : placed;
    if (!(out->spacing_mm > 0))
        return mosaic_fault(out,
                            "SpacingBetweenSlices is missing or not above 0, and the protocol of "
                            "the CSA header has no places of %" PRIu32 " slices",
                            out->slices);
    return true;
}

// ---- Mosaics of UIH -----------------------------------------------------------------------------

#define UIH "Image Private Header"

// The size of a tile as the vendor writes it, "64*64" (rows and columns are the same in all known).
bool uih_size_agrees(DcmDataset &header, struct mosaic *out)
{
    DcmElement *element = private_element(header, 0x0065, 0x04, UIH);
    const std::string size = element ? element_text(*element) : std::string();
    const std::string ours = std::to_string(out->columns) + "*" + std::to_string(out->rows);
    const std::string turned = std::to_string(out->rows) + "*" + std::to_string(out->columns);
    char shown[33];
    if (size.empty() || size == ours || size == turned)
        return true;
    return mosaic_fault(out, "(0065,1004) says %s pixels, the picture has tiles of %s",
                        text_shown(size.c_str(), shown, sizeof shown), ours.c_str());
}

// False: it is no such mosaic.
bool uih_find(DcmDataset &header, uint32_t frames, struct mosaic *out)
{
    DcmSequenceOfItems *sequence = private_sequence(header, 0x0065, 0x51, UIH);
    double said;
    if (!sequence || sequence->card() < 2)
        return false;
    const unsigned long count = sequence->card();
    if (frames > 1)
        return mosaic_fault(out, "there are %" PRIu32 " frames", frames), true;
    if (count > SLICES_MAX)
        return mosaic_fault(out, "%lu of them make no sense", count), true;
    if (private_number(header, 0x0065, 0x50, UIH, EVR_DS, &said) &&
        said != static_cast<double>(count))
        return mosaic_fault(out, "(0065,1050) says that there are %g, (0065,1051) has %lu", said,
                            count),
               true;
    for (DcmObject *o = sequence->nextInContainer(nullptr); o; o = sequence->nextInContainer(o))
        out->tiles.push_back(static_cast<DcmItem *>(o));
    out->slices = static_cast<uint32_t>(count);
    if (mosaic_tiles(header, out))
        uih_size_agrees(header, out);
    return true;
}

} // namespace

void mosaic_find(DcmDataset &header, uint32_t frames, struct mosaic *out)
{
    double said = 0;
    if (uih_find(header, frames, out))
        return;
    const bool named = strcasestr(item_text(header, DCM_ImageType).c_str(), "MOSAIC");
    if (!private_number(header, 0x0019, 0x0a, "SIEMENS MR HEADER", EVR_US, &said))
        said = 0;
    if (!named && !(said > 1))
        return;
    const std::vector<uint8_t> csa = csa_bytes(header, CSA_IMAGE);
    if (frames > 1)
        mosaic_fault(out, "there are %" PRIu32 " frames", frames);
    else if (mosaic_count(said, csa_values(csa, "NumberOfImagesInMosaic"), out) &&
             mosaic_tiles(header, out) &&
             mosaic_direction(csa_values(csa, "SliceNormalVector"), out))
        mosaic_spacing(header, out);
}

bool mosaic_place(const struct mosaic &m, uint32_t slice, struct image_frame *out, struct err *err)
{
    const double *row = out->orientation, *column = out->orientation + 3;
    const double normal[3] = {row[1] * column[2] - row[2] * column[1],
                              row[2] * column[0] - row[0] * column[2],
                              row[0] * column[1] - row[1] * column[0]};
    double along = 0;
    for (int a = 0; a < 3; a++)
        along += normal[a] * m.normal[a];
    if (!out->placed)
        return err_set(err, ERR_UNSUPPORTED, "a mosaic without a place in space");
    out->columns = m.columns;
    out->rows = m.rows;
    out->tiled = true;
    if (!m.tiles.empty())
        return true; // its item has said where it lies
    if (!(fabs(along) > PARALLEL_COS))
        return err_set(err, ERR_UNSUPPORTED,
                       "a mosaic: SliceNormalVector of the CSA header is not at right angles to "
                       "ImageOrientationPatient");
    const double beside = (m.across - 1) * m.columns * out->pixel_mm[0] / 2;
    const double below = (m.down - 1) * m.rows * out->pixel_mm[1] / 2;
    const double up = slice * m.spacing_mm * (along > 0 ? 1 : -1);
    for (int a = 0; a < 3; a++)
        out->position[a] += beside * row[a] + below * column[a] + up * normal[a];
    return true;
}

bool mosaic_cut(const struct mosaic &m, uint32_t slice, int32_t *values, struct err *err)
{
    if (slice >= m.slices)
        return err_set(err, ERR_INPUT, "no slice %" PRIu32 " of %" PRIu32, slice + 1, m.slices);
    const size_t stride = static_cast<size_t>(m.columns) * m.across;
    const size_t left = static_cast<size_t>(slice % m.across) * m.columns;
    const size_t top = static_cast<size_t>(slice / m.across) * m.rows;
    for (size_t y = 0; y < m.rows; y++)
        std::copy_n(m.picture.data() + (top + y) * stride + left, m.columns,
                    values + y * m.columns);
    return true;
}
