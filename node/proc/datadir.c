#include "node/proc/datadir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"

#define LOCK_WAIT_S  10
#define LOCK_STEP_MS 50

bool datadir_path(const struct datadir *d, const char *name, char out[PATH_MAX], struct err *err)
{
    return fs_join(out, d->path, name, err);
}

static bool lock_folder(struct datadir *d, struct err *err)
{
    d->lockfd = openat(d->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lockfd < 0)
        return err_errno(err, errno, "%s/lock", d->path);
    const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};
    for (int waited = 0; flock(d->lockfd, LOCK_EX | LOCK_NB) != 0; waited += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(err, errno, "lock %s", d->path);
        if (waited >= LOCK_WAIT_S * 1000) {
            char owner[32] = "";
            ssize_t n = pread(d->lockfd, owner, sizeof owner - 1, 0);
            owner[n > 0 ? strspn(owner, "0123456789") : 0] = 0;
            return err_set(err, ERR_CONFIG, "data_dir %s is used by another node (pid %s)", d->path,
                           owner);
        }
        nanosleep(&step, NULL);
    }
    char text[32];
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(d->lockfd, 0) != 0 || pwrite(d->lockfd, text, (size_t)n, 0) != n)
        return err_errno(err, errno, "%s/lock", d->path);
    return true;
}

#define FOLDER_MODE 0700 // patients' images: for nobody else

// Folders that were made beforehand may be open to others.
static bool close_to_others(const struct datadir *d, const char *name, struct err *err)
{
    struct stat st;
    if (fstatat(d->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return err_errno(err, errno, "%s/%s", d->path, name);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_CONFIG, "%s/%s is no folder", d->path, name);
    if ((st.st_mode & 07777) == FOLDER_MODE)
        return true;
    if (fchmodat(d->dirfd, name, FOLDER_MODE, 0) != 0)
        return err_errno(err, errno, "%s/%s has mode %04o, and cannot be closed to others", d->path,
                         name, (unsigned)st.st_mode & 07777);
    log_warn("folder=%s/%s mode=%04o changed to %04o", d->path, name, (unsigned)st.st_mode & 07777,
             FOLDER_MODE);
    return true;
}

static bool make_folders(const struct datadir *d, struct err *err)
{
    static const char *const names[] = {"drafts", "series", "desks", "outbox", "quarantine"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!datadir_path(d, names[i], path, err) || !fs_make_folders(path, err) ||
            !close_to_others(d, names[i], err))
            return false;
    }
    for (unsigned i = 0; i < 256; i++) {
        char name[16];
        snprintf(name, sizeof name, "series/%02x", i);
        if (mkdirat(d->dirfd, name, FOLDER_MODE) != 0 && errno != EEXIST) // synced together, below
            return err_errno(err, errno, "make folder %s/%s", d->path, name);
    }
    return datadir_path(d, "series", path, err) && fs_sync_folder(path, err) &&
           fs_sync_folder(d->path, err);
}

bool datadir_open(struct datadir *d, const char *path, bool own, struct err *err)
{
    memset(d, 0, sizeof *d);
    d->lockfd = -1;
    if (own && !fs_make_folders(path, err))
        return err_wrap(err, "data_dir");
    if (!realpath(path, d->path))
        return err_errno(err, errno, "data_dir %s", path);
    d->dirfd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dirfd < 0)
        return err_errno(err, errno, "data_dir %s", path);
    d->open = true;
    if (own && (!close_to_others(d, ".", err) || !lock_folder(d, err) || !make_folders(d, err))) {
        datadir_close(d);
        return false;
    }
    return true;
}

void datadir_close(struct datadir *d)
{
    if (!d->open)
        return;
    if (d->lockfd >= 0)
        close(d->lockfd);
    close(d->dirfd);
    d->open = false;
}

bool datadir_new_name(char out[DATADIR_NAME], struct err *err)
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(err, ERR_INTERNAL, "no random numbers for a file name");
    int used = snprintf(out, DATADIR_NAME, "series/%02x/", random[0]);
    for (size_t i = 1; i < sizeof random; i++)
        used += snprintf(out + used, DATADIR_NAME - (size_t)used, "%02x", random[i]);
    snprintf(out + used, DATADIR_NAME - (size_t)used, ".dcm");
    return true;
}

bool datadir_is_new_name(const char *name)
{
    static const char shape[] = "series/##/##############################.dcm"; // #: a hex digit
    size_t i = 0;
    for (; shape[i]; i++) {
        const bool fits =
            shape[i] == '#' ? name[i] && strchr("0123456789abcdef", name[i]) : name[i] == shape[i];
        if (!fits)
            return false;
    }
    return !name[i];
}

bool datadir_quarantine_name(const char *name, char out[DATADIR_NAME], struct err *err)
{
    const char *slash = strrchr(name, '/');
    int n = snprintf(out, DATADIR_NAME, "quarantine/%s", slash ? slash + 1 : name);
    return (n > 0 && n < DATADIR_NAME) || err_set(err, ERR_INTERNAL, "file name too long");
}

bool datadir_sync_folder_of(const struct datadir *d, const char *name, struct err *err)
{
    char path[PATH_MAX];
    if (!datadir_path(d, name, path, err))
        return false;
    *strrchr(path, '/') = 0;
    return fs_sync_folder(path, err);
}

bool datadir_move(const struct datadir *d, const char *from, const char *to, struct err *err)
{
    if (renameat(d->dirfd, from, d->dirfd, to) != 0)
        return err_errno(err, errno, "move %s to %s", from, to);
    return datadir_sync_folder_of(d, to, err) && datadir_sync_folder_of(d, from, err);
}

bool datadir_exists(const struct datadir *d, const char *name)
{
    return faccessat(d->dirfd, name, R_OK, 0) == 0;
}

int64_t datadir_file_bytes(const struct datadir *d, const char *name)
{
    struct stat st;
    if (fstatat(d->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return -1;
    return (int64_t)st.st_size;
}

bool datadir_make(const struct datadir *d, const char *name, struct err *err)
{
    return mkdirat(d->dirfd, name, 0700) == 0 || errno == EEXIST ||
           err_errno(err, errno, "make folder %s", name);
}

void datadir_remove(const struct datadir *d, const char *name)
{
    char path[PATH_MAX];
    struct err err = {0};
    if (!datadir_path(d, name, path, &err) || !fs_remove_tree(path, &err))
        log_error("file=%s not removed: %s", name, err.text);
}

bool datadir_free_mib(const struct datadir *d, uint64_t *mib, struct err *err)
{
    struct statvfs v;
    if (fstatvfs(d->dirfd, &v) != 0)
        return err_errno(err, errno, "free space of %s", d->path);
    *mib = (uint64_t)v.f_bavail / 1024 * v.f_frsize / 1024;
    return true;
}

// Calls each for the entries of the folder name, or of its subfolders when deeper.
static bool walk(const struct datadir *d, const char *name, bool deeper,
                 bool (*each)(void *ctx, const char *name), void *ctx, struct err *err)
{
    int fd = openat(d->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int number = errno;
        if (fd >= 0)
            close(fd);
        return number == ENOTDIR || err_errno(err, number, "folder %s", name);
    }
    bool ok = true;
    struct dirent *entry;
    while (ok && (entry = readdir(dir))) {
        char path[DATADIR_NAME + NAME_MAX];
        if (entry->d_name[0] == '.')
            continue;
        int n = snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
        if (n < 0 || n >= DATADIR_NAME)
            continue; // none of ours
        ok = deeper ? walk(d, path, false, each, ctx, err) : each(ctx, path);
    }
    closedir(dir);
    return ok;
}

bool datadir_each(const struct datadir *d, enum datadir_kind kind,
                  bool (*each)(void *ctx, const char *name), void *ctx, struct err *err)
{
    static const char *const names[] = {"series", "quarantine", "outbox"};
    return walk(d, names[kind], kind != DATADIR_QUARANTINE, each, ctx, err);
}

void datadir_drafts_name(pid_t pid, char out[DATADIR_NAME])
{
    snprintf(out, DATADIR_NAME, "drafts/%ld", (long)pid);
}

struct sweep {
    const struct datadir *dir;
    size_t count;
};

static bool sweep_one(void *ctx, const char *name)
{
    struct sweep *sweep = ctx;
    datadir_remove(sweep->dir, name);
    sweep->count++;
    return true;
}

size_t datadir_sweep_drafts(const struct datadir *d)
{
    struct sweep sweep = {.dir = d};
    struct err err = {0};
    if (!walk(d, "desks", false, sweep_one, &sweep, &err))
        log_error("desks not swept: %s", err.text);
    sweep.count = 0;
    if (!walk(d, "drafts", false, sweep_one, &sweep, &err))
        log_error("drafts not swept: %s", err.text);
    return sweep.count;
}
