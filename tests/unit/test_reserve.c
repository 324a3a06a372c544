// Room that is kept for results: made, given up on a full disk, told to associations, made anew.
#include "node/core/reserve.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/inflight.h"
#include "tests/check.h"

#define MIB 4 // of the reserve

static struct conf conf;
static struct core core;

static uint32_t reserve_on_disk(void)
{
    struct stat st;
    char path[5000];
    snprintf(path, sizeof path, "%s/" RESERVE_FILE, core.dir.path);
    return stat(path, &st) == 0 ? (uint32_t)(st.st_blocks * 512 >> 20) : 0;
}

static void open_core(void)
{
    static int count;
    char path[4200];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/data%d", check_scratch(), count++);
    conf = (struct conf){.reserve_mib = MIB, .min_free_mib = 1};
    core = (struct core){.conf = &conf};
    CU_ASSERT_TRUE_FATAL(datadir_open(&core.dir, path, true, &err));
    core.inflight = inflight_create(4, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(core.inflight);
}

static void close_core(void)
{
    inflight_destroy(core.inflight);
    datadir_close(&core.dir);
}

static void the_reserve_is_given_up_on_a_full_disk_only(void)
{
    open_core();
    CU_ASSERT_EQUAL(reserve_tick(&core), INFINITY);
    CU_ASSERT_EQUAL(reserve_on_disk(), MIB); // blocks, not a hole
    CU_ASSERT_EQUAL(inflight_missing(core.inflight), 0);
    reserve_spend(&core, ERR_IO, "a broken disk");
    CU_ASSERT_EQUAL(reserve_on_disk(), MIB);
    reserve_spend(&core, ERR_FULL, "a full disk");
    CU_ASSERT_EQUAL(reserve_on_disk(), 0);
    CU_ASSERT_EQUAL(inflight_missing(core.inflight), MIB); // no peer gets it
    const double next = reserve_tick(&core);
    CU_ASSERT(next > clock_steady() && next <= clock_steady() + RESERVE_EVERY_S);
    CU_ASSERT_EQUAL(reserve_on_disk(), 0); // not at once: results need it
    core.reserve_at = 0;
    CU_ASSERT_EQUAL(reserve_tick(&core), INFINITY);
    CU_ASSERT_EQUAL(reserve_on_disk(), MIB);
    CU_ASSERT_EQUAL(inflight_missing(core.inflight), 0);
    close_core();
}

static void the_reserve_leaves_what_must_stay_free(void)
{
    uint64_t free_mib = 0;
    open_core();
    CU_ASSERT_TRUE(datadir_free_mib(&core.dir, &free_mib, NULL));
    conf.min_free_mib = (uint32_t)free_mib + 1024;
    CU_ASSERT(isfinite(reserve_tick(&core))); // looked after again
    CU_ASSERT_EQUAL(reserve_on_disk(), 0);
    CU_ASSERT_EQUAL(inflight_missing(core.inflight), MIB);
    close_core();
}

static void the_reserve_follows_the_configuration(void)
{
    open_core();
    reserve_tick(&core);
    conf.reserve_mib = 0;
    core.reserve_at = 0;
    CU_ASSERT_EQUAL(reserve_tick(&core), INFINITY);
    CU_ASSERT_EQUAL(reserve_on_disk(), 0);
    CU_ASSERT_EQUAL(inflight_missing(core.inflight), 0);
    close_core();
}

static void who_writes_is_counted_until_it_ends_or_is_killed(void)
{
    char names[INFLIGHT_FILES][DATADIR_NAME];
    open_core();
    struct inflight_place *a = inflight_enter(core.inflight), *b = inflight_enter(core.inflight);
    inflight_write(a, true);
    inflight_write(a, true);
    inflight_write(b, true);
    CU_ASSERT_EQUAL(inflight_writing(core.inflight), 2);
    inflight_leave(b);
    CU_ASSERT_EQUAL(inflight_writing(core.inflight), 1);
    CU_ASSERT_TRUE(inflight_left(core.inflight, getpid(), names)); // killed while it wrote
    CU_ASSERT_EQUAL(inflight_writing(core.inflight), 0);
    close_core();
}

int main(void)
{
    static const struct check_case cases[] = {
        {"the_reserve_is_given_up_on_a_full_disk_only",
         the_reserve_is_given_up_on_a_full_disk_only},
        {"the_reserve_leaves_what_must_stay_free", the_reserve_leaves_what_must_stay_free},
        {"the_reserve_follows_the_configuration", the_reserve_follows_the_configuration},
        {"who_writes_is_counted_until_it_ends_or_is_killed",
         who_writes_is_counted_until_it_ends_or_is_killed},
    };
    log_init(LOG_LEVEL_INFO, "anode");
    return check_main("reserve", cases, sizeof cases / sizeof *cases);
}
