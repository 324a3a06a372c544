// Private attributes, by the creator that reserved their block. Source: PS3.5 7.8.1.
#include <cmath>
#include <cstring>
#include "dimse/read/object_parts.h"

static DcmObject *private_object(DcmItem &item, uint16_t group, uint8_t number, const char *creator)
{
    uint16_t block = 0;
    for (DcmObject *o = item.nextInContainer(nullptr); o; o = item.nextInContainer(o)) {
        DcmTagKey tag = o->getTag().getXTag();
        if (tag.getGroup() > group)
            return nullptr;
        if (tag.getGroup() != group)
            continue;
        if (o->isLeaf() && tag.getElement() >= 0x10 && tag.getElement() <= 0xff && block == 0 &&
            element_text(*static_cast<DcmElement *>(o)) == creator)
            block = tag.getElement();
        if (block != 0 && tag.getElement() == (block << 8 | number))
            return o;
    }
    return nullptr;
}

DcmElement *private_element(DcmItem &item, uint16_t group, uint8_t number, const char *creator)
{
    DcmObject *found = private_object(item, group, number, creator);
    return found && found->isLeaf() ? static_cast<DcmElement *>(found) : nullptr;
}

DcmSequenceOfItems *private_sequence(DcmItem &item, uint16_t group, uint8_t number,
                                     const char *creator)
{
    DcmObject *found = private_object(item, group, number, creator);
    return found && found->ident() == EVR_SQ ? static_cast<DcmSequenceOfItems *>(found) : nullptr;
}

bool private_number(DcmItem &item, uint16_t group, uint8_t number, const char *creator, DcmEVR vr,
                    double *out)
{
    DcmElement *element = private_element(item, group, number, creator);
    Uint8 *bytes = nullptr;
    if (!element)
        return false;
    if (element->ident() != EVR_UN && element->ident() != EVR_UNKNOWN)
        return item_number(item, element->getTag().getXTag(), 0, out);
    size_t size = element->getLengthField();
    if (size == 0 || size > 64 || element->getUint8Array(bytes).bad() || !bytes)
        return false;
    if (vr == EVR_US) {
        *out = size == 2 ? bytes[0] | bytes[1] << 8 : NAN;
        return size == 2;
    }
    if (vr == EVR_FD) {
        if (size < sizeof *out)
            return false;
        memcpy(out, bytes, sizeof *out);
        return std::isfinite(*out);
    }
    if (vr == EVR_FL) {
        float value;
        if (size < sizeof value)
            return false;
        memcpy(&value, bytes, sizeof value);
        *out = static_cast<double>(value);
        return std::isfinite(value);
    }
    std::string text(reinterpret_cast<char *>(bytes), size);
    return text_number(text.substr(0, text.find('\\')), out);
}
