// Frames as pictures in colour. Source: PS3.3 C.7.6.3.1.2 (YBR_FULL), C.7.6.3.1.5 (palettes).
#include <algorithm>
#include <cmath>
#include "dimse/read/object_parts.h"

namespace
{

bool read_palette(DcmItem &header, bool is_signed, struct lookup_table tables[3], struct err *err)
{
    static const DcmTagKey tags[3][3] = {
        {DCM_RedPaletteColorLookupTableDescriptor, DCM_RedPaletteColorLookupTableData,
         DCM_SegmentedRedPaletteColorLookupTableData},
        {DCM_GreenPaletteColorLookupTableDescriptor, DCM_GreenPaletteColorLookupTableData,
         DCM_SegmentedGreenPaletteColorLookupTableData},
        {DCM_BluePaletteColorLookupTableDescriptor, DCM_BluePaletteColorLookupTableData,
         DCM_SegmentedBluePaletteColorLookupTableData},
    };
    for (int c = 0; c < 3; c++) {
        if (!lookup_table_read(header, tags[c][0], tags[c][1], &tags[c][2], is_signed, &tables[c],
                               err))
            return false;
    }
    return true;
}

uint8_t to_byte(double value)
{
    return static_cast<uint8_t>(std::clamp(floor(value + 0.5), 0.0, 255.0));
}

void ybr_to_rgb(uint8_t *p)
{
    const double y = p[0], cb = p[1] - 128.0, cr = p[2] - 128.0;
    p[0] = to_byte(y + 1.402 * cr);
    p[1] = to_byte(y - 0.344136 * cb - 0.714136 * cr);
    p[2] = to_byte(y + 1.772 * cb);
}

bool decode_rgb_frame(struct object *o, uint32_t frame, uint8_t *rgb, struct err *err)
{
    struct pixel_format f = {};
    struct lookup_table tables[3];
    std::vector<int32_t> samples;
    if (!object_samples(o, frame, &f, &samples, err))
        return false;
    const size_t pixels = static_cast<size_t>(f.columns) * f.rows;
    if (f.colour == PIXEL_GREY)
        return err_set(err, ERR_UNSUPPORTED, "%s pixels have no colours", f.photometric);
    if (f.colour == PIXEL_PALETTE) {
        if (!read_palette(o->header, f.is_signed, tables, err))
            return false;
        for (size_t i = 0; i < 3 * pixels; i++)
            rgb[i] = static_cast<uint8_t>(lookup_table_value(tables[i % 3], samples[i / 3]) >>
                                          (tables[i % 3].bits - 8));
        return true;
    }
    if (f.is_signed)
        return err_set(err, ERR_UNSUPPORTED, "PixelRepresentation 1 of %s", f.photometric);
    const uint64_t most = (1ull << f.bits_stored) - 1;
    for (size_t i = 0; i < 3 * pixels; i++) {
        const uint32_t value = static_cast<uint32_t>(samples[i]);
        rgb[i] = static_cast<uint8_t>(f.bits_stored >= 8 ? value >> (f.bits_stored - 8)
                                                         : value * 255 / most);
    }
    for (size_t i = 0; f.colour != PIXEL_RGB && i < pixels; i++)
        ybr_to_rgb(rgb + 3 * i);
    return true;
}

} // namespace

bool object_decode_rgb(struct object *o, uint32_t frame, uint8_t *rgb, struct err *err)
{
    return object_guard(err, [&] { return decode_rgb_frame(o, frame, rgb, err); });
}
