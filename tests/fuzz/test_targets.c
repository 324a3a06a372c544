// Each target of ./run fuzz takes the inputs that it begins with, and none that is cut in its
// middle; its mutants keep to their room.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "tests/check.h"
#include "tests/fuzz/helper_targets.h"

struct tried {
    const struct fuzz_target *target;
    size_t seeds, taken, halves_taken;
};

static void try_seed(void *ctx, const uint8_t *data, size_t size)
{
    struct tried *t = ctx;
    t->seeds++;
    CU_ASSERT(size <= t->target->most);
    t->taken += t->target->run(data, size);
    t->halves_taken += t->target->run(data, size / 2);
}

static void targets_take_their_seeds(void)
{
    for (size_t i = 0; i < fuzz_target_count; i++) {
        struct tried t = {.target = &fuzz_targets[i]};
        if (t.target->start)
            t.target->start();
        t.target->seeds(try_seed, &t);
        printf("%s: %zu seeds, %zu taken, of %zu half\n", t.target->name, t.seeds, t.taken,
               t.halves_taken);
        CU_ASSERT(t.seeds > 0);
        CU_ASSERT_EQUAL(t.taken, t.seeds);
        CU_ASSERT_EQUAL(t.halves_taken, 0);
        CU_ASSERT_FALSE(t.target->run((const uint8_t *)"", 0));
        CU_ASSERT_PTR_EQUAL(fuzz_target(t.target->name), t.target);
    }
    CU_ASSERT_PTR_NULL(fuzz_target("nothing"));
}

// One byte more at the end, where there is room, or one less.
static size_t change(uint8_t *data, size_t size, size_t room)
{
    if (size < room) {
        data[size] = 0;
        return size + 1;
    }
    return size ? size - 1 : 0;
}

struct mutants {
    const struct fuzz_target *target;
    size_t changed;
};

static void mutate_seed(void *ctx, const uint8_t *data, size_t size)
{
    struct mutants *m = ctx;
    for (unsigned bits = 0; bits < 4096; bits += 37) {
        for (size_t more = 0; more < 2; more++) {
            const size_t room = size + 4 * more;
            uint8_t *mutant = malloc(room + 1); // an exact end
            CU_ASSERT_FATAL(mutant != NULL);
            memcpy(mutant, data, size);
            const size_t now = m->target->mutate(mutant, size, room, bits, change);
            CU_ASSERT(now <= room);
            m->changed += now != size || memcmp(mutant, data, size) != 0;
            free(mutant);
        }
    }
}

static void mutants_keep_to_their_room(void)
{
    for (size_t i = 0; i < fuzz_target_count; i++) {
        struct mutants m = {.target = &fuzz_targets[i]};
        if (!m.target->mutate)
            continue;
        m.target->seeds(mutate_seed, &m);
        CU_ASSERT(m.changed > 100);
    }
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, "test");
    static const struct check_case cases[] = {
        {"targets_take_their_seeds", targets_take_their_seeds},
        {"mutants_keep_to_their_room", mutants_keep_to_their_room},
    };
    return check_main("fuzz/targets", cases, sizeof cases / sizeof *cases);
}
