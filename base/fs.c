#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool fs_join(char out[PATH_MAX], const char *folder, const char *name, struct err *err)
{
    size_t len = strlen(folder);
    bool slash = len > 0 && folder[len - 1] == '/';
    int n = snprintf(out, PATH_MAX, "%s%s%s", folder, slash ? "" : "/", name);
    if (n < 0 || n >= PATH_MAX)
        return err_set(err, ERR_INPUT, "path too long: %.100s...", folder);
    return true;
}

bool fs_draft_open(struct fs_draft *d, const char *folder, struct err *err)
{
    static unsigned counter;
    d->open = false;
    d->path[0] = 0;
    for (int attempt = 0; attempt < 100; attempt++) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        char name[80];
        snprintf(name, sizeof name, "draft-%lld-%09ld-%d-%u", (long long)now.tv_sec, now.tv_nsec,
                 (int)getpid(), counter++);
        if (!fs_join(d->path, folder, name, err)) {
            d->path[0] = 0;
            return false;
        }
        d->fd = open(d->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (d->fd >= 0) {
            d->open = true;
            return true;
        }
        if (errno != EEXIST)
            break;
    }
    int number = errno;
    d->path[0] = 0;
    return err_errno(err, number, "draft in %s", folder);
}

bool fs_draft_write(struct fs_draft *d, const void *data, size_t len, struct err *err)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(d->fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(err, n < 0 ? errno : ENOSPC, "write %s", d->path);
        p += n;
        len -= (size_t)n;
    }
    return true;
}

bool fs_sync_folder(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open folder %s", path);
    int rc = fsync(fd);
    int number = errno;
    close(fd);
    return rc == 0 || err_errno(err, number, "fsync folder %s", path);
}

bool fs_draft_publish(struct fs_draft *d, const char *path, struct err *err)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash)
        return err_set(err, ERR_INTERNAL, "publish needs a folder: %s", path);
    *slash = 0;
    bool ok = fsync(d->fd) == 0 || err_errno(err, errno, "fsync %s", d->path);
    if (close(d->fd) != 0 && ok)
        ok = err_errno(err, errno, "close %s", d->path);
    d->open = false;
    if (!ok)
        return false; // still a draft: fs_draft_finish() removes it
    if (rename(d->path, path) != 0)
        return err_errno(err, errno, "rename to %s", path);
    d->path[0] = 0;
    ok = fs_sync_folder(slash == folder ? "/" : folder, err);
    if (!ok)
        unlink(path);
    return ok;
}

void fs_draft_finish(struct fs_draft *d)
{
    if (d->open)
        close(d->fd);
    d->open = false;
    if (d->path[0])
        unlink(d->path);
    d->path[0] = 0;
}

bool fs_write_file(const char *path, const void *data, size_t len, struct err *err)
{
    struct fs_draft draft = {0};
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    else
        snprintf(folder, sizeof folder, ".");
    char full[PATH_MAX];
    bool ok =
        (slash ? (snprintf(full, sizeof full, "%s", path), true) : fs_join(full, ".", path, err)) &&
        fs_draft_open(&draft, slash == folder ? "/" : folder, err) &&
        fs_draft_write(&draft, data, len, err) && fs_draft_publish(&draft, full, err);
    fs_draft_finish(&draft);
    return ok;
}

// Makes one folder; where it is new, its name survives a power cut.
static bool fs_make_folder(const char *path, struct err *err)
{
    char parent[PATH_MAX];
    if (mkdir(path, 0700) != 0)
        return errno == EEXIST || err_errno(err, errno, "make folder %s", path);
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent] = 0; // "/" keeps its slash
    return fs_sync_folder(slash ? parent : ".", err);
}

bool fs_make_folders(const char *path, struct err *err)
{
    char part[PATH_MAX];
    int n = snprintf(part, sizeof part, "%s", path);
    if (n <= 0 || n >= PATH_MAX)
        return err_set(err, ERR_INPUT, "folder name empty or too long");
    for (char *p = part + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char kept = *p;
        *p = 0;
        if (!fs_make_folder(part, err))
            return false;
        *p = kept;
        if (!kept)
            break;
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return err_errno(err, errno, "folder %s", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_IO, "%s is not a folder", path);
    return true;
}

static int fs_remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

bool fs_remove_tree(const char *path, struct err *err)
{
    if (nftw(path, fs_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 || errno == ENOENT)
        return true;
    return err_errno(err, errno, "remove %s", path);
}

char *fs_read_file(const char *path, size_t limit, size_t *len, struct err *err)
{
    char *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        err_errno(err, errno, "open %s", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        err_set(err, ERR_INPUT, "%s is not a file", path);
        goto out;
    }
    if ((uint64_t)st.st_size > limit) {
        err_set(err, ERR_INPUT, "%s has %lld bytes, more than %zu", path, (long long)st.st_size,
                limit);
        goto out;
    }
    size_t size = (size_t)st.st_size, used = 0;
    data = malloc(size + 1);
    if (!data) {
        err_set(err, ERR_NOMEM, "%s: no memory for %zu bytes", path, size);
        goto out;
    }
    while (used < size) {
        ssize_t n = read(fd, data + used, size - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_errno(err, errno, "read %s", path);
            free(data);
            data = NULL;
            goto out;
        }
        if (n == 0)
            break;
        used += (size_t)n;
    }
    data[used] = 0;
    if (len)
        *len = used;
out:
    if (fd >= 0)
        close(fd);
    return data;
}
