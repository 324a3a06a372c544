#include <stdio.h>
#include <string.h>
#include "base/attrs.h"
#include "tests/check.h"

static void values_are_found_by_keyword(void)
{
    struct attrs a = {0};
    CU_ASSERT_PTR_NULL(attrs_get(&a, "Modality"));
    CU_ASSERT_TRUE(attrs_add(&a, "Modality", "CT"));
    CU_ASSERT_TRUE(attrs_add(&a, "ImageType", "ORIGINAL\\PRIMARY"));
    CU_ASSERT_TRUE(attrs_add(&a, "CT", "")); // a value is no key
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "Modality"), "CT");
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "ImageType"), "ORIGINAL\\PRIMARY");
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "CT"), "");
    CU_ASSERT_PTR_NULL(attrs_get(&a, "modality"));
    attrs_finish(&a);
    CU_ASSERT_PTR_NULL(attrs_get(&a, "Modality"));
    attrs_finish(&a); // twice is fine
}

static void walk_gives_all_in_order(void)
{
    struct attrs a = {0};
    const char *key = NULL, *value = NULL;
    CU_ASSERT_FALSE(attrs_next(&a, &key, &value));
    attrs_add(&a, "A", "1");
    attrs_add(&a, "B", "");
    attrs_add(&a, "C", "3");
    char seen[64] = "";
    while (attrs_next(&a, &key, &value)) {
        size_t used = strlen(seen);
        snprintf(seen + used, sizeof seen - used, "%s=%s;", key, value);
    }
    CU_ASSERT_STRING_EQUAL(seen, "A=1;B=;C=3;");
    attrs_finish(&a);
}

static void long_values_are_cut_between_characters(void)
{
    char value[2000];
    memset(value, 'a', sizeof value);
    memcpy(value + 1022, "\xe2\x82\xac", 3); // three bytes across the limit of 1024
    value[1999] = 0;
    struct attrs a = {0};
    CU_ASSERT_TRUE(attrs_add(&a, "K", value));
    CU_ASSERT_EQUAL(strlen(attrs_get(&a, "K")), 1022);
    attrs_finish(&a);
    value[1024] = 0;
    value[1022] = value[1023] = 'b';
    CU_ASSERT_TRUE(attrs_add(&a, "K", value));
    CU_ASSERT_EQUAL(strlen(attrs_get(&a, "K")), 1024);
    attrs_finish(&a);
}

static void a_full_list_refuses_and_stays_whole(void)
{
    char value[1025];
    memset(value, 'v', 1024);
    value[1024] = 0;
    struct attrs a = {0};
    int count = 0;
    while (attrs_add(&a, "Key", value) && count < 100)
        count++;
    CU_ASSERT_EQUAL(count, ATTRS_PACKED_MAX / (4 + 1025));
    CU_ASSERT_TRUE(a.size <= ATTRS_PACKED_MAX);
    struct attrs copy = {0};
    CU_ASSERT_TRUE(attrs_unpack(&copy, a.packed, a.size));
    attrs_finish(&copy);
    attrs_finish(&a);
}

static void packed_lists_read_back_and_malformed_ones_do_not(void)
{
    struct attrs a = {0};
    CU_ASSERT_TRUE(attrs_unpack(&a, NULL, 0));
    CU_ASSERT_TRUE(attrs_unpack(&a, "A\0001\0B\0002", 8));
    CU_ASSERT_STRING_EQUAL(attrs_get(&a, "B"), "2");
    CU_ASSERT_FALSE(attrs_unpack(&a, "A\0001\0B\0002", 7)); // no byte 0 at the end
    CU_ASSERT_PTR_NULL(attrs_get(&a, "B"));                 // and nothing half taken over
    CU_ASSERT_FALSE(attrs_unpack(&a, "A\0001\0B", 6));      // a key without its value
    CU_ASSERT_FALSE(attrs_unpack(&a, "A", 2));
    static char large[ATTRS_PACKED_MAX + 2];
    CU_ASSERT_FALSE(attrs_unpack(&a, large, sizeof large));
    attrs_finish(&a);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"values_are_found_by_keyword", values_are_found_by_keyword},
        {"walk_gives_all_in_order", walk_gives_all_in_order},
        {"long_values_are_cut_between_characters", long_values_are_cut_between_characters},
        {"a_full_list_refuses_and_stays_whole", a_full_list_refuses_and_stays_whole},
        {"packed_lists_read_back_and_malformed_ones_do_not",
         packed_lists_read_back_and_malformed_ones_do_not},
    };
    return check_main("attrs", cases, sizeof cases / sizeof cases[0]);
}
