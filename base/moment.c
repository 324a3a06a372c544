#include "base/moment.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define DAY_S         86400.0
#define FRACTION_MAX  1000000 // microseconds
#define LEAP_SECOND   60
#define DAYS_TO_1970  719468 // from the first of March of year 0
#define YEAR_DAYS     365
#define DATE_MARKS    ".-/"
#define DECIMAL_MARKS ".,"

// Exactly count digits at *at as a number, moving on; -1: there are none.
static int moment_digits(const char **at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        const char c = (*at)[i];
        if (c < '0' || c > '9')
            return -1;
        value = 10 * value + (c - '0');
    }
    *at += count;
    return value;
}

static int moment_month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

// The date at *at, moving on.
static bool moment_take_date(const char **at, struct moment_date *out)
{
    const char *p = *at;
    struct moment_date d = {.year = moment_digits(&p, 4)};
    const char mark = *p && strchr(DATE_MARKS, *p) ? *p : 0;
    p += mark != 0;
    d.month = d.year < 1 ? -1 : moment_digits(&p, 2);
    if (d.month < 0 || d.month > 12 || (mark && *p++ != mark))
        return false;
    d.day = moment_digits(&p, 2);
    if (d.day < 0 || (d.month == 0 && d.day != 0) ||
        (d.month > 0 && d.day > moment_month_days(d.year, d.month)))
        return false;
    *at = p;
    *out = d;
    return true;
}

// The time of day at *at, moving on: hours at least.
static bool moment_take_time(const char **at, double *seconds)
{
    const char *p = *at;
    double fraction = 0;
    const int hour = moment_digits(&p, 2);
    if (hour < 0 || hour > 23)
        return false;
    const bool marked = *p == ':';
    p += marked;
    int minute = moment_digits(&p, 2), second = -1;
    if (minute >= 0 && marked == (*p == ':')) {
        p += marked;
        second = moment_digits(&p, 2);
    }
    if (second >= 0 && *p && strchr(DECIMAL_MARKS, *p)) {
        double unit = 1;
        for (p++; *p >= '0' && *p <= '9'; p++) {
            unit /= 10;
            fraction += unit * FRACTION_MAX >= 1 ? unit * (*p - '0') : 0;
        }
    }
    minute = minute < 0 ? 0 : minute;
    second = second < 0 ? 0 : second;
    if (minute > 59 || second > LEAP_SECOND)
        return false;
    *at = p;
    *seconds = hour * 3600.0 + minute * 60.0 + second + fraction;
    return true;
}

static const char *moment_skip_blanks(const char *p)
{
    return p + strspn(p, " ");
}

bool moment_date(const char *text, struct moment_date *out)
{
    const char *p = moment_skip_blanks(text);
    struct moment_date d;
    if (!moment_take_date(&p, &d) || *moment_skip_blanks(p))
        return false;
    *out = d;
    return true;
}

double moment_days(const struct moment_date *date)
{
    if (date->day == 0)
        return NAN;
    // counted from March, so that the leap day is the last of a year
    const int y = date->month > 2 ? date->year : date->year - 1, m = (date->month + 9) % 12;
    const int days = YEAR_DAYS * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + date->day - 1;
    return days - DAYS_TO_1970;
}

bool moment_time(const char *text, double *seconds)
{
    const char *p = moment_skip_blanks(text);
    double value;
    if (!moment_take_time(&p, &value) || *moment_skip_blanks(p))
        return false;
    *seconds = value;
    return true;
}

double moment_seconds(const char *text)
{
    const char *p = moment_skip_blanks(text);
    struct moment_date d;
    double seconds;
    if (!moment_take_date(&p, &d))
        return NAN;
    p = moment_skip_blanks(p);
    if (!moment_take_time(&p, &seconds))
        return NAN;
    p = moment_skip_blanks(p);
    if (*p == '+' || *p == '-')
        p += 1 + strspn(p + 1, "0123456789:");
    return *moment_skip_blanks(p) ? NAN : DAY_S * moment_days(&d) + seconds;
}

void moment_text(const char *date, const char *time, char out[32])
{
    struct moment_date d;
    double seconds;
    out[0] = 0;
    if (!date || !moment_date(date, &d))
        return;
    int n = snprintf(out, 32, "%04d", d.year);
    if (d.month > 0)
        n += snprintf(out + n, 32 - (size_t)n, "-%02d", d.month);
    if (d.day > 0)
        n += snprintf(out + n, 32 - (size_t)n, "-%02d", d.day);
    if (d.day > 0 && time && moment_time(time, &seconds))
        snprintf(out + n, 32 - (size_t)n, " %02d:%02d", (int)(seconds / 3600),
                 (int)fmod(seconds / 60, 60));
}
