#include "node/job/priors.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/moment.h"
#include "node/job/json.h"

// Text

// Where the members of a prior stand that are texts or numbers.
#define TEXTS(X)                                                                                   \
    X(stage)                                                                                       \
    X(version)                                                                                     \
    X(patient)                                                                                     \
    X(issuer) X(birth) X(sex) X(date) X(time) X(headline) X(maker) X(model) X(kernel) X(class_text)
#define NUMBERS(X) X(kvp) X(thickness_mm) X(spacing_mm)
#define UIDS(X)                                                                                    \
    X(id.study_instance_uid)                                                                       \
    X(id.series_instance_uid) X(id.sop_instance_uid) X(id.sop_class_uid) X(replaces)

static json_t *priors_number_json(const struct prior_number *n, bool *ok)
{
    json_t *o = json_object();
    json_put_text(o, "group", n->group, ok);
    json_put_text(o, "concept", n->concept, ok);
    json_put_text(o, "method", n->method, ok);
    json_put_text(o, "unit", n->unit, ok);
    json_put_number(o, "value", n->value, ok);
    if (n->ranged) {
        json_put_number(o, "low", n->low, ok);
        json_put_number(o, "high", n->high, ok);
    }
    return o;
}

static json_t *priors_json(const struct prior *p, bool *ok)
{
    json_t *o = json_object(), *numbers = json_array();
#define PUT_TEXT(m)   json_put_text(o, #m, p->m, ok);
#define PUT_NUMBER(m) json_put_number(o, #m, p->m, ok);
    TEXTS(PUT_TEXT)
    UIDS(PUT_TEXT)
    NUMBERS(PUT_NUMBER)
    json_put_integer(o, "end", p->end, ok);
    for (size_t i = 0; i < p->number_count; i++)
        json_add(numbers, priors_number_json(&p->numbers[i], ok), ok);
    json_put(o, "numbers", numbers, ok);
    return o;
}

char *priors_text(const struct prior *list, size_t count)
{
    bool ok = true;
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++)
        json_add(all, priors_json(&list[i], &ok), &ok);
    char *text = ok ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}

static const char *priors_kept(const json_t *o, const char *key, struct arena *arena, bool *ok)
{
    const char *text = json_string_value(json_object_get(o, key));
    char *kept = arena_strdup(arena, text ? text : "");
    *ok = *ok && kept;
    return kept ? kept : "";
}

static double priors_read_number(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void priors_read_uid(const json_t *o, const char *key, char uid[UID_SIZE])
{
    const char *text = json_string_value(json_object_get(o, key));
    snprintf(uid, UID_SIZE, "%s", text && uid_is_usable(text) ? text : "");
}

static bool priors_read_one(const json_t *o, struct arena *arena, struct prior *p)
{
    bool ok = true;
    const json_t *numbers = json_object_get(o, "numbers");
    const size_t count = json_array_size(numbers);
#define READ_TEXT(m)   p->m = priors_kept(o, #m, arena, &ok);
#define READ_UID(m)    priors_read_uid(o, #m, p->m);
#define READ_NUMBER(m) p->m = priors_read_number(o, #m);
    TEXTS(READ_TEXT)
    UIDS(READ_UID)
    NUMBERS(READ_NUMBER)
    snprintf(p->id.kind, sizeof p->id.kind, "sr");
    const json_int_t end = json_integer_value(json_object_get(o, "end"));
    p->end = end >= 0 && end < PRIOR_ENDS ? (enum prior_end)end : PRIOR_ENDS;
    struct prior_number *list = arena_alloc(arena, PRIOR_NUMBERS_MAX, sizeof *list);
    p->numbers = list;
    for (size_t i = 0; ok && list && i < count && p->number_count < PRIOR_NUMBERS_MAX; i++) {
        const json_t *n = json_array_get(numbers, i);
        struct prior_number *to = &list[p->number_count];
        to->value = priors_read_number(n, "value");
        if (isnan(to->value))
            continue;
        to->ranged = json_object_get(n, "low") && json_object_get(n, "high");
        to->low = to->ranged ? priors_read_number(n, "low") : to->value;
        to->high = to->ranged ? priors_read_number(n, "high") : to->value;
        to->group = priors_kept(n, "group", arena, &ok);
        to->concept = priors_kept(n, "concept", arena, &ok);
        to->method = priors_kept(n, "method", arena, &ok);
        to->unit = priors_kept(n, "unit", arena, &ok);
        p->number_count++;
    }
    return ok && list;
}

bool priors_from_text(const char *text, struct arena *arena, struct prior **list, size_t *count,
                      struct err *err)
{
    json_t *all = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const size_t size = json_array_size(all);
    bool ok = true;
    *count = 0;
    *list = NULL;
    if (!json_is_array(all) || size > PRIORS_READ_MAX) {
        json_decref(all);
        return err_set(err, ERR_INPUT, "no list of earlier results, or one of %zu", size);
    }
    *list = arena_alloc(arena, size + 1, sizeof **list);
    for (; *list && ok && *count < size; ++*count)
        ok = priors_read_one(json_array_get(all, *count), arena, &(*list)[*count]);
    json_decref(all);
    return (*list && ok) || err_set(err, ERR_NOMEM, "no memory for earlier results");
}

// Choice

// Both are stated, and say different things.
static bool priors_differ(const char *a, const char *b)
{
    return a && b && *a && *b && strcmp(a, b) != 0;
}

// The same of dates, however they are written.
static bool priors_dates_differ(const char *a, const char *b)
{
    struct moment_date x, y;
    if (!a || !b || !moment_date(a, &x) || !moment_date(b, &y))
        return priors_differ(a, b);
    return x.year != y.year || x.month != y.month || x.day != y.day;
}

// Seconds from 1970 of a date and a time; a time that is none counts as the beginning of the day.
// NAN: no date.
static double priors_moment(const char *date, const char *time)
{
    struct moment_date day;
    double seconds = 0;
    if (!date || !moment_date(date, &day))
        return NAN;
    if (!time || !moment_time(time, &seconds))
        seconds = 0;
    return moment_days(&day) * 86400 + seconds;
}

static int priors_newest_first(const void *a, const void *b)
{
    const struct prior *x = a, *y = b;
    double then = priors_moment(x->date, x->time), other = priors_moment(y->date, y->time);
    then = isnan(then) ? -INFINITY : then;
    other = isnan(other) ? -INFINITY : other;
    if (then != other)
        return then > other ? -1 : 1;
    return strcmp(x->id.sop_instance_uid, y->id.sop_instance_uid);
}

// A copy in arena, the newest first; NULL: no memory.
static struct prior *priors_sorted(const struct prior *list, size_t count, struct arena *arena)
{
    struct prior *sorted = arena_alloc(arena, count + 1, sizeof *sorted);
    if (!sorted || !count)
        return sorted;
    memcpy(sorted, list, count * sizeof *list);
    qsort(sorted, count, sizeof *sorted, priors_newest_first);
    return sorted;
}

bool priors_digest(const struct prior *list, size_t count, struct arena *arena,
                   uint8_t out[DIGEST_SIZE])
{
    struct prior *sorted = priors_sorted(list, count, arena);
    char *text = sorted ? priors_text(sorted, count) : NULL;
    struct digest *d = text ? digest_create() : NULL;
    if (d) {
        digest_add_text(d, text);
        digest_end(d, out);
    }
    const bool ok = d != NULL;
    digest_destroy(d);
    free(text);
    return ok;
}

// Why an earlier report is none to compare with, as a sentence; "": it is of this very study; NULL:
// it is one.
static const char *priors_objection(const struct prior *p, const struct attrs *head,
                                    const struct stage *stage)
{
    const char *id = attrs_get(head, "PatientID");
    const char *study = attrs_get(head, "StudyInstanceUID");
    if (strcmp(p->stage, stage->name) != 0)
        return "it is of another analysis";
    if (!id || !*id || !*p->patient)
        return "no Patient ID tells whether it is of the same patient";
    if (strcmp(p->patient, id) != 0 ||
        priors_differ(p->issuer, attrs_get(head, "IssuerOfPatientID")))
        return "it is of another patient";
    if (priors_dates_differ(p->birth, attrs_get(head, "PatientBirthDate")) ||
        priors_differ(p->sex, attrs_get(head, "PatientSex")))
        return "its patient has the same Patient ID, and another birth date or sex";
    if (!study || strcmp(p->id.study_instance_uid, study) == 0)
        return "";
    const double then = priors_moment(p->date, p->time);
    const double now = priors_moment(attrs_get(head, "StudyDate"), attrs_get(head, "StudyTime"));
    if (!(then < now)) // also where one of them is not known
        return "no dates tell that its study is older than this one";
    if (p->end >= PRIOR_ENDS)
        return "how its analysis ended cannot be read";
    return p->end == PRIOR_FAILED ? "its analysis failed" : NULL;
}

// Another one of them takes its place, or it is there twice.
static bool priors_is_stale(const struct prior *all, size_t count, size_t index)
{
    for (size_t i = 0; i < count; i++) {
        const char *uid = all[index].id.sop_instance_uid;
        if (i != index && (strcmp(all[i].replaces, uid) == 0 ||
                           (i < index && strcmp(all[i].id.sop_instance_uid, uid) == 0)))
            return true;
    }
    return false;
}

bool priors_choose(const struct prior *all, size_t count, const struct attrs *head,
                   const struct stage *stage, struct arena *arena, struct findings *f,
                   struct prior **out, size_t *out_count, struct err *err)
{
    const struct prior *sorted = priors_sorted(all, count, arena);
    *out = arena_alloc(arena, count + 1, sizeof **out);
    *out_count = 0;
    bool ok = sorted && *out;
    for (size_t i = 0; ok && i < count; i++) {
        const char *why = priors_objection(&sorted[i], head, stage);
        char day[32];
        moment_text(sorted[i].date, NULL, day);
        if (!why && !priors_is_stale(sorted, count, i))
            (*out)[(*out_count)++] = sorted[i];
        else if (why && *why)
            ok = findings_add_fact(f, "An earlier report%s%s is not compared with: %s",
                                   *day ? " of " : "", day, why);
    }
    *out_count = *out_count < PRIORS_MAX ? *out_count : PRIORS_MAX;
    return ok || err_set(err, ERR_NOMEM, "no memory for earlier results");
}
