// When is a series complete: every kind of evidence, at the times that matter.
#include "node/core/series.h"
#include <string.h>
#include "tests/check.h"

static const struct series_rules rules = {
    .quiet_s = 5, .interrupted_s = 20, .short_quiet_s = 1, .longest_wait_s = 60};

// First instance at 100 s, last at 110 s, ten of them, everything else as given.
static struct series_evidence evidence(double now)
{
    return (struct series_evidence){.now = now, .first = 100, .last = 110, .have = 10};
}

static struct series_decision decide(struct series_evidence e)
{
    struct series_decision d;
    series_decide(&rules, &e, &d);
    CU_ASSERT_TRUE(d.verdict != SERIES_RECEIVING || d.ask || d.wake > e.now);
    CU_ASSERT_TRUE(d.evidence[0] != 0);
    return d;
}

static void series_is_quiet_after_quiet_s_when_nobody_can_be_asked(void)
{
    struct series_decision d = decide(evidence(114.9));
    CU_ASSERT_EQUAL(d.verdict, SERIES_RECEIVING);
    CU_ASSERT_FALSE(d.ask);
    CU_ASSERT_DOUBLE_EQUAL(d.wake, 115, 1e-9);
    CU_ASSERT_EQUAL(decide(evidence(115)).verdict, SERIES_QUIET);
}

static void series_with_an_idle_association_is_quiet_after_quiet_s(void)
{
    struct series_evidence e = evidence(114);
    e.open = 1;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_RECEIVING);
    e.now = 115;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_QUIET);
}

static void series_asks_the_source_after_short_quiet_s(void)
{
    struct series_evidence e = evidence(110.5);
    e.can_ask = true;
    struct series_decision d = decide(e);
    CU_ASSERT_FALSE(d.ask);
    CU_ASSERT_DOUBLE_EQUAL(d.wake, 111, 1e-9);
    e.now = 111;
    CU_ASSERT_TRUE(decide(e).ask);
}

static void series_asks_only_after_quiet_s_while_an_association_is_open(void)
{
    struct series_evidence e = evidence(112);
    e.can_ask = true;
    e.open = 1;
    CU_ASSERT_FALSE(decide(e).ask);
    e.now = 115;
    CU_ASSERT_TRUE(decide(e).ask);
}

static void series_is_complete_when_the_source_has_as_many(void)
{
    struct series_evidence e = evidence(111.1);
    e.can_ask = true;
    e.answer = SERIES_ANSWERED;
    e.asked = 111;
    e.source_count = 10;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_COMPLETE);
}

static void series_is_not_proven_complete_by_a_source_that_has_fewer(void)
{
    static const long counts[] = {0, 1, 9};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct series_evidence e = evidence(111.1);
        e.can_ask = true;
        e.answer = SERIES_ANSWERED;
        e.asked = 111;
        e.source_count = counts[i];
        CU_ASSERT_EQUAL(decide(e).verdict, SERIES_RECEIVING);
        e.now = 115;
        struct series_decision d = decide(e);
        CU_ASSERT_EQUAL(d.verdict, SERIES_QUIET);
        CU_ASSERT_PTR_NOT_NULL(strstr(d.evidence, "fewer than are here"));
    }
}

static void series_that_was_interrupted_is_not_quiet_before_interrupted_s(void)
{
    struct series_evidence e = evidence(129.9);
    e.interrupted = true;
    struct series_decision d = decide(e);
    CU_ASSERT_EQUAL(d.verdict, SERIES_RECEIVING);
    CU_ASSERT_DOUBLE_EQUAL(d.wake, 130, 1e-9);
    e.now = 130;
    d = decide(e);
    CU_ASSERT_EQUAL(d.verdict, SERIES_QUIET);
    CU_ASSERT_PTR_NOT_NULL(strstr(d.evidence, "one ended without release"));
    char text[160];
    series_describe(&e, SERIES_QUIET, text);
    CU_ASSERT_STRING_EQUAL(text, "quiet, 10 instances, source cannot be asked, interrupted");
    e.last = 150; // not quiet for long enough when the longest wait is over
    e.now = 160;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_WAITED);
}

// The count of the source is better evidence than the end of an association.
static void series_that_was_interrupted_is_complete_when_the_source_has_as_many(void)
{
    struct series_evidence e = evidence(111.1);
    e.interrupted = true;
    e.can_ask = true;
    CU_ASSERT_TRUE(decide(e).ask);
    e.answer = SERIES_ANSWERED;
    e.asked = 111;
    e.source_count = 10;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_COMPLETE);
    char text[160];
    series_describe(&e, SERIES_COMPLETE, text);
    CU_ASSERT_STRING_EQUAL(text, "complete, 10 instances, source has 10");
    e.source_count = 9; // fewer are no evidence
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_RECEIVING);
    e.now = 120;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_RECEIVING);
}

static void series_confirmed_while_an_association_is_open_waits_for_quiet_s(void)
{
    struct series_evidence e = evidence(111.1);
    e.can_ask = true;
    e.answer = SERIES_ANSWERED;
    e.asked = 111;
    e.source_count = 10;
    e.open = 1;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_RECEIVING);
    e.now = 115;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_COMPLETE);
}

static void series_answer_from_before_the_last_instance_does_not_count(void)
{
    struct series_evidence e = evidence(110.5);
    e.can_ask = true;
    e.answer = SERIES_ANSWERED;
    e.asked = 109;
    e.source_count = 10;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_RECEIVING);
    e.now = 111;
    CU_ASSERT_TRUE(decide(e).ask);
}

static void series_waits_for_what_the_source_has_more(void)
{
    struct series_evidence e = evidence(115.5);
    e.can_ask = true;
    e.answer = SERIES_ANSWERED;
    e.asked = 111;
    e.source_count = 12;
    struct series_decision d = decide(e);
    CU_ASSERT_EQUAL(d.verdict, SERIES_RECEIVING); // quiet_s is over, and yet
    CU_ASSERT_FALSE(d.ask);
    CU_ASSERT_DOUBLE_EQUAL(d.wake, 116, 1e-9);
    e.now = 116;
    CU_ASSERT_TRUE(decide(e).ask); // again: the source may have been wrong, or has given up
    CU_ASSERT_PTR_NOT_NULL(strstr(d.evidence, "source has 12"));
    CU_ASSERT_FALSE(decide(e).fetch);
}

// What comes late need not be fetched, and what the source has not cannot be.
static void series_is_fetched_after_quiet_s_where_the_source_has_more(void)
{
    struct series_evidence e = evidence(114.9);
    e.can_ask = e.can_fetch = true;
    e.answer = SERIES_ANSWERED;
    e.asked = 113;
    e.source_count = 12;
    CU_ASSERT_FALSE(decide(e).ask);
    CU_ASSERT_DOUBLE_EQUAL(decide(e).wake, 115, 1e-9); // the next question is due at 118
    e.now = 115;
    CU_ASSERT_TRUE(decide(e).ask && decide(e).fetch);
    e.source_count = 10;
    CU_ASSERT_FALSE(decide(e).fetch);
    e.source_count = 12;
    e.asked = 109; // said before the last instance came
    CU_ASSERT_TRUE(decide(e).ask && !decide(e).fetch);
    e.asked = 113;
    e.now = 160;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_INCOMPLETE);
}

static void series_ends_incomplete_after_longest_wait_s(void)
{
    struct series_evidence e = evidence(159.9);
    e.can_ask = true;
    e.answer = SERIES_ANSWERED;
    e.asked = 158;
    e.source_count = 12;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_RECEIVING);
    e.now = 160;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_INCOMPLETE);
}

static void series_that_never_pauses_ends_after_longest_wait_s(void)
{
    struct series_evidence e = evidence(159.9);
    e.last = 159.8;
    e.open = 1;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_RECEIVING);
    e.now = 160;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_WAITED);
}

static void series_whose_source_does_not_answer_is_quiet_after_quiet_s(void)
{
    struct series_evidence e = evidence(112);
    e.can_ask = true;
    e.answer = SERIES_NO_ANSWER;
    e.asked = 111;
    strcpy(e.no_answer, "connection refused");
    struct series_decision d = decide(e);
    CU_ASSERT_EQUAL(d.verdict, SERIES_RECEIVING);
    CU_ASSERT_DOUBLE_EQUAL(d.wake, 115, 1e-9);
    CU_ASSERT_PTR_NOT_NULL(strstr(d.evidence, "connection refused"));
    e.now = 115;
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_QUIET);
}

static void series_waits_for_an_answer_that_is_due(void)
{
    struct series_evidence e = evidence(120);
    e.can_ask = true;
    e.answer = SERIES_ASKING;
    e.asked = 111;
    struct series_decision d = decide(e);
    CU_ASSERT_EQUAL(d.verdict, SERIES_RECEIVING);
    CU_ASSERT_FALSE(d.ask);
    CU_ASSERT_DOUBLE_EQUAL(d.wake, 160, 1e-9);
    e.now = 160; // the longest wait ends while the answer is on its way
    CU_ASSERT_EQUAL(decide(e).verdict, SERIES_QUIET);
    e.source_count = (long)e.have + 1; // but an earlier one said that there is more
    d = decide(e);
    CU_ASSERT_EQUAL(d.verdict, SERIES_INCOMPLETE);
    CU_ASSERT_PTR_NOT_NULL(strstr(d.evidence, "is being asked again"));
}

// Whatever the evidence, a series ends, and the function never asks for a wake in the past.
static void series_always_ends(void)
{
    for (int bits = 0; bits < 128; bits++) {
        struct series_evidence e = evidence(110);
        e.can_ask = bits & 1;
        e.open = bits >> 1 & 1;
        e.answer = (enum series_answer)(bits >> 2 & 3);
        e.source_count = bits >> 4 & 1 ? 12 : 10;
        e.asked = bits >> 5 & 1 ? 111 : 105;
        e.can_fetch = bits >> 6 & 1;
        struct series_decision d = {.verdict = SERIES_RECEIVING};
        int steps = 0;
        for (; d.verdict == SERIES_RECEIVING && steps < 100; steps++) {
            d = decide(e);
            if (d.ask) { // nobody answers
                e.answer = SERIES_NO_ANSWER;
                e.asked = e.now;
                e.can_fetch = e.can_fetch && !d.fetch;
            } else {
                e.now = d.wake;
            }
        }
        CU_ASSERT_TRUE(d.verdict != SERIES_RECEIVING);
        CU_ASSERT_TRUE(e.now <= 160);
    }
}

static const struct check_case cases[] = {
    {"series_is_quiet_after_quiet_s_when_nobody_can_be_asked",
     series_is_quiet_after_quiet_s_when_nobody_can_be_asked},
    {"series_with_an_idle_association_is_quiet_after_quiet_s",
     series_with_an_idle_association_is_quiet_after_quiet_s},
    {"series_asks_the_source_after_short_quiet_s", series_asks_the_source_after_short_quiet_s},
    {"series_asks_only_after_quiet_s_while_an_association_is_open",
     series_asks_only_after_quiet_s_while_an_association_is_open},
    {"series_is_complete_when_the_source_has_as_many",
     series_is_complete_when_the_source_has_as_many},
    {"series_is_not_proven_complete_by_a_source_that_has_fewer",
     series_is_not_proven_complete_by_a_source_that_has_fewer},
    {"series_that_was_interrupted_is_not_quiet_before_interrupted_s",
     series_that_was_interrupted_is_not_quiet_before_interrupted_s},
    {"series_that_was_interrupted_is_complete_when_the_source_has_as_many",
     series_that_was_interrupted_is_complete_when_the_source_has_as_many},
    {"series_confirmed_while_an_association_is_open_waits_for_quiet_s",
     series_confirmed_while_an_association_is_open_waits_for_quiet_s},
    {"series_answer_from_before_the_last_instance_does_not_count",
     series_answer_from_before_the_last_instance_does_not_count},
    {"series_waits_for_what_the_source_has_more", series_waits_for_what_the_source_has_more},
    {"series_is_fetched_after_quiet_s_where_the_source_has_more",
     series_is_fetched_after_quiet_s_where_the_source_has_more},
    {"series_ends_incomplete_after_longest_wait_s", series_ends_incomplete_after_longest_wait_s},
    {"series_that_never_pauses_ends_after_longest_wait_s",
     series_that_never_pauses_ends_after_longest_wait_s},
    {"series_whose_source_does_not_answer_is_quiet_after_quiet_s",
     series_whose_source_does_not_answer_is_quiet_after_quiet_s},
    {"series_waits_for_an_answer_that_is_due", series_waits_for_an_answer_that_is_due},
    {"series_always_ends", series_always_ends},
};

int main(void)
{
    return check_main("series", cases, sizeof cases / sizeof cases[0]);
}
