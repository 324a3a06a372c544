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

static void a_list_stands_on_its_base(void)
{
    struct attrs instance = {0}, frame = {.base = &instance};
    attrs_add(&instance, "Modality", "MR");
    attrs_add(&instance, "EchoTime", "10");
    attrs_add(&frame, "EchoTime", "20");
    CU_ASSERT_STRING_EQUAL(attrs_get(&frame, "EchoTime"), "20");
    CU_ASSERT_STRING_EQUAL(attrs_get(&frame, "Modality"), "MR");
    CU_ASSERT_STRING_EQUAL(attrs_get(&instance, "EchoTime"), "10");
    CU_ASSERT_PTR_NULL(attrs_get(&frame, "Rows"));
    const char *key = NULL, *value = NULL;
    CU_ASSERT_TRUE(attrs_next(&frame, &key, &value));
    CU_ASSERT_FALSE(attrs_next(&frame, &key, &value)); // a walk is of the list itself
    CU_ASSERT_TRUE(attrs_unpack(&frame, "A\0001", 4));
    CU_ASSERT_STRING_EQUAL(attrs_get(&frame, "Modality"), "MR");
    attrs_finish(&frame);
    CU_ASSERT_PTR_NULL(attrs_get(&frame, "Modality"));
    attrs_finish(&instance);
}

static void numbers_are_the_first_of_several(void)
{
    static const struct {
        const char *text;
        bool ok;
        double value;
    } cases[] = {
        {"120", true, 120},  {"-1.5e2", true, -150}, {"+3", true, 3},   {"0.5\\7", true, 0.5},
        {" 4 ", true, 4},    {"4 \\5", true, 4},     {"", false, 0},    {"\\7", false, 0},
        {"1,5", false, 0},   {"0x10", false, 0},     {"nan", false, 0}, {"inf", false, 0},
        {"1e999", false, 0}, {"12 mm", false, 0},    {"e", false, 0},   {"1-2", false, 0},
        {"120kV", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct attrs base = {0}, a = {.base = &base};
        double value = -7;
        attrs_add(&base, "K", cases[i].text);
        CU_ASSERT_EQUAL(attrs_number(&a, "K", &value), cases[i].ok);
        CU_ASSERT_EQUAL(value, cases[i].ok ? cases[i].value : -7);
        CU_ASSERT_FALSE(attrs_number(&a, "L", &value));
        attrs_finish(&base);
    }
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
        {"a_list_stands_on_its_base", a_list_stands_on_its_base},
        {"numbers_are_the_first_of_several", numbers_are_the_first_of_several},
    };
    return check_main("attrs", cases, sizeof cases / sizeof cases[0]);
}
