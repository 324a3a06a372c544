#include "node/proc/calls.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define FILTER_MAX 4096 // instructions that the kernel takes: BPF_MAXINSNS

// Names that an architecture does not have are left out.

static const char *const association_may[] = {
    // what is open
    "read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "close", "fcntl", "dup",
    "dup2", "dup3", "poll", "ppoll", "select", "pselect6",
    // files, below the paths of landlock.h
    "open", "openat", "stat", "lstat", "fstat", "newfstatat", "statx", "statfs", "fstatfs",
    "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "ftruncate",
    "fallocate", "fadvise64", "fsync", "fdatasync", "sync_file_range", "rename", "renameat",
    "renameat2", "unlink", "unlinkat",
    // the sockets that are there
    "recvfrom", "recvmsg", "sendto", "sendmsg", "shutdown", "getsockopt", "setsockopt",
    "getsockname", "getpeername",
    // memory
    "mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "futex", "membarrier",
    // time and signals of its own
    "clock_gettime", "clock_getres", "gettimeofday", "time", "nanosleep", "clock_nanosleep",
    "alarm", "setitimer", "getitimer", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "sigaltstack", "restart_syscall", "pause",
    // itself
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrusage",
    "getrlimit", "times", "uname", "sysinfo", "getrandom", "sched_yield", "sched_getaffinity",
    "rseq", "set_robust_list", "set_tid_address", "exit", "exit_group"};

static const char *const sanitizers_want[] = {
    "clone", "clone3", "wait4",     "ptrace", "prctl",  "getdents", "getdents64",      "tgkill",
    "tkill", "kill",   "prlimit64", "ioctl",  "socket", "pipe2",    "process_vm_readv"};

static const char *const nobody_may[] = {
    // other programs, other processes
    "execve", "execveat", "process_vm_readv", "process_vm_writev", "process_madvise",
    "process_mrelease", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kill", "tkill",
    "setpriority", "ioprio_set", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "kcmp", "migrate_pages",
    "move_pages",
    // more rights
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid",
    "setfsgid", "capset", "unshare", "setns", "chroot", "pivot_root", "mount", "umount2",
    "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "personality", "acct", "quotactl", "quotactl_fd", "swapon", "swapoff", "reboot", "sethostname",
    "setdomainname", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "init_module",
    "finit_module", "delete_module", "kexec_load", "kexec_file_load", "iopl", "ioperm",
    "modify_ldt", "syslog", "vhangup", "lookup_dcookie",
    // ways around a look at single calls, and parts of the kernel that nobody here needs
    "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup", "io_submit", "bpf",
    "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "vmsplice",
    "name_to_handle_at", "open_by_handle_at", "fanotify_init", "fanotify_mark", "inotify_init",
    "inotify_init1", "inotify_add_watch", "mq_open", "mq_unlink", "msgget", "semget",
    // names and rights of files that are no plain files of its own
    "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat", "chmod", "fchmod", "fchmodat",
    "chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr", "removexattr",
    "lremovexattr", "fremovexattr", "utime", "utimes", "futimesat"};

static const char *const no_process[] = {"fork", "vfork", "ptrace"};
static const char *const no_network[] = {"socket",  "socketpair", "bind",   "listen",
                                         "connect", "accept",     "accept4"};
static const char *const no_server[] = {"listen", "accept", "accept4"};

static struct sock_filter *filters[CALLS_SENDER + 1]; // made once, inherited
static unsigned short filter_sizes[CALLS_SENDER + 1];

struct names {
    const char *const *names;
    size_t count;
};
#define NAMES(list) ((struct names){list, sizeof(list) / sizeof *(list)})

static bool calls_add(scmp_filter_ctx filter, uint32_t action, struct names names)
{
    for (size_t i = 0; i < names.count; i++) {
        const int number = seccomp_syscall_resolve_name(names.names[i]);
        if (number >= 0 && seccomp_rule_add(filter, action, number, 0) != 0)
            return false;
    }
    return true;
}

static bool calls_allow(scmp_filter_ctx filter)
{
    static const unsigned long asked[] = {FIONREAD, FIONBIO, TCGETS};
    bool ok = calls_add(filter, SCMP_ACT_ALLOW, NAMES(association_may));
    for (size_t i = 0; ok && i < sizeof asked / sizeof *asked; i++)
        ok = SANITIZED || seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                           SCMP_A1_32(SCMP_CMP_EQ, asked[i])) == 0;
    return ok && (!SANITIZED || calls_add(filter, SCMP_ACT_ALLOW, NAMES(sanitizers_want)));
}

static bool calls_forbid(scmp_filter_ctx filter, struct names more)
{
    // Threads, but no processes. What clone3() is asked for stands in memory, where a filter cannot
    // look: glibc takes clone() where there is none.
    const scmp_datum_t self = (scmp_datum_t)getpid();
    return calls_add(filter, SCMP_ACT_ERRNO(EPERM), NAMES(nobody_may)) &&
           calls_add(filter, SCMP_ACT_ERRNO(EPERM), more) &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1,
                            SCMP_A0_32(SCMP_CMP_NE, self)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1,
                            SCMP_A0_32(SCMP_CMP_NE, 0)) == 0 &&
           (SANITIZED ||
            (calls_add(filter, SCMP_ACT_ERRNO(EPERM), NAMES(no_process)) &&
             seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
             seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) == 0));
}

static scmp_filter_ctx calls_make(enum calls role)
{
    const bool listed = role == CALLS_ASSOCIATION;
    const struct names more = role == CALLS_WORKER ? NAMES(no_network) : NAMES(no_server);
    scmp_filter_ctx filter = seccomp_init(listed ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
    if (filter && (listed ? calls_allow(filter) : calls_forbid(filter, more)))
        return filter;
    seccomp_release(filter);
    return NULL;
}

// libseccomp of Debian 12 gives the program to a file only.
static bool calls_export(scmp_filter_ctx filter, enum calls role)
{
    struct stat st;
    const int fd = memfd_create("calls", MFD_CLOEXEC);
    bool ok = fd >= 0 && seccomp_export_bpf(filter, fd) == 0 && fstat(fd, &st) == 0 &&
              (size_t)st.st_size <= FILTER_MAX * sizeof **filters;
    struct sock_filter *program = ok ? malloc((size_t)st.st_size) : NULL;
    ok = program && pread(fd, program, (size_t)st.st_size, 0) == st.st_size;
    if (fd >= 0)
        close(fd);
    if (!ok) {
        free(program);
        return false;
    }
    filters[role] = program;
    filter_sizes[role] = (unsigned short)((size_t)st.st_size / sizeof **filters);
    return true;
}

bool calls_prepare(enum calls role, struct err *err)
{
    if (filters[role])
        return true;
    scmp_filter_ctx filter = calls_make(role);
    const bool ok = filter && calls_export(filter, role);
    seccomp_release(filter);
    return ok || err_set(err, ERR_INTERNAL, "no seccomp filter can be made");
}

bool calls_enter(enum calls role, struct err *err)
{
    if (!calls_prepare(role, err))
        return false;
    const struct sock_fprog program = {.len = filter_sizes[role], .filter = filters[role]};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ||
           err_set(err, ERR_INTERNAL, "seccomp does not take hold: errno %d", errno);
}

bool calls_work(void)
{
    const uint32_t action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}
