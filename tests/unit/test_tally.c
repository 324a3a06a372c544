#include "node/job/tally.h"
#include <string.h>
#include "tests/check.h"

// "key=value;key=value"
static struct attrs list_of(const char *text)
{
    struct attrs a = {0};
    char copy[256], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *one = strtok_r(copy, ";", &rest); one; one = strtok_r(NULL, ";", &rest)) {
        char *value = strchr(one, '=');
        *value++ = 0;
        CU_ASSERT_TRUE(attrs_add(&a, one, value));
    }
    return a;
}

static void expect_value(const char *const lists[], size_t count, const char *key,
                         const char *value)
{
    for (size_t turn = 0; turn < count; turn++) { // every instance comes first once
        struct tally *t = tally_create();
        struct attrs out = {0};
        CU_ASSERT_PTR_NOT_NULL_FATAL(t);
        for (size_t i = 0; i < count; i++) {
            struct attrs a = list_of(lists[(i + turn) % count]);
            CU_ASSERT_TRUE(tally_add(t, &a));
        }
        CU_ASSERT_TRUE(tally_most(t, &out));
        const char *got = attrs_get(&out, key);
        CU_ASSERT_EQUAL(got == NULL, value == NULL);
        if (got && value)
            CU_ASSERT_STRING_EQUAL(got, value);
        attrs_finish(&out);
        tally_destroy(t);
    }
}

static void most_instances_decide_in_any_order(void)
{
    static const struct {
        const char *lists[5], *value; // of K; NULL: none
    } table[] = {
        {{"Rows=1;K=a", "Rows=1;K=b", "Rows=1;K=b"}, "b"},
        {{"Rows=1;K=b", "Rows=1;K=a"}, "a"},           // equally often
        {{"Rows=1;K=b", "Rows=1"}, "b"},               // a value before none
        {{"Rows=1;K=b", "Rows=1", "Rows=1;K="}, NULL}, // empty is none
        {{"K=x", "K=x", "Rows=1;K=a"}, "a"},           // no pixels, no vote
        {{"K=x", "K=x", "K=a"}, "x"},                  // nothing else is there
        {{"Rows=1;ImageType=ORIGINAL\\PRIMARY\\LOCALIZER;K=x", "Rows=1;K=a"}, "a"},
        {{"Rows=1;ImageType=ORIGINAL\\PRIMARY\\TOPOGRAM;K=x", "Rows=1;K=y"}, "y"},
        {{"Rows=1;ImageType=DERIVED\\SECONDARY\\REF_SURVIEW;K=x", "Rows=1;K=y"}, "y"},
        {{"Rows=1;J=1", "Rows=1;J=2", "Rows=1;J=3"}, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t count = 0;
        while (count < 5 && table[i].lists[count])
            count++;
        expect_value(table[i].lists, count, "K", table[i].value);
    }
}

static void differences_bring_the_list_back(void)
{
    static const char *const table[][3] = {
        // base, other, what differs
        {"A=1;B=2;C=3", "A=1;B=2;C=3", ""}, {"A=1;B=2;C=3", "A=1;B=9;C=3", "B=9"},
        {"A=1;B=2;C=3", "A=1;C=3", "B="},   {"A=1", "A=1;B=2", "B=2"},
        {"A=1;B=2", "B=2;A=1", ""},         {"", "A=1", "A=1"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct attrs base = list_of(table[i][0]), other = list_of(table[i][1]),
                     differs = list_of(table[i][2]), delta = {0}, again = {0};
        const char *key = NULL, *value = NULL;
        CU_ASSERT_TRUE(tally_delta(&base, &other, &delta));
        CU_ASSERT_EQUAL(delta.size, differs.size);
        CU_ASSERT_TRUE(delta.size == 0 || memcmp(delta.packed, differs.packed, delta.size) == 0);
        CU_ASSERT_TRUE(tally_restore(&base, &delta, &again));
        CU_ASSERT_EQUAL(again.size, other.size);
        while (attrs_next(&other, &key, &value)) {
            const char *got = attrs_get(&again, key);
            CU_ASSERT_TRUE(got && strcmp(got, value) == 0);
        }
        attrs_finish(&base);
        attrs_finish(&other);
        attrs_finish(&differs);
        attrs_finish(&delta);
        attrs_finish(&again);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"tally_most_instances_decide_in_any_order", most_instances_decide_in_any_order},
        {"tally_differences_bring_the_list_back", differences_bring_the_list_back},
    };
    return check_main("tally", cases, sizeof cases / sizeof *cases);
}
