// Preloaded into a node (LD_PRELOAD): when an association gives a received file its name, when a
// worker writes its first result, when a sender looks for its destination, when a gate has passed
// on what a peer sent, when a clerk has written a message into its file, when a herald is about to
// become the command of the site, this tries from inside that process what it must not be able to
// do, once, and says on standard error what came of it: "escape worker socket 1", the number being
// errno, 0 for success. ESCAPE names the data folder, where the test has put files that nobody of
// the node knows, ESCAPE_KEY the private key, ESCAPE_TRAIL the audit trail. Each try does no harm
// where it works.
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUCH ((size_t)4 << 30) // bytes

static char at[4096];    // a path below the data folder
static const char *role; // of this process

static const char *below(const char *name)
{
    const char *folder = getenv("ESCAPE");
    snprintf(at, sizeof at, "%s/%s", folder ? folder : "", name);
    return at;
}

static int outcome(bool ok)
{
    return ok ? 0 : errno ? errno : -1;
}

static int opens(const char *path, int flags)
{
    const int fd = open(path, flags | O_CLOEXEC, 0600);
    const int result = outcome(fd >= 0);
    if (fd >= 0)
        close(fd);
    return result;
}

static int try_state(void)
{
    return opens(below("state.db"), O_RDONLY);
}

static int try_state_write(void)
{
    return opens(below("state.db"), O_WRONLY);
}

static int try_shadow(void)
{
    return opens("/etc/shadow", O_RDONLY);
}

static int try_users(void)
{
    return opens("/etc/passwd", O_RDONLY);
}

static int try_draft(void)
{
    return opens(below("drafts/other/draft"), O_RDONLY);
}

static int try_draft_make(void)
{
    char name[64];
    snprintf(name, sizeof name, "drafts/other/%s", role);
    return opens(below(name), O_WRONLY | O_CREAT);
}

static int try_instance(void)
{
    return opens(below("series/00/other.dcm"), O_RDONLY);
}

static int try_instance_write(void)
{
    return opens(below("series/00/other.dcm"), O_WRONLY);
}

static int try_remove(void)
{
    char name[64];
    snprintf(name, sizeof name, "victim-%s", role);
    return outcome(unlink(below(name)) == 0);
}

static int try_result(void)
{
    return opens(below("outbox/99/1/other.dcm"), O_RDONLY);
}

static int try_result_write(void)
{
    return opens(below("outbox/99/1/other.dcm"), O_WRONLY);
}

static int try_key(void)
{
    const char *key = getenv("ESCAPE_KEY");
    return opens(key ? key : "", O_RDONLY);
}

static int try_trail(void)
{
    const char *trail = getenv("ESCAPE_TRAIL");
    return opens(trail ? trail : "", O_WRONLY);
}

static int try_list(void)
{
    DIR *dir = opendir(below("series/00"));
    errno = dir ? 0 : errno;
    const bool ok = dir && readdir(dir);
    const int result = outcome(ok);
    if (dir)
        closedir(dir);
    return result;
}

static int try_socket(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int result = outcome(fd >= 0);
    if (fd >= 0)
        close(fd);
    return result;
}

static int try_local_socket(void)
{
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    const int result = outcome(fd >= 0);
    if (fd >= 0)
        close(fd);
    return result;
}

static int try_fork(void)
{
    const pid_t child = fork();
    if (child == 0)
        _exit(0);
    const int result = outcome(child > 0);
    if (child > 0)
        waitpid(child, NULL, 0);
    return result;
}

// A program that is not there: what the kernel would have said of one that is.
static int try_shell(void)
{
    execl("/nowhere/sh", "sh", (char *)NULL);
    return errno == ENOENT ? 0 : errno;
}

static int try_ptrace(void)
{
    errno = 0;
    ptrace(PTRACE_PEEKDATA, getppid(), NULL, NULL); // ESRCH: we do not trace it
    return errno == ESRCH ? 0 : errno;
}

static int try_memory_of_parent(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)(uintptr_t)&at, 1}; // the same address there
    return outcome(process_vm_readv(getppid(), &here, 1, &there, 1, 0) == 1);
}

static int try_kill(void)
{
    return outcome(kill(getppid(), 0) == 0);
}

static int try_setuid(void)
{
    return outcome(setuid(getuid()) == 0);
}

static int try_memory(void)
{
    void *map = mmap(NULL, MUCH, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return errno;
    munmap(map, MUCH);
    return 0;
}

static const struct escape {
    const char *what;
    int (*try)(void);
} escapes[] = {
    {"state", try_state},
    {"state_write", try_state_write},
    {"shadow", try_shadow},
    {"users", try_users},
    {"draft", try_draft},
    {"draft_make", try_draft_make},
    {"instance", try_instance},
    {"instance_write", try_instance_write},
    {"remove", try_remove},
    {"result", try_result},
    {"result_write", try_result_write},
    {"key", try_key},
    {"trail", try_trail},
    {"list", try_list},
    {"socket", try_socket},
    {"local_socket", try_local_socket},
    {"fork", try_fork},
    {"shell", try_shell},
    {"ptrace", try_ptrace},
    {"memory_of_parent", try_memory_of_parent},
    {"kill", try_kill},
    {"setuid", try_setuid},
    {"memory", try_memory},
};

static void escape(const char *what)
{
    static pid_t done;
    char line[128];
    if (done == getpid() || !getenv("ESCAPE"))
        return;
    done = getpid();
    role = what;
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        errno = 0;
        const int n = snprintf(line, sizeof line, "escape %s %s %d\n", role, escapes[i].what,
                               escapes[i].try());
        const ssize_t written = write(STDERR_FILENO, line, (size_t)n);
        (void)written;
    }
}

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *) =
        (int (*)(const char *, const char *))(uintptr_t)dlsym(RTLD_NEXT, "rename");
    const int result = next(from, to);
    const int number = errno;
    if (strstr(from, "/drafts/"))
        escape("association");
    else if (strstr(to, "results.json"))
        escape("worker");
    errno = number;
    return result;
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int (*next)(int, const struct sockaddr *, socklen_t) =
        (int (*)(int, const struct sockaddr *, socklen_t))(uintptr_t)dlsym(RTLD_NEXT, "connect");
    if (address->sa_family == AF_INET)
        escape("sender");
    return next(fd, address, size);
}

// Of streams only a gate makes one.
static pid_t gate;

int socketpair(int domain, int type, int protocol, int ends[2])
{
    int (*next)(int, int, int, int[2]) =
        (int (*)(int, int, int, int[2]))(uintptr_t)dlsym(RTLD_NEXT, "socketpair");
    if ((type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) == SOCK_STREAM)
        gate = getpid();
    return next(domain, type, protocol, ends);
}

int shutdown(int fd, int how)
{
    int (*next)(int, int) = (int (*)(int, int))(uintptr_t)dlsym(RTLD_NEXT, "shutdown");
    if (gate == getpid())
        escape("gate");
    return next(fd, how);
}

// Nobody else appends to what it syncs. The first message comes before the test's files are there.
int fdatasync(int fd)
{
    int (*next)(int) = (int (*)(int))(uintptr_t)dlsym(RTLD_NEXT, "fdatasync");
    if (fcntl(fd, F_GETFL) & O_APPEND && access(below("victim-clerk"), F_OK) == 0)
        escape("clerk");
    return next(fd);
}

// A command of the site wants the default; standard error is still that of the node.
sighandler_t signal(int number, sighandler_t handler)
{
    sighandler_t (*next)(int, sighandler_t) =
        (sighandler_t(*)(int, sighandler_t))(uintptr_t)dlsym(RTLD_NEXT, "signal");
    if (number == SIGPIPE && handler == SIG_DFL)
        escape("herald");
    return next(number, handler);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
