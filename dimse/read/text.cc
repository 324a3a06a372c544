// Attribute text to UTF-8. Source: PS3.5 6.1, PS3.3 C.12.1.1.2.
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <iconv.h>
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

namespace
{

// A set by the letters and digits of its name: how iconv knows its upper half, or all of it.
struct charset {
    const char *name, *iconv;
    bool whole; // not made of two halves
};

const struct charset charsets[] = {
    {"ISOIR100", "ISO-8859-1", false},
    {"ISO2022IR100", "ISO-8859-1", false},
    {"ISOIR101", "ISO-8859-2", false},
    {"ISO2022IR101", "ISO-8859-2", false},
    {"ISOIR109", "ISO-8859-3", false},
    {"ISO2022IR109", "ISO-8859-3", false},
    {"ISOIR110", "ISO-8859-4", false},
    {"ISO2022IR110", "ISO-8859-4", false},
    {"ISOIR144", "ISO-8859-5", false},
    {"ISO2022IR144", "ISO-8859-5", false},
    {"ISOIR127", "ISO-8859-6", false},
    {"ISO2022IR127", "ISO-8859-6", false},
    {"ISOIR126", "ISO-8859-7", false},
    {"ISO2022IR126", "ISO-8859-7", false},
    {"ISOIR138", "ISO-8859-8", false},
    {"ISO2022IR138", "ISO-8859-8", false},
    {"ISOIR148", "ISO-8859-9", false},
    {"ISO2022IR148", "ISO-8859-9", false},
    {"ISOIR203", "ISO-8859-15", false},
    {"ISO2022IR203", "ISO-8859-15", false},
    {"ISOIR13", "SHIFT_JIS", false},
    {"ISO2022IR13", "SHIFT_JIS", false},
    {"ISOIR166", "TIS-620", false},
    {"ISO2022IR166", "TIS-620", false},
    {"ISO2022IR149", "EUC-KR", false},
    {"ISOIR149", "EUC-KR", false},
    {"ISO2022IR58", "GBK", false},
    {"ISOIR58", "GBK", false},
    {"ISOIR192", "UTF-8", true},
    {"UTF8", "UTF-8", true},
    {"ISO2022IR192", "UTF-8", true},
    {"GB18030", "GB18030", true},
    {"GBK", "GBK", true},
    {"GB2312", "GBK", true},
    {"SHIFTJIS", "SHIFT_JIS", true},
    {"SJIS", "SHIFT_JIS", true},
    {"LATIN1", "ISO-8859-1", false},
    {"ISO88591", "ISO-8859-1", false},
    {"LATIN2", "ISO-8859-2", false},
    {"ISO88592", "ISO-8859-2", false},
    {"ISO885915", "ISO-8859-15", false},
    {"WINDOWS1252", "CP1252", false},
};

// What an escape sequence puts where (PS3.3 tables C.12-3 and C.12-4).
struct escape {
    const char *bytes; // behind ESC
    bool upper;        // G1, of the upper half; else G0
    const char *iconv; // G0: NULL for one byte a character
    const char *lead;  // G0: put before each character for iconv
};

const struct escape escapes[] = {
    {"(B", false, nullptr, ""},       {"(J", false, nullptr, ""},
    {"$B", false, "EUC-JP", ""},      {"$@", false, "EUC-JP", ""},
    {"$(D", false, "EUC-JP", "\x8f"}, {")I", true, "SHIFT_JIS", ""},
    {"$)C", true, "EUC-KR", ""},      {"$)A", true, "GBK", ""},
    {"-A", true, "ISO-8859-1", ""},   {"-B", true, "ISO-8859-2", ""},
    {"-C", true, "ISO-8859-3", ""},   {"-D", true, "ISO-8859-4", ""},
    {"-L", true, "ISO-8859-5", ""},   {"-G", true, "ISO-8859-6", ""},
    {"-F", true, "ISO-8859-7", ""},   {"-H", true, "ISO-8859-8", ""},
    {"-M", true, "ISO-8859-9", ""},   {"-b", true, "ISO-8859-15", ""},
    {"-T", true, "TIS-620", ""},
};

const struct charset *charset_find(const std::string &name)
{
    std::string plain;
    for (char c : name) {
        if (isalnum(static_cast<unsigned char>(c)))
            plain += static_cast<char>(toupper(static_cast<unsigned char>(c)));
    }
    for (const struct charset &c : charsets) {
        if (plain == c.name)
            return &c;
    }
    return nullptr;
}

const struct escape *escape_at(const std::string &raw, size_t at)
{
    for (const struct escape &e : escapes) {
        if (raw.compare(at + 1, strlen(e.bytes), e.bytes) == 0)
            return &e;
    }
    return nullptr;
}

} // namespace

text_decoder::text_decoder(DcmItem &dataset)
{
    std::string names = item_text(dataset, DCM_SpecificCharacterSet);
    for (size_t start = 0; start <= names.size();) {
        size_t end = std::min(names.find('\\', start), names.size());
        std::string name = names.substr(start, end - start);
        const struct charset *set = charset_find(name);
        extensions_ = extensions_ || start > 0 || name.find("2022") != std::string::npos;
        if (set && set->whole && start == 0)
            whole_ = set->iconv;
        else if (set && !g1_) // some write no escape to the one set that they use
            g1_ = set->iconv;
        start = end + 1;
    }
}

text_decoder::~text_decoder()
{
    for (const auto &o : open_)
        iconv_close(static_cast<iconv_t>(o.second));
}

std::string text_decoder::convert(const std::string &raw, const char *from)
{
    auto at =
        std::find_if(open_.begin(), open_.end(), [&](const std::pair<const char *, void *> &o) {
            return strcmp(o.first, from) == 0;
        });
    if (at == open_.end()) {
        iconv_t made = iconv_open("UTF-8", from);
        if (made == reinterpret_cast<iconv_t>(-1)) // its module is not installed
            return std::string(raw.size(), '?');
        open_.emplace_back(from, made);
        at = open_.end() - 1;
    }
    iconv_t cd = static_cast<iconv_t>(at->second);
    std::string out, copy = raw;
    char *in = &copy[0], room[256];
    size_t left = copy.size();
    iconv(cd, nullptr, nullptr, nullptr, nullptr);
    while (left > 0) {
        char *to = room;
        size_t space = sizeof room;
        size_t done = iconv(cd, &in, &left, &to, &space);
        out.append(room, static_cast<size_t>(to - room));
        if (done == static_cast<size_t>(-1) && errno != E2BIG) {
            out += '?';
            in++;
            left--;
        }
    }
    return out;
}

// Text with escapes, by runs of one set; line ends and delimiters bring back the first sets
// (PS3.5 6.1.2.5.3).
std::string text_decoder::extended(const std::string &raw)
{
    const char *upper = g1_;
    const struct escape *lower = nullptr;
    std::string out;
    for (size_t at = 0; at < raw.size();) {
        unsigned char c = static_cast<unsigned char>(raw[at]);
        const struct escape *e = c == 0x1b ? escape_at(raw, at) : nullptr;
        std::string run;
        if (e) {
            if (e->upper)
                upper = e->iconv;
            else
                lower = e->iconv ? e : nullptr;
            at += 1 + strlen(e->bytes);
        } else if (c >= 0x80) {
            while (at < raw.size() && static_cast<unsigned char>(raw[at]) >= 0x80)
                run += raw[at++];
            out += upper ? convert(run, upper) : run;
        } else if (lower && c > 0x20 && at + 1 == raw.size()) {
            out += '?'; // half a character
            at++;
        } else if (lower && c > 0x20) {
            run = lower->lead;
            run += static_cast<char>(c | 0x80);
            run += static_cast<char>(raw[at + 1] | 0x80);
            out += convert(run, lower->iconv);
            at += 2;
        } else {
            if (strchr("\\\r\n\f\t^=", c) && c) {
                upper = g1_;
                lower = nullptr;
            }
            out += raw[at++];
        }
    }
    return out;
}

std::string text_decoder::decode(const std::string &raw, bool affected)
{
    if (!affected)
        return clean(raw);
    if (whole_)
        return clean(strcmp(whole_, "UTF-8") == 0 ? raw : convert(raw, whole_));
    return clean(extensions_ || g1_ ? extended(raw) : raw);
}
