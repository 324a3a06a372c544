#include "node/job/order.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/result.h"
#include "node/job/json.h"

#define ORDER_SCHEMA   "anode.order/1"
#define RESULTS_SCHEMA "anode.results/1"
#define DAMAGE_SCHEMA  "anode.damage/1"
#define FILE_MAX       (256UL << 20) // 256 bytes an instance: a million of them

// Writing

static json_t *id_json(const struct object_id *id, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "kind", id->kind, ok);
    json_put_text(o, "study_instance_uid", id->study_instance_uid, ok);
    json_put_text(o, "series_instance_uid", id->series_instance_uid, ok);
    json_put_text(o, "sop_instance_uid", id->sop_instance_uid, ok);
    json_put_text(o, "sop_class_uid", id->sop_class_uid, ok);
    json_put_text(o, "transfer_syntax_uid", id->transfer_syntax_uid, ok);
    return o;
}

static json_t *head_json(const struct attrs *head, bool *ok)
{
    const char *key = NULL, *value = NULL;
    json_t *o = json_object();
    while (attrs_next(head, &key, &value))
        json_put_text(o, key, value, ok);
    return o;
}

static json_t *files_json(const struct order *o, bool *ok)
{
    json_t *list = json_array();
    for (size_t i = 0; i < o->file_count && *ok; i++) {
        const struct order_file *f = &o->files[i];
        char hex[2 * DIGEST_SIZE + 1];
        json_t *one = json_object();
        digest_hex(f->digest, hex);
        json_put_integer(one, "slot", f->slot, ok);
        json_put_integer(one, "position", f->position, ok);
        json_put_text(one, "path", f->path, ok);
        json_put_text(one, "sop_instance_uid", f->sop_instance_uid, ok);
        json_put_text(one, "sop_class_uid", f->sop_class_uid, ok);
        json_put_text(one, "digest", hex, ok);
        json_add(list, one, ok);
    }
    return list;
}

static char *order_text(const struct order *order, json_t *parameters)
{
    bool ok = true;
    json_t *o = json_object();
    json_put_text(o, "schema", ORDER_SCHEMA, &ok);
    json_put_integer(o, "job", order->job, &ok);
    json_put_text(o, "stage", order->stage, &ok);
    json_put(o, "parameters", parameters, &ok);
    json_put_integer(o, "results", order->results, &ok);
    json_put_text(o, "outcome", order->outcome, &ok);
    json_put_text(o, "reason", order->reason, &ok);
    json_put_text(o, "remark", order->remark, &ok);
    json_put_text(o, "evidence", order->evidence, &ok);
    json_put(o, "priors",
             json_loads(*order->priors ? order->priors : "[]", JSON_REJECT_DUPLICATES, NULL), &ok);
    json_put_text(o, "prior_note", order->prior_note, &ok);
    if (order->has_predecessor)
        json_put(o, "predecessor", id_json(&order->predecessor, &ok), &ok);
    json_put(o, "head", head_json(&order->head, &ok), &ok);
    json_put(o, "files", files_json(order, &ok), &ok);
    char *text = ok ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static bool write_new(const char *path, const char *text, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "%s", path);
    size_t left = strlen(text);
    int number = 0;
    while (left > 0 && number == 0) {
        ssize_t written = write(fd, text, left);
        if (written >= 0) {
            text += written;
            left -= (size_t)written;
        } else if (errno != EINTR) {
            number = errno;
        }
    }
    if (close(fd) != 0 && number == 0)
        number = errno;
    return number == 0 || err_errno(err, number, "write %s", path);
}

bool order_write(const struct order *o, const char *path, struct err *err)
{
    json_t *parameters = json_loads(o->parameters, JSON_REJECT_DUPLICATES, NULL);
    if (!parameters)
        return err_set(err, ERR_INTERNAL, "parameters of job %lld are no JSON", (long long)o->job);
    char *text = order_text(o, parameters);
    bool ok = text ? write_new(path, text, err)
                   : err_set(err, ERR_NOMEM, "no memory for the order of a job");
    free(text);
    return ok;
}

bool order_write_damage(const char *path, int64_t job, const char *const *files, size_t count,
                        struct err *err)
{
    bool ok = true;
    json_t *o = json_object(), *list = json_array();
    json_put_text(o, "schema", DAMAGE_SCHEMA, &ok);
    json_put_integer(o, "job", job, &ok);
    for (size_t i = 0; i < count; i++)
        json_add(list, json_string(files[i]), &ok);
    json_put(o, "files", list, &ok);
    char *text = ok ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    ok = text ? write_new(path, text, err)
              : err_set(err, ERR_NOMEM, "no memory for a list of files");
    free(text);
    return ok;
}

bool order_write_results(const char *path, int64_t job, const struct order_object *objects,
                         size_t count, struct err *err)
{
    bool ok = true;
    json_t *o = json_object(), *list = json_array();
    json_put_text(o, "schema", RESULTS_SCHEMA, &ok);
    json_put_integer(o, "job", job, &ok);
    for (size_t i = 0; i < count; i++) {
        json_t *one = id_json(&objects[i].id, &ok);
        json_put_text(one, "product", objects[i].product, &ok);
        json_put_text(one, "file", objects[i].file, &ok);
        json_put_integer(one, "rank", objects[i].rank, &ok);
        json_add(list, one, &ok);
    }
    json_put(o, "objects", list, &ok);
    char *text = ok ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    ok = text ? fs_write_file(path, text, strlen(text), err)
              : err_set(err, ERR_NOMEM, "no memory for the list of results");
    free(text);
    return ok;
}

// Reading. *ok is only ever set to false.

static const char *get_text(const json_t *o, const char *key, bool *ok)
{
    const char *text = json_string_value(json_object_get(o, key));
    *ok = *ok && text;
    return text ? text : "";
}

static int64_t get_integer(const json_t *o, const char *key, int64_t min, int64_t max, bool *ok)
{
    const json_t *value = json_object_get(o, key);
    int64_t number = json_integer_value(value);
    *ok = *ok && json_is_integer(value) && number >= min && number <= max;
    return number;
}

static void get_uid(const json_t *o, const char *key, char out[UID_SIZE], bool *ok)
{
    const char *text = get_text(o, key, ok);
    *ok = *ok && uid_is_usable(text);
    snprintf(out, UID_SIZE, "%s", text);
}

// UIDs of the source stay as they are, also where they are broken: only their length is checked.
static void get_source_uid(const json_t *o, const char *key, char out[UID_SIZE], bool *ok)
{
    const char *text = get_text(o, key, ok);
    *ok = *ok && strlen(text) < UID_SIZE;
    snprintf(out, UID_SIZE, "%s", text);
}

static void get_id(const json_t *o, struct object_id *id, bool *ok)
{
    enum result_kind kind;
    const char *name = get_text(o, "kind", ok);
    *ok = *ok && result_kind_parse(name, &kind) && strlen(name) < sizeof id->kind;
    snprintf(id->kind, sizeof id->kind, "%s", name);
    get_source_uid(o, "study_instance_uid", id->study_instance_uid, ok);
    get_uid(o, "series_instance_uid", id->series_instance_uid, ok);
    get_uid(o, "sop_instance_uid", id->sop_instance_uid, ok);
    get_uid(o, "sop_class_uid", id->sop_class_uid, ok);
    get_uid(o, "transfer_syntax_uid", id->transfer_syntax_uid, ok);
}

// NULL with *err.
static json_t *read_json(const char *path, const char *schema, struct err *err)
{
    size_t size = 0;
    char *text = fs_read_file(path, FILE_MAX, &size, err);
    if (!text)
        return NULL;
    bool ok = true;
    json_error_t why;
    json_t *o = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    free(text);
    ok = o && strcmp(get_text(o, "schema", &ok), schema) == 0;
    if (ok)
        return o;
    err_set(err, ERR_INTERNAL, "%s is no %s", path, schema);
    json_decref(o);
    return NULL;
}

static const char *keep_text(struct arena *arena, const json_t *o, const char *key, bool *ok)
{
    const char *copy = arena_strdup(arena, get_text(o, key, ok));
    *ok = *ok && copy;
    return copy;
}

static const char *keep_json(struct arena *arena, const json_t *value, bool right, bool *ok)
{
    char *text = right ? json_dumps(value, JSON_COMPACT) : NULL;
    const char *copy = text ? arena_strdup(arena, text) : NULL;
    free(text);
    *ok = *ok && copy;
    return copy;
}

static void get_head(const json_t *o, struct attrs *head, bool *ok)
{
    const char *key;
    json_t *value;
    *ok = *ok && json_is_object(o);
    json_object_foreach((json_t *)(uintptr_t)o, key, value)
    {
        *ok = *ok && json_is_string(value) && attrs_add(head, key, json_string_value(value));
    }
}

static void get_files(const json_t *list, struct arena *arena, struct order *o, bool *ok)
{
    size_t i;
    json_t *one;
    *ok = *ok && json_is_array(list);
    o->file_count = json_array_size(list);
    o->files = arena_alloc(arena, o->file_count + 1, sizeof *o->files);
    *ok = *ok && o->files;
    json_array_foreach(list, i, one)
    {
        if (!*ok)
            return;
        struct order_file *f = &o->files[i];
        f->slot = (int)get_integer(one, "slot", 0, INT32_MAX, ok);
        f->position = (int)get_integer(one, "position", 0, INT32_MAX, ok);
        f->path = keep_text(arena, one, "path", ok);
        f->sop_instance_uid = keep_text(arena, one, "sop_instance_uid", ok);
        f->sop_class_uid = keep_text(arena, one, "sop_class_uid", ok);
        *ok = *ok && digest_from_hex(get_text(one, "digest", ok), f->digest);
    }
}

bool order_read(const char *path, struct arena *arena, struct order *o, struct err *err)
{
    memset(o, 0, sizeof *o);
    json_t *all = read_json(path, ORDER_SCHEMA, err);
    if (!all)
        return false;
    bool ok = true;
    const json_t *parameters = json_object_get(all, "parameters");
    const json_t *priors = json_object_get(all, "priors");
    o->job = get_integer(all, "job", 1, INT64_MAX, &ok);
    o->stage = keep_text(arena, all, "stage", &ok);
    o->parameters = keep_json(arena, parameters, json_is_object(parameters), &ok);
    o->results = (uint32_t)get_integer(all, "results", 0, UINT32_MAX, &ok);
    o->outcome = keep_text(arena, all, "outcome", &ok);
    o->reason = keep_text(arena, all, "reason", &ok);
    o->remark = keep_text(arena, all, "remark", &ok);
    o->evidence = keep_text(arena, all, "evidence", &ok);
    o->priors = keep_json(arena, priors, json_is_array(priors), &ok);
    o->prior_note = keep_text(arena, all, "prior_note", &ok);
    const json_t *predecessor = json_object_get(all, "predecessor");
    o->has_predecessor = predecessor != NULL;
    if (predecessor)
        get_id(predecessor, &o->predecessor, &ok);
    get_head(json_object_get(all, "head"), &o->head, &ok);
    get_files(json_object_get(all, "files"), arena, o, &ok);
    json_decref(all);
    return ok || err_set(err, ERR_INTERNAL, "%s is no whole order", path);
}

void order_finish(struct order *o)
{
    attrs_finish(&o->head);
}

bool order_read_damage(const char *path, int64_t job, bool (*each)(void *ctx, const char *file),
                       void *ctx, struct err *err)
{
    size_t i;
    json_t *one;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;
    json_t *all = read_json(path, DAMAGE_SCHEMA, err);
    if (!all)
        return false;
    const json_t *list = json_object_get(all, "files");
    bool ok = json_is_array(list), on = true;
    get_integer(all, "job", job, job, &ok);
    json_array_foreach(list, i, one)
    {
        const char *name = json_string_value(one);
        ok = ok && name;
        on = on && ok && each(ctx, name);
    }
    json_decref(all);
    return ok || err_set(err, ERR_INTERNAL, "%s: not the damage of job %lld", path, (long long)job);
}

static bool is_file_name(const char *name, size_t size)
{
    return *name && *name != '.' && !strchr(name, '/') && strlen(name) < size;
}

static void get_object(const json_t *o, struct order_object *out, bool *ok)
{
    const char *file = get_text(o, "file", ok), *product = get_text(o, "product", ok);
    *ok = *ok && is_file_name(file, sizeof out->file) && strlen(product) < sizeof out->product;
    snprintf(out->file, sizeof out->file, "%s", file);
    snprintf(out->product, sizeof out->product, "%s", product);
    out->rank = (int)get_integer(o, "rank", 0, INT32_MAX, ok);
    get_id(o, &out->id, ok);
}

bool order_read_results(const char *path, int64_t job, struct order_object **objects, size_t *count,
                        struct err *err)
{
    size_t i;
    json_t *one;
    *objects = NULL;
    *count = 0;
    json_t *all = read_json(path, RESULTS_SCHEMA, err);
    if (!all)
        return false;
    const json_t *list = json_object_get(all, "objects");
    bool ok = json_is_array(list);
    get_integer(all, "job", job, job, &ok);
    struct order_object *out = calloc(json_array_size(list) + 1, sizeof *out);
    json_array_foreach(list, i, one)
    {
        if (ok && out)
            get_object(one, &out[i], &ok);
    }
    *count = json_array_size(list);
    json_decref(all);
    if (ok && out) {
        *objects = out;
        return true;
    }
    *count = 0;
    free(out);
    return out ? err_set(err, ERR_INTERNAL, "%s: not the results of job %lld", path, (long long)job)
               : err_set(err, ERR_NOMEM, "no memory for the list of results");
}
