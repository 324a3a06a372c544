#include "node/job/tally.h"
#include <stdlib.h>
#include <string.h>
#include "compute/image/kind.h"

#define SHORT_BYTES 64 // values of up to these come first where a list cannot hold all

struct tally {
    struct attrs *lists;
    bool *aside;
    size_t count, room, slices; // slices: of those that are not aside
};

struct vote {
    const char *key, *value;
};

struct tally *tally_create(void)
{
    return calloc(1, sizeof(struct tally));
}

void tally_destroy(struct tally *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        attrs_finish(&t->lists[i]);
    free(t->lists);
    free(t->aside);
    free(t);
}

static bool tally_sets_aside(const struct attrs *a)
{
    const char *type = attrs_get(a, "ImageType"), *rows = attrs_get(a, "Rows");
    return !rows || !*rows || (type && image_type_is_scout(type));
}

static bool tally_grow(struct tally *t)
{
    size_t room = t->room ? 2 * t->room : 64;
    struct attrs *lists = reallocarray(t->lists, room, sizeof *lists);
    if (lists)
        t->lists = lists;
    bool *aside = reallocarray(t->aside, room, sizeof *aside);
    if (aside)
        t->aside = aside;
    if (lists && aside)
        t->room = room;
    return lists && aside;
}

bool tally_add(struct tally *t, struct attrs *attrs)
{
    if (t->count == t->room && !tally_grow(t)) {
        attrs_finish(attrs);
        return false;
    }
    bool aside = tally_sets_aside(attrs);
    t->slices += !aside;
    t->aside[t->count] = aside;
    t->lists[t->count++] = *attrs;
    *attrs = (struct attrs){0};
    return true;
}

static int vote_order(const void *a, const void *b)
{
    const struct vote *x = a, *y = b;
    int key = strcmp(x->key, y->key);
    return key ? key : strcmp(x->value, y->value);
}

// Every value that is not empty, by key and value; malloc'd. NULL: no memory. *voters: lists.
static struct vote *tally_votes(const struct tally *t, size_t *count, size_t *voters)
{
    size_t all = 1;
    const char *key = NULL, *value = NULL;
    for (size_t i = 0; i < t->count; i++) {
        for (key = NULL; attrs_next(&t->lists[i], &key, &value);)
            all++;
    }
    struct vote *votes = calloc(all, sizeof *votes);
    *count = 0;
    *voters = t->slices ? t->slices : t->count;
    for (size_t i = 0; votes && i < t->count; i++) {
        if (t->slices && t->aside[i])
            continue;
        for (key = NULL; attrs_next(&t->lists[i], &key, &value);) {
            if (*value)
                votes[(*count)++] = (struct vote){key, value};
        }
    }
    if (votes)
        qsort(votes, *count, sizeof *votes, vote_order);
    return votes;
}

// The winners in place of the votes; returns how many.
static size_t tally_winners(struct vote *votes, size_t count, size_t voters)
{
    size_t winners = 0;
    for (size_t i = 0; i < count;) {
        struct vote best = votes[i];
        size_t most = 0, given = 0, first = i;
        while (i < count && strcmp(votes[i].key, votes[first].key) == 0) {
            size_t same = 0;
            struct vote v = votes[i];
            for (; i < count && vote_order(&votes[i], &v) == 0; i++)
                same++;
            given += same;
            if (same > most) {
                most = same;
                best = v;
            }
        }
        if (voters - given <= most)
            votes[winners++] = best;
    }
    return winners;
}

bool tally_most(const struct tally *t, struct attrs *out)
{
    size_t count = 0, voters = 0;
    struct vote *votes = tally_votes(t, &count, &voters);
    if (!votes)
        return false;
    count = tally_winners(votes, count, voters);
    bool ok = true;
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; ok && i < count; i++) {
            size_t size = strlen(votes[i].key) + strlen(votes[i].value) + 2;
            if ((strlen(votes[i].value) > SHORT_BYTES) == (turn == 1) &&
                out->size + size <= ATTRS_PACKED_MAX)
                ok = attrs_add(out, votes[i].key, votes[i].value);
        }
    }
    free(votes);
    return ok;
}

// A list that is read by keys which mostly come in its own order.
struct cursor {
    const struct attrs *list;
    const char *key, *value; // last one read
};

static const char *cursor_get(struct cursor *c, const char *key)
{
    const char *next = c->key, *value = c->value;
    if (attrs_next(c->list, &next, &value) && strcmp(next, key) == 0) {
        c->key = next;
        c->value = value;
        return value;
    }
    next = NULL;
    while (attrs_next(c->list, &next, &value)) {
        if (strcmp(next, key) == 0) {
            c->key = next;
            c->value = value;
            return value;
        }
    }
    return NULL;
}

bool tally_delta(const struct attrs *base, const struct attrs *attrs, struct attrs *out)
{
    struct cursor in_base = {.list = base}, in_attrs = {.list = attrs};
    const char *key = NULL, *value = NULL;
    bool ok = true;
    while (ok && attrs_next(attrs, &key, &value)) {
        const char *other = cursor_get(&in_base, key);
        if (strcmp(other ? other : "", value) != 0)
            ok = attrs_add(out, key, value);
    }
    for (key = NULL; ok && attrs_next(base, &key, &value);) {
        if (*value && !cursor_get(&in_attrs, key))
            ok = attrs_add(out, key, "");
    }
    return ok;
}

bool tally_restore(const struct attrs *base, const struct attrs *delta, struct attrs *out)
{
    struct cursor in_base = {.list = base}, in_delta = {.list = delta};
    const char *key = NULL, *value = NULL;
    bool ok = true;
    while (ok && attrs_next(base, &key, &value)) {
        const char *other = cursor_get(&in_delta, key);
        if (!other || *other)
            ok = attrs_add(out, key, other ? other : value);
    }
    for (key = NULL; ok && attrs_next(delta, &key, &value);) {
        if (*value && !cursor_get(&in_base, key))
            ok = attrs_add(out, key, value);
    }
    return ok;
}
