#include "node/proc/privileges.h"
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fs.h"

#define CAPABILITIES_MAX 64 // bits that the kernel's interface has room for

bool privileges_find(const char *name, struct privileges_user *user, struct err *err)
{
    *user = (struct privileges_user){.uid = geteuid(), .gid = getegid()};
    if (geteuid() != 0 || strcmp(name, "root") == 0)
        return true;
    errno = 0;
    const struct passwd *entry = getpwnam(name);
    if (!entry)
        return errno == 0 || errno == ENOENT
                   ? err_set(err, ERR_CONFIG,
                             "node.user: this machine has no user %.32s: make it by useradd "
                             "--system %.32s, or name another",
                             name, name)
                   : err_errno(err, errno, "node.user %.32s", name);
    user->change = entry->pw_uid != 0;
    user->uid = entry->pw_uid;
    user->gid = entry->pw_gid;
    snprintf(user->name, sizeof user->name, "%.32s", name);
    return true;
}

static bool folder_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;
    for (struct dirent *entry; dir && count == 0 && (entry = readdir(dir));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (dir)
        closedir(dir);
    return dir && count == 0;
}

bool privileges_give(const char *folder, const struct privileges_user *user, struct err *err)
{
    struct stat st;
    if (!user->change)
        return true;
    if (!fs_make_folders(folder, err))
        return err_wrap(err, "node.data_dir");
    if (stat(folder, &st) != 0)
        return err_errno(err, errno, "node.data_dir %s", folder);
    if (st.st_uid == user->uid)
        return true;
    if (!folder_is_empty(folder))
        return err_set(err, ERR_CONFIG,
                       "node.data_dir %s belongs to user %u, and this node runs as %s: chown -R "
                       "%s: %s, or name another node.user",
                       folder, (unsigned)st.st_uid, user->name, user->name, folder);
    return chown(folder, user->uid, user->gid) == 0 ||
           err_errno(err, errno, "give node.data_dir %s to %s", folder, user->name);
}

// Whoever has none does not ask: where a supervisor took them, it may have taken the call as well.
static bool capabilities_drop(struct err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3] = {0};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    bool any = syscall(SYS_capget, &header, have) != 0;
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        any = any || have[i].permitted || have[i].effective || have[i].inheritable;
    if (!any)
        return true;
    for (int capability = 0; capability < CAPABILITIES_MAX; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); // who may not has none to drop
    return syscall(SYS_capset, &header, none) == 0 ||
           err_errno(err, errno, "capabilities cannot be given up");
}

bool privileges_drop(const struct privileges_user *user, struct err *err)
{
    // 1, as a program that takes core files (core_pattern(5)) is asked with 0 too.
    const struct rlimit no_core = {1, 1};
    if (user->change && (initgroups(user->name, user->gid) != 0 ||
                         setresgid(user->gid, user->gid, user->gid) != 0 ||
                         setresuid(user->uid, user->uid, user->uid) != 0 || setuid(0) == 0))
        return err_set(err, ERR_INTERNAL, "cannot become %s (user %u)", user->name,
                       (unsigned)user->uid);
    if (!capabilities_drop(err))
        return false;
    if (setrlimit(RLIMIT_CORE, &no_core) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(err, errno, "rights cannot be given up");
    return true;
}
