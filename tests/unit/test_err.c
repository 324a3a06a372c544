#include <errno.h>
#include <string.h>
#include "base/err.h"
#include "tests/check.h"

static void set_stores_code_and_text_and_returns_false(void)
{
    struct err err = {0};
    CU_ASSERT_FALSE(err_set(&err, ERR_GEOMETRY, "slice %d of %s", 3, "x"));
    CU_ASSERT_EQUAL(err.code, ERR_GEOMETRY);
    CU_ASSERT_STRING_EQUAL(err.text, "slice 3 of x");
}

static void a_caller_may_not_care(void)
{
    CU_ASSERT_FALSE(err_set(NULL, ERR_IO, "x"));
    CU_ASSERT_FALSE(err_errno(NULL, ENOENT, "x"));
    CU_ASSERT_FALSE(err_wrap(NULL, "x"));
}

static void errno_becomes_code_and_reason(void)
{
    static const struct {
        int number;
        enum err_code code;
    } rows[] = {{ENOSPC, ERR_FULL}, {EDQUOT, ERR_FULL}, {ENOMEM, ERR_NOMEM},
                {ENOENT, ERR_IO},   {EIO, ERR_IO},      {EACCES, ERR_IO}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {0};
        char wanted[256];
        CU_ASSERT_FALSE(err_errno(&err, rows[i].number, "open %s", "/a"));
        CU_ASSERT_EQUAL(err.code, rows[i].code);
        snprintf(wanted, sizeof wanted, "open /a: %s", strerror(rows[i].number));
        CU_ASSERT_STRING_EQUAL(err.text, wanted);
    }
}

static void wrap_puts_the_name_in_front_and_keeps_the_code(void)
{
    struct err err = {0};
    err_set(&err, ERR_FULL, "no room");
    CU_ASSERT_FALSE(err_wrap(&err, "instance %s", "1.2"));
    CU_ASSERT_FALSE(err_wrap(&err, "series"));
    CU_ASSERT_EQUAL(err.code, ERR_FULL);
    CU_ASSERT_STRING_EQUAL(err.text, "series: instance 1.2: no room");
}

static void long_texts_are_cut_inside_the_buffer(void)
{
    char longest[1000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    struct {
        struct err err;
        char guard[8];
    } box = {.guard = "guarded"};
    err_set(&box.err, ERR_IO, "%s", longest);
    CU_ASSERT_EQUAL(strlen(box.err.text), sizeof box.err.text - 1);
    err_wrap(&box.err, "%s", longest);
    CU_ASSERT_EQUAL(strlen(box.err.text), sizeof box.err.text - 1);
    err_errno(&box.err, EIO, "%s", longest);
    CU_ASSERT_EQUAL(strlen(box.err.text), sizeof box.err.text - 1);
    CU_ASSERT_STRING_EQUAL(box.guard, "guarded");
}

static void every_code_has_its_own_name(void)
{
    for (int a = ERR_NONE; a <= ERR_INTERNAL; a++) {
        CU_ASSERT_STRING_NOT_EQUAL(err_code_name((enum err_code)a), "unknown");
        for (int b = ERR_NONE; b < a; b++)
            CU_ASSERT_STRING_NOT_EQUAL(err_code_name((enum err_code)a),
                                       err_code_name((enum err_code)b));
    }
    CU_ASSERT_STRING_EQUAL(err_code_name((enum err_code)(ERR_INTERNAL + 1)), "unknown");
}

int main(void)
{
    static const struct check_case cases[] = {
        {"set_stores_code_and_text_and_returns_false", set_stores_code_and_text_and_returns_false},
        {"a_caller_may_not_care", a_caller_may_not_care},
        {"errno_becomes_code_and_reason", errno_becomes_code_and_reason},
        {"wrap_puts_the_name_in_front_and_keeps_the_code",
         wrap_puts_the_name_in_front_and_keeps_the_code},
        {"long_texts_are_cut_inside_the_buffer", long_texts_are_cut_inside_the_buffer},
        {"every_code_has_its_own_name", every_code_has_its_own_name},
    };
    return check_main("err", cases, sizeof cases / sizeof cases[0]);
}
