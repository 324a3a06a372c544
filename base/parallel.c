#include "base/parallel.h"
#include <pthread.h>

#define THREADS_MAX 16

struct part {
    pthread_t thread;
    bool started;
    void (*work)(void *ctx, size_t first, size_t count);
    void *ctx;
    size_t first, count;
};

static void *parallel_part(void *arg)
{
    struct part *p = arg;
    p->work(p->ctx, p->first, p->count);
    return NULL;
}

void parallel_for(size_t items, size_t threads, void (*work)(void *ctx, size_t first, size_t count),
                  void *ctx)
{
    struct part parts[THREADS_MAX] = {0};
    size_t n = threads < THREADS_MAX ? threads : THREADS_MAX;
    n = n < items ? n : items;
    for (size_t i = 0, first = 0; i < n; i++) {
        size_t count = items / n + (i < items % n);
        parts[i] = (struct part){.work = work, .ctx = ctx, .first = first, .count = count};
        first += count;
    }
    for (size_t i = 1; i < n; i++)
        parts[i].started = pthread_create(&parts[i].thread, NULL, parallel_part, &parts[i]) == 0;
    for (size_t i = 0; i < n; i++) {
        if (!parts[i].started)
            parallel_part(&parts[i]);
    }
    for (size_t i = 1; i < n; i++) {
        if (parts[i].started)
            pthread_join(parts[i].thread, NULL);
    }
}
