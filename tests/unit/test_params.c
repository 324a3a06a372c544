// Parameters as JSON: node/job/params.h.
#include "node/job/params.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "tests/check.h"

static struct arena *arena;
static const char *const modes[] = {"fast", "so \"good\"", NULL};
static const struct stage_param params[] = {
    {"threshold", "", "A number.", PARAM_NUMBER, -1000, 1000, 130, NULL},
    {"count", "", "A whole number.", PARAM_INTEGER, 0, 10, 3, NULL},
    {"heart_only", "", "Yes or no.", PARAM_BOOL, 0, 1, 1, NULL},
    {"mode", "", "One of several.", PARAM_CHOICE, 0, 1, 0, modes},
    {"model", "", "A file.", PARAM_PATH, 0, 0, 0, NULL, NULL},
};
enum { PARAMS = sizeof params / sizeof *params };
static const struct stage stage = {.name = "tested", .params = params, .param_count = PARAMS};

static void params_text_is_one_text_for_equal_values(void)
{
    struct param_value values[PARAMS] = {
        {.number = 0.1}, {.integer = 7}, {.truth = false}, {.choice = 1}, {.text = "/a\\b"}};
    char *text = params_text(&stage, values);
    CU_ASSERT_STRING_EQUAL(text, "{\"threshold\":0.1,\"count\":7,\"heart_only\":false,"
                                 "\"mode\":\"so \\\"good\\\"\",\"model\":\"/a\\\\b\"}");
    free(text);
    values[0].number = -0.0;
    text = params_text(&stage, values);
    CU_ASSERT_EQUAL(strncmp(text, "{\"threshold\":0,", 15), 0);
    free(text);
}

static void params_read_back_as_the_same_numbers(void)
{
    static const double numbers[] = {0.1, 1.0 / 3, 130, -999.999, 1e-300, 0x1.fffffffffffffp-3};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct param_value values[PARAMS], again[PARAMS];
        stage_defaults(&stage, values);
        values[0].number = numbers[i];
        char *text = params_text(&stage, values);
        CU_ASSERT_TRUE(params_parse(&stage, text, arena, again, NULL));
        CU_ASSERT_EQUAL(values[0].number, again[0].number);
        free(text);
    }
}

static void params_not_named_have_their_defaults(void)
{
    struct param_value values[PARAMS];
    CU_ASSERT_TRUE(params_parse(&stage, "{\"count\":5,\"heart_only\":0}", arena, values, NULL));
    CU_ASSERT_EQUAL(values[0].number, 130);
    CU_ASSERT_EQUAL(values[1].integer, 5);
    CU_ASSERT_FALSE(values[2].truth); // as earlier versions wrote it
    CU_ASSERT_EQUAL(values[3].choice, 0);
    CU_ASSERT_STRING_EQUAL(values[4].text, "");
}

static void params_report_what_they_cannot_take(void)
{
    static const char *const bad[] = {
        "",
        "[1]",
        "{\"nothing\":1}",
        "{\"threshold\":\"130\"}",
        "{\"threshold\":true}",
        "{\"threshold\":1001}",
        "{\"count\":1.5}",
        "{\"heart_only\":\"yes\"}",
        "{\"mode\":\"slow\"}",
        "{\"mode\":1}",
        "{\"mode\":null}",
        "{\"count\":1,\"count\":2}",
        "{\"model\":\"not/absolute\"}",
        "{\"model\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct param_value values[PARAMS];
        struct err err = {0};
        CU_ASSERT_FALSE(params_parse(&stage, bad[i], arena, values, &err));
        CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    }
}

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }
static const struct check_case cases[] = {
    CASE(params_text_is_one_text_for_equal_values),
    CASE(params_read_back_as_the_same_numbers),
    CASE(params_not_named_have_their_defaults),
    CASE(params_report_what_they_cannot_take),
};

int main(void)
{
    arena = arena_create();
    int status = check_main("params", cases, sizeof cases / sizeof cases[0]);
    arena_destroy(arena);
    return status;
}
