// Attribute text to UTF-8. Source: PS3.5 6.1, PS3.3 C.12.1.1.2.
#include <cstring>
#include "dimse/read/object_parts.h"

// Length of the UTF-8 character at p, 0 when there is none (PS3.5 6.1.2.1, Unicode table 3-7).
static size_t utf8_length(const unsigned char *p, size_t left)
{
    unsigned char lead = p[0];
    size_t length = lead < 0x80   ? 1
                    : lead < 0xc2 ? 0
                    : lead < 0xe0 ? 2
                    : lead < 0xf0 ? 3
                    : lead < 0xf5 ? 4
                                  : 0;
    if (length > left)
        return 0;
    for (size_t i = 1; i < length; i++) {
        unsigned char low = 0x80, high = 0xbf;
        if (i == 1) {
            low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
            high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        }
        if (p[i] < low || p[i] > high)
            return 0;
    }
    return length;
}

// Well-formed UTF-8 without control characters but line ends and tabs.
static std::string clean(const std::string &text)
{
    std::string out;
    const unsigned char *p = reinterpret_cast<const unsigned char *>(text.data());
    for (size_t i = 0; i < text.size();) {
        size_t length = utf8_length(p + i, text.size() - i);
        bool control = p[i] == 0x7f || (p[i] == 0xc2 && length == 2 && p[i + 1] < 0xa0) ||
                       (p[i] < ' ' && p[i] != '\n' && p[i] != '\r' && p[i] != '\t');
        if (length == 0 || control)
            out += '?';
        else
            out.append(text, i, length);
        i += length ? length : 1;
    }
    return out;
}

text_decoder::text_decoder(DcmItem &dataset) : usable_(false), utf8_(false)
{
    std::string name = item_text(dataset, DCM_SpecificCharacterSet);
    utf8_ = name == "ISO_IR 192";
    usable_ = !utf8_ && !name.empty() && DcmSpecificCharacterSet::isConversionAvailable() &&
              set_.selectCharacterSet(dataset).good();
}

std::string text_decoder::decode(const std::string &raw, bool affected)
{
    if (affected && usable_) {
        OFString out;
        if (set_.convertString(raw.data(), raw.size(), out, "\\^=").good())
            return clean(std::string(out.data(), out.size()));
    }
    return clean(raw);
}
