// C++, inside dimse only: what OHIF (3.13, its reader of measurement reports) needs of a report
// beyond the standard, all in one place. It
//   - stops with an error at a measurement group that has no region, and at a number without a
//     child where the group has none;
//   - draws only the first region of a group, with all numbers of the group as text beside it;
//   - merges the groups of one Tracking Unique Identifier, and shows nothing of a group that points
//     only at a segment;
//   - opens only the last report of a series, so one report a series;
//   - shows a number of nought as its unit alone, and of a range its lower end: "Number: 1" is 0;
//   - writes beside the right edge of a region, past the edge of the image too;
//   - shows no text of a group that has a region. In one that has none it shows the comments, five
//     lines at most, and then the numbers that were inferred from a region, which it draws.
// Hence:
//   - a group has the outlines of its own marks, its key place first;
//   - one without marks that has a segment has the outline of it, on its key place; one with parts
//     on a frame where no part is first, if there is one, else as if it had no segment;
//   - one with neither has those of its parts, first one on a frame where nothing else is first:
//     numbers drawn over numbers cannot be read;
//   - where there is none, and before those of parts where what was searched is known, its border
//     comes first, on a frame of its own; a border with little room beside it is a small box at the
//     left instead;
//   - a group with a nought or a range says its numbers in words, and its first number, not the
//     group, has the regions; so does one that says why nothing was measured;
//   - numbers stand once, in the first group of their tracking UID, whichever it is;
//   - each number has a child.
#pragma once
#include "dimse/write/identity.h"

// A graphic and the frame it lies on.
struct region_item {
    const char *type; // Graphic Type
    std::vector<Float32> points;
    uint32_t frame; // index into the frames of the image set
};

// Graphic Type of a mark; NULL: a text, which is none.
const char *region_type(const struct mark &m);

// Which regions stand for which group.
class ohif_regions
{
  public:
    explicit ohif_regions(const result_set &result);

    const std::vector<struct region_item> &of(uint32_t group) const;
    // The border of what was searched on one frame; nothing when there is no frame.
    std::vector<struct region_item> whole();

  private:
    void add_own();
    void add_segment(uint32_t group, bool has_parts);
    void add_parts(uint32_t group, const std::vector<uint32_t> &parts);
    bool take(const struct region_item &region);
    bool find_free(const struct place &near, struct place *found);

    const result_set &set;
    std::vector<bool> taken; // [frames of the set] a group's first region lies there
    std::vector<std::vector<struct region_item>> all; // [groups]
};

// Whether a number of the group is nought as it is written, or a range.
bool ohif_wants_words(const struct finding_group &g);

// A sentence as lines that fit beside a region.
std::vector<std::string> ohif_lines(const std::string &text);

// Gives a number that has no method and no derivation its child.
void ohif_number(DcmItem &number, const std::string &algorithm);
