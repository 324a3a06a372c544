// When is there enough of a study: what is missing, on its way, or may still begin.
#include "node/core/collection.h"
#include "tests/check.h"

static const struct collection_rules rules = {
    .quiet_s = 5, .short_quiet_s = 1, .study_wait_s = 600};
static const struct stage_input_spec needed = {.name = "needed", .count = INPUT_ONE},
                                     optional = {.name = "optional", .count = INPUT_OPTIONAL},
                                     many = {.name = "many", .count = INPUT_MANY};

// The first series was complete at 100 s, the last instance came at 110 s.
static struct collection_decision decide(double now, struct collection_slot a,
                                         struct collection_slot b)
{
    struct collection_slot slots[] = {a, b};
    struct collection_evidence e = {
        .now = now, .started = 100, .grown = 110, .slots = slots, .slot_count = 2};
    struct collection_decision d;
    collection_decide(&rules, &e, &d);
    CU_ASSERT_TRUE(d.verdict != COLLECTION_WAITS || d.wake > now);
    return d;
}

static void a_study_with_all_that_is_needed_is_ready_when_it_is_quiet(void)
{
    const struct collection_slot one = {.spec = &needed, .complete = 1, .receiving = 0},
                                 none = {.spec = &optional, .complete = 0, .receiving = 0},
                                 three = {.spec = &many, .complete = 3, .receiving = 0};
    struct collection_decision d = decide(114.9, one, none);
    CU_ASSERT_EQUAL(d.verdict, COLLECTION_WAITS);
    CU_ASSERT_DOUBLE_EQUAL(d.wake, 115, 1e-9);
    CU_ASSERT_EQUAL(decide(115, one, none).verdict, COLLECTION_READY);
    CU_ASSERT_EQUAL(decide(115, one, three).verdict, COLLECTION_READY);
}

static void a_study_whose_source_confirms_each_series_is_ready_after_short_quiet_s(void)
{
    const struct collection_slot one = {.spec = &many, .complete = 2, .confirmed = 2},
                                 unsure = {.spec = &many, .complete = 2, .confirmed = 1},
                                 coming = {.spec = &many,
                                           .complete = 2,
                                           .receiving = 1,
                                           .confirmed = 2},
                                 none = {.spec = &optional};
    CU_ASSERT_EQUAL(decide(110.9, one, none).verdict, COLLECTION_WAITS);
    CU_ASSERT_DOUBLE_EQUAL(decide(110.9, one, none).wake, 111, 1e-9);
    CU_ASSERT_EQUAL(decide(111, one, none).verdict, COLLECTION_READY);
    CU_ASSERT_EQUAL(decide(111, unsure, none).verdict, COLLECTION_WAITS);
    CU_ASSERT_EQUAL(decide(115, unsure, none).verdict, COLLECTION_READY);
    CU_ASSERT_EQUAL(decide(300, coming, none).verdict, COLLECTION_WAITS);
}

static void what_is_missing_is_awaited_for_study_wait_s(void)
{
    const struct collection_slot one = {.spec = &needed, .complete = 1, .receiving = 0},
                                 empty[] = {{.spec = &needed, .complete = 0, .receiving = 0},
                                            {.spec = &many, .complete = 0, .receiving = 0}};
    for (int i = 0; i < 2; i++) {
        struct collection_decision d = decide(300, one, empty[i]);
        CU_ASSERT_EQUAL(d.verdict, COLLECTION_WAITS);
        CU_ASSERT_DOUBLE_EQUAL(d.wake, 700, 1e-9);
        CU_ASSERT_EQUAL(decide(700, one, empty[i]).verdict, COLLECTION_WAITED);
    }
}

static void what_is_being_received_is_awaited_even_if_it_is_not_needed(void)
{
    const struct collection_slot one = {.spec = &needed, .complete = 1, .receiving = 0},
                                 coming = {.spec = &optional, .complete = 0, .receiving = 1},
                                 again = {.spec = &needed, .complete = 1, .receiving = 1};
    CU_ASSERT_EQUAL(decide(300, one, coming).verdict, COLLECTION_WAITS);
    CU_ASSERT_DOUBLE_EQUAL(decide(300, one, coming).wake, 700, 1e-9);
    CU_ASSERT_EQUAL(decide(300, one, again).verdict, COLLECTION_WAITS);
    CU_ASSERT_EQUAL(decide(700, one, coming).verdict, COLLECTION_WAITED);
}

static void a_study_that_grows_until_the_end_is_ready_then(void)
{
    const struct collection_slot one = {.spec = &needed, .complete = 1, .receiving = 0},
                                 more = {.spec = &many, .complete = 9, .receiving = 0};
    struct collection_slot slots[] = {one, more};
    struct collection_evidence e = {
        .now = 698, .started = 100, .grown = 697, .slots = slots, .slot_count = 2};
    struct collection_decision d;
    collection_decide(&rules, &e, &d);
    CU_ASSERT_EQUAL(d.verdict, COLLECTION_WAITS);
    CU_ASSERT_DOUBLE_EQUAL(d.wake, 700, 1e-9);
    e.now = 700;
    collection_decide(&rules, &e, &d);
    CU_ASSERT_EQUAL(d.verdict, COLLECTION_READY);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_study_with_all_that_is_needed_is_ready_when_it_is_quiet",
         a_study_with_all_that_is_needed_is_ready_when_it_is_quiet},
        {"a_study_whose_source_confirms_each_series_is_ready_after_short_quiet_s",
         a_study_whose_source_confirms_each_series_is_ready_after_short_quiet_s},
        {"what_is_missing_is_awaited_for_study_wait_s",
         what_is_missing_is_awaited_for_study_wait_s},
        {"what_is_being_received_is_awaited_even_if_it_is_not_needed",
         what_is_being_received_is_awaited_even_if_it_is_not_needed},
        {"a_study_that_grows_until_the_end_is_ready_then",
         a_study_that_grows_until_the_end_is_ready_then},
    };
    return check_main("collection", cases, sizeof cases / sizeof cases[0]);
}
