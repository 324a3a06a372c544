#include "dimse/read/waveform.h"
#include <cmath>
#include <cstring>
#include "dimse/read/object_parts.h"

// A voice of a telephone, and the highest rate of usual recorders.
static const double rate_min_hz = 8000, rate_max_hz = 48000;

enum sample_kind { SAMPLE_S8, SAMPLE_U8, SAMPLE_MU_LAW, SAMPLE_A_LAW, SAMPLE_S16, SAMPLE_U16 };

static const struct {
    const char *name; // Waveform Sample Interpretation, PS3.3 C.10.9.1.5
    enum sample_kind kind;
    unsigned bits;
} sample_kinds[] = {
    {"SB", SAMPLE_S8, 8},    {"UB", SAMPLE_U8, 8},   {"MB", SAMPLE_MU_LAW, 8},
    {"AB", SAMPLE_A_LAW, 8}, {"SS", SAMPLE_S16, 16}, {"US", SAMPLE_U16, 16},
};

struct waveform {
    struct object *object;
    const Uint8 *bytes; // of object
    enum sample_kind kind;
    unsigned channels, sample_bytes;
    std::string sop_instance_uid;
};

// G.711 mu-law: sign, exponent, mantissa, all bits inverted; to 16 bits.
static int sample_mu_law(uint8_t code)
{
    const unsigned c = ~code & 0xffu;
    const int magnitude = (int)((((c & 15u) << 3) + 0x84u) << ((c >> 4) & 7u)) - 0x84;
    return c & 0x80u ? -magnitude : magnitude;
}

// G.711 A-law: even bits inverted; to 16 bits.
static int sample_a_law(uint8_t code)
{
    const unsigned c = code ^ 0x55u, exponent = (c >> 4) & 7u;
    const unsigned step = ((c & 15u) << 4) + 8;
    const int magnitude = (int)(exponent ? (step + 0x100) << (exponent - 1) : step);
    return c & 0x80u ? magnitude : -magnitude;
}

// In the order of bytes that the parser leaves words in: that of the machine.
static int sample_at(const struct waveform &w, uint64_t index)
{
    const Uint8 *at = w.bytes + index * w.sample_bytes;
    Uint16 word;
    switch (w.kind) {
    case SAMPLE_S8:
        return (int8_t)*at * 256;
    case SAMPLE_U8:
        return (*at - 128) * 256;
    case SAMPLE_MU_LAW:
        return sample_mu_law(*at);
    case SAMPLE_A_LAW:
        return sample_a_law(*at);
    case SAMPLE_S16:
        memcpy(&word, at, sizeof word);
        return (int16_t)word;
    case SAMPLE_U16:
        memcpy(&word, at, sizeof word);
        return (int)word - 32768;
    }
    return 0;
}

static bool waveform_read(void *ctx, uint64_t first, size_t count, int16_t *out, struct err *)
{
    const struct waveform &w = *static_cast<const struct waveform *>(ctx);
    for (size_t i = 0; i < count; i++) {
        int sum = 0;
        for (unsigned c = 0; c < w.channels; c++)
            sum += sample_at(w, (first + i) * w.channels + c);
        out[i] = (int16_t)(sum / (int)w.channels);
    }
    return true;
}

// Fills what the multiplex group says.
static bool waveform_describe(DcmItem &group, struct waveform *w, struct recording *out,
                              struct err *err)
{
    double channels = 0, samples = 0, bits = 0;
    if (!item_number(group, DCM_NumberOfWaveformChannels, 0, &channels) ||
        !item_number(group, DCM_NumberOfWaveformSamples, 0, &samples) ||
        !item_number(group, DCM_SamplingFrequency, 0, &out->rate_hz) ||
        !item_number(group, DCM_WaveformBitsAllocated, 0, &bits) || channels < 1 || samples < 0 ||
        !(out->rate_hz > 0))
        return err_set(err, ERR_INPUT, "it does not say how its sound is sampled");
    if (channels > 2)
        return err_set(err, ERR_UNSUPPORTED, "%g channels: one or two can be read", channels);
    if (out->rate_hz < rate_min_hz || out->rate_hz > rate_max_hz)
        return err_set(err, ERR_UNSUPPORTED, "%g samples a second: %g to %g can be read",
                       out->rate_hz, rate_min_hz, rate_max_hz);
    const std::string name = item_text(group, DCM_WaveformSampleInterpretation, 0);
    for (const auto &k : sample_kinds) {
        if (name != k.name || bits != k.bits)
            continue;
        w->kind = k.kind;
        w->channels = (unsigned)channels;
        w->sample_bytes = k.bits / 8;
        out->samples = (uint64_t)samples;
        return true;
    }
    return err_set(err, ERR_UNSUPPORTED, "samples of %g bits, \"%.8s\"", bits, name.c_str());
}

static bool waveform_find_bytes(DcmItem &group, struct waveform *w, const struct recording *out,
                                struct err *err)
{
    DcmElement *data = nullptr;
    Uint8 *bytes = nullptr;
    Uint16 *words = nullptr;
    if (group.findAndGetElement(DCM_WaveformData, data).bad() || !data)
        return err_set(err, ERR_INPUT, "it has no Waveform Data");
    if (data->getVR() == EVR_OW || data->ident() == EVR_OW) {
        if (data->getUint16Array(words).good())
            bytes = reinterpret_cast<Uint8 *>(words);
    } else {
        data->getUint8Array(bytes);
    }
    const uint64_t needed = out->samples * w->channels * w->sample_bytes;
    const uint64_t there = bytes ? data->getLengthField() : 0;
    if (there < needed)
        return err_set(err, ERR_INPUT, "%llu bytes of sound of the %llu that it says",
                       (unsigned long long)there, (unsigned long long)needed);
    w->bytes = bytes;
    return true;
}

static bool waveform_fill(struct waveform *w, struct recording *out, struct err *err)
{
    DcmItem &header = w->object->header;
    DcmItem *group = item_of(header, DCM_WaveformSequence);
    if (!group)
        return err_set(err, ERR_INPUT, "it has no waveform");
    if (item_of(header, DCM_WaveformSequence, 1))
        return err_set(err, ERR_INPUT, "it has several groups of channels: which is the voice?");
    w->sop_instance_uid = w->object->ids.id.sop_instance_uid;
    *out = (struct recording){w->sop_instance_uid.c_str(), 0, 0, waveform_read, w};
    return waveform_describe(*group, w, out, err) && waveform_find_bytes(*group, w, out, err);
}

struct waveform *waveform_open(const char *path, struct recording *out, struct err *err)
{
    struct waveform *w = nullptr;
    try {
        w = new struct waveform();
        w->object = object_open(path, err);
        if (w->object && waveform_fill(w, out, err))
            return w;
    } catch (const std::bad_alloc &) {
        err_set(err, ERR_NOMEM, "no memory for a recording");
    }
    waveform_close(w);
    return nullptr;
}

void waveform_close(struct waveform *w)
{
    if (!w)
        return;
    object_close(w->object);
    delete w;
}
