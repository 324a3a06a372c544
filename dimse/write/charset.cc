#include "dimse/write/charset.h"
#include <algorithm>
#include <cstdint>
#include <map>
#include "dcmtk/config/osconfig.h"
#include "dcmtk/dcmdata/dcspchrs.h"

// Bytes of the UTF-8 character at text[at]; 0: there is none.
static size_t charset_utf8_length(const std::string &text, size_t at)
{
    const unsigned char lead = (unsigned char)text[at];
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : lead >= 0xe0 && lead < 0xf0 ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (!length || at + length > text.size())
        return 0;
    for (size_t i = 1; i < length; i++)
        if (((unsigned char)text[at + i] & 0xc0) != 0x80)
            return 0;
    return length;
}

// How people write these where only ASCII is at hand.
static const char *ascii_for(const std::string &sign)
{
    static const std::map<std::string, const char *> spelt = {
        {"\u00b5", "u"},      {"\u03bc", "u"},          {"\u00b0", "deg"}, {"\u00b2", "2"},
        {"\u00b3", "3"},      {"\u00b9", "1"},          {"\u00b1", "+/-"}, {"\u2265", ">="},
        {"\u2264", "<="},     {"\u00d7", "x"},          {"\u00b7", "."},   {"\u2013", "-"},
        {"\u2014", "-"},      {"\u2212", "-"},          {"\u2026", "..."}, {"\u2018", "'"},
        {"\u2019", "'"},      {"\u201c", "\""},         {"\u201d", "\""},  {"\u00a0", " "},
        {"\u0394", "Delta "}, {"\u2030", " per mille"},
    };
    const auto found = spelt.find(sign);
    return found == spelt.end() ? "?" : found->second;
}

static bool is_ascii(const std::string &text)
{
    return std::all_of(text.begin(), text.end(), [](char c) { return (unsigned char)c < 0x80; });
}

std::string charset_encode(const std::string &utf8, const std::string &character_set)
{
    if (is_ascii(utf8))
        return utf8;
    const bool one = character_set.find('\\') == std::string::npos &&
                     character_set.rfind("ISO 2022", 0) != 0 && !character_set.empty();
    const bool same = character_set == "ISO_IR 192";
    DcmSpecificCharacterSet converter;
    const bool usable =
        one && !same && converter.selectCharacterSet("ISO_IR 192", character_set.c_str()).good();
    std::string out;
    for (size_t at = 0; at < utf8.size();) {
        const size_t length = charset_utf8_length(utf8, at);
        const std::string sign = utf8.substr(at, length ? length : 1);
        at += sign.size();
        OFString converted;
        if (!length)
            out += '?';
        else if (length == 1 || same)
            out += sign;
        else if (usable && converter.convertString(sign.c_str(), converted).good() &&
                 !converted.empty())
            out += converted.c_str();
        else
            out += ascii_for(sign);
    }
    return out;
}
