#include "conf/pattern.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include "base/log.h"

// Limits on the work of one match: a hostile value costs milliseconds, never the routing.
#define MATCH_LIMIT    200000
#define DEPTH_LIMIT    20000
#define HEAP_LIMIT_KIB 4096

enum kind { TEXT, REGEX, NUMBER, EMPTY, ANY, NONE, ALL, BOTH };
enum comparison { LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL };

struct pattern {
    enum kind kind;
    char *text;                 // as written
    pcre2_code *code;           // TEXT, REGEX
    pcre2_match_context *limit; // TEXT, REGEX
    enum comparison comparison; // NUMBER
    double number;              // NUMBER
    struct pattern **parts;     // ANY, NONE, ALL, BOTH
    size_t part_count;
};

static bool pattern_compile_one(struct pattern *p, const char *expression, size_t len,
                                uint32_t options, char *why, size_t size)
{
    int code;
    size_t offset;
    options |= PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C;
    p->code = pcre2_compile((PCRE2_SPTR)expression, len, options, &code, &offset, NULL);
    if (!p->code) {
        char message[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
        snprintf(why, size, "bad regular expression \"%s\": %s at character %zu", p->text, message,
                 offset + 1);
        return false;
    }
    p->limit = pcre2_match_context_create(NULL);
    if (!p->limit) {
        snprintf(why, size, "no memory");
        return false;
    }
    pcre2_set_match_limit(p->limit, MATCH_LIMIT);
    pcre2_set_depth_limit(p->limit, DEPTH_LIMIT);
    pcre2_set_heap_limit(p->limit, HEAP_LIMIT_KIB);
    return true;
}

// /expression/ or /expression/i
static bool compile_regex(struct pattern *p, char *why, size_t size)
{
    const char *end = strrchr(p->text, '/');
    if (end == p->text) {
        snprintf(why, size, "regular expression \"%s\" has no closing /", p->text);
        return false;
    }
    if (end[1] && strcmp(end, "/i") != 0) {
        snprintf(why, size,
                 "unknown flag \"%s\" after regular expression \"%s\": only i (ignore case) is "
                 "known",
                 end + 1, p->text);
        return false;
    }
    size_t len = (size_t)(end - p->text - 1);
    if (len == 0) {
        snprintf(why, size, "empty regular expression");
        return false;
    }
    p->kind = REGEX;
    return pattern_compile_one(p, p->text + 1, len, end[1] == 'i' ? PCRE2_CASELESS : 0, why, size);
}

// Text with * and ? as an expression for the whole value. What follows a star is looked for once,
// at its first place (atomic groups): that is enough for wildcards and keeps the work linear.
static bool compile_text(struct pattern *p, char *why, size_t size)
{
    char *expression = malloc(8 * strlen(p->text) + 1), *out = expression;
    if (!expression) {
        snprintf(why, size, "no memory");
        return false;
    }
    const char *last = strrchr(p->text, '*');
    bool group = false;
    for (const char *c = p->text; *c; c++) {
        if (*c == '*') {
            out += sprintf(out, "%s%s", group ? ")" : "", c == last ? ".*" : "(?>.*?");
            group = c != last;
        } else if (*c == '?') {
            *out++ = '.';
        } else {
            if (ispunct((unsigned char)*c))
                *out++ = '\\';
            *out++ = *c;
        }
    }
    size_t len = (size_t)(out - expression);
    p->kind = TEXT;
    bool ok = pattern_compile_one(
        p, expression, len, PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_ANCHORED | PCRE2_ENDANCHORED, why,
        size);
    free(expression);
    return ok;
}

// A number as a DS or IS element may hold it: no hexadecimal, no infinity.
static bool pattern_parse_number(const char *text, size_t len, double *out)
{
    char copy[64];
    if (len == 0 || len >= sizeof copy || strspn(text, "0123456789+-.eE") < len)
        return false;
    memcpy(copy, text, len);
    copy[len] = 0;
    char *end;
    *out = strtod(copy, &end);
    return *end == 0 && isfinite(*out);
}

static bool compile_comparison(struct pattern *p, char *why, size_t size)
{
    static const struct {
        const char *sign;
        enum comparison comparison;
    } signs[] = {{"<=", LESS_EQUAL}, {">=", GREATER_EQUAL}, {"!=", NOT_EQUAL},
                 {"<", LESS},        {">", GREATER},        {"=", EQUAL}};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        size_t len = strlen(signs[i].sign);
        if (strncmp(p->text, signs[i].sign, len) != 0)
            continue;
        const char *number = p->text + len + strspn(p->text + len, " ");
        p->kind = NUMBER;
        p->comparison = signs[i].comparison;
        if (pattern_parse_number(number, strlen(number), &p->number))
            return true;
        break;
    }
    snprintf(why, size, "\"%s\" is no comparison: after <, <=, >, >=, = or != comes a number",
             p->text);
    return false;
}

struct pattern *pattern_compile(const char *text, char *why, size_t size)
{
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == ' ')
        len--;
    while (len > 0 && *text == ' ') {
        text++;
        len--;
    }
    if (len > PATTERN_TEXT_MAX) {
        snprintf(why, size, "the pattern is longer than %d bytes", PATTERN_TEXT_MAX);
        return NULL;
    }
    struct pattern *p = calloc(1, sizeof *p);
    if (p)
        p->text = strndup(text, len);
    if (!p || !p->text) {
        snprintf(why, size, "no memory");
        pattern_destroy(p);
        return NULL;
    }
    if (len == 0) {
        p->kind = EMPTY;
        return p;
    }
    bool ok = *p->text == '/'            ? compile_regex(p, why, size)
              : strchr("<>=!", *p->text) ? compile_comparison(p, why, size)
                                         : compile_text(p, why, size);
    if (!ok) {
        pattern_destroy(p);
        return NULL;
    }
    return p;
}

// "[a, b]", "{none: a}", "{any: a, none: b}"
static char *parts_text(enum kind kind, struct pattern *const *parts, size_t count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs(kind == ANY ? "[" : kind == NONE ? "{none: " : kind == ALL ? "{all: " : "{", out);
    for (size_t i = 0; i < count; i++) {
        const char *part = parts[i]->kind == EMPTY ? "\"\"" : parts[i]->text;
        const bool braced = kind == BOTH && *part == '{' && parts[i]->kind >= NONE;
        fputs(i ? ", " : "", out);
        fprintf(out, "%s%.*s", kind == BOTH && !braced ? "any: " : "",
                (int)(braced ? strlen(part) - 2 : strlen(part)), part + braced);
    }
    fputc(kind == ANY ? ']' : '}', out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static struct pattern *pattern_join(enum kind kind, struct pattern **patterns, size_t count)
{
    struct pattern *p = calloc(1, sizeof *p);
    if (p) {
        p->kind = kind;
        p->parts = calloc(count ? count : 1, sizeof *p->parts);
        p->text = parts_text(kind, patterns, count);
    }
    if (!p || !p->parts || !p->text) {
        pattern_destroy(p);
        for (size_t i = 0; i < count; i++)
            pattern_destroy(patterns[i]);
        return NULL;
    }
    memcpy(p->parts, patterns, count * sizeof(struct pattern *));
    p->part_count = count;
    return p;
}

struct pattern *pattern_any(struct pattern **patterns, size_t count)
{
    return pattern_join(ANY, patterns, count);
}

struct pattern *pattern_both(struct pattern **patterns, size_t count)
{
    return pattern_join(BOTH, patterns, count);
}

struct pattern *pattern_none(struct pattern *p)
{
    return pattern_join(NONE, &p, 1);
}

struct pattern *pattern_all(struct pattern *p)
{
    return pattern_join(ALL, &p, 1);
}

enum pattern_of pattern_of(const struct pattern *p)
{
    return p->kind == ANY    ? PATTERN_ANY
           : p->kind == NONE ? PATTERN_NONE
           : p->kind == ALL  ? PATTERN_ALL
           : p->kind == BOTH ? PATTERN_BOTH
                             : PATTERN_ONE;
}

static bool is_utf_error(int code)
{
    return code <= PCRE2_ERROR_UTF8_ERR1 && code >= PCRE2_ERROR_UTF8_ERR21;
}

// Bytes that are no UTF-8 count as '?': a broken character set is no reason to miss a route.
static int match_repaired(const struct pattern *p, const char *value, size_t len,
                          pcre2_match_data *found)
{
    char *copy = malloc(len + 1);
    if (!copy)
        return PCRE2_ERROR_NOMEMORY;
    memcpy(copy, value, len);
    int code;
    do {
        code = pcre2_match(p->code, (PCRE2_SPTR)copy, len, 0, 0, found, p->limit);
        size_t bad = pcre2_get_startchar(found);
        if (is_utf_error(code) && bad < len)
            copy[bad] = '?';
    } while (is_utf_error(code));
    free(copy);
    return code;
}

static bool code_matches(const struct pattern *p, const char *value, size_t len)
{
    pcre2_match_data *found = pcre2_match_data_create(1, NULL);
    if (!found)
        return false;
    int code = pcre2_match(p->code, (PCRE2_SPTR)value, len, 0, 0, found, p->limit);
    if (is_utf_error(code))
        code = match_repaired(p, value, len, found);
    pcre2_match_data_free(found);
    if (code < PCRE2_ERROR_PARTIAL) {
        char message[128], shown[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
        log_warn("pattern=%s match given up: %s", log_value(p->text, shown, sizeof shown), message);
    }
    return code >= 0;
}

static bool number_matches(const struct pattern *p, const char *value, size_t len)
{
    double n;
    if (!pattern_parse_number(value, len, &n))
        return false;
    switch (p->comparison) {
    case LESS:
        return n < p->number;
    case LESS_EQUAL:
        return n <= p->number;
    case GREATER:
        return n > p->number;
    case GREATER_EQUAL:
        return n >= p->number;
    case EQUAL:
        return n == p->number;
    case NOT_EQUAL:
        return n != p->number;
    }
    return false;
}

// One value, or the whole of several.
static bool value_matches(const struct pattern *p, const char *value, size_t len)
{
    while (len > 0 && *value == ' ') {
        value++;
        len--;
    }
    while (len > 0 && value[len - 1] == ' ')
        len--;
    return p->kind == NUMBER ? number_matches(p, value, len) : code_matches(p, value, len);
}

// One value that is not made of several, by itself.
static bool single_matches(const struct pattern *p, const char *value, size_t len)
{
    if (p->kind == EMPTY)
        return strspn(value, " ") >= len;
    if (p->kind != ANY)
        return value_matches(p, value, len);
    for (size_t i = 0; i < p->part_count; i++) {
        if (single_matches(p->parts[i], value, len))
            return true;
    }
    return false;
}

static bool all_match(const struct pattern *p, const char *value)
{
    if (!value || !value[strspn(value, " \\")])
        return false;
    for (const char *at = value;;) {
        size_t len = strcspn(at, "\\");
        if (!single_matches(p, at, len))
            return false;
        if (!at[len])
            return true;
        at += len + 1;
    }
}

// Of several patterns one, or each.
static bool parts_match(const struct pattern *p, const char *value, bool each)
{
    for (size_t i = 0; i < p->part_count; i++) {
        if (pattern_matches(p->parts[i], value) != each)
            return !each;
    }
    return each;
}

bool pattern_matches(const struct pattern *p, const char *value)
{
    switch (p->kind) {
    case EMPTY:
        return !value || !value[strspn(value, " \\")];
    case NONE:
        return !pattern_matches(p->parts[0], value);
    case ALL:
        return all_match(p->parts[0], value);
    case ANY:
    case BOTH:
        return parts_match(p, value, p->kind == BOTH);
    default:
        break;
    }
    if (!value)
        return false;
    size_t whole = strlen(value);
    if (p->kind != NUMBER && value_matches(p, value, whole))
        return true;
    if (p->kind == REGEX)
        return false;
    for (const char *at = value;;) {
        size_t len = strcspn(at, "\\");
        if ((p->kind == NUMBER || len < whole) && value_matches(p, at, len))
            return true;
        if (!at[len])
            return false;
        at += len + 1;
    }
}

const char *pattern_text(const struct pattern *p)
{
    return p->text;
}

size_t pattern_parts(const struct pattern *p)
{
    return p->kind >= ANY ? p->part_count : 1;
}

const struct pattern *pattern_part(const struct pattern *p, size_t index)
{
    return p->kind >= ANY ? p->parts[index] : p;
}

void pattern_destroy(struct pattern *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->part_count; i++)
        pattern_destroy(p->parts[i]);
    free(p->parts);
    pcre2_code_free(p->code);
    pcre2_match_context_free(p->limit);
    free(p->text);
    free(p);
}
