#include "node/core/reserve.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "node/proc/inflight.h"

#define STAT_BLOCK 512 // bytes that st_blocks counts in

// MiB that it takes on the disk, whatever its size says.
static uint32_t reserve_has(const struct core *core)
{
    struct stat st;
    if (fstatat(core->dir.dirfd, RESERVE_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode))
        return 0;
    return (uint32_t)((uint64_t)st.st_blocks * STAT_BLOCK >> 20);
}

// False with errno.
static bool reserve_size(struct core *core, uint32_t mib)
{
    const int fd =
        openat(core->dir.dirfd, RESERVE_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    const off_t bytes = (off_t)mib << 20;
    bool ok = ftruncate(fd, mib ? bytes : 0) == 0;
    if (ok && mib && (errno = posix_fallocate(fd, 0, bytes)) != 0) {
        const int number = errno;
        ok = false;
        if (ftruncate(fd, 0) != 0)
            log_error("file=%s not emptied: %s", RESERVE_FILE, strerror(errno));
        errno = number;
    }
    close(fd);
    return ok;
}

double reserve_tick(struct core *core)
{
    const uint32_t wanted = core->conf->reserve_mib;
    const double now = clock_steady();
    uint32_t has = reserve_has(core);
    uint64_t free_mib = 0;
    struct err err = {0};
    if (now < core->reserve_at)
        return core->reserve_at;
    const bool more = has < wanted && datadir_free_mib(&core->dir, &free_mib, &err) &&
                      free_mib + has >= (uint64_t)core->conf->min_free_mib + wanted;
    if (has > wanted || more) {
        if (!reserve_size(core, wanted))
            log_warn("reserve of %u MiB not made: %s", wanted, strerror(errno));
        else if (core->reserve_missing)
            log_info("reserve of %u MiB is there again", wanted);
        has = reserve_has(core);
    }
    core->reserve_missing = has < wanted ? wanted - has : 0;
    inflight_set_missing(core->inflight, core->reserve_missing);
    core->reserve_at = core->reserve_missing ? now + RESERVE_EVERY_S : INFINITY;
    return core->reserve_at;
}

void reserve_spend(struct core *core, enum err_code code, const char *reason)
{
    const uint32_t has = code == ERR_FULL ? reserve_has(core) : 0;
    if (has == 0)
        return;
    core->reserve_missing = core->conf->reserve_mib;
    inflight_set_missing(core->inflight, core->reserve_missing); // first: nobody takes it
    core->reserve_at = clock_steady() + RESERVE_EVERY_S;
    if (reserve_size(core, 0))
        log_warn("reserve of %u MiB given up: %s", has, reason);
    else
        log_error("reserve not given up: %s", strerror(errno));
}
