#include "node/proc/cage.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/log.h"
#include "compute/stages/stage.h"
#include "node/proc/calls.h"
#include "node/proc/landlock.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define PATHS_MAX 512 // a herald's, of folders full of others
// An association holds one PDU and the small elements of one data set: 30 MiB of address space with
// its libraries. So much more is a defect, or somebody who makes use of one.
#define ASSOCIATION_MIB   1024
#define SENDER_MIB        2048 // results are read object by object; a multi-frame capture is the largest
#define FILES_ASSOCIATION 64   // descriptors: two sockets, a draft, what iconv loads
#define FILE_MIN_MIB      1024 // standard error may be a file: its end is cut off later than that
#define FILE_MORE_MIB     64
// The kernel takes a worker first, then an association, the core last: -1000 to 1000.
#define OOM_WORKER "800"
#define OOM_OTHERS "500"

struct paths {
    struct landlock_path list[PATHS_MAX];
    char *owned[PATHS_MAX]; // texts that were made here
    size_t count, owned_count;
    bool whole; // all that was wanted is in it
};

enum {
    SEE = LANDLOCK_READ | LANDLOCK_LIST,
    USE = LANDLOCK_READ | LANDLOCK_WRITE,
    KEEP =
        SEE | LANDLOCK_WRITE | LANDLOCK_MAKE | LANDLOCK_REMOVE | LANDLOCK_FOLDERS | LANDLOCK_MOVE,
};

static void paths_add(struct paths *p, const char *path, unsigned rights)
{
    if (p->count < PATHS_MAX)
        p->list[p->count++] = (struct landlock_path){path, rights};
    else
        p->whole = false;
}

// A path that lasts only as long as the call: a copy.
static void paths_add_copy(struct paths *p, const char *folder, const char *name, unsigned rights)
{
    char *path = NULL;
    if (p->owned_count == PATHS_MAX ||
        asprintf(&path, "%s%s%s", folder, *name ? "/" : "", name) < 0) {
        p->whole = false;
        return;
    }
    p->owned[p->owned_count++] = path;
    paths_add(p, path, rights);
}

static void paths_finish(struct paths *p)
{
    for (size_t i = 0; i < p->owned_count; i++)
        free(p->owned[i]);
}

// Of an environment variable that lists paths.
static void paths_add_variable(struct paths *p, const char *variable)
{
    const char *value = getenv(variable);
    char path[PATH_MAX];
    for (const char *at = value ? value : ""; *at; at += strspn(at, ":")) {
        const size_t length = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s", (int)(length < PATH_MAX ? length : 0), at);
        if (path[0] == '/')
            paths_add_copy(p, path, "", SEE);
        at += length;
    }
}

// Code that is loaded at run time and the files that say which.
static void paths_add_libraries(struct paths *p)
{
    static const char *const known[] = {"/usr/lib", "/usr/lib64", "/usr/local/lib",
                                        "/lib",     "/lib64",     "/etc/ld.so.cache"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        paths_add(p, known[i], SEE);
    paths_add(p, "/dev/null", USE);
    paths_add(p, "/dev/urandom", LANDLOCK_READ);
    if (SANITIZED)
        paths_add(p, "/proc/self", SEE);
}

// The folders in which drivers and fontconfig keep what they have computed once.
static void paths_add_caches(struct paths *p)
{
    static const char *const names[] = {"mesa_shader_cache", "mesa_shader_cache_db", "nvidia",
                                        "fontconfig"};
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const char *mesa = getenv("MESA_SHADER_CACHE_DIR");
    char folder[PATH_MAX] = "", path[PATH_MAX];
    if (cache && cache[0] == '/')
        snprintf(folder, sizeof folder, "%s", cache);
    else if (home && home[0] == '/' && home[1])
        fs_join(folder, home, ".cache", NULL);
    for (size_t i = 0; folder[0] && i < sizeof names / sizeof *names; i++) {
        if (fs_join(path, folder, names[i], NULL) && (access(path, F_OK) == 0 || i == 0)) {
            if (i == 0)
                fs_make_folders(path, NULL); // a driver that cannot compiles each time anew
            paths_add_copy(p, path, "", KEEP);
        }
    }
    if (mesa && mesa[0] == '/')
        paths_add_copy(p, mesa, "", KEEP);
}

// What a graphics driver, the loader before it and fontconfig look at.
static void paths_add_machine(struct paths *p)
{
    static const char *const seen[] = {"/usr",          "/opt",           "/sys",
                                       "/etc/vulkan",   "/etc/fonts",     "/etc/drirc",
                                       "/etc/nvidia",   "/etc/localtime", "/etc/OpenCL",
                                       "/proc/self",    "/proc/cpuinfo",  "/proc/meminfo",
                                       "/proc/devices", "/proc/modules",  "/proc/driver",
                                       "/proc/stat",    "/proc/version",  "/var/cache/fontconfig"};
    static const char *const used[] = {
        "/dev/dri",        "/dev/nvidiactl",   "/dev/nvidia-modeset",
        "/dev/nvidia-uvm", "/dev/nvidia-caps", "/dev/nvidia-uvm-tools",
        "/dev/kfd",        "/dev/udmabuf",     "/dev/zero",
        "/dev/shm"};
    static const char *const variables[] = {"VK_ICD_FILENAMES",    "VK_DRIVER_FILES",
                                            "VK_ADD_DRIVER_FILES", "VK_LAYER_PATH",
                                            "VK_ADD_LAYER_PATH",   "LD_LIBRARY_PATH"};
    char path[32];
    paths_add_libraries(p);
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
        paths_add(p, seen[i], SEE);
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        paths_add(p, used[i], USE | LANDLOCK_LIST);
    for (int i = 0; i < 16; i++) { // graphics processors of a machine
        snprintf(path, sizeof path, "/dev/nvidia%d", i);
        if (access(path, F_OK) == 0)
            paths_add_copy(p, path, "", USE);
    }
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        paths_add_variable(p, variables[i]);
    paths_add_caches(p);
}

// The files that parameters of routes name.
static void paths_add_options(struct paths *p, const struct conf_run *run)
{
    const struct stage *stage = stage_find(run->stage);
    for (size_t i = 0; stage && i < run->option_count; i++) {
        for (size_t k = 0; k < stage->param_count; k++) {
            if (stage->params[k].type == PARAM_PATH &&
                strcmp(stage->params[k].name, run->options[i].name) == 0 && *run->options[i].value)
                paths_add(p, run->options[i].value, LANDLOCK_READ);
        }
    }
}

static void paths_add_worker(struct paths *p, const struct conf *conf, const struct datadir *dir,
                             const char *desk)
{
    char cache[PATH_MAX];
    if (datadir_path(dir, "cache", cache, NULL))
        fs_make_folders(cache, NULL); // who opens the device says what is wrong with it
    paths_add_machine(p);
    paths_add_copy(p, dir->path, "series", LANDLOCK_READ);
    paths_add(p, desk, KEEP);
    paths_add_copy(p, dir->path, "cache", KEEP);
    if (*conf->models_dir)
        paths_add(p, conf->models_dir, LANDLOCK_READ);
    for (size_t i = 0; i < conf->route_count; i++) {
        for (size_t k = 0; k < conf->routes[i].run_count; k++)
            paths_add_options(p, &conf->routes[i].runs[k]);
    }
}

static void paths_add_association(struct paths *p, const struct datadir *dir, const char *drafts)
{
    // Listed are these only to be synced: getdents() is no call of an association.
    const unsigned kept = LANDLOCK_LIST | LANDLOCK_MAKE | LANDLOCK_REMOVE | LANDLOCK_MOVE;
    paths_add_libraries(p);
    paths_add(p, drafts, KEEP & ~(unsigned)LANDLOCK_FOLDERS);
    paths_add_copy(p, dir->path, "series", kept);
    paths_add_copy(p, dir->path, "quarantine", kept);
}

static void paths_add_sender(struct paths *p, const struct datadir *dir)
{
    static const char *const names[] = {
        "/etc/hosts",           "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf",
        "/etc/services",        "/etc/protocols",   "/etc/gai.conf",      "/etc/localtime",
        "/run/systemd/resolve", "/var/lib/misc",    "/run/nscd"};
    paths_add_libraries(p);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        paths_add(p, names[i], SEE);
    if (dir) // an asker needs none
        paths_add_copy(p, dir->path, "outbox", LANDLOCK_READ);
}

static bool path_is_below(const char *path, const char *folder)
{
    const size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

#define CLOSED 3 // to a herald

static bool path_is_closed(const char *path, const char *const closed[CLOSED])
{
    bool is = false;
    for (size_t i = 0; i < CLOSED; i++)
        is = is || strcmp(path, closed[i]) == 0;
    return is;
}

static bool path_leads_to(const char *path, const char *const closed[CLOSED])
{
    bool leads = false;
    for (size_t i = 0; i < CLOSED; i++)
        leads = leads || path_is_below(closed[i], path);
    return leads;
}

// All that is in folder, but for what is at, above or below the closed ones: above them its other
// entries.
static void paths_add_but(struct paths *p, const char *folder, const char *const closed[CLOSED])
{
    DIR *dir = opendir(*folder ? folder : "/");
    char path[PATH_MAX];
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path ||
            path_is_closed(path, closed))
            continue;
        if (path_leads_to(path, closed))
            paths_add_but(p, path, closed);
        else
            paths_add_copy(p, path, "", KEEP | LANDLOCK_RUN);
    }
    if (dir)
        closedir(dir);
}

// What there is no room for is closed to it, too.
static void paths_add_herald(struct paths *p, const struct conf *conf, const struct datadir *dir)
{
    char key[PATH_MAX], audit[PATH_MAX];
    const char *const closed[CLOSED] = {
        dir->path, *conf->tls_key && realpath(conf->tls_key, key) ? key : dir->path,
        *conf->audit_file && realpath(conf->audit_file, audit) ? audit : dir->path};
    paths_add_but(p, "", closed);
    p->whole = true;
}

static bool limit(int resource, uint64_t most, const char *what, struct err *err)
{
    struct rlimit now;
    if (getrlimit(resource, &now) != 0)
        return err_errno(err, errno, "limit of %s", what);
    if (now.rlim_max > most)
        now.rlim_max = most;
    if (now.rlim_cur > now.rlim_max)
        now.rlim_cur = now.rlim_max;
    return setrlimit(resource, &now) == 0 || err_errno(err, errno, "limit of %s", what);
}

static bool set_limits(enum cage_role role, const struct conf *conf, struct err *err)
{
    uint64_t file_mib = (uint64_t)conf->max_object_mib + FILE_MORE_MIB;
    if (file_mib < FILE_MIN_MIB)
        file_mib = FILE_MIN_MIB;
    const bool small = role == CAGE_ASSOCIATION || role == CAGE_GATE;
    const uint64_t memory_mib = small ? ASSOCIATION_MIB : SENDER_MIB;
    signal(SIGXFSZ, SIG_IGN); // a write beyond the limit is an error like that of a full disk
    if (role == CAGE_WORKER || role == CAGE_SCOUT || role == CAGE_HERALD)
        return true;
    return limit(RLIMIT_FSIZE, file_mib << 20, "the size of files", err) &&
           limit(RLIMIT_NPROC, 0, "processes", err) &&
           (!small || limit(RLIMIT_NOFILE, FILES_ASSOCIATION, "descriptors", err)) &&
           (SANITIZED || limit(RLIMIT_AS, memory_mib << 20, "memory", err));
}

static void offer_to_the_killer(enum cage_role role)
{
    const char *score = role == CAGE_WORKER ? OOM_WORKER : OOM_OTHERS;
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    const ssize_t written = write(fd, score, strlen(score));
    (void)written; // without it the kernel judges by size alone
    close(fd);
}

static enum calls calls_of(enum cage_role role)
{
    switch (role) {
    case CAGE_ASSOCIATION:
    case CAGE_GATE:
        return CALLS_ASSOCIATION;
    case CAGE_SENDER:
        return CALLS_SENDER;
    case CAGE_WORKER:
    case CAGE_SCOUT:
    case CAGE_HERALD: // has none
        break;
    }
    return CALLS_WORKER;
}

static bool is_off(const struct conf *conf)
{
    return strcmp(conf->cage, "off") == 0;
}

static bool enter_paths(enum cage_role role, const struct conf *conf, const struct datadir *dir,
                        const char *own, struct err *err)
{
    struct paths p = {.whole = true};
    if (landlock_version() < LANDLOCK_OLDEST)
        return true;
    if (role == CAGE_ASSOCIATION)
        paths_add_association(&p, dir, own);
    else if (role == CAGE_WORKER)
        paths_add_worker(&p, conf, dir, own);
    else if (role == CAGE_SCOUT)
        paths_add_machine(&p);
    else if (role == CAGE_GATE)
        paths_add_libraries(&p);
    else if (role == CAGE_HERALD)
        paths_add_herald(&p, conf, dir);
    else
        paths_add_sender(&p, dir);
    const bool ok =
        (p.whole || err_set(err, ERR_INTERNAL, "more paths than a cage has room for")) &&
        landlock_enter(p.list, p.count, role != CAGE_SENDER && role != CAGE_HERALD, err);
    paths_finish(&p);
    return ok;
}

bool cage_enter(enum cage_role role, const struct conf *conf, const struct datadir *dir,
                const char *own, struct err *err)
{
    offer_to_the_killer(role);
    if (is_off(conf))
        return true;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(err, errno, "no_new_privs");
    return set_limits(role, conf, err) && enter_paths(role, conf, dir, own, err) &&
           (role == CAGE_HERALD || !calls_work() || calls_enter(calls_of(role), err));
}

bool cage_check(const struct conf *conf, struct err *err)
{
    const int landlock = landlock_version();
    const bool calls = calls_work();
    const bool whole = landlock >= LANDLOCK_OLDEST && calls;
    if (is_off(conf)) {
        log_warn("cage: off: processes that handle what peers send keep all rights of the node");
        return true;
    }
    if (!whole && strcmp(conf->cage, "required") == 0)
        return err_set(err, ERR_CONFIG,
                       "node.cage is required, and this kernel has %s: Linux 5.19 has both",
                       calls ? "no Landlock that moves files" : "no seccomp");
    if (!whole)
        log_warn("cage: landlock=%d of %d seccomp=%s: the kernel does not hold all of it", landlock,
                 LANDLOCK_OLDEST, calls ? "yes" : "no");
    else
        log_info("cage: landlock=%d seccomp=yes", landlock);
    return !calls || calls_prepare(CALLS_ASSOCIATION, err);
}
