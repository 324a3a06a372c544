// The targets under libFuzzer: see ./run fuzz. ANODE_FUZZ_TARGET names one of them; its seeds are
// put into the folder that is the first argument.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "tests/fuzz/helper_targets.h"

// What libFuzzer calls, and calls for.
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

static const struct fuzz_target *target;

struct folder {
    const char *path;
    unsigned count;
};

static void write_seed(void *ctx, const uint8_t *data, size_t size)
{
    struct folder *to = ctx;
    char path[4096];
    snprintf(path, sizeof path, "%s/seed-%u", to->path, to->count++);
    FILE *f = fopen(path, "w");
    fuzz_check(f && fwrite(data, 1, size, f) == size && fclose(f) == 0, "a seed can be written");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("ANODE_FUZZ_TARGET");
    struct stat st;
    log_init(LOG_LEVEL_ERROR, "fuzz");
    target = name ? fuzz_target(name) : NULL;
    if (!target) {
        fprintf(stderr, "no target \"%s\"; there are", name ? name : "");
        for (size_t i = 0; i < fuzz_target_count; i++)
            fprintf(stderr, " %s", fuzz_targets[i].name);
        fputc('\n', stderr);
        exit(1);
    }
    if (target->start)
        target->start();
    struct folder to = {.path = *argc > 1 ? (*argv)[1] : ""};
    if (stat(to.path, &st) == 0 && S_ISDIR(st.st_mode))
        target->seeds(write_seed, &to);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= target->most)
        target->run(data, size);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    return target->mutate ? target->mutate(data, size, room, seed, LLVMFuzzerMutate)
                          : LLVMFuzzerMutate(data, size, room);
}
