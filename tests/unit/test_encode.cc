// Decimal strings, dates, times, codes and copies as dimse/write/encode.h says.
#include <cstring>
#include "dimse/write/charset.h"
#include "dimse/write/encode.h"
#include "dimse/read/object_parts.h"
#include "tests/check.h"

static void decimals_as_meant()
{
    CU_ASSERT(encode_decimal(128.44, 1) == "128.4");
    CU_ASSERT(encode_decimal(0, 2) == "0.00");
    CU_ASSERT(encode_decimal(-0.04, 1) == "0.0");
    CU_ASSERT(encode_decimal(-0.06, 1) == "-0.1");
    CU_ASSERT(encode_decimal(7, -3) == "7");
}

static void decimals_fit()
{
    const double values[] = {1.0 / 3, -1.0 / 3, 1e300, -1.23456789012345e-300, 12345678901234567.0};
    for (double v : values) {
        for (int d = 0; d < 20; d++) {
            const std::string text = encode_decimal(v, d);
            CU_ASSERT(text.size() <= 16 && !text.empty());
            if (d > 9 || v > 1) // as near as the digits allow
                CU_ASSERT(std::abs(std::stod(text) - v) <= std::max(1e-9, std::abs(v) * 1e-8));
        }
        CU_ASSERT(std::abs(std::stod(encode_decimal(v)) - v) <= std::abs(v) * 1e-8);
    }
    CU_ASSERT(encode_decimal(0.625) == "0.625");
}

static void dates()
{
    CU_ASSERT(encode_is_date("20240229"));
    for (const char *text : {"20120000", "20121301", "2012-1-1", "201201", "", "20120101 "})
        CU_ASSERT(!encode_is_date(text));
}

static void times()
{
    for (const char *text : {"10", "1011", "101112", "101112.5", "235960.123456"})
        CU_ASSERT(encode_is_time(text));
    for (const char *text : {"", "1", "99:00", "240000", "101112.", "1011.5", "101112.1234567"})
        CU_ASSERT(!encode_is_time(text));
}

static void dates_and_times_of_old_become_those_of_today()
{
    CU_ASSERT(encode_date_of_today("2012.03.04") == "20120304");
    for (const char *text :
         {"20120304", "2012.13.04", "2012-03-04", "04.03.2012", "2012.3.4", "2012.03.04 ", ".", ""})
        CU_ASSERT(encode_date_of_today(text) == text);
    CU_ASSERT(encode_time_of_today("10:11:12") == "101112");
    CU_ASSERT(encode_time_of_today("10:11:12.123456") == "101112.123456");
    CU_ASSERT(encode_time_of_today("10:11") == "1011");
    for (const char *text : {"101112", "10:11:", "10:11:1", "25:11:12", "10:1112", "1:11:12",
                             "10:11:12:13", "10:11:12.", ":", ""})
        CU_ASSERT(encode_time_of_today(text) == text);
}

static void codes()
{
    DcmDataset ds;
    encode_code(ds, DCM_ConceptCodeSequence, {"450360000", "SCT", "Calcium score"});
    encode_code(ds, DCM_ConceptCodeSequence, {"12345678901234567", "X", "Long"});
    DcmItem *one = item_of(ds, DCM_ConceptCodeSequence, 0);
    DcmItem *two = item_of(ds, DCM_ConceptCodeSequence, 1);
    CU_ASSERT_FATAL(one && two);
    CU_ASSERT(item_text(*one, DCM_CodeValue) == "450360000");
    CU_ASSERT(!two->tagExists(DCM_CodeValue));
    CU_ASSERT(item_text(*two, DCM_LongCodeValue) == "12345678901234567");
}

static void copies()
{
    DcmDataset from, to;
    encode_text(from, DCM_StudyInstanceUID, "1.02.3");
    encode_text(from, DCM_PatientName, "M\xdcLLER");
    CU_ASSERT(encode_copy(to, from, DCM_StudyInstanceUID));
    CU_ASSERT(encode_copy(to, from, DCM_PatientName));
    CU_ASSERT(!encode_copy(to, from, DCM_PatientID));
    CU_ASSERT(item_text(to, DCM_StudyInstanceUID) == "1.02.3");
    const char *name = nullptr;
    CU_ASSERT(to.findAndGetString(DCM_PatientName, name).good() && !strcmp(name, "M\xdcLLER"));
}

static void points_fit()
{
    std::vector<float> points;
    for (size_t i = 0; i < 20001; i++) {
        points.push_back((float)i);
        points.push_back((float)i / 2);
    }
    const std::vector<Float32> some = encode_points(points.data(), 3);
    CU_ASSERT(some == std::vector<Float32>(points.begin(), points.begin() + 6));
    const std::vector<Float32> most = encode_points(points.data(), 20001);
    CU_ASSERT(most.size() == 2 * 8191 && most.size() * sizeof(Float32) < 65536);
    CU_ASSERT(most[0] == 0 && most[most.size() - 2] == 20000 && most.back() == 10000);
    for (size_t i = 2; i < most.size(); i += 2)
        CU_ASSERT(most[i] > most[i - 2] && most[i] - most[i - 2] <= 3 &&
                  most[i + 1] == most[i] / 2);
    CU_ASSERT(encode_points(points.data(), 1).size() == 2);
    CU_ASSERT(encode_points(nullptr, 0).empty());
}

static void cut_between_letters()
{
    DcmDataset ds;
    encode_short(ds, DCM_StationName, "abcd\u00e9f", 5);
    CU_ASSERT(item_text(ds, DCM_StationName) == "abcd");
    encode_short(ds, DCM_StationName, "abcd\u00e9f", 6);
    CU_ASSERT(item_text(ds, DCM_StationName) == "abcd\u00e9");
    encode_short(ds, DCM_StationName, "abcd", 4);
    CU_ASSERT(item_text(ds, DCM_StationName) == "abcd");
}

static void texts_in_a_character_set()
{
    const std::string text = "3 mm\u00b2 \u2265 \u00b5l \u00e9 \u738b";
    CU_ASSERT(charset_encode(text, "ISO_IR 192") == text);
    CU_ASSERT(charset_encode(text, "ISO_IR 100") == "3 mm\xb2 >= \xb5l \xe9 ?");
    CU_ASSERT(charset_encode(text, "") == "3 mm2 >= ul ? ?");
    CU_ASSERT(charset_encode(text, "\\ISO 2022 IR 87") == "3 mm2 >= ul ? ?");
    CU_ASSERT(charset_encode(text, "no such set") == "3 mm2 >= ul ? ?");
    CU_ASSERT(charset_encode("\u03b1\u00b0", "ISO_IR 126") == "\xe1\xb0");
    CU_ASSERT(charset_encode("\u738b", "GB18030") == "\xcd\xf5");
}

static void texts_that_are_no_utf8()
{
    for (const char *set : {"", "ISO_IR 100", "ISO_IR 192"}) {
        CU_ASSERT(charset_encode("a\xff"
                                 "b",
                                 set) == "a?b");
        CU_ASSERT(charset_encode("\xe2\x82", set) == "??"); // cut short
        CU_ASSERT(charset_encode("\xc0\xaf", set) == "??"); // overlong
        CU_ASSERT(charset_encode("", set).empty());
    }
}

static void refusal_names_the_attribute()
{
    DcmDataset ds;
    bool thrown = false;
    try {
        encode_text(ds, DCM_ContentSequence, "no text");
    } catch (const encode_error &e) {
        thrown = e.code == ERR_INTERNAL && strstr(e.what(), "ContentSequence");
    }
    CU_ASSERT(thrown);
}

int main()
{
    static const struct check_case cases[] = {
        {"encode_decimal_has_the_digits_that_are_meant", decimals_as_meant},
        {"encode_decimal_fits_in_16_characters", decimals_fit},
        {"encode_is_date_knows_the_calendar", dates},
        {"encode_is_time_knows_the_clock", times},
        {"dates_and_times_of_old_become_those_of_today",
         dates_and_times_of_old_become_those_of_today},
        {"encode_code_long_values", codes},
        {"encode_copy_keeps_broken_values", copies},
        {"encode_short_cuts_between_letters", cut_between_letters},
        {"encode_points_fit_in_a_value", points_fit},
        {"charset_encode_spells_what_a_set_lacks", texts_in_a_character_set},
        {"charset_encode_marks_what_is_no_utf_8", texts_that_are_no_utf8},
        {"encode_refusal_names_the_attribute", refusal_names_the_attribute},
    };
    return check_main("encode", cases, sizeof cases / sizeof cases[0]);
}
