// C++, inside dimse only: what OHIF (3.13, its reader of measurement reports) needs of a report
// beyond the standard, all in one place. It
//   - stops with an error at a measurement group that has no region, and at a number without a
//     child where the group has none;
//   - draws only the first region of a group, with all numbers of the group as text beside it;
//   - merges the groups of one Tracking Unique Identifier, and shows nothing of a group that points
//     only at a segment;
//   - opens only the last report of a series, so one report a series.
// Hence:
//   - a group has the outlines of its own marks, its key place first;
//   - one without marks that has a segment has the outline of it, on its key place;
//   - one with neither has those of its parts, first one on a frame where nothing else is first:
//     numbers drawn over numbers cannot be read;
//   - where there is none, the border of what was searched comes first, on a frame of its own;
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
    void add_segment(uint32_t group);
    void add_parts(uint32_t group, const std::vector<uint32_t> &parts);
    bool take(const struct region_item &region);
    bool find_free(const struct place &near, struct place *found);

    const result_set &set;
    std::vector<bool> taken; // [frames of the set] a group's first region lies there
    std::vector<std::vector<struct region_item>> all; // [groups]
};

// Gives a number that has no method and no derivation its child.
void ohif_number(DcmItem &number, const std::string &algorithm);
