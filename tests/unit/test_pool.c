// Which workers there are: node/core/pool.h.
#include "node/core/pool.h"
#include <stdio.h>
#include <string.h>
#include "tests/check.h"

static const struct msg_device devices[] = {
    {.kind = 3, .cpu = 1, .usable = 1, .name = "llvmpipe (LLVM 15.0.6, 256 bits)", .uuid = "u-cpu"},
    {.kind = 0, .usable = 1, .name = "Radeon Pro", .uuid = "u-radeon"},
    {.kind = 0, .usable = 0, .name = "Old Card", .uuid = "u-old", .why = "not usable: Vulkan 1.0"},
    {.kind = 1, .usable = 1, .name = "Graphics 770", .uuid = "u-770"},
};
#define DEVICES 4

#define TEXT(s) ((char *)(uintptr_t)(s)) // conf has its texts from an arena

// The plan as "1 3 ": device indices. one: worker.device; list: worker.devices, NULL-ended.
static const char *plan(const char *one, const char **list, unsigned per_device, char why[256])
{
    static char text[256];
    struct pool_place places[POOL_MAX];
    struct conf conf = {.device = TEXT(one), .per_device = per_device};
    while (list && list[conf.devices.count])
        conf.devices.count++;
    conf.devices.items = (char **)(uintptr_t)list;
    size_t count = pool_plan(devices, DEVICES, &conf, places, why);
    text[0] = 0;
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%zu.%u ", places[i].device,
                 places[i].number);
    return text;
}

static void pool_takes_the_best_device_when_none_is_named(void)
{
    char why[256];
    CU_ASSERT_STRING_EQUAL(plan("", NULL, 1, why), "1.0 ");
    CU_ASSERT_STRING_EQUAL(why, "");
    CU_ASSERT_STRING_EQUAL(plan("", NULL, 2, why), "1.0 1.1 ");
}

static void pool_finds_devices_by_name_or_uuid(void)
{
    char why[256];
    const char *two[] = {"U-770", "llvmpipe", NULL}, *all[] = {"all", NULL};
    const char *twice[] = {"radeon", "u-radeon", NULL};
    CU_ASSERT_STRING_EQUAL(plan("LLVM", NULL, 1, why), "0.0 ");
    CU_ASSERT_STRING_EQUAL(plan("llvm", two, 1, why), "3.0 0.0 "); // devices goes first
    CU_ASSERT_STRING_EQUAL(plan("", all, 1, why), "0.0 1.0 3.0 ");
    CU_ASSERT_STRING_EQUAL(plan("", twice, 1, why), "1.0 ");
    CU_ASSERT_STRING_EQUAL(why, "");
}

static void pool_says_what_is_not_there(void)
{
    char why[256];
    const char *some[] = {"radeon", "Old", NULL};
    CU_ASSERT_STRING_EQUAL(plan("GeForce", NULL, 1, why), "");
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "\"GeForce\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "Radeon Pro"));
    CU_ASSERT_STRING_EQUAL(plan("", some, 1, why), "1.0 "); // the others work
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "\"Old\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "Vulkan 1.0"));
    struct pool_place places[POOL_MAX];
    struct conf conf = {.device = TEXT(""), .per_device = 1};
    CU_ASSERT_EQUAL(pool_plan(NULL, 0, &conf, places, why), 0);
    CU_ASSERT_STRING_EQUAL(why, "no usable Vulkan device");
}

static void pool_has_an_end(void)
{
    char why[256];
    struct msg_device many[100];
    struct pool_place places[POOL_MAX];
    char *all[] = {TEXT("all")};
    struct conf conf = {.device = TEXT(""), .devices = {all, 1}, .per_device = 16};
    for (int i = 0; i < 100; i++)
        many[i] = devices[1];
    CU_ASSERT_EQUAL(pool_plan(many, 100, &conf, places, why), POOL_MAX);
}

static void pool_cpu_is_the_software_device(void)
{
    CU_ASSERT_EQUAL(pool_cpu(devices, DEVICES), 0);
    CU_ASSERT_EQUAL(pool_cpu(devices + 1, DEVICES - 1), DEVICES - 1);
}

// Attempts that a worker takes of a job with most of them, as "0 1 ".
static const char *taken(int64_t most, bool software, bool cpu, bool reserve)
{
    static char text[64];
    const struct pool_attempts a = pool_attempts(most, software, cpu, reserve);
    text[0] = 0;
    for (int64_t n = 0; n < most; n++) {
        if (n >= a.from && (a.below == 0 || n < a.below))
            snprintf(text + strlen(text), sizeof text - strlen(text), "%lld ", (long long)n);
    }
    return text;
}

static void pool_attempts_keeps_the_last_for_the_software_device(void)
{
    CU_ASSERT_STRING_EQUAL(taken(3, true, false, false), "0 1 ");
    CU_ASSERT_STRING_EQUAL(taken(3, true, true, false), "0 1 2 "); // it is in the pool
    CU_ASSERT_STRING_EQUAL(taken(3, true, true, true), "2 ");
    CU_ASSERT_STRING_EQUAL(taken(3, false, false, false), "0 1 2 "); // nowhere else to go
    CU_ASSERT_STRING_EQUAL(taken(1, true, false, false), "0 ");
}

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
static const struct check_case cases[] = {
    CASE(pool_takes_the_best_device_when_none_is_named),
    CASE(pool_finds_devices_by_name_or_uuid),
    CASE(pool_says_what_is_not_there),
    CASE(pool_has_an_end),
    CASE(pool_cpu_is_the_software_device),
    CASE(pool_attempts_keeps_the_last_for_the_software_device),
};

int main(void)
{
    return check_main("pool", cases, sizeof cases / sizeof cases[0]);
}
