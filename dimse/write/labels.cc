#include "dimse/write/labels.h"
#include <algorithm>
#include <string>
#include "dimse/write/identity.h"

// One pass over a slice. slot: [regions], index into found plus 1; zero before and after.
static std::vector<struct label_box> scan_slice(const uint16_t *at, uint32_t columns, uint32_t rows,
                                                std::vector<uint32_t> &slot)
{
    std::vector<struct label_box> found;
    for (uint32_t y = 0; y < rows; y++) {
        for (uint32_t x = 0; x < columns; x++) {
            const uint32_t label = *at++;
            if (!label)
                continue;
            if (label > slot.size())
                throw encode_error(ERR_INTERNAL, "a voxel of region " + std::to_string(label - 1) +
                                                     ", which there is not");
            uint32_t &index = slot[label - 1];
            if (!index) {
                found.push_back({label - 1, x, y, x + 1, y + 1, 0});
                index = (uint32_t)found.size();
            }
            struct label_box &box = found[index - 1];
            box.x0 = std::min(box.x0, x);
            box.x1 = std::max(box.x1, x + 1);
            box.y1 = y + 1;
            box.voxels++;
        }
    }
    for (const struct label_box &box : found)
        slot[box.region] = 0;
    std::sort(found.begin(), found.end(), [](const struct label_box &a, const struct label_box &b) {
        return a.region < b.region;
    });
    return found;
}

label_index::label_index(const result_set &set)
{
    const struct findings &f = set.findings;
    std::vector<uint32_t> slot(f.region_count, 0);
    for (uint32_t m = 0; m < f.label_count; m++) {
        const uint32_t *dim = set.image(f.labels[m].image).dim;
        const size_t area = (size_t)dim[0] * dim[1];
        std::vector<bool> occurs(f.region_count, false);
        struct map_index map;
        map.slices.resize(dim[2]);
        for (uint32_t k = f.labels[m].slices[0]; k < f.labels[m].slices[1]; k++) {
            map.slices.at(k) = scan_slice(f.labels[m].labels + k * area, dim[0], dim[1], slot);
            for (const struct label_box &box : map.slices[k])
                occurs[box.region] = true;
        }
        for (uint32_t r = 0; r < f.region_count; r++)
            if (occurs[r])
                map.regions.push_back(r);
        maps.push_back(std::move(map));
    }
}

const std::vector<struct label_box> &label_index::boxes(uint32_t map, uint32_t slice) const
{
    return maps.at(map).slices.at(slice);
}

const std::vector<uint32_t> &label_index::regions(uint32_t map) const
{
    return maps.at(map).regions;
}

uint16_t label_index::segment(uint32_t map, uint32_t region) const
{
    const std::vector<uint32_t> &all = maps.at(map).regions;
    const auto found = std::lower_bound(all.begin(), all.end(), region);
    return found != all.end() && *found == region ? (uint16_t)(found - all.begin() + 1) : 0;
}

bool labels_have_seg(const result_set &set, uint32_t map)
{
    const struct result_request &r = set.request;
    if (!(r.kinds & RESULT_SEG) || map >= set.findings.label_count ||
        set.labels().regions(map).empty())
        return false;
    const struct image &image = set.image(set.findings.labels[map].image);
    for (uint32_t k = 0; k < image.dim[2]; k++) {
        const uint32_t frame =
            image.frame[(size_t)set.findings.labels[map].point * image.dim[2] + k];
        if (frame != IMAGE_NO_FRAME)
            return image.placed && r.images->frames[frame].frame_of_reference_uid[0];
    }
    return false;
}

struct object_name labels_seg_name(uint32_t map)
{
    return {RESULT_SEG, "", map + 1};
}
