// Errors as values. The caller owns a struct err and may pass NULL; a function sets it once where
// the error happens, callers add the name of the thing. Thread-safety: a struct err belongs to one
// thread.
#pragma once
#include <stdarg.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum err_code {
    ERR_NONE = 0,
    ERR_INPUT,       // the caller's data is wrong
    ERR_CONFIG,      // the configuration is wrong
    ERR_GEOMETRY,    // slices do not form a volume
    ERR_UNSUPPORTED, // legal, but we cannot do it
    ERR_NOMEM,       // memory, host or device
    ERR_IO,          // a file or a folder
    ERR_FULL,        // no space left on the device
    ERR_NET,         // the network or the peer
    ERR_TIMEOUT,     // took too long
    ERR_DEVICE,      // the Vulkan device
    ERR_DATABASE,    // the state database
    ERR_INTERNAL,    // ours
};

struct err {
    enum err_code code;
    char text[256]; // ASCII, cut to fit
};

// Sets code and text; returns false, so that a function can end with `return err_set(...)`.
bool err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// As err_set() with ": <strerror(number)>" appended; ENOSPC and EDQUOT become ERR_FULL, ENOMEM
// ERR_NOMEM, all others ERR_IO.
bool err_errno(struct err *err, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Puts "<text>: " before what is there; returns false.
bool err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__ // It cannot see that these always return false.
#define err_set(...)   ((void)err_set(__VA_ARGS__), false)
#define err_errno(...) ((void)err_errno(__VA_ARGS__), false)
#define err_wrap(...)  ((void)err_wrap(__VA_ARGS__), false)
#endif

// Lower-case name of a code: "input", "geometry", ...
const char *err_code_name(enum err_code code);

#ifdef __cplusplus
}
#endif
