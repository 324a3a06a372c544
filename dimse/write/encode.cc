#include "dimse/write/encode.h"
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <memory>
#include "dcmtk/dcmiod/cielabutil.h"

void encode_check(const OFCondition &condition, const DcmTagKey &tag)
{
    if (condition.good())
        return;
    DcmTag named(tag);
    enum err_code code = condition == EC_MemoryExhausted ? ERR_NOMEM : ERR_INTERNAL;
    throw encode_error(code, std::string(named.getTagName()) + ": " + condition.text());
}

void encode_text(DcmItem &item, const DcmTagKey &tag, const std::string &value)
{
    encode_check(item.putAndInsertString(tag, value.c_str()), tag);
}

void encode_short(DcmItem &item, const DcmTagKey &tag, const std::string &value, size_t limit)
{
    size_t end = std::min(limit, value.size());
    while (end > 0 && end < value.size() && ((unsigned char)value[end] & 0xc0) == 0x80)
        end--; // not inside a letter of UTF-8
    encode_text(item, tag, value.substr(0, end));
}

void encode_u16(DcmItem &item, const DcmTagKey &tag, const std::vector<Uint16> &values)
{
    encode_check(item.putAndInsertUint16Array(tag, values.data(), values.size()), tag);
}

void encode_f32(DcmItem &item, const DcmTagKey &tag, const std::vector<Float32> &values)
{
    encode_check(item.putAndInsertFloat32Array(tag, values.data(), values.size()), tag);
}

std::vector<Float32> encode_points(const float *points, size_t count)
{
    const size_t most = 65534 / (2 * sizeof(Float32));
    const size_t kept = std::min(count, most);
    std::vector<Float32> out;
    for (size_t i = 0; i < kept; i++) {
        const size_t from = kept > 1 ? i * (count - 1) / (kept - 1) : 0;
        out.push_back(points[2 * from]);
        out.push_back(points[2 * from + 1]);
    }
    return out;
}

DcmItem &encode_item(DcmItem &item, const DcmTagKey &sequence)
{
    DcmItem *made = nullptr;
    encode_check(item.findOrCreateSequenceItem(sequence, made, -2), sequence);
    return *made;
}

void encode_empty_sequence(DcmItem &item, const DcmTagKey &sequence)
{
    encode_check(item.insertEmptyElement(sequence), sequence);
}

void encode_code_item(DcmItem &item, const struct code &code)
{
    const std::string value = code.value;
    encode_text(item, value.size() > 16 ? DCM_LongCodeValue : DCM_CodeValue, value);
    encode_text(item, DCM_CodingSchemeDesignator, code.scheme);
    encode_short(item, DCM_CodeMeaning, code.meaning, 64);
}

void encode_code(DcmItem &item, const DcmTagKey &sequence, const struct code &code)
{
    encode_code_item(encode_item(item, sequence), code);
}

std::vector<Uint16> encode_cielab(const uint8_t rgb[3])
{
    double lab[3];
    IODCIELabUtil::rgb2DicomLab(lab[0], lab[1], lab[2], rgb[0] / 255.0, rgb[1] / 255.0,
                                rgb[2] / 255.0);
    std::vector<Uint16> out;
    for (double value : lab)
        out.push_back((Uint16)std::clamp(value, 0.0, 65535.0));
    return out;
}

bool encode_copy(DcmItem &to, DcmItem &from, const DcmTagKey &tag)
{
    DcmElement *found = nullptr;
    if (from.findAndGetElement(tag, found).bad() || !found)
        return false;
    std::unique_ptr<DcmElement> copy(OFstatic_cast(DcmElement *, found->clone()));
    if (!copy)
        throw encode_error(ERR_NOMEM, "no memory for a copy");
    encode_check(to.insert(copy.get(), OFTrue), tag);
    (void)copy.release(); // the data set owns it now
    return true;
}

std::string encode_decimal(double value)
{
    char text[40];
    for (int digits = 15; digits > 0; digits--) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (std::string(text).size() <= 16)
            break;
    }
    return text;
}

std::string encode_decimal(double value, int decimals)
{
    char text[512]; // DBL_MAX has 309 digits before the point
    snprintf(text, sizeof text, "%.*f", std::clamp(decimals, 0, 15), value);
    std::string fixed = text;
    if (fixed[0] == '-' && fixed.find_first_not_of("-0.") == std::string::npos)
        fixed.erase(0, 1); // no minus zero
    return fixed.size() <= 16 ? fixed : encode_decimal(value);
}

static bool all_digits(const std::string &text)
{
    for (unsigned char c : text)
        if (!isdigit(c))
            return false;
    return !text.empty();
}

bool encode_is_date(const std::string &text)
{
    if (text.size() != 8 || !all_digits(text))
        return false;
    return OFDate().setDate(std::stoul(text.substr(0, 4)), std::stoul(text.substr(4, 2)),
                            std::stoul(text.substr(6, 2)));
}

bool encode_is_time(const std::string &text)
{
    const std::string whole = text.substr(0, text.find('.'));
    if (!all_digits(whole) || whole.size() % 2 || whole.size() > 6 || text.size() > 13)
        return false;
    if (text.size() > whole.size() &&
        (whole.size() != 6 || !all_digits(text.substr(whole.size() + 1))))
        return false;
    static const int limits[] = {23, 59, 60};
    for (size_t i = 0; i < whole.size(); i += 2)
        if (std::stoi(whole.substr(i, 2)) > limits[i / 2])
            return false;
    return true;
}

std::string encode_date_of_today(const std::string &text)
{
    if (text.size() != 10 || text[4] != '.' || text[7] != '.')
        return text;
    const std::string date = text.substr(0, 4) + text.substr(5, 2) + text.substr(8, 2);
    return encode_is_date(date) ? date : text;
}

std::string encode_time_of_today(const std::string &text)
{
    const bool seconds = text.size() > 5;
    if (text.size() < 5 || text[2] != ':' || (seconds && (text.size() < 8 || text[5] != ':')))
        return text;
    const std::string time =
        text.substr(0, 2) + text.substr(3, 2) + (seconds ? text.substr(6) : std::string());
    return encode_is_time(time) ? time : text;
}
