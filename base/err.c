#include "base/err.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifdef __clang_analyzer__ // the functions themselves: see base/err.h
#undef err_set
#undef err_errno
#undef err_wrap
#endif

bool err_set(struct err *err, enum err_code code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->code = code;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return false;
}

bool err_errno(struct err *err, int number, const char *format, ...)
{
    if (!err)
        return false;
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    char reason[96];
    const char *text = strerror_r(number, reason, sizeof reason);
    if (used >= 0 && (size_t)used < sizeof err->text)
        snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", text);
    err->code = number == ENOSPC || number == EDQUOT ? ERR_FULL
                : number == ENOMEM                   ? ERR_NOMEM
                                                     : ERR_IO;
    return false;
}

bool err_wrap(struct err *err, const char *format, ...)
{
    if (!err)
        return false;
    char inner[sizeof err->text];
    memcpy(inner, err->text, sizeof inner);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->text)
        snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", inner);
    return false;
}

const char *err_code_name(enum err_code code)
{
    static const char *const names[] = {
        [ERR_NONE] = "none",
        [ERR_INPUT] = "input",
        [ERR_CONFIG] = "config",
        [ERR_GEOMETRY] = "geometry",
        [ERR_UNSUPPORTED] = "unsupported",
        [ERR_NOMEM] = "memory",
        [ERR_IO] = "io",
        [ERR_FULL] = "full",
        [ERR_NET] = "net",
        [ERR_TIMEOUT] = "timeout",
        [ERR_DEVICE] = "device",
        [ERR_DATABASE] = "database",
        [ERR_INTERNAL] = "internal",
    };
    return (unsigned)code < sizeof names / sizeof names[0] ? names[code] : "unknown";
}
