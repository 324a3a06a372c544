// Advice to the kernel: it is given for large blocks, for no byte outside of them, and changes
// nothing in them.
#include "base/pages.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/check.h"

#define MIB ((size_t)1 << 20)

// Whether the mapping that holds an address has a flag (proc(5), VmFlags): " hg", " nh".
static bool has_flag(const void *at, const char *flag)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool here = false, advised = false;
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while (fgets(line, sizeof line, f)) {
        char *end;
        const uintptr_t from = strtoul(line, &end, 16);
        if (end > line && *end == '-')
            here = (uintptr_t)at >= from && (uintptr_t)at < strtoul(end + 1, NULL, 16);
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            advised = strstr(line, flag) != NULL;
    }
    fclose(f);
    return advised;
}

static bool is_advised(const void *at)
{
    return has_flag(at, " hg");
}

static uint8_t *map(size_t size)
{
    uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_FATAL(at != MAP_FAILED);
    return at;
}

static void large_blocks_are_advised_and_nothing_beside_them(void)
{
    uint8_t *at = map(16 * MIB);
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0) {
        pages_advise(at + 4 * MIB + 100, 8 * MIB);
        CU_ASSERT_FALSE(is_advised(at));
        CU_ASSERT_FALSE(is_advised(at + 4 * MIB + 100)); // a page that is shared with others
        CU_ASSERT_TRUE(is_advised(at + 5 * MIB));
        CU_ASSERT_FALSE(is_advised(at + 13 * MIB));
    }
    for (size_t n = 0; n < 16 * MIB; n += 4096)
        CU_ASSERT_EQUAL(at[n], 0);
    munmap(at, 16 * MIB);
}

static void small_blocks_stay_as_they_are(void)
{
    uint8_t *at = map(8 * MIB);
    pages_advise(at, MIB);
    pages_advise(at, 0);
    pages_advise(NULL, 0);
    CU_ASSERT_FALSE(is_advised(at));
    munmap(at, 8 * MIB);
}

static void sparse_blocks_are_advised_against(void)
{
    uint8_t *at = map(16 * MIB);
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0) {
        pages_advise(at, 16 * MIB);
        pages_sparse(at + 8 * MIB, 8 * MIB);
        pages_sparse(at, MIB); // too small to matter
        CU_ASSERT_TRUE(is_advised(at));
        CU_ASSERT_FALSE(is_advised(at + 8 * MIB));
        CU_ASSERT_TRUE(has_flag(at + 8 * MIB, " nh"));
    }
    munmap(at, 16 * MIB);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"large_blocks_are_advised_and_nothing_beside_them",
         large_blocks_are_advised_and_nothing_beside_them},
        {"small_blocks_stay_as_they_are", small_blocks_stay_as_they_are},
        {"sparse_blocks_are_advised_against", sparse_blocks_are_advised_against},
    };
    return check_main("pages", cases, sizeof cases / sizeof *cases);
}
