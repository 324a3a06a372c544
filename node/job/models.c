#include "node/job/models.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fs.h"
#include "node/job/model_file.h"

// What has been read lives as long as the process: analyses are borrowed everywhere.
static struct {
    struct arena *arena;
    char folder[PATH_MAX]; // "": none yet
    size_t count;
} site;

struct reading {
    void (*say)(void *ctx, const char *line);
    void *ctx;
};

static void models_say(const struct reading *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void models_say(const struct reading *r, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    r->say(r->ctx, line);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

// All that lies in it are plain files: no link leads out of it.
static bool folder_is_plain(const struct reading *r, const char *folder, const char *name)
{
    struct dirent **list = NULL;
    const int count = scandir(folder, &list, visible, alphasort);
    bool ok = count >= 0;
    if (!ok)
        models_say(r, "%s: %s", name, strerror(errno));
    else if (count > MODELS_FILES_MAX)
        models_say(r, "%s: %d files are too many (limit %d)", name, count, MODELS_FILES_MAX);
    ok = ok && count <= MODELS_FILES_MAX;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        struct stat st;
        if (ok && (!fs_join(path, folder, list[i]->d_name, NULL) || lstat(path, &st) != 0 ||
                   !S_ISREG(st.st_mode))) {
            models_say(r, "%s/%s: is no plain file, and a folder of a model has no other", name,
                       list[i]->d_name);
            ok = false;
        }
        free(list[i]);
    }
    free(list);
    return ok;
}

static void models_print(const struct reading *r, struct report *report, const char *name)
{
    char *lines = NULL, *rest = NULL, file[300];
    size_t size = 0;
    FILE *out = open_memstream(&lines, &size);
    if (!out)
        return models_say(r, "%s: no memory", name);
    snprintf(file, sizeof file, "%.255s/" MODEL_FILE, name);
    conf_report_print(report, file, out);
    if (report->no_memory)
        fprintf(out, "%s: no memory\n", file);
    if (fclose(out) != 0)
        models_say(r, "%s: no memory", name);
    for (char *line = lines ? strtok_r(lines, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        r->say(r->ctx, line);
    free(lines);
}

static void models_read(const struct reading *r, const char *folder, const char *name,
                        const char *file)
{
    struct err err = {0};
    size_t len = 0;
    struct report *report = calloc(1, sizeof *report);
    char *text = fs_read_file(file, MODELS_YAML_BYTES, &len, &err);
    if (!text || !report) {
        models_say(r, "%s/" MODEL_FILE ": %s", name, text ? "no memory" : err.text);
    } else {
        report->arena = site.arena;
        const struct stage *s = model_file_read(folder, text, len, report);
        if (s) {
            stage_register(s);
            site.count++;
        } else {
            models_print(r, report, name);
        }
    }
    free(text);
    free(report);
}

// A folder without a model.yaml is none of ours.
static void models_try(const struct reading *r, const char *folder, const char *name)
{
    char path[PATH_MAX], file[PATH_MAX];
    struct stat st;
    if (!fs_join(path, folder, name, NULL) || !fs_join(file, path, MODEL_FILE, NULL) ||
        stat(path, &st) != 0 || !S_ISDIR(st.st_mode) || lstat(file, &st) != 0)
        return;
    if (site.count >= MODELS_MAX)
        models_say(r, "%s: more than %d models", name, MODELS_MAX);
    else if (folder_is_plain(r, path, name))
        models_read(r, path, name, file);
}

void models_load(const char *folder, void (*say)(void *ctx, const char *line), void *ctx)
{
    const struct reading r = {.say = say, .ctx = ctx};
    struct dirent **list = NULL;
    if (strcmp(site.folder, folder) == 0)
        return;
    if (*site.folder)
        return models_say(&r, "is another folder than when the node started (%.300s): restart it",
                          site.folder);
    const int count = scandir(folder, &list, visible, alphasort);
    if (count < 0)
        return models_say(&r, "%.300s: %s", folder, strerror(errno));
    site.arena = site.arena ? site.arena : arena_create();
    snprintf(site.folder, sizeof site.folder, "%s", folder);
    for (int i = 0; i < count; i++) {
        if (site.arena)
            models_try(&r, folder, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    if (!site.arena)
        models_say(&r, "no memory");
}
