#include "base/pages.h"
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define LEAST ((size_t)4 << 20) // bytes: below, whole large pages hardly fit in

static void advise(void *at, size_t size, int advice)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = ((uintptr_t)at + page - 1) / page * page;
    const uintptr_t to = ((uintptr_t)at + size) / page * page;
    if (size >= LEAST && from < to)
        madvise((void *)from, to - from, advice);
}

void pages_advise(void *at, size_t size)
{
    advise(at, size, MADV_HUGEPAGE);
}

void pages_sparse(void *at, size_t size)
{
    advise(at, size, MADV_NOHUGEPAGE);
}
