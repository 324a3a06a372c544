// Attributes that are no keyword of the top level: private ones by their creator, and those in
// items of sequences.
#include <cctype>
#include <cstdlib>
#include <cstring>
#include "dcmtk/dcmdata/dcdict.h"
#include "dcmtk/dcmdata/dcdicent.h"
#include "dimse/read/object_parts.h"

#define STEPS_MAX 4
#define INDEX_MAX 999

namespace
{

struct path_step {
    DcmTagKey tag;       // private: the element's last two digits only
    std::string creator; // "": none
    long item;           // of a sequence; -1: none was given
    bool sequence;       // may be one
};

struct watched_path {
    std::string text;
    std::vector<path_step> steps;
};

// Grows before the first fork and on a reload, which one thread does.
std::vector<watched_path> watched;

bool hex_digits(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isxdigit(static_cast<unsigned char>(text[i])))
            return false;
    }
    return true;
}

bool path_fault(char *why, size_t size, const char *what, const char *at)
{
    snprintf(why, size, "%s at \"%.40s\"", what, at);
    return false;
}

// "0019,xx10[CREATOR]" or "0028,0010"
bool parse_numbers(const char **at, path_step *step, char *why, size_t size)
{
    const char *p = *at;
    const bool of_creator = strncmp(p + 5, "xx", 2) == 0;
    if (!hex_digits(p, 4) || !hex_digits(p + (of_creator ? 7 : 5), of_creator ? 2 : 4))
        return path_fault(why, size, "no tag (gggg,eeee or gggg,xxee[CREATOR])", p);
    unsigned long group = strtoul(std::string(p, 4).c_str(), nullptr, 16);
    unsigned long number =
        strtoul(std::string(p + (of_creator ? 7 : 5), of_creator ? 2 : 4).c_str(), nullptr, 16);
    step->tag = DcmTagKey(static_cast<Uint16>(group), static_cast<Uint16>(number));
    step->sequence = true;
    *at = p + 9;
    if (!of_creator)
        return true;
    const char *end = **at == '[' ? strchr(*at, ']') : nullptr;
    if (group % 2 == 0 || !end || end == *at + 1)
        return path_fault(why, size, "a private attribute wants an odd group and [CREATOR]", p);
    step->creator = std::string(*at + 1, end);
    *at = end + 1;
    return true;
}

bool parse_keyword(const char **at, path_step *step, char *why, size_t size)
{
    const char *p = *at;
    size_t length = 0;
    while (isalnum(static_cast<unsigned char>(p[length])))
        length++;
    std::string keyword(p, length);
    const DcmDictEntry *entry = dcmDataDict.rdlock().findEntry(keyword.c_str());
    if (entry) {
        step->tag = entry->getKey();
        step->sequence = entry->getEVR() == EVR_SQ;
    }
    dcmDataDict.rdunlock();
    if (!entry || length == 0)
        return path_fault(why, size, "no DICOM attribute", keyword.c_str());
    *at = p + length;
    return true;
}

// "[0]" behind a sequence
bool parse_item(const char **at, path_step *step, char *why, size_t size)
{
    char *end = nullptr;
    step->item = -1;
    if (**at != '[')
        return true;
    step->item = isdigit(static_cast<unsigned char>((*at)[1])) ? strtol(*at + 1, &end, 10) : -1;
    if (!end || *end != ']' || step->item > INDEX_MAX || !step->sequence)
        return path_fault(why, size, "no item of a sequence", *at);
    *at = end + 1;
    return true;
}

bool path_parse(const char *text, std::vector<path_step> *steps, char *why, size_t size)
{
    for (const char *at = text;;) {
        path_step step = {};
        const bool numbers = strlen(at) >= 9 && at[4] == ',';
        if (!(numbers ? parse_numbers(&at, &step, why, size)
                      : parse_keyword(&at, &step, why, size)) ||
            !parse_item(&at, &step, why, size))
            return false;
        steps->push_back(step);
        if (!*at)
            break;
        if (*at != '.' || step.item < 0)
            return path_fault(why, size, "wants an item of a sequence, [0], then a dot", at);
        if (steps->size() == STEPS_MAX)
            return path_fault(why, size, "more than 4 steps", at);
        at++;
    }
    return steps->back().item < 0 || path_fault(why, size, "an item is no attribute", text);
}

// The tag of a step in an item: a private one lies where its creator has reserved a block.
bool step_tag(DcmItem &item, const path_step &step, DcmTagKey *tag)
{
    *tag = step.tag;
    for (unsigned block = 0x10; !step.creator.empty() && block <= 0xff; block++) {
        DcmTagKey creator(step.tag.getGroup(), static_cast<Uint16>(block));
        if (item_text(item, creator) != step.creator)
            continue;
        *tag =
            DcmTagKey(step.tag.getGroup(), static_cast<Uint16>(block << 8 | step.tag.getElement()));
        return true;
    }
    return step.creator.empty();
}

DcmElement *path_find(DcmItem &dataset, const std::vector<path_step> &steps)
{
    DcmItem *item = &dataset;
    for (const path_step &step : steps) {
        DcmTagKey tag;
        DcmElement *element = nullptr;
        if (!item || !step_tag(*item, step, &tag))
            return nullptr;
        if (step.item >= 0)
            item = item_of(*item, tag, step.item);
        else
            return item->findAndGetElement(tag, element).good() ? element : nullptr;
    }
    return nullptr;
}

} // namespace

bool object_watch(const char *path, char *why, size_t size)
{
    return object_guard(nullptr, [&] {
        watched_path one = {path, {}};
        for (const watched_path &w : watched) {
            if (w.text == path)
                return true;
        }
        if (!path_parse(path, &one.steps, why, size))
            return false;
        if (watched.size() == OBJECT_WATCHED_MAX)
            return path_fault(why, size, "too many paths", path);
        watched.push_back(one);
        return true;
    });
}

bool object_watches_private(void)
{
    for (const watched_path &w : watched) {
        if (w.steps[0].tag.getGroup() % 2 == 1)
            return true;
    }
    return false;
}

void attribute_list::add_watched(DcmItem &dataset)
{
    for (const watched_path &w : watched) {
        DcmElement *element = path_find(dataset, w.steps);
        if (element && element->isLeaf())
            add_as(w.text.c_str(), *element);
    }
}
