#include "base/log.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static enum log_level threshold = LOG_LEVEL_INFO;
static const char *role = "anode";
static _Thread_local char action[128];

void log_init(enum log_level level, const char *process)
{
    threshold = level;
    if (process)
        role = process;
}

void log_role(const char *process)
{
    role = process;
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_action(const char *format, ...)
{
    action[0] = 0;
    if (!format)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(action, sizeof action, format, args);
    va_end(args);
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level > threshold)
        return;
    char line[1024];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    used += (size_t)snprintf(line + used, sizeof line - used,
                             ".%03ldZ %s %s[%d]: ", now.tv_nsec / 1000000, level_names[level], role,
                             (int)getpid());
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + used, sizeof line - used, format, args);
    va_end(args);
    if (n > 0)
        used += (size_t)n;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    if (action[0]) {
        n = snprintf(line + used, sizeof line - used - 1, " %s", action);
        if (n > 0)
            used += (size_t)n;
        if (used > sizeof line - 2)
            used = sizeof line - 2;
    }
    for (size_t i = 0; i < used; i++) {
        if ((unsigned char)line[i] < ' ')
            line[i] = ' ';
    }
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; // nowhere left to complain
}

const char *log_value(const char *text, char *out, unsigned size)
{
    unsigned i = 0;
    for (; text && text[i] && i + 1 < size; i++) {
        unsigned char c = (unsigned char)text[i];
        out[i] = c <= ' ' || c > '~' || c == '"' || c == '=' ? '_' : (char)c;
    }
    if (size)
        out[i] = 0;
    return out;
}
