// JPEG 2000 and High-Throughput JPEG 2000 through OpenJPEG. Source: PS3.5 A.4.4, A.4.12.
#include <openjpeg.h>
#include <algorithm>
#include <cstring>
#include "dimse/read/object_parts.h"

namespace
{

struct memory {
    const uint8_t *data;
    size_t size, at;
};

OPJ_SIZE_T read_some(void *out, OPJ_SIZE_T count, void *user)
{
    struct memory *m = static_cast<struct memory *>(user);
    size_t left = m->size - m->at;
    if (left == 0)
        return static_cast<OPJ_SIZE_T>(-1);
    count = std::min<size_t>(count, left);
    memcpy(out, m->data + m->at, count);
    m->at += count;
    return count;
}

OPJ_OFF_T skip_some(OPJ_OFF_T count, void *user)
{
    struct memory *m = static_cast<struct memory *>(user);
    if (count < 0 || static_cast<uint64_t>(count) > m->size - m->at)
        return -1;
    m->at += static_cast<size_t>(count);
    return count;
}

OPJ_BOOL seek_to(OPJ_OFF_T offset, void *user)
{
    struct memory *m = static_cast<struct memory *>(user);
    if (offset < 0 || static_cast<uint64_t>(offset) > m->size)
        return OPJ_FALSE;
    m->at = static_cast<size_t>(offset);
    return OPJ_TRUE;
}

// Keeps the first thing that went wrong.
void keep_message(const char *text, void *user)
{
    std::string *first = static_cast<std::string *>(user);
    if (!first->empty())
        return;
    *first = text;
    while (!first->empty() && first->back() == '\n')
        first->pop_back();
}

struct stream_end {
    void operator()(opj_stream_t *s) const
    {
        opj_stream_destroy(s);
    }
};
struct codec_end {
    void operator()(opj_codec_t *c) const
    {
        opj_destroy_codec(c);
    }
};
struct image_end {
    void operator()(opj_image_t *i) const
    {
        opj_image_destroy(i);
    }
};

bool check_image(const opj_image_t *image, const struct pixel_format &format, struct err *err)
{
    if (image->numcomps != format.samples)
        return err_set(err, ERR_INPUT, "JPEG 2000 stream of %u components, data set of %u samples",
                       image->numcomps, format.samples);
    const opj_image_comp_t &first = image->comps[0];
    if (image->x1 - image->x0 != format.columns || image->y1 - image->y0 != format.rows)
        return err_set(err, ERR_INPUT, "JPEG 2000 stream of %u x %u, data set of %u x %u",
                       image->x1 - image->x0, image->y1 - image->y0, format.columns, format.rows);
    if (first.prec < 1 || first.prec > 31)
        return err_set(err, ERR_UNSUPPORTED, "JPEG 2000 stream of %u bits", first.prec);
    for (unsigned i = 0; i < image->numcomps; i++) {
        const opj_image_comp_t &c = image->comps[i];
        if (c.dx != 1 || c.dy != 1 || c.prec != first.prec || c.sgnd != first.sgnd)
            return err_set(err, ERR_UNSUPPORTED, "JPEG 2000 components of different kinds");
    }
    return true;
}

// Components to samples side by side.
bool take_samples(const opj_image_t *image, const struct pixel_format &format,
                  struct raw_frame *out, struct err *err)
{
    size_t count = static_cast<size_t>(format.columns) * format.rows;
    out->precision = image->comps[0].prec;
    out->is_signed = image->comps[0].sgnd;
    out->bytes_per_sample = sizeof(uint32_t);
    out->bytes.resize(count * format.samples * sizeof(uint32_t));
    for (unsigned s = 0; s < format.samples; s++) {
        const opj_image_comp_t &c = image->comps[s];
        if (!c.data || c.w != format.columns || c.h != format.rows)
            return err_set(err, ERR_INPUT, "JPEG 2000 stream decodes to another size");
        if (c.sgnd && !format.is_signed && *std::min_element(c.data, c.data + count) < 0)
            return err_set(err, ERR_INPUT, "JPEG 2000 stream is signed, the data set is not");
        uint8_t *to = out->bytes.data() + s * sizeof(uint32_t);
        for (size_t i = 0; i < count; i++)
            memcpy(to + i * format.samples * sizeof(uint32_t), c.data + i, sizeof(uint32_t));
    }
    return true;
}

} // namespace

bool decode_j2k(const struct pixel_format &format, std::vector<uint8_t> &stream,
                struct raw_frame *out, struct err *err)
{
    if (!j2k_stream_prepare(&stream, err))
        return false;
    struct memory memory = {stream.data(), stream.size(), 0};
    std::string message;
    std::unique_ptr<opj_stream_t, stream_end> input(opj_stream_create(65536, OPJ_TRUE));
    std::unique_ptr<opj_codec_t, codec_end> codec(opj_create_decompress(OPJ_CODEC_J2K));
    if (!input || !codec)
        return err_set(err, ERR_NOMEM, "no memory");
    opj_stream_set_read_function(input.get(), read_some);
    opj_stream_set_skip_function(input.get(), skip_some);
    opj_stream_set_seek_function(input.get(), seek_to);
    opj_stream_set_user_data(input.get(), &memory, nullptr);
    opj_stream_set_user_data_length(input.get(), memory.size);
    opj_set_error_handler(codec.get(), keep_message, &message);

    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    opj_image_t *header = nullptr;
    bool ok = opj_setup_decoder(codec.get(), &parameters) &&
              opj_decoder_set_strict_mode(codec.get(), OPJ_TRUE) &&
              opj_read_header(input.get(), codec.get(), &header);
    std::unique_ptr<opj_image_t, image_end> image(header);
    if (!ok)
        return err_set(err, ERR_INPUT, "JPEG 2000 header: %s", message.c_str());
    if (!check_image(image.get(), format, err))
        return false;
    if (!opj_decode(codec.get(), input.get(), image.get()) ||
        !opj_end_decompress(codec.get(), input.get()))
        return err_set(err, ERR_INPUT, "JPEG 2000 stream: %s", message.c_str());
    if (format.colour != PIXEL_GREY && format.colour != PIXEL_PALETTE)
        out->colour =
            format.colour == PIXEL_YBR || format.colour == PIXEL_YBR_422 ? PIXEL_YBR : PIXEL_RGB;
    return take_samples(image.get(), format, out, err);
}
