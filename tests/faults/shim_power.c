// Preloaded into a node (LD_PRELOAD): writes down, in the order in which they happen, all file
// operations of all its processes and what they send to peers, so that tests/faults/power.py can
// make what a disk holds after a power cut at any moment. The log is a file that POWER_LOG names,
// mapped before the first fork: to write it takes no call that a cage (node/proc/cage.h) forbids.
// POWER_LEAVE_OUT names what is not synced though the node asks for it ("file", "folder",
// "database"): a node that would forget to.
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ANSWER_MAX 512 // bytes: a C-STORE answer is shorter, a PDU of a data set longer

struct head { // of the log
    volatile uint64_t used;
    volatile uint64_t lost; // operations for which there was no room
    uint64_t size;          // bytes of the file
};

struct entry {              // then both paths and the data
    uint32_t size;          // of all of it; 0: nothing follows
    volatile uint32_t kind; // 0: its process ended before it was written
    uint64_t file;          // inode
    uint64_t offset;        // of a write; of a truncation; of the log when a sync began
    uint32_t pid, path_size, other_size, data_size;
};

int open64(const char *path, int flags, ...);
int openat64(int folder, const char *path, int flags, ...);
static struct head *log_head;
static const char *leave_out = "";

__attribute__((constructor)) static void map_log(void)
{
    const char *name = getenv("POWER_LOG"), *out = getenv("POWER_LEAVE_OUT");
    struct stat st;
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    void *map = fstat(fd, &st) == 0
                    ? mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                    : MAP_FAILED;
    syscall(SYS_close, fd);
    if (map == MAP_FAILED)
        return;
    log_head = map;
    log_head->size = (uint64_t)st.st_size;
    leave_out = out ? out : "";
}

static uint64_t log_used(void)
{
    return log_head ? __atomic_load_n(&log_head->used, __ATOMIC_SEQ_CST) : 0;
}

static void log_add(char kind, uint64_t file, uint64_t offset, const char *path, const char *other,
                    const struct iovec *data, size_t data_size)
{
    struct entry e = {.file = file, .offset = offset, .pid = (uint32_t)getpid()};
    if (!log_head)
        return;
    e.path_size = (uint32_t)strlen(path);
    e.other_size = (uint32_t)strlen(other);
    e.data_size = (uint32_t)data_size;
    const uint64_t size = (sizeof e + e.path_size + e.other_size + e.data_size + 7) & ~(uint64_t)7;
    const uint64_t at = __atomic_fetch_add(&log_head->used, size, __ATOMIC_SEQ_CST);
    if (sizeof *log_head + at + size + sizeof e > log_head->size) {
        __atomic_fetch_add(&log_head->lost, 1, __ATOMIC_RELAXED);
        return;
    }
    e.size = (uint32_t)size;
    struct entry *to = (void *)((char *)(log_head + 1) + at);
    *to = e;
    char *p = (char *)(to + 1);
    memcpy(p, path, e.path_size);
    memcpy(p + e.path_size, other, e.other_size);
    p += e.path_size + e.other_size;
    for (; data_size; data++) {
        const size_t take = data->iov_len < data_size ? data->iov_len : data_size;
        memcpy(p, data->iov_base, take);
        p += take;
        data_size -= take;
    }
    __atomic_store_n(&to->kind, (uint32_t)kind, __ATOMIC_SEQ_CST);
}

// An absolute path.
static const char *whole_path(int folder, const char *path, char out[1024])
{
    char link[48];
    if (path[0] == '/')
        return path;
    ssize_t size = 0;
    if (folder == AT_FDCWD) {
        size = getcwd(out, 512) ? (ssize_t)strlen(out) : -1;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        size = readlink(link, out, 512);
    }
    if (size < 0)
        size = 0;
    if (strcmp(path, ".") == 0)
        out[size] = 0;
    else
        snprintf(out + size, 1024 - (size_t)size, "/%s", path);
    return out;
}

static uint64_t inode(int fd, mode_t *mode)
{
    struct stat st;
    const int number = errno;
    const bool ok = fstat(fd, &st) == 0;
    errno = number;
    *mode = ok ? st.st_mode & S_IFMT : 0;
    return ok ? st.st_ino : 0;
}

static void log_name(char kind, int folder, const char *path, int other_folder, const char *other)
{
    char a[1024], b[1024];
    const int number = errno;
    log_add(kind, 0, 0, whole_path(folder, path, a),
            other ? whole_path(other_folder, other, b) : "", NULL, 0);
    errno = number;
}

static void log_open(int fd, int folder, const char *path, int flags)
{
    char a[1024];
    mode_t mode = 0;
    if (fd < 0 || !(flags & O_CREAT))
        return;
    const uint64_t file = inode(fd, &mode);
    log_add('C', file, flags & O_TRUNC ? 1 : 0, whole_path(folder, path, a), "", NULL, 0);
}

static void log_write(int fd, off_t offset, const struct iovec *data, ssize_t size)
{
    mode_t mode = 0;
    const uint64_t file = size > 0 ? inode(fd, &mode) : 0;
    if (mode == S_IFREG)
        log_add('W', file, (uint64_t)offset, "", "", data, (size_t)size);
}

static void log_answer(const void *data, size_t size)
{
    const struct iovec part = {(void *)(uintptr_t)data, size};
    if (size <= ANSWER_MAX)
        log_add('S', 0, 0, "", "", &part, size);
}

// What a sync is of, in the words of POWER_LEAVE_OUT.
static bool left_out(int fd, mode_t mode)
{
    char link[48], path[512];
    if (!*leave_out)
        return false;
    if (mode == S_IFDIR)
        return strcmp(leave_out, "folder") == 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = 0;
    return strcmp(leave_out, strstr(path, "state.db") ? "database" : "file") == 0;
}

static off_t position(int fd, ssize_t behind)
{
    return lseek(fd, 0, SEEK_CUR) - behind;
}

// NOLINTBEGIN(bugprone-macro-parentheses,readability-inconsistent-declaration-parameter-name)
#define NEXT(name)                                                                                 \
    __typeof__(&name) name##_next = (__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name)

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list args;                                                                              \
        va_start(args, flags);                                                                     \
        mode = (mode_t)va_arg(args, int);                                                          \
        va_end(args);                                                                              \
    }

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        NEXT(name);                                                                                \
        MODE_OF(flags)                                                                             \
        const int fd = name##_next(path, flags, mode);                                             \
        log_open(fd, AT_FDCWD, path, flags);                                                       \
        return fd;                                                                                 \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
    int name(int folder, const char *path, int flags, ...)                                         \
    {                                                                                              \
        NEXT(name);                                                                                \
        MODE_OF(flags)                                                                             \
        const int fd = name##_next(folder, path, flags, mode);                                     \
        log_open(fd, folder, path, flags);                                                         \
        return fd;                                                                                 \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size)
{
    NEXT(write);
    const ssize_t done = write_next(fd, data, size);
    const struct iovec part = {(void *)(uintptr_t)data, size};
    if (done > 0)
        log_write(fd, position(fd, done), &part, done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    NEXT(writev);
    const ssize_t done = writev_next(fd, parts, count);
    if (done > 0)
        log_write(fd, position(fd, done), parts, done);
    return done;
}

#define PWRITE(name)                                                                               \
    ssize_t name(int fd, const void *data, size_t size, off_t offset)                              \
    {                                                                                              \
        NEXT(name);                                                                                \
        const ssize_t done = name##_next(fd, data, size, offset);                                  \
        const struct iovec part = {(void *)(uintptr_t)data, size};                                 \
        log_write(fd, offset, &part, done);                                                        \
        return done;                                                                               \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE(name)                                                                             \
    int name(int fd, off_t size)                                                                   \
    {                                                                                              \
        NEXT(name);                                                                                \
        mode_t mode = 0;                                                                           \
        const int done = name##_next(fd, size);                                                    \
        const uint64_t file = done == 0 ? inode(fd, &mode) : 0;                                    \
        if (mode == S_IFREG)                                                                       \
            log_add('T', file, (uint64_t)size, "", "", NULL, 0);                                   \
        return done;                                                                               \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define SYNC(name)                                                                                 \
    int name(int fd)                                                                               \
    {                                                                                              \
        NEXT(name);                                                                                \
        mode_t mode = 0;                                                                           \
        char a[1024];                                                                              \
        const uint64_t began = log_used(), file = inode(fd, &mode);                                \
        if (left_out(fd, mode))                                                                    \
            return 0;                                                                              \
        const int done = name##_next(fd);                                                          \
        if (done == 0)                                                                             \
            log_add('F', file, began, mode == S_IFDIR ? whole_path(fd, ".", a) : "", "", NULL, 0); \
        return done;                                                                               \
    }
SYNC(fsync)
SYNC(fdatasync)
SYNC(syncfs)

int rename(const char *from, const char *to)
{
    NEXT(rename);
    const int done = rename_next(from, to);
    if (done == 0)
        log_name('R', AT_FDCWD, from, AT_FDCWD, to);
    return done;
}

int renameat(int folder, const char *from, int other, const char *to)
{
    NEXT(renameat);
    const int done = renameat_next(folder, from, other, to);
    if (done == 0)
        log_name('R', folder, from, other, to);
    return done;
}

#define REMOVE(name)                                                                               \
    int name(const char *path)                                                                     \
    {                                                                                              \
        NEXT(name);                                                                                \
        const int done = name##_next(path);                                                        \
        if (done == 0)                                                                             \
            log_name('U', AT_FDCWD, path, 0, NULL);                                                \
        return done;                                                                               \
    }
REMOVE(unlink)
REMOVE(rmdir)
REMOVE(remove)

int unlinkat(int folder, const char *path, int flags)
{
    NEXT(unlinkat);
    const int done = unlinkat_next(folder, path, flags);
    if (done == 0)
        log_name('U', folder, path, 0, NULL);
    return done;
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    const int done = mkdir_next(path, mode);
    if (done == 0)
        log_name('M', AT_FDCWD, path, 0, NULL);
    return done;
}

int mkdirat(int folder, const char *path, mode_t mode)
{
    NEXT(mkdirat);
    const int done = mkdirat_next(folder, path, mode);
    if (done == 0)
        log_name('M', folder, path, 0, NULL);
    return done;
}

// Before it goes out: what it says must hold by then.
ssize_t send(int fd, const void *data, size_t size, int flags)
{
    NEXT(send);
    log_answer(data, size);
    return send_next(fd, data, size, flags);
}
// NOLINTEND(bugprone-macro-parentheses,readability-inconsistent-declaration-parameter-name)
