#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>
#include "base/fs.h"
#include "tests/check.h"

// What was synced and renamed, in order; the functions below stand before those of the C library.
static struct {
    bool on;
    char text[2048];
} watched;

static void note_event(const char *what, const char *path)
{
    const char *name = strrchr(path, '/');
    size_t used = strlen(watched.text);
    if (watched.on)
        snprintf(watched.text + used, sizeof watched.text - used, "%s %s;", what,
                 name ? name + 1 : path);
}

static void watch_events(bool on)
{
    watched.on = on;
    if (on)
        watched.text[0] = 0;
}

int fsync(int fd)
{
    char link[48], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = 0;
    note_event("sync", path);
    return (int)syscall(SYS_fsync, fd);
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
int rename(const char *from, const char *to)
{
    note_event("rename", to);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

// A new folder below the scratch folder.
static const char *new_folder(void)
{
    static char path[256];
    static int n;
    snprintf(path, sizeof path, "%s/f%d", check_scratch(), n++);
    CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    return path;
}

static int count_entries(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    CU_ASSERT_PTR_NOT_NULL_FATAL(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2; // . and ..
}

static void published_drafts_are_whole_and_alone(void)
{
    const char *folder = new_folder();
    char path[512];
    snprintf(path, sizeof path, "%s/a.dcm", folder);
    struct fs_draft draft = {0};
    struct err err = {0};
    CU_ASSERT_TRUE_FATAL(fs_draft_open(&draft, folder, &err));
    CU_ASSERT_TRUE(fs_draft_write(&draft, "hello ", 6, &err));
    CU_ASSERT_TRUE(fs_draft_write(&draft, "world", 5, &err));
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0); // nobody sees it under its name yet
    struct stat st;
    CU_ASSERT_EQUAL(stat(draft.path, &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    CU_ASSERT_NOT_EQUAL(fcntl(draft.fd, F_GETFD) & FD_CLOEXEC, 0);
    CU_ASSERT_TRUE(fs_draft_publish(&draft, path, &err));
    fs_draft_finish(&draft);
    fs_draft_finish(&draft); // again is fine
    CU_ASSERT_EQUAL(count_entries(folder), 1);
    size_t len;
    char *text = fs_read_file(path, 100, &len, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(len, 11);
    CU_ASSERT_STRING_EQUAL(text, "hello world");
    free(text);
}

// A file is on stable media before it has its name, and the name before the caller hears of it.
static void drafts_are_synced_before_they_are_named(void)
{
    const char *folder = new_folder();
    char path[512], wanted[512];
    struct fs_draft draft = {0};
    snprintf(path, sizeof path, "%s/b.dcm", folder);
    CU_ASSERT_TRUE_FATAL(fs_draft_open(&draft, folder, NULL));
    snprintf(wanted, sizeof wanted, "sync %s;rename b.dcm;sync %s;", strrchr(draft.path, '/') + 1,
             strrchr(folder, '/') + 1);
    CU_ASSERT_TRUE(fs_draft_write(&draft, "x", 1, NULL));
    watch_events(true);
    CU_ASSERT_TRUE(fs_draft_publish(&draft, path, NULL));
    watch_events(false);
    CU_ASSERT_STRING_EQUAL(watched.text, wanted);
    fs_draft_finish(&draft);
}

static void unpublished_drafts_leave_nothing(void)
{
    const char *folder = new_folder();
    struct fs_draft a = {0}, b = {0}, never = {0};
    CU_ASSERT_TRUE_FATAL(fs_draft_open(&a, folder, NULL));
    CU_ASSERT_TRUE_FATAL(fs_draft_open(&b, folder, NULL));
    CU_ASSERT_STRING_NOT_EQUAL(a.path, b.path);
    CU_ASSERT_EQUAL(count_entries(folder), 2);
    fs_draft_finish(&a);
    fs_draft_finish(&b);
    fs_draft_finish(&never);
    CU_ASSERT_EQUAL(count_entries(folder), 0);
}

static void drafts_need_a_folder(void)
{
    struct fs_draft draft = {0};
    struct err err = {0};
    CU_ASSERT_FALSE(fs_draft_open(&draft, "/nonexistent/folder", &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    fs_draft_finish(&draft);
    CU_ASSERT_TRUE_FATAL(fs_draft_open(&draft, new_folder(), &err));
    CU_ASSERT_FALSE(fs_draft_publish(&draft, "/nonexistent/folder/a", &err));
    fs_draft_finish(&draft);
}

// /dev/full takes every write and answers that the device is full.
static void a_full_device_is_told_from_other_failures(void)
{
    struct err err = {0};
    struct fs_draft draft = {.open = true, .fd = open("/dev/full", O_WRONLY | O_CLOEXEC)};
    CU_ASSERT_TRUE_FATAL(draft.fd >= 0);
    CU_ASSERT_FALSE(fs_draft_write(&draft, "x", 1, &err));
    CU_ASSERT_EQUAL(err.code, ERR_FULL);
    fs_draft_finish(&draft);
}

// A size limit of the process makes write() short, then fail.
static void short_writes_are_errors(void)
{
    const char *folder = new_folder();
    pid_t child = fork();
    CU_ASSERT_TRUE_FATAL(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {1000, 1000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        char data[3000] = "";
        char path[512];
        snprintf(path, sizeof path, "%s/a", folder);
        struct err err = {0};
        bool ok = fs_write_file(path, data, sizeof data, &err);
        _exit(!ok && err.code == ERR_IO && access(path, F_OK) != 0 ? 0 : 1);
    }
    int status = -1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(count_entries(folder), 0);
}

// A real file system that fills up: nothing is left of what did not fit. Needs the right to mount.
static void a_full_file_system_leaves_nothing_behind(void)
{
    const char *folder = new_folder();
    char path[512];
    if (mount("tmpfs", folder, "tmpfs", 0, "size=64k") != 0) {
        printf("(not run: mount: %s) ", strerror(errno));
        return;
    }
    char *data = calloc(1, 256 * 1024);
    struct err err = {0};
    snprintf(path, sizeof path, "%s/large", folder);
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    CU_ASSERT_FALSE(fs_write_file(path, data, 256 * 1024, &err));
    CU_ASSERT_EQUAL(err.code, ERR_FULL);
    CU_ASSERT_EQUAL(count_entries(folder), 0);
    snprintf(path, sizeof path, "%s/small", folder);
    CU_ASSERT_TRUE(fs_write_file(path, data, 1024, &err));
    CU_ASSERT_EQUAL(count_entries(folder), 1);
    free(data);
    CU_ASSERT_EQUAL(umount(folder), 0);
}

static void folders_are_made_with_their_parents(void)
{
    const char *folder = new_folder();
    char path[512];
    struct err err = {0};
    struct stat st;
    snprintf(path, sizeof path, "%s/a/b/c", folder);
    CU_ASSERT_TRUE(fs_make_folders(path, &err));
    CU_ASSERT_TRUE(fs_make_folders(path, &err)); // existing is fine
    CU_ASSERT_TRUE(stat(path, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700);
    snprintf(path, sizeof path, "%s/file", folder);
    CU_ASSERT_TRUE(fs_write_file(path, "x", 1, &err));
    CU_ASSERT_FALSE(fs_make_folders(path, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    snprintf(path, sizeof path, "%s/file/below", folder);
    CU_ASSERT_FALSE(fs_make_folders(path, &err));
    CU_ASSERT_FALSE(fs_make_folders("", &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
}

// A name lives in its folder: of what is new, the parent is synced.
static void new_folders_are_synced_into_their_parents(void)
{
    const char *folder = new_folder();
    char path[512], wanted[512];
    const char *name = strrchr(folder, '/') + 1;
    snprintf(path, sizeof path, "%s/outbox", folder);
    CU_ASSERT_TRUE(fs_make_folders(path, NULL));
    snprintf(path, sizeof path, "%s/outbox/7/1", folder);
    watch_events(true);
    CU_ASSERT_TRUE(fs_make_folders(path, NULL));
    watch_events(false);
    CU_ASSERT_STRING_EQUAL(watched.text, "sync outbox;sync 7;");
    snprintf(path, sizeof path, "%s/other", folder);
    watch_events(true);
    CU_ASSERT_TRUE(fs_make_folders(path, NULL));
    CU_ASSERT_TRUE(fs_make_folders(path, NULL)); // what is there is not synced again
    watch_events(false);
    snprintf(wanted, sizeof wanted, "sync %s;", name);
    CU_ASSERT_STRING_EQUAL(watched.text, wanted);
}

static void trees_go_but_links_are_not_followed(void)
{
    char folder[256], kept[512], path[512], other[512];
    snprintf(folder, sizeof folder, "%s", new_folder());
    snprintf(kept, sizeof kept, "%s/kept", folder);
    snprintf(other, sizeof other, "%s/tree/a/b", folder);
    CU_ASSERT_TRUE(fs_make_folders(kept, NULL) && fs_make_folders(other, NULL));
    snprintf(path, sizeof path, "%s/kept/file", folder);
    CU_ASSERT_TRUE(fs_write_file(path, "x", 1, NULL));
    snprintf(other, sizeof other, "%s/tree/a/link", folder);
    CU_ASSERT_EQUAL(symlink(kept, other), 0);
    snprintf(other, sizeof other, "%s/tree", folder);
    CU_ASSERT_TRUE(fs_remove_tree(other, NULL));
    CU_ASSERT_NOT_EQUAL(access(other, F_OK), 0);
    CU_ASSERT_EQUAL(access(path, F_OK), 0);
    CU_ASSERT_TRUE(fs_remove_tree(other, NULL)); // absent is fine
    CU_ASSERT_TRUE(fs_remove_tree(path, NULL));  // a plain file
    CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

static void reads_are_limited(void)
{
    char path[512];
    size_t len = 99;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/file", new_folder());
    CU_ASSERT_TRUE(fs_write_file(path, "12345", 5, &err));
    char *text = fs_read_file(path, 5, &len, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(len, 5);
    CU_ASSERT_EQUAL(text[5], 0);
    free(text);
    CU_ASSERT_PTR_NULL(fs_read_file(path, 4, &len, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NULL(fs_read_file("/nonexistent", 4, &len, &err));
    CU_ASSERT_EQUAL(err.code, ERR_IO);
    CU_ASSERT_PTR_NULL(fs_read_file(check_scratch(), 100000, &len, &err)); // a folder
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    CU_ASSERT_PTR_NULL(fs_read_file("/dev/zero", 1000, &len, &err)); // never ends
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
}

static void joined_paths_fit_or_fail(void)
{
    char out[PATH_MAX], *longest = calloc(1, PATH_MAX + 1);
    struct err err = {0};
    CU_ASSERT_TRUE(fs_join(out, "/a", "b", &err));
    CU_ASSERT_STRING_EQUAL(out, "/a/b");
    CU_ASSERT_TRUE(fs_join(out, "/", "b", &err));
    CU_ASSERT_STRING_EQUAL(out, "/b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(longest);
    memset(longest, 'x', PATH_MAX - 3);
    CU_ASSERT_TRUE(fs_join(out, longest, "b", &err));
    longest[PATH_MAX - 3] = 'x';
    CU_ASSERT_FALSE(fs_join(out, longest, "b", &err));
    CU_ASSERT_EQUAL(err.code, ERR_INPUT);
    free(longest);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"published_drafts_are_whole_and_alone", published_drafts_are_whole_and_alone},
        {"drafts_are_synced_before_they_are_named", drafts_are_synced_before_they_are_named},
        {"unpublished_drafts_leave_nothing", unpublished_drafts_leave_nothing},
        {"drafts_need_a_folder", drafts_need_a_folder},
        {"a_full_device_is_told_from_other_failures", a_full_device_is_told_from_other_failures},
        {"short_writes_are_errors", short_writes_are_errors},
        {"a_full_file_system_leaves_nothing_behind", a_full_file_system_leaves_nothing_behind},
        {"folders_are_made_with_their_parents", folders_are_made_with_their_parents},
        {"new_folders_are_synced_into_their_parents", new_folders_are_synced_into_their_parents},
        {"trees_go_but_links_are_not_followed", trees_go_but_links_are_not_followed},
        {"reads_are_limited", reads_are_limited},
        {"joined_paths_fit_or_fail", joined_paths_fit_or_fail},
    };
    return check_main("fs", cases, sizeof cases / sizeof cases[0]);
}
