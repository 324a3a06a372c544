#include "dimse/write/viewer_ohif.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include "dimse/write/content.h"
extern "C" {
#include "compute/findings/outline.h"
}

// Part of a frame in pixels: x0 <= column < x1, y0 <= row < y1. x1 0: nothing.
struct box {
    uint32_t x0, y0, x1, y1;
};

const char *region_type(const struct mark &m)
{
    switch (m.kind) {
    case MARK_POINT:
        return "POINT";
    case MARK_POLYLINE:
        return "POLYLINE";
    case MARK_ELLIPSE:
        return "ELLIPSE";
    case MARK_TEXT:
        break;
    }
    return nullptr;
}

// Of columns: where a border may end for a line to fit beside it.
static const double border_end_most = 0.6;
static const size_t line_most = 60; // characters

// The border of a box, or, where it ends too far to the right, a small box at the left of the
// image.
static struct region_item border(struct box b, const uint32_t dim[2], uint32_t frame)
{
    if (b.x1 > border_end_most * dim[0])
        b = {0, dim[1] / 8, std::max(1U, dim[0] / 16), dim[1] / 8 + std::max(1U, dim[1] / 16)};
    const Float32 l = (Float32)b.x0, t = (Float32)b.y0, r = (Float32)b.x1, o = (Float32)b.y1;
    return {"POLYLINE", {l, t, r, t, r, o, l, o, l, t}, frame};
}

// The label map of an image at a point, else the first of the image; label_count: none.
static uint32_t map_of(const struct findings &f, uint32_t image, uint32_t point)
{
    uint32_t found = f.label_count;
    for (uint32_t m = 0; m < f.label_count; m++) {
        if (f.labels[m].image != image)
            continue;
        if (f.labels[m].point == point)
            return m;
        found = std::min(found, m);
    }
    return found;
}

static bool any_searched(const struct findings &f)
{
    return std::any_of(f.regions, f.regions + f.region_count,
                       [](const struct region &r) { return r.role == REGION_SEARCHED; });
}

// What was searched on a frame: the box round the regions of that role, the whole frame where the
// analysis names none. Nothing on a frame that was not searched.
static struct box searched(const result_set &set, const struct place &at)
{
    const struct findings &f = set.findings;
    const uint32_t *dim = set.image(at.image).dim;
    const uint32_t map = map_of(f, at.image, at.point);
    if (map == f.label_count || !any_searched(f))
        return {0, 0, dim[0], dim[1]};
    struct box b = {dim[0], dim[1], 0, 0};
    for (const struct label_box &l : set.labels().boxes(map, at.slice))
        if (f.regions[l.region].role == REGION_SEARCHED)
            b = {std::min(b.x0, l.x0), std::min(b.y0, l.y0), std::max(b.x1, l.x1),
                 std::max(b.y1, l.y1)};
    return b;
}

static bool has_frame(const result_set &set, const struct place &at)
{
    return image_frame_at(&set.image(at.image), at.slice, at.point) != IMAGE_NO_FRAME;
}

ohif_regions::ohif_regions(const result_set &result)
    : set(result), taken(result.request.images ? result.request.images->frame_count : 0, false),
      all(result.findings.group_count)
{
    const struct findings &f = set.findings;
    add_own();
    std::vector<bool> has_parts(f.group_count, false);
    for (uint32_t i = 0; i < f.group_count; i++)
        if (f.groups[i].parent >= 0)
            has_parts[(size_t)f.groups[i].parent] = true;
    for (uint32_t i = 0; i < f.group_count; i++)
        if (all[i].empty() && f.groups[i].region >= 0)
            add_segment(i, has_parts[i]);
    // the parts that have regions, for each whole that has none
    std::vector<std::vector<uint32_t>> parts(f.group_count);
    for (uint32_t i = 0; i < f.group_count; i++)
        for (int at = all[i].empty() ? -1 : f.groups[i].parent; at >= 0; at = f.groups[at].parent)
            if (all[at].empty())
                parts[at].push_back(i);
    for (uint32_t i = 0; i < f.group_count; i++)
        if (all[i].empty())
            add_parts(i, parts[i]);
}

const std::vector<struct region_item> &ohif_regions::of(uint32_t group) const
{
    return all[group];
}

bool ohif_regions::take(const struct region_item &region)
{
    const bool free = !taken[region.frame];
    taken[region.frame] = true;
    return free;
}

static bool at_key(const struct finding_group &g, const struct mark &m)
{
    return g.has_key && m.place.image == g.key.image && m.place.slice == g.key.slice &&
           m.place.point == g.key.point;
}

static bool before(const struct place &a, const struct place &b)
{
    if (a.image != b.image)
        return a.image < b.image;
    return a.point != b.point ? a.point < b.point : a.slice < b.slice;
}

void ohif_regions::add_own()
{
    const struct findings &f = set.findings;
    std::vector<std::vector<const struct mark *>> marks(f.group_count);
    for (uint32_t i = 0; i < f.mark_count; i++)
        if (f.marks[i].group >= 0 && !f.marks[i].symbol && region_type(f.marks[i]) &&
            f.marks[i].count)
            marks[f.marks[i].group].push_back(&f.marks[i]);
    for (uint32_t i = 0; i < f.group_count; i++) {
        const struct finding_group &g = f.groups[i];
        std::stable_sort(marks[i].begin(), marks[i].end(),
                         [&g](const struct mark *a, const struct mark *b) {
                             if (at_key(g, *a) != at_key(g, *b))
                                 return at_key(g, *a);
                             return before(a->place, b->place);
                         });
        for (const struct mark *m : marks[i])
            all[i].push_back(
                {region_type(*m), encode_points(m->points, m->count), set.frame_index(m->place)});
        if (!all[i].empty())
            take(all[i][0]);
    }
}

// The outline with the ohif_largest box, which is no hole.
static const struct outline *ohif_largest(const struct outline *list, uint32_t count)
{
    const struct outline *found = nullptr;
    double most = 0;
    for (uint32_t i = 0; i < count; i++) {
        float low[2] = {list[i].points[0], list[i].points[1]}, high[2] = {low[0], low[1]};
        for (uint32_t p = 0; p < list[i].count; p++)
            for (int c = 0; c < 2; c++) {
                low[c] = std::min(low[c], list[i].points[2 * p + c]);
                high[c] = std::max(high[c], list[i].points[2 * p + c]);
            }
        const double area = (double)(high[0] - low[0]) * (double)(high[1] - low[1]);
        if (!list[i].hole && area > most) {
            most = area;
            found = &list[i];
        }
    }
    return found;
}

static struct region_item outline_of(const result_set &set, uint32_t map, uint32_t slice,
                                     const struct label_box &b)
{
    const struct label_map &labels = set.findings.labels[map];
    const uint32_t *dim = set.image(labels.image).dim;
    const uint32_t columns = b.x1 - b.x0, rows = b.y1 - b.y0, origin[2] = {b.x0, b.y0};
    std::vector<uint8_t> mask((size_t)columns * rows);
    for (uint32_t y = 0; y < rows; y++)
        for (uint32_t x = 0; x < columns; x++)
            mask[(size_t)y * columns + x] =
                labels.labels[((size_t)slice * dim[1] + b.y0 + y) * dim[0] + b.x0 + x] ==
                b.region + 1;
    const std::unique_ptr<struct arena, decltype(&arena_destroy)> arena(arena_create(),
                                                                        arena_destroy);
    struct outline *list = nullptr;
    uint32_t count = 0;
    const bool ok =
        arena && outline_trace(mask.data(), columns, rows, origin, arena.get(), &list, &count);
    const struct outline *one = ok ? ohif_largest(list, count) : nullptr;
    struct region_item item = {"POLYLINE", {}, 0};
    if (one)
        item.points = encode_points(one->points, one->count);
    if (!one)
        throw encode_error(ERR_NOMEM, "no memory for an outline");
    item.frame = set.frame_index({labels.image, slice, labels.point});
    return item;
}

// On the key place where the segment is there, else where it is largest. Of a group with parts only
// on a frame that is free.
void ohif_regions::add_segment(uint32_t group, bool has_parts)
{
    const struct findings &f = set.findings;
    const struct finding_group &g = f.groups[group];
    uint32_t map = 0, slice = 0, most = 0;
    struct label_box box = {};
    for (uint32_t m = 0; m < f.label_count; m++) {
        for (uint32_t k = 0; k < set.image(f.labels[m].image).dim[2]; k++) {
            const struct place at = {f.labels[m].image, k, f.labels[m].point};
            for (const struct label_box &b : set.labels().boxes(m, k)) {
                if ((int)b.region != g.region || !has_frame(set, at) ||
                    (has_parts && taken[set.frame_index(at)]))
                    continue;
                const bool key = g.has_key && g.key.image == at.image && g.key.slice == k &&
                                 g.key.point == at.point;
                const uint32_t weight = key ? UINT32_MAX : b.voxels;
                if (weight > most) {
                    most = weight;
                    map = m;
                    slice = k;
                    box = b;
                }
            }
        }
    }
    if (!most)
        return;
    all[group].push_back(outline_of(set, map, slice, box));
    take(all[group][0]);
}

void ohif_regions::add_parts(uint32_t group, const std::vector<uint32_t> &parts)
{
    std::vector<struct region_item> found;
    for (const uint32_t part : parts)
        found.insert(found.end(), all[part].begin(), all[part].end());
    auto one = found.end();
    if (!any_searched(set.findings))
        one = std::find_if(found.begin(), found.end(),
                           [this](const struct region_item &r) { return !taken[r.frame]; });
    if (one != found.end()) {
        take(*one);
        std::rotate(found.begin(), one, one + 1);
    } else {
        const struct finding_group &g = set.findings.groups[group];
        struct place at = {};
        if (set.image_count() && !g.has_key)
            at.slice = set.image(0).dim[2] / 2;
        if (set.image_count() && find_free(g.has_key ? g.key : at, &at)) {
            const struct box b = searched(set, at);
            const uint32_t *dim = set.image(at.image).dim;
            found.insert(found.begin(),
                         border(b.x1 ? b : box{0, 0, dim[0], dim[1]}, dim, set.frame_index(at)));
        }
    }
    all[group] = found;
}

// The free frame nearest to a place on its image and point, one that was searched where there is
// one; the place itself, or any frame, when none is free. False: there is no frame.
bool ohif_regions::find_free(const struct place &near, struct place *found)
{
    const uint32_t count = set.image(near.image).dim[2];
    for (int pass = 0; pass < 3; pass++) { // searched and free, free, any
        for (uint32_t d = 0; d < count; d++) {
            for (const uint32_t k : {near.slice + d, near.slice - d}) {
                const struct place at = {near.image, k, near.point};
                if (k >= count || !has_frame(set, at))
                    continue;
                const uint32_t frame = set.frame_index(at);
                if ((pass < 2 && taken[frame]) || (pass < 1 && !searched(set, at).x1))
                    continue;
                taken[frame] = true;
                *found = at;
                return true;
            }
        }
    }
    return false;
}

std::vector<struct region_item> ohif_regions::whole()
{
    const struct image_set *images = set.request.images;
    struct place at = {};
    if (set.image_count()) {
        at.slice = set.image(0).dim[2] / 2;
        if (find_free(at, &at)) {
            const struct box b = searched(set, at);
            const uint32_t *dim = set.image(at.image).dim;
            return {border(b.x1 ? b : box{0, 0, dim[0], dim[1]}, dim, set.frame_index(at))};
        }
    }
    if (!images || !images->frame_count)
        return {};
    uint32_t first = 0; // of frames that make no image
    for (uint32_t i = 1; i < images->frame_count; i++) {
        const struct image_frame &a = images->frames[i], &b = images->frames[first];
        const int order = strcmp(a.sop_instance_uid, b.sop_instance_uid);
        if (order < 0 || (order == 0 && a.number < b.number))
            first = i;
    }
    const uint32_t dim[2] = {images->frames[first].columns, images->frames[first].rows};
    return {border({0, 0, dim[0], dim[1]}, dim, first)};
}

bool ohif_wants_words(const struct finding_group &g)
{
    return std::any_of(
        g.measurements, g.measurements + g.measurement_count, [](const struct measurement &m) {
            return m.ranged || strtod(encode_decimal(m.value, m.decimals).c_str(), nullptr) == 0;
        });
}

std::vector<std::string> ohif_lines(const std::string &text)
{
    std::vector<std::string> lines;
    size_t from = 0;
    while (text.size() - from > line_most) {
        const size_t blank = text.rfind(' ', from + line_most);
        const size_t end =
            blank == std::string::npos || blank <= from ? text.find(' ', from) : blank;
        if (end == std::string::npos)
            break;
        lines.push_back(text.substr(from, end - from));
        from = end + 1;
    }
    lines.push_back(text.substr(from));
    return lines;
}

void ohif_number(DcmItem &number, const std::string &algorithm)
{
    if (!number.tagExists(DCM_ContentSequence))
        content_text(number, REL_CONCEPT_MOD, {"111001", "DCM", "Algorithm Name"}, algorithm);
}
