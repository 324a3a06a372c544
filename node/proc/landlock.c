#include "node/proc/landlock.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Newer than the headers of Debian 12: linux/landlock.h of Linux 6.12.
#define FS_TRUNCATE    (UINT64_C(1) << 14) // version 3
#define NET_BIND       (UINT64_C(1) << 0)  // version 4
#define NET_CONNECT    (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT (UINT64_C(1) << 0) // version 6: abstract sockets
#define SCOPE_SIGNAL   (UINT64_C(1) << 1)
#define VERSION_CUT    3
#define VERSION_NET    4
#define VERSION_SCOPE  6

struct rules { // struct landlock_ruleset_attr of version 6; older kernels take its beginning
    uint64_t files, net, scope;
};

// Rights that a single file can have; the others are of folders.
#define OF_FILES                                                                                   \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     FS_TRUNCATE)

int landlock_version(void)
{
    const long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? (int)version : 0;
}

static uint64_t handled(int version)
{
    uint64_t all = (UINT64_C(2) * LANDLOCK_ACCESS_FS_REFER) - 1; // all of version 2
    return version >= VERSION_CUT ? all | FS_TRUNCATE : all;
}

static uint64_t access_of(unsigned rights)
{
    uint64_t access = 0;
    if (rights & LANDLOCK_READ)
        access |= LANDLOCK_ACCESS_FS_READ_FILE;
    if (rights & LANDLOCK_RUN)
        access |= LANDLOCK_ACCESS_FS_EXECUTE;
    if (rights & LANDLOCK_LIST)
        access |= LANDLOCK_ACCESS_FS_READ_DIR;
    if (rights & LANDLOCK_WRITE)
        access |= LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
    if (rights & LANDLOCK_MAKE)
        access |= LANDLOCK_ACCESS_FS_MAKE_REG;
    if (rights & LANDLOCK_REMOVE)
        access |= LANDLOCK_ACCESS_FS_REMOVE_FILE;
    if (rights & LANDLOCK_FOLDERS)
        access |= LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR;
    if (rights & LANDLOCK_MOVE)
        access |= LANDLOCK_ACCESS_FS_REFER;
    return access;
}

static bool add_path(int ruleset, const struct landlock_path *p, uint64_t all, struct err *err)
{
    struct stat st;
    const int fd = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ||
               err_errno(err, errno, "landlock %s", p->path);
    struct landlock_path_beneath_attr rule = {.allowed_access = access_of(p->rights) & all,
                                              .parent_fd = fd};
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_FILES;
    const bool ok =
        rule.allowed_access == 0 ||
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0 ||
        err_set(err, ERR_INTERNAL, "landlock does not take %s", p->path);
    close(fd);
    return ok;
}

bool landlock_enter(const struct landlock_path *paths, size_t count, bool alone, struct err *err)
{
    const int version = landlock_version();
    const struct rules rules = {.files = handled(version),
                                .net = alone && version >= VERSION_NET ? NET_BIND | NET_CONNECT : 0,
                                .scope =
                                    version >= VERSION_SCOPE ? SCOPE_ABSTRACT | SCOPE_SIGNAL : 0};
    const size_t size = version >= VERSION_SCOPE ? sizeof rules
                        : version >= VERSION_NET ? 2 * sizeof(uint64_t)
                                                 : sizeof(uint64_t);
    const int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (ruleset < 0)
        return err_set(err, ERR_INTERNAL, "landlock has no rules: errno %d", errno);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++)
        ok = add_path(ruleset, &paths[i], rules.files, err);
    if (ok && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        ok = err_set(err, ERR_INTERNAL, "landlock does not take hold: errno %d", errno);
    close(ruleset);
    return ok;
}
