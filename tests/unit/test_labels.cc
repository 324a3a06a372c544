// Where regions are, which segments they become, and which outlines stand for a group in a report.
#include <cstring>
#include <string>
#include <vector>
#include "dimse/write/identity.h"
#include "dimse/write/viewer_ohif.h"
#include "tests/check.h"

#define SLICES  5
#define COLUMNS 20
#define ROWS    16

// A stack of slices whose file nobody can read: the node remembers the patient.
struct stack {
    struct image_frame frames[SLICES] = {};
    uint32_t order[SLICES] = {};
    struct image image = {};
    struct image_set set = {};
    struct result_source source = {};
    struct attrs head = {};
    struct findings *f = findings_create();
    struct result_request request = {};

    stack()
    {
        for (uint32_t k = 0; k < SLICES; k++) {
            frames[k].number = order[k] = k;
            frames[k].number++;
            frames[k].columns = COLUMNS;
            frames[k].rows = ROWS;
            frames[k].placed = true;
            strcpy(frames[k].frame_of_reference_uid, "1.2.3.4");
        }
        image.dim[0] = COLUMNS;
        image.dim[1] = ROWS;
        image.dim[2] = SLICES;
        image.dim[3] = 1;
        image.placed = true;
        image.frame = order;
        set.frames = frames;
        set.frame_count = SLICES;
        set.images = &image;
        set.image_count = 1;
        source.path = "/nonexistent/file";
        source.frames = SLICES;
        strcpy(source.study_instance_uid, "1.2.3");
        strcpy(source.series_instance_uid, "1.2.3.1");
        strcpy(source.sop_instance_uid, "1.2.3.1.1");
        attrs_add(&head, "StudyInstanceUID", "1.2.3");
        f->verdict = VERDICT_DONE;
        request.stage = {"test", "Test", "1", 9, REPORT_MEASUREMENTS};
        request.findings = f;
        request.images = &set;
        request.sources = &source;
        request.source_count = 1;
        request.head = &head;
        request.maker = {"A", "1.2", "1", "test", "none", nullptr};
        request.kinds = RESULT_SR | RESULT_SEG;
    }
    ~stack()
    {
        findings_destroy(f);
        attrs_finish(&head);
    }
    stack(const stack &) = delete;
    stack &operator=(const stack &) = delete;

    struct region &add_region(const char *label, enum region_role role)
    {
        struct region *r = findings_add_region(f);
        r->label = label;
        r->role = role;
        r->group = -1;
        return *r;
    }
    struct finding_group &add_group(const char *label, int parent, int region)
    {
        struct finding_group *g = findings_add_group(f);
        g->label = label;
        g->parent = parent;
        g->region = region;
        return *g;
    }
    void fill(struct label_map *map, uint32_t slice, const uint32_t box[4], uint16_t label)
    {
        for (uint32_t y = box[1]; y < box[3]; y++)
            for (uint32_t x = box[0]; x < box[2]; x++)
                map->labels[(slice * ROWS + y) * COLUMNS + x] = label;
    }
};

static void boxes_and_segments()
{
    struct stack s;
    for (const char *label : {"a", "b", "c"})
        s.add_region(label, REGION_FOUND);
    struct label_map *map = findings_add_labels(s.f, &s.set, 0, 0);
    const uint32_t one[4] = {3, 2, 7, 5}, two[4] = {0, 0, 1, 1}, far[4] = {19, 15, 20, 16};
    s.fill(map, 1, one, 3);
    s.fill(map, 1, two, 1);
    s.fill(map, 4, far, 3);
    const result_set set(s.request);
    const label_index &labels = set.labels();
    CU_ASSERT(&labels == &set.labels()); // searched once
    CU_ASSERT(labels.boxes(0, 0).empty());
    const std::vector<struct label_box> &boxes = labels.boxes(0, 1);
    CU_ASSERT_FATAL(boxes.size() == 2);
    CU_ASSERT(&labels.boxes(0, 1) == &boxes); // searched for once, whoever asks
    CU_ASSERT(boxes[0].region == 0 && boxes[0].voxels == 1 && boxes[0].x1 == 1);
    CU_ASSERT(boxes[1].region == 2 && boxes[1].voxels == 12 && boxes[1].x0 == 3 &&
              boxes[1].y0 == 2 && boxes[1].x1 == 7 && boxes[1].y1 == 5);
    CU_ASSERT(labels.regions(0) == std::vector<uint32_t>({0, 2}));
    CU_ASSERT(labels.segment(0, 0) == 1 && labels.segment(0, 1) == 0 && labels.segment(0, 2) == 2);
}

static void slices_that_are_painted()
{
    struct stack s;
    s.add_region("a", REGION_FOUND);
    s.add_region("b", REGION_FOUND);
    struct label_map *map = findings_add_labels(s.f, &s.set, 0, 0);
    CU_ASSERT(map->slices[0] == 0 && map->slices[1] == s.set.images[0].dim[2]); // all, at first
    const uint32_t box[4] = {3, 2, 7, 5};
    s.fill(map, 1, box, 1);
    s.fill(map, 2, box, 1);
    s.fill(map, 3, box, 2);
    map->slices[0] = 1;
    map->slices[1] = 3;
    const result_set set(s.request);
    CU_ASSERT(set.labels().boxes(0, 0).empty() && set.labels().boxes(0, 3).empty());
    CU_ASSERT(set.labels().boxes(0, 1).size() == 1 && set.labels().boxes(0, 2).size() == 1);
    CU_ASSERT(set.labels().regions(0) == std::vector<uint32_t>({0})); // 3 is not looked at
    map->slices[0] = s.set.images[0].dim[2];                          // nothing is painted
    map->slices[1] = 0;
    const result_set none(s.request);
    CU_ASSERT(none.labels().regions(0).empty() && none.labels().boxes(0, 1).empty());
}

static void voxels_of_no_region()
{
    struct stack s;
    s.add_region("a", REGION_FOUND);
    struct label_map *map = findings_add_labels(s.f, &s.set, 0, 0);
    map->labels[7] = 2;
    const result_set set(s.request);
    bool thrown = false;
    try {
        set.labels();
    } catch (const encode_error &e) {
        thrown = e.code == ERR_INTERNAL && strstr(e.what(), "region 1");
    }
    CU_ASSERT(thrown);
}

static bool has_seg(const struct stack &s)
{
    const result_set set(s.request);
    return labels_have_seg(set, 0);
}

static void maps_that_become_a_seg()
{
    struct stack s;
    s.add_region("a", REGION_FOUND);
    struct label_map *map = findings_add_labels(s.f, &s.set, 0, 0);
    CU_ASSERT(!has_seg(s)); // nothing in it
    map->labels[0] = 1;
    CU_ASSERT(has_seg(s));
    s.request.kinds = RESULT_SR;
    CU_ASSERT(!has_seg(s));
    s.request.kinds |= RESULT_SEG;
    s.image.placed = false;
    CU_ASSERT(!has_seg(s));
    s.image.placed = true;
    for (struct image_frame &frame : s.frames)
        frame.frame_of_reference_uid[0] = 0;
    CU_ASSERT(!has_seg(s));
}

static std::vector<Float32> frame_of(uint32_t x0, uint32_t y0, uint32_t x1, uint32_t y1)
{
    const Float32 l = (Float32)x0, t = (Float32)y0, r = (Float32)x1, b = (Float32)y1;
    return {l, t, r, t, r, b, l, b, l, t};
}

// Roles decide, not which groups regions have; parents are found wherever they stand.
static void groups_without_marks()
{
    struct stack s;
    s.add_region("searched", REGION_SEARCHED);
    s.add_region("found", REGION_FOUND);
    struct label_map *map = findings_add_labels(s.f, &s.set, 0, 0);
    const uint32_t all[4] = {1, 1, 11, 14}, some[4] = {4, 5, 9, 8};
    for (uint32_t k = 1; k < 4; k++)
        s.fill(map, k, all, 1);
    s.fill(map, 2, some, 2);
    s.add_group("part", 2, 1); // has the segment
    s.add_group("alone", -1, -1);
    s.add_group("whole", -1, -1); // stands after its part
    const result_set set(s.request);
    const ohif_regions plan(set);
    CU_ASSERT_FATAL(plan.of(0).size() == 1 && plan.of(1).size() == 1 && plan.of(2).size() == 2);
    CU_ASSERT(plan.of(0)[0].frame == 2 && plan.of(0)[0].points.size() == 10);
    CU_ASSERT(plan.of(1)[0].points == frame_of(1, 1, 11, 14)); // what was searched
    CU_ASSERT(plan.of(1)[0].frame == 3);                       // the middle is taken
    CU_ASSERT(plan.of(2)[0].points == frame_of(1, 1, 11, 14));
    CU_ASSERT(plan.of(2)[0].frame == 1);
    CU_ASSERT(plan.of(2)[1].points == plan.of(0)[0].points && plan.of(2)[1].frame == 2);
}

static void key_places()
{
    struct stack s;
    s.add_region("organ", REGION_FOUND);
    struct label_map *map = findings_add_labels(s.f, &s.set, 0, 0);
    const uint32_t large[4] = {2, 2, 12, 12}, small[4] = {4, 4, 6, 6};
    s.fill(map, 1, large, 1);
    s.fill(map, 3, small, 1);
    s.order[0] = IMAGE_NO_FRAME;
    s.add_group("where it is largest", -1, 0);
    struct finding_group &key = s.add_group("where the key is", -1, 0);
    key.has_key = true;
    key.key.slice = 3;
    struct finding_group &missing = s.add_group("key without a frame", -1, -1);
    missing.has_key = true;
    missing.key.slice = 0;
    const result_set set(s.request);
    const ohif_regions plan(set);
    CU_ASSERT(plan.of(0)[0].frame == 1 && plan.of(0)[0].points == frame_of(2, 2, 12, 12));
    CU_ASSERT(plan.of(1)[0].frame == 3 && plan.of(1)[0].points == frame_of(4, 4, 6, 6));
    CU_ASSERT(plan.of(2)[0].frame == 2); // the nearest that is free: 1 is taken
    // The border of the whole frame leaves no room for a line of text beside it.
    CU_ASSERT(plan.of(2)[0].points == frame_of(0, ROWS / 8, COLUMNS / 16, ROWS / 8 + ROWS / 16));
}

int main()
{
    static const struct check_case cases[] = {
        {"labels_boxes_and_segments_of_regions", boxes_and_segments},
        {"labels_lie_in_the_slices_that_are_painted", slices_that_are_painted},
        {"labels_voxel_of_no_region_is_an_error", voxels_of_no_region},
        {"labels_have_seg_where_a_receiver_can_place_it", maps_that_become_a_seg},
        {"ohif_regions_go_by_role_and_parent", groups_without_marks},
        {"ohif_regions_lie_on_key_places", key_places},
    };
    if (!object_init(nullptr))
        return 2;
    const int status = check_main("labels", cases, sizeof cases / sizeof cases[0]);
    object_quit();
    return status;
}
