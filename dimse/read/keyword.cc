// Keywords of the standard dictionary: private ones are none, retired ones go by their own name.
#include <cstring>
#include "dcmtk/dcmdata/dcdict.h"
#include "dcmtk/dcmdata/dcdicent.h"
#include "dimse/read/object_parts.h"
#include "base/near.h"

#define RETIRED "RETIRED_"

// The keyword of a dictionary entry, or NULL.
static const char *keyword_of(const DcmDictEntry *entry)
{
    const char *name = entry ? entry->getTagName() : nullptr;
    if (!name || entry->getPrivateCreator() || entry->getGroup() % 2 == 1)
        return nullptr;
    return strncmp(name, RETIRED, strlen(RETIRED)) == 0 ? name + strlen(RETIRED) : name;
}

template <typename body_type> static void each_keyword(body_type body)
{
    DcmDataDictionary &dictionary = dcmDataDict.wrlock();
    DcmHashDictIterator end = dictionary.normalEnd();
    for (DcmHashDictIterator i = dictionary.normalBegin(); i != end; ++i) {
        const char *keyword = keyword_of(*i);
        if (keyword)
            body(keyword, **i);
    }
    DcmDictEntryListIterator last = dictionary.repeatingEnd();
    for (DcmDictEntryListIterator i = dictionary.repeatingBegin(); i != last; ++i) {
        const char *keyword = keyword_of(*i);
        if (keyword)
            body(keyword, **i);
    }
    dcmDataDict.wrunlock();
}

bool object_keyword_known(const char *keyword)
{
    bool known = false;
    each_keyword([&](const char *name, const DcmDictEntry &) {
        known = known || strcmp(name, keyword) == 0;
    });
    return known;
}

bool object_keyword_is_number(const char *keyword)
{
    const char *last = strrchr(keyword, '.');
    const char *plain = last ? last + 1 : keyword;
    bool number = false;
    each_keyword([&](const char *name, const DcmDictEntry &entry) {
        const DcmEVR vr = entry.getEVR();
        number = number || ((vr == EVR_DS || vr == EVR_IS) && strcmp(name, plain) == 0);
    });
    return number;
}

const char *object_keyword_near(const char *keyword)
{
    struct near nearest = {keyword, nullptr, 0};
    each_keyword([&](const char *name, const DcmDictEntry &) {
        // the dictionary's order is that of a hash: equally near ones go by the alphabet
        struct near candidate = {keyword, nullptr, 0};
        near_try(&candidate, name);
        if (candidate.best &&
            (!nearest.best || candidate.distance < nearest.distance ||
             (candidate.distance == nearest.distance && strcmp(name, nearest.best) < 0)))
            nearest = candidate;
    });
    return nearest.best;
}
