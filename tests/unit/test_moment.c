// Dates and times in all the forms that instances have, and the ones that are none.
#include "base/moment.h"
#include <math.h>
#include <string.h>
#include "tests/check.h"

static void reads_dates_by_clear_rules_only(void)
{
    static const struct {
        const char *text;
        int year, month, day; // 0: none at all
    } table[] = {
        {"20120102", 2012, 1, 2},
        {" 20120102 ", 2012, 1, 2},
        {"2012.01.02", 2012, 1, 2},
        {"2012-01-02", 2012, 1, 2},
        {"2012/01/02", 2012, 1, 2},
        {"20120000", 2012, 0, 0},
        {"20120100", 2012, 1, 0},
        {"2012-00-00", 2012, 0, 0},
        {"20120229", 2012, 2, 29}, // a leap year
        {"20000229", 2000, 2, 29},
        {"19000229", 0, 0, 0}, // none
        {"20120230", 0, 0, 0},
        {"20120431", 0, 0, 0},
        {"20121301", 0, 0, 0},
        {"20120001", 0, 0, 0}, // a day of no month
        {"00000000", 0, 0, 0},
        {"2012", 0, 0, 0},
        {"201201", 0, 0, 0},
        {"02.01.2012", 0, 0, 0}, // which of them is the month?
        {"2012.01-02", 0, 0, 0},
        {"2012.1.2", 0, 0, 0},
        {"201201021", 0, 0, 0},
        {"20120102x", 0, 0, 0},
        {"20120102101112", 0, 0, 0},
        {"2O120102", 0, 0, 0},
        {"", 0, 0, 0},
        {"unknown", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct moment_date d = {0};
        const bool ok = moment_date(table[i].text, &d);
        CU_ASSERT_EQUAL(ok, table[i].year > 0);
        CU_ASSERT_TRUE(d.year == table[i].year && d.month == table[i].month &&
                       d.day == table[i].day);
    }
}

static void counts_days_from_1970(void)
{
    static const struct {
        struct moment_date date;
        double days;
    } table[] = {
        {{1970, 1, 1}, 0},     {{1969, 12, 31}, -1},  {{2000, 2, 29}, 11016},
        {{2000, 3, 1}, 11017}, {{2012, 1, 2}, 15341}, {{1950, 1, 31}, -7275},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        CU_ASSERT_EQUAL(moment_days(&table[i].date), table[i].days);
    CU_ASSERT_TRUE(isnan(moment_days(&(struct moment_date){2012, 1, 0})));
    CU_ASSERT_TRUE(isnan(moment_days(&(struct moment_date){2012, 0, 0})));
}

static void reads_times_by_clear_rules_only(void)
{
    static const struct {
        const char *text;
        double seconds; // -1: none
    } table[] = {
        {"101112", 36672},
        {"101112.5", 36672.5},
        {"101112,25", 36672.25},
        {"101112.", 36672},
        {"101112.123456789", 36672.123456},
        {" 1011 ", 36660},
        {"10", 36000},
        {"10:11:12", 36672},
        {"10:11:12.5", 36672.5},
        {"10:11", 36660},
        {"235960", 86400}, // a leap second
        {"000000", 0},
        {"240000", -1},
        {"99:00", -1},
        {"106000", -1},
        {"101161", -1},
        {"1", -1},
        {"10111", -1},
        {"10:1112", -1},
        {"1011:12", -1},
        {"9:05:00", -1},
        {"10:11:12 PM", -1},
        {"101112x", -1},
        {"", -1},
        {"noon", -1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        double seconds = -1;
        CU_ASSERT_EQUAL(moment_time(table[i].text, &seconds), table[i].seconds >= 0);
        CU_ASSERT_DOUBLE_EQUAL(seconds, table[i].seconds, 1e-9);
        if (fabs(seconds - table[i].seconds) > 1e-9)
            fprintf(stderr, "\"%s\" is %f\n", table[i].text, seconds);
    }
}

static void reads_moments(void)
{
    static const struct {
        const char *text;
        double seconds; // NAN: none
    } table[] = {
        {"19700102", NAN}, // a day is no moment
        {"1970010200", 86400},
        {"19700102000001.5", 86401.5},
        {"19700102000001.5+0100", 86401.5},
        {"19700102000001-0500 ", 86401},
        {"1970-01-02 00:00:01", 86401},
        {"19700100000001", NAN},
        {"19700102250000", NAN},
        {"19700102000001Z", NAN},
        {"", NAN},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const double seconds = moment_seconds(table[i].text);
        CU_ASSERT_TRUE(isnan(table[i].seconds) ? isnan(seconds) : seconds == table[i].seconds);
    }
}

static void shows_what_is_known(void)
{
    static const char *const table[][3] = {
        {"20120102", "101112", "2012-01-02 10:11"},
        {"2012.01.02", "10:11:12", "2012-01-02 10:11"},
        {"20120102", "99:00", "2012-01-02"},
        {"20120102", "10", "2012-01-02 10:00"},
        {"20120102", NULL, "2012-01-02"},
        {"20120102", "", "2012-01-02"},
        {"20120100", "101112", "2012-01"},
        {"20120000", "101112", "2012"},
        {"20121345", "101112", ""},
        {"", "101112", ""},
        {NULL, NULL, ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[32] = "?";
        moment_text(table[i][0], table[i][1], text);
        CU_ASSERT_STRING_EQUAL(text, table[i][2]);
    }
}

int main(void)
{
    static const struct check_case cases[] = {
        {"moment_date_reads_dates_by_clear_rules_only", reads_dates_by_clear_rules_only},
        {"moment_days_counts_from_1970", counts_days_from_1970},
        {"moment_time_reads_times_by_clear_rules_only", reads_times_by_clear_rules_only},
        {"moment_seconds_reads_moments", reads_moments},
        {"moment_text_shows_what_is_known", shows_what_is_known},
    };
    return check_main("moment", cases, sizeof cases / sizeof *cases);
}
