// C++, inside dimse only: where the regions of the label maps are, found in one pass over each, and
// the segment that each region is in the SEG of its map.
// Thread-safety: read-only once made.
#pragma once
#include <cstdint>
#include <vector>
#include "compute/findings/findings.h"

class result_set;
struct object_name;

// The voxels of a region on one slice: x0 <= column < x1, y0 <= row < y1.
struct label_box {
    uint32_t region; // index into the regions of the findings
    uint32_t x0, y0, x1, y1;
    uint32_t voxels;
};

class label_index
{
  public:
    // Throws encode_error (ERR_INTERNAL) when a voxel belongs to no region.
    explicit label_index(const result_set &set);

    // Regions on a slice of a map (index into labels of the findings), ascending.
    const std::vector<struct label_box> &boxes(uint32_t map, uint32_t slice) const;
    // Regions that occur in a map, ascending: region n of them is segment n + 1 of its SEG.
    const std::vector<uint32_t> &regions(uint32_t map) const;
    // Segment Number of a region in the SEG of a map; 0 when it does not occur there.
    uint16_t segment(uint32_t map, uint32_t region) const;

  private:
    struct map_index {
        std::vector<std::vector<struct label_box>> slices;
        std::vector<uint32_t> regions;
    };
    std::vector<struct map_index> maps;
};

// A SEG is made of a map that has voxels, on an image with a place and a frame of reference, when
// SEG is asked for: others may refer to it then.
bool labels_have_seg(const result_set &set, uint32_t map);
// The name of that SEG.
struct object_name labels_seg_name(uint32_t map);
