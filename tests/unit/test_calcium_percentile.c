// Tables of percentiles as sites write them, and what is wrong with them.
#include "compute/stages/calcium/calcium_percentile.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fs.h"
#include "tests/check.h"

#define SOURCE "source: Anyone, Journal 2020;1:1\n"
#define HEAD   "sex,age_from,age_to,p25,p50,p75,p90\n"

static char path[] = "/tmp/anode-percentile-XXXXXX";

// Reads a file of that text.
static bool read_table(const char *text, size_t size, struct arena *arena,
                       struct calcium_percentile_table *out, struct err *err)
{
    unlink(path);
    CU_ASSERT_FATAL(fs_write_file(path, text, size, NULL));
    return calcium_percentile_read(path, arena, out, err);
}

static void a_table_is_read(void)
{
    static const char text[] = "\xef\xbb\xbf# of the site\r\n" SOURCE "\r\n" HEAD
                               "M,45,54,0,5.5,60,210\r\nF, 45 ,54 ,0,0,3,40\nM,55,55,1,1,1,1";
    struct arena *arena = arena_create();
    struct calcium_percentile_table t;
    struct err err = {0};
    CU_ASSERT_FATAL(arena && read_table(text, sizeof text - 1, arena, &t, &err));
    CU_ASSERT_STRING_EQUAL(t.source, "Anyone, Journal 2020;1:1");
    CU_ASSERT_EQUAL(t.row_count, 3);
    CU_ASSERT_PTR_NULL(calcium_percentile_row(&t, 'M', 44));
    CU_ASSERT_PTR_NULL(calcium_percentile_row(&t, 'M', 56));
    CU_ASSERT_PTR_NULL(calcium_percentile_row(&t, 'F', 55));
    const struct calcium_percentile_row *row = calcium_percentile_row(&t, 'M', 54);
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT_EQUAL(row->score[1], 5.5);
    CU_ASSERT_EQUAL(row->score[3], 210);
    row = calcium_percentile_row(&t, 'F', 45);
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT_EQUAL(row->score[2], 3);
    CU_ASSERT(calcium_percentile_check(path, &err));
    CU_ASSERT(calcium_percentile_check("", &err));
    arena_destroy(arena);
}

static void what_is_wrong_is_named_with_its_line(void)
{
    static const struct {
        const char *text, *says; // after the path
    } cases[] = {
        {SOURCE HEAD "M,45,54,0,5,x,210\n", ":3: p75: \"x\" is no score of 0 to 100000"},
        {SOURCE HEAD "M,45,54,0,5,,210\n", ":3: p75: \"\" is no score"},
        {SOURCE HEAD "M,45,54,0,5,-1,210\n", ":3: p75: \"-1\" is no score"},
        {SOURCE HEAD "M,45,54,0,5,nan,210\n", ":3: p75: \"nan\" is no score"},
        {SOURCE HEAD "M,45,54,0,5,0x10,210\n", ":3: p75: \"0x10\" is no score"},
        {SOURCE HEAD "M,45,54,0,5,1e9,2e9\n", ":3: p75: \"1e9\" is no score"},
        {SOURCE HEAD "M,45,54,0,5,60,50\n", ":3: p90: 50 is below p75, 60"},
        {SOURCE HEAD "M,45,54,0,5,60\n", ":3: 6 values, not 7"},
        {SOURCE HEAD "M,45,54,0,5,60,70,80\n", ":3: 8 values, not 7"},
        {SOURCE HEAD "\nX,45,54,0,5,60,70\n", ":4: sex: \"X\" is neither M nor F"},
        {SOURCE HEAD "MF,45,54,0,5,60,70\n", ":3: sex: \"MF\""},
        {SOURCE HEAD "M,45.5,54,0,5,60,70\n", ":3: age_from: \"45.5\" is no age"},
        {SOURCE HEAD "M,45,540,0,5,60,70\n", ":3: age_to: \"540\" is no age"},
        {SOURCE HEAD "M,54,45,0,5,60,70\n", ":3: age_to: 45 is below age_from, 54"},
        {SOURCE HEAD "M,45,54,0,5,60,70\nM,54,60,0,5,60,70\n",
         ":4: ages 54 to 60 of M overlap with 45 to 54"},
        {SOURCE "sex;age_from\n", ":2: \"sex;age_from\" is not the head \"sex,age_from,"},
        {SOURCE SOURCE HEAD, ":2: a second line \"source:\""},
        {"source:\n" HEAD, ":1: source: 0 bytes"},
        {HEAD "M,45,54,0,5,60,70\n", ": no line \"source: ...\""},
        {SOURCE HEAD, ": no row of percentiles"},
        {"", ": no line \"source: ...\""},
    };
    struct arena *arena = arena_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(arena);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct calcium_percentile_table t;
        struct err err = {0};
        CU_ASSERT_FALSE(read_table(cases[i].text, strlen(cases[i].text), arena, &t, &err));
        CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
        const bool named =
            strncmp(err.text, path, strlen(path)) == 0 &&
            strncmp(err.text + strlen(path), cases[i].says, strlen(cases[i].says)) == 0;
        CU_ASSERT(named);
        if (!named)
            fprintf(stderr, "%s\n  is not %s\n", err.text, cases[i].says);
        struct err again = {0};
        CU_ASSERT_FALSE(calcium_percentile_check(path, &again));
        CU_ASSERT_STRING_EQUAL(again.text, err.text);
    }
    arena_destroy(arena);
}

static void what_is_no_text_is_refused(void)
{
    struct arena *arena = arena_create();
    struct calcium_percentile_table t;
    struct err err = {0};
    CU_ASSERT_FATAL(arena != NULL);
    CU_ASSERT_FALSE(read_table(SOURCE HEAD "M,4\0", sizeof(SOURCE HEAD "M,4\0"), arena, &t, &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "not a text"));
    unlink(path);
    CU_ASSERT_FALSE(calcium_percentile_read(path, arena, &t, &err));
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
    arena_destroy(arena);
}

static void a_file_has_so_many_rows(void)
{
    static char text[32768] = SOURCE HEAD;
    struct arena *arena = arena_create();
    struct calcium_percentile_table t;
    struct err err = {0};
    CU_ASSERT_FATAL(arena != NULL);
    // 131 ages of either sex: 256 rows fit
    for (int i = 0; i < 257; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%c,%d,%d,0,1,2,3\n",
                 i % 2 ? 'M' : 'F', i / 2, i / 2);
    CU_ASSERT_FALSE(read_table(text, strlen(text), arena, &t, &err));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ":259: more than 256 rows"));
    arena_destroy(arena);
}

static void a_score_stands_between_percentiles(void)
{
    static const struct calcium_percentile_row usual = {'M', 45, 54, {1, 5, 60, 210}};
    static const struct calcium_percentile_row zeros = {'F', 45, 54, {0, 0, 3, 40}};
    static const struct {
        const struct calcium_percentile_row *row;
        double low, high;
        const char *text;
    } cases[] = {
        {&usual, 0, 0, "below the 25th percentile"},
        {&usual, 0.9, 0.9, "below the 25th percentile"},
        {&usual, 1, 1, "between the 25th and the 50th percentile"},
        {&usual, 59.9, 59.9, "between the 50th and the 75th percentile"},
        {&usual, 60, 60, "between the 75th and the 90th percentile"},
        {&usual, 210, 210, "at or above the 90th percentile"},
        {&usual, 2, 100, "between the 25th and the 90th percentile"},
        {&usual, 2, 1000, "at or above the 25th percentile"},
        {&usual, 0, 100, "below the 90th percentile"},
        {&usual, 0, 1000, "at any percentile"},
        {&zeros, 0, 0, "below the 75th percentile"}, // half of them have none
        {&zeros, 1, 1, "between the 50th and the 75th percentile"},
        {&zeros, 0, 3, "below the 90th percentile"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[96];
        calcium_percentile_text(cases[i].row, cases[i].low, cases[i].high, text, sizeof text);
        CU_ASSERT_STRING_EQUAL(text, cases[i].text);
        if (strcmp(text, cases[i].text) != 0)
            fprintf(stderr, "%g to %g: %s\n", cases[i].low, cases[i].high, text);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"a_table_is_read", a_table_is_read},
        {"what_is_wrong_is_named_with_its_line", what_is_wrong_is_named_with_its_line},
        {"what_is_no_text_is_refused", what_is_no_text_is_refused},
        {"a_file_has_so_many_rows", a_file_has_so_many_rows},
        {"a_score_stands_between_percentiles", a_score_stands_between_percentiles},
    };
    const int file = mkstemp(path);
    if (file < 0)
        return EXIT_FAILURE;
    close(file);
    const int end = check_main("calcium_percentile", cases, sizeof cases / sizeof *cases);
    unlink(path);
    return end;
}
