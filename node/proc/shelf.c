#include "node/proc/shelf.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void shelf_init(struct shelf *s, const struct datadir *dir, const char *drafts,
                struct inflight_place *place)
{
    memset(s, 0, sizeof *s);
    s->dir = dir;
    s->drafts = drafts;
    s->place = place;
    for (size_t i = 0; i < INFLIGHT_FILES; i++)
        s->files[i].fd = -1;
}

static void shelf_forget(struct shelf *s, struct shelf_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
    file->name[0] = 0;
    inflight_note(s->place, (size_t)(file - s->files), "");
}

void shelf_keep(struct shelf *s, struct shelf_file *file)
{
    shelf_forget(s, file);
}

void shelf_remove(struct shelf *s, struct shelf_file *file)
{
    datadir_remove(s->dir, file->name);
    shelf_forget(s, file);
}

void shelf_put_back(struct shelf *s, struct shelf_file *file)
{
    if (ftruncate(file->fd, 0) != 0 || lseek(file->fd, 0, SEEK_SET) != 0)
        shelf_remove(s, file);
}

void shelf_finish(struct shelf *s)
{
    for (size_t i = 0; i < INFLIGHT_FILES; i++) {
        if (s->files[i].fd >= 0)
            shelf_remove(s, &s->files[i]);
    }
}

// Made where nobody else looks, then given its name: to open a file by a name below series/ is what
// an association cannot do.
static bool shelf_make(struct shelf *s, struct shelf_file *file, struct err *err)
{
    char draft[PATH_MAX], path[PATH_MAX];
    if (!fs_join(draft, s->drafts, strrchr(file->name, '/') + 1, err) ||
        !datadir_path(s->dir, file->name, path, err))
        return false;
    file->fd = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd < 0)
        return err_errno(err, errno, "draft in %s", s->drafts);
    inflight_note(s->place, (size_t)(file - s->files), file->name);
    if (rename(draft, path) == 0)
        return true;
    err_errno(err, errno, "rename to %s", path);
    unlink(draft);
    return false;
}

// Makes several files in one folder. One association that sends one instance pays for one.
static bool shelf_fill(struct shelf *s, struct err *err)
{
    static const size_t hex_at = sizeof "series/" - 1;
    char first[DATADIR_NAME], folder[PATH_MAX];
    s->batch = s->batch == 0 ? 1 : 2 * s->batch <= INFLIGHT_FILES ? 2 * s->batch : INFLIGHT_FILES;
    bool ok = datadir_new_name(first, err);
    for (size_t i = 0; ok && i < s->batch; i++) {
        struct shelf_file *file = &s->files[i];
        ok = datadir_new_name(file->name, err);
        memcpy(file->name + hex_at, first + hex_at, 2);
        ok = ok && shelf_make(s, file, err);
    }
    if (ok) {
        ok = datadir_path(s->dir, first, folder, err);
        *strrchr(folder, '/') = 0;
        ok = ok && fs_sync_folder(folder, err);
    }
    if (!ok)
        shelf_finish(s);
    return ok;
}

static struct shelf_file *shelf_find(struct shelf *s)
{
    for (size_t i = 0; i < INFLIGHT_FILES; i++) {
        if (s->files[i].fd >= 0)
            return &s->files[i];
    }
    return NULL;
}

struct shelf_file *shelf_take(struct shelf *s, struct err *err)
{
    struct shelf_file *file = shelf_find(s);
    return file || !shelf_fill(s, err) ? file : shelf_find(s);
}
