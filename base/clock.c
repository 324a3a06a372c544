#include "base/clock.h"
#include <time.h>

static double clock_read(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double clock_steady(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

double clock_cpu(void)
{
    return clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

double clock_wall(void)
{
    return clock_read(CLOCK_REALTIME);
}
