#include "node/core/checks.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/result.h"
#include "compute/stages/stage.h"
#include "dimse/net/tls.h"
#include "dimse/read/object.h"
#include "base/near.h"
#include "node/job/models.h"

static bool node_check_stage(const char *name, char *why, size_t size)
{
    if (stage_find(name))
        return true;
    struct near near = {.word = name};
    for (size_t i = 0; stage_at(i); i++)
        near_try(&near, stage_at(i)->name);
    if (near.best)
        snprintf(why, size, "no stage \"%.40s\" (did you mean \"%s\"?)", name, near.best);
    else
        snprintf(why, size, "no stage \"%.40s\" (see `anode stages`)", name);
    return false;
}

static bool node_check_result(const char *stage, const char *kind, unsigned *bit, char *why,
                              size_t size)
{
    enum result_kind result;
    const struct stage *s = stage_find(stage);
    if (!result_kind_parse(kind, &result)) {
        snprintf(why, size, "no kind of result \"%.40s\" (sr, gsps, sc, seg, pmap, pdf, mpr)",
                 kind);
        return false;
    }
    if (s && !(s->results & result)) {
        snprintf(why, size, "%s gives no %s", stage, kind);
        return false;
    }
    *bit = result;
    return true;
}

static bool node_has_option(const char *stage, const char *name)
{
    const struct stage *s = stage_find(stage);
    for (size_t i = 0; s && i < s->param_count; i++) {
        if (strcmp(s->params[i].name, name) == 0)
            return true;
    }
    return !s;
}

static bool node_check_option(const char *stage, const char *name, const char *value, char *why,
                              size_t size)
{
    const struct stage *s = stage_find(stage);
    struct err err = {0};
    struct arena *arena = arena_create();
    struct param_value *params =
        s && arena ? arena_alloc(arena, s->param_count + 1, sizeof *params) : NULL;
    bool ok = !s || (params && stage_option(s, name, value, arena, params, &err) &&
                     stage_option_usable(s, name, value, &err));
    if (!ok)
        snprintf(why, size, "%s", params ? err.text : "no memory");
    arena_destroy(arena);
    return ok;
}

// What a route asks for beyond keywords is looked for in every instance from here on.
static bool node_check_keyword(const char *keyword, char *why, size_t size)
{
    if (conf_is_path(keyword))
        return object_watch(keyword, why, size);
    if (object_keyword_known(keyword))
        return true;
    const char *near = object_keyword_near(keyword);
    if (near)
        snprintf(why, size, "no DICOM attribute \"%.64s\" (did you mean \"%s\"?)", keyword, near);
    else
        snprintf(why, size, "no DICOM attribute \"%.64s\"", keyword);
    return false;
}

static bool node_check_program(const char *path, char *why, size_t size)
{
    struct stat st;
    if (stat(path, &st) != 0 || (S_ISREG(st.st_mode) && access(path, X_OK) != 0))
        snprintf(why, size, "%.128s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        snprintf(why, size, "%.128s is no program", path);
    else
        return true;
    return false;
}

// Where a file is, or can be made.
static bool node_check_place(const char *path, char *why, size_t size)
{
    struct stat st;
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, path);
    if (stat(folder, &st) != 0)
        return snprintf(why, size, "%.128s: %s", folder, strerror(errno)) < 0;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return snprintf(why, size, "%.128s is no plain file", path) < 0;
    return true;
}

struct tls_answer {
    bool ok;
    enum tls_file file; // the one that is wrong
    char why[256];
};

// The body of that process.
static void tls_look(const struct conf *c, struct tls_answer *answer)
{
    const char *const paths[TLS_FILES] = {c->tls_certificate, c->tls_key, c->tls_ca, c->tls_crl};
    struct tls_files files;
    struct err err = {0};
    struct tls *tls = NULL;
    if (tls_files_open(&files, paths, &answer->file, &err)) {
        tls = tls_create(&files, TLS_ACCEPTOR, strcmp(c->tls_version, "1.3") == 0, &answer->file,
                         &err);
        tls_files_close(&files);
    }
    answer->ok = tls != NULL;
    tls_destroy(tls);
    snprintf(answer->why, sizeof answer->why, "%s", err.text);
}

static bool node_check_tls(const struct conf *c, const char **key, char *why, size_t size)
{
    static const char *const keys[TLS_FILES] = {"tls.certificate", "tls.key", "tls.ca", "tls.crl"};
    struct tls_answer answer = {0};
    int ends[2];
    *key = keys[TLS_CERTIFICATE];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return snprintf(why, size, "cannot be looked at: %s", strerror(errno)) < 0;
    const pid_t pid = fork();
    if (pid == 0) {
        tls_look(c, &answer);
        _exit(write(ends[1], &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1);
    }
    close(ends[1]);
    const bool read_whole = pid > 0 && read(ends[0], &answer, sizeof answer) == sizeof answer;
    close(ends[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (read_whole && answer.ok)
        return true;
    *key = keys[answer.file < TLS_FILES ? answer.file : TLS_CERTIFICATE];
    snprintf(why, size, "%s", read_whole ? answer.why : "cannot be looked at");
    return false;
}

const struct conf_checks node_checks_files = {
    .models = models_load,
    .stage = node_check_stage,
    .result = node_check_result,
    .has_option = node_has_option,
    .option = node_check_option,
    .keyword = node_check_keyword,
    .program = node_check_program,
    .place = node_check_place,
    .tls = node_check_tls,
};

const struct conf_checks node_checks = {
    .models = models_load,
    .stage = node_check_stage,
    .result = node_check_result,
    .has_option = node_has_option,
    .option = node_check_option,
    .keyword = node_check_keyword,
};
