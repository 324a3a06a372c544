#include "node/core/checks.h"
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/result.h"
#include "compute/stages/stage.h"
#include "dimse/read/object.h"
#include "base/near.h"

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
        snprintf(why, size, "no kind of result \"%.40s\" (sr, gsps, sc, seg, pmap, pdf)", kind);
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

const struct conf_checks node_checks = {
    .stage = node_check_stage,
    .result = node_check_result,
    .has_option = node_has_option,
    .option = node_check_option,
    .keyword = node_check_keyword,
};
