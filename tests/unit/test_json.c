#include "node/job/json.h"
#include <math.h>
#include <stdlib.h>
#include "tests/check.h"

static void text_is_always_utf8(void)
{
    json_t *good = json_text("M\xc3\xbcller"), *bad = json_text("\xff\xffT"),
           *none = json_text(NULL);
    CU_ASSERT_STRING_EQUAL(json_string_value(good), "M\xc3\xbcller");
    CU_ASSERT_STRING_EQUAL(json_string_value(bad), "??T");
    CU_ASSERT_STRING_EQUAL(json_string_value(none), "");
    json_decref(good);
    json_decref(bad);
    json_decref(none);
}

static void values_are_put_and_written(void)
{
    bool ok = true;
    json_t *o = json_object(), *list = json_array();
    json_put_text(o, "text", "a\xff", &ok);
    json_put_integer(o, "integer", INT64_C(1) << 40, &ok);
    json_put_number(o, "number", 0.5, &ok);
    json_put_number(o, "nan", NAN, &ok);
    json_put_bool(o, "bool", true, &ok);
    json_add(list, json_integer(1), &ok);
    json_put(o, "list", list, &ok);
    CU_ASSERT_TRUE(ok);
    char *text = json_dumps(o, JSON_COMPACT);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_STRING_EQUAL(text, "{\"text\":\"a?\",\"integer\":1099511627776,\"number\":0.5,"
                                 "\"nan\":null,\"bool\":true,\"list\":[1]}");
    free(text);
    json_decref(o);
}

static void failures_add_up(void)
{
    bool ok = true;
    json_t *o = json_object(), *list = json_array();
    json_put(o, "missing", NULL, &ok);
    CU_ASSERT_FALSE(ok);
    json_put_text(o, "there", "x", &ok);
    CU_ASSERT_FALSE(ok);
    ok = true;
    json_add(list, NULL, &ok);
    CU_ASSERT_FALSE(ok);
    ok = true;
    json_put_text(NULL, "key", "value", &ok); // the object itself could not be made
    CU_ASSERT_FALSE(ok);
    CU_ASSERT_EQUAL(json_object_size(o), 1);
    json_decref(o);
    json_decref(list);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"json_text_is_always_utf8", text_is_always_utf8},
        {"json_put_values_are_put_and_written", values_are_put_and_written},
        {"json_put_failures_add_up", failures_add_up},
    };
    return check_main("json", cases, sizeof cases / sizeof *cases);
}
