// C++, inside dimse only: filling a DCMTK data set with every condition checked. A call that DCMTK
// refuses throws encode_error; the C function that called an encoder catches it.
// Thread-safety: a data set belongs to one thread.
#pragma once
#include <stdexcept>
#include <string>
#include <vector>
#include "dcmtk/config/osconfig.h"
#include "dcmtk/dcmdata/dctk.h"
#include "compute/findings/findings.h"
#include "base/err.h"

class encode_error : public std::runtime_error
{
  public:
    encode_error(enum err_code error, const std::string &text)
        : std::runtime_error(text), code(error)
    {
    }
    const enum err_code code;
};

// Throws with DCMTK's words and the name of the attribute: ERR_NOMEM or ERR_INTERNAL.
void encode_check(const OFCondition &condition, const DcmTagKey &tag);

// Text as it is, of any value representation that is text; values are separated by '\\'.
void encode_text(DcmItem &item, const DcmTagKey &tag, const std::string &value);
// As encode_text(), cut to at most limit bytes between two letters.
void encode_short(DcmItem &item, const DcmTagKey &tag, const std::string &value, size_t limit);
void encode_u16(DcmItem &item, const DcmTagKey &tag, const std::vector<Uint16> &values);
void encode_f32(DcmItem &item, const DcmTagKey &tag, const std::vector<Float32> &values);

// Points of a graphic as pairs of column and row. FL in explicit VR has 65534 bytes at most (PS3.5
// 7.1.2): of an outline with more than that points are left out evenly, the ends stay.
std::vector<Float32> encode_points(const float *points, size_t count);

// Appends an item to a sequence, which is made when absent. Borrowed from the data set.
DcmItem &encode_item(DcmItem &item, const DcmTagKey &sequence);
// An empty sequence (Type 2).
void encode_empty_sequence(DcmItem &item, const DcmTagKey &sequence);
// A sequence of one code; a value of more than 16 characters is a Long Code Value.
void encode_code(DcmItem &item, const DcmTagKey &sequence, const struct code &code);
// The attributes of a code in the item itself.
void encode_code_item(DcmItem &item, const struct code &code);

// PS3.3 C.10.7.1.1: of a colour, 0..255 each.
std::vector<Uint16> encode_cielab(const uint8_t rgb[3]);

// Copies an element as it is, whatever is in it. False when from has none.
bool encode_copy(DcmItem &to, DcmItem &from, const DcmTagKey &tag);

// The most digits of a number that fit in a Decimal String (16 characters).
std::string encode_decimal(double value);
// With exactly so many digits after the point, where they fit.
std::string encode_decimal(double value, int decimals);

bool encode_is_date(const std::string &text); // a DA that exists in the calendar
bool encode_is_time(const std::string &text); // a TM
// A date or time that ACR-NEMA 300 wrote with points or colons ("2012.03.04", "10:11:12.5"; PS3.5
// 6.2 lets readers take it and writers not) in the form of today; any other text as it is.
std::string encode_date_of_today(const std::string &text);
std::string encode_time_of_today(const std::string &text);
