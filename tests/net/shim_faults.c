// Preloaded into a node (LD_PRELOAD): file operations below some path fail as a control file says,
// so that a full disk and a broken one can be had without one. The file that ANODE_FAULT names is
// mapped by every process of the node; a test writes struct control into it.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct control {
    volatile int32_t error; // errno of the failing operations; 0: none fail
    volatile int32_t hits;  // operations that have failed
    char operation[24];     // "write", "fsync", "mkdir", "create"
    char part[96];          // of the path
};

int open64(const char *path, int flags, ...);
int openat64(int folder, const char *path, int flags, ...);
static struct control *control;

__attribute__((constructor)) static void map_control(void)
{
    const char *name = getenv("ANODE_FAULT");
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (map != MAP_FAILED)
        control = map;
}

static bool fails(const char *operation, const char *path)
{
    if (!control || !control->error || strcmp(control->operation, operation) != 0 ||
        !strstr(path, control->part))
        return false;
    __atomic_add_fetch(&control->hits, 1, __ATOMIC_RELAXED);
    errno = control->error;
    return true;
}

static bool fd_fails(const char *operation, int fd)
{
    char link[48], path[512];
    if (!control || !control->error)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = 0;
    return fails(operation, path);
}

// Paths of *at() functions are joined to their folder.
static bool at_fails(const char *operation, int folder, const char *path)
{
    char link[48], joined[1024];
    if (!control || !control->error)
        return false;
    if (path[0] == '/' || folder == AT_FDCWD)
        return fails(operation, path);
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t size = readlink(link, joined, sizeof joined - 256);
    if (size < 0)
        return false;
    snprintf(joined + size, sizeof joined - (size_t)size, "/%s", path);
    return fails(operation, joined);
}

// NOLINTBEGIN(bugprone-macro-parentheses,readability-inconsistent-declaration-parameter-name)
#define NEXT(name)                                                                                 \
    __typeof__(&name) name##_next = (__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name)

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        NEXT(name);                                                                                \
        mode_t mode = 0;                                                                           \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
            va_list args;                                                                          \
            va_start(args, flags);                                                                 \
            mode = (mode_t)va_arg(args, int);                                                      \
            va_end(args);                                                                          \
        }                                                                                          \
        if (flags & O_CREAT && fails("create", path))                                              \
            return -1;                                                                             \
        return name##_next(path, flags, mode);                                                     \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        NEXT(name);                                                                                \
        mode_t mode = 0;                                                                           \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
            va_list args;                                                                          \
            va_start(args, flags);                                                                 \
            mode = (mode_t)va_arg(args, int);                                                      \
            va_end(args);                                                                          \
        }                                                                                          \
        if (flags & O_CREAT && at_fails("create", folder, path))                                   \
            return -1;                                                                             \
        return name##_next(folder, path, flags, mode);                                             \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size)
{
    NEXT(write);
    return fd_fails("write", fd) ? -1 : write_next(fd, data, size);
}

int fsync(int fd)
{
    NEXT(fsync);
    return fd_fails("fsync", fd) ? -1 : fsync_next(fd);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    return fails("mkdir", path) ? -1 : mkdir_next(path, mode);
}

#define PWRITE(name)                                                                               \
    ssize_t name(int fd, const void *data, size_t size, off_t offset)                              \
    {                                                                                              \
        NEXT(name);                                                                                \
        return fd_fails("write", fd) ? -1 : name##_next(fd, data, size, offset);                   \
    }
PWRITE(pwrite)
PWRITE(pwrite64)
// NOLINTEND(bugprone-macro-parentheses,readability-inconsistent-declaration-parameter-name)
