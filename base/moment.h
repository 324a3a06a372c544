// Dates and times as instances have them: as the standard writes them (PS3.5 6.2: DA, TM, DT), as
// it wrote them before 1993 (2012.01.02, 10:11:12), with the marks of ISO 8601, and with what is
// not known as zeros. What cannot be read by one of these rules is none. Thread-safety: pure.
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// A day of the Gregorian calendar.
struct moment_date {
    int year;       // 1 to 9999
    int month, day; // 0: not known ("20120000")
};

// "20120102", "2012.01.02", "2012-01-02", "2012/01/02", with blanks around. False: none, such as
// "20121301", "2012", "02.01.2012", "20120230".
bool moment_date(const char *text, struct moment_date *out);
// Days from 1970-01-01; NAN: its day is not known.
double moment_days(const struct moment_date *date);
// Seconds of the day from "101112.5", "1011", "10:11:12", with blanks around. False: none, such as
// "99:00".
bool moment_time(const char *text, double *seconds);
// Seconds from 1970-01-01 of a date with a time behind it, "20120102101112.5+0100": as its clock
// showed them, the offset does not count. NAN: none.
double moment_seconds(const char *text);
// For people: "2012-01-02 10:11", "2012-01" where the day is not known; "": date is none. Either
// may be NULL.
void moment_text(const char *date, const char *time, char out[32]);

#ifdef __cplusplus
}
#endif
