// One line an event on stderr: time, level, process, message of key=value pairs. No patient data.
// Thread-safety: any thread; a line is one write().
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

// process  role shown in each line ("core", "association"); kept, not copied: a literal.
void log_init(enum log_level level, const char *process);
// The role alone, for a process that was forked from one that has its level.
void log_role(const char *process);
// "error", "warn", "info", "debug"; returns false and leaves *level on anything else.
bool log_level_parse(const char *name, enum log_level *level);

// What this thread does now ("negotiating") and for what ("peer=CT1 assoc=17"); appended to each of
// its lines. NULL ends it. Text is copied and cut at 127 characters.
void log_action(const char *format, ...) __attribute__((format(printf, 1, 2)));

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Escapes a text that came from outside for use as one value: control characters, blanks, quotes,
// '=' and bytes above 0x7e become '_'; cut to size. Returns out.
const char *log_value(const char *text, char *out, unsigned size);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
