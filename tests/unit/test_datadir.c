// The data folder: whom it is open to, what is in it.
#include "node/proc/datadir.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/check.h"

static char root[512];

static const char *below(const char *name)
{
    static char path[700];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    CU_ASSERT_EQUAL_FATAL(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void folders_that_were_open_to_others_are_closed(void)
{
    static const char *const names[] = {"drafts", "series", "outbox", "quarantine"};
    struct datadir d;
    struct err err = {0};
    snprintf(root, sizeof root, "%s/made-before", check_scratch());
    CU_ASSERT_EQUAL_FATAL(mkdir(root, 0755), 0);
    CU_ASSERT_EQUAL_FATAL(chmod(root, 0755), 0); // whatever the umask is
    CU_ASSERT_EQUAL_FATAL(mkdir(below("outbox"), 0700), 0);
    CU_ASSERT_EQUAL_FATAL(chmod(below("outbox"), 0777), 0);
    CU_ASSERT_TRUE(datadir_open(&d, root, true, &err));
    CU_ASSERT_EQUAL(mode_of(root), 0700);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CU_ASSERT_EQUAL(mode_of(below(names[i])), 0700);
    CU_ASSERT_EQUAL(mode_of(below("series/7f")), 0700);
    datadir_close(&d);
}

static void a_folder_that_is_a_link_is_refused(void)
{
    struct datadir d;
    struct err err = {0};
    snprintf(root, sizeof root, "%s/linked", check_scratch());
    CU_ASSERT_EQUAL_FATAL(mkdir(root, 0700), 0);
    CU_ASSERT_EQUAL_FATAL(symlink("/tmp", below("drafts")), 0);
    CU_ASSERT_FALSE(datadir_open(&d, root, true, &err));
    CU_ASSERT_EQUAL(err.code, ERR_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "drafts is no folder"));
}

static void the_size_of_a_file_is_that_of_a_plain_file_only(void)
{
    struct datadir d;
    snprintf(root, sizeof root, "%s/sizes", check_scratch());
    CU_ASSERT_TRUE_FATAL(datadir_open(&d, root, true, NULL));
    CU_ASSERT_TRUE(fs_write_file(below("series/00/a.dcm"), "12345", 5, NULL));
    CU_ASSERT_EQUAL(symlink("a.dcm", below("series/00/b.dcm")), 0);
    CU_ASSERT_EQUAL(datadir_file_bytes(&d, "series/00/a.dcm"), 5);
    CU_ASSERT_EQUAL(datadir_file_bytes(&d, "series/00/b.dcm"), -1);
    CU_ASSERT_EQUAL(datadir_file_bytes(&d, "series/00"), -1);
    CU_ASSERT_EQUAL(datadir_file_bytes(&d, "series/00/none.dcm"), -1);
    datadir_close(&d);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"folders_that_were_open_to_others_are_closed",
         folders_that_were_open_to_others_are_closed},
        {"a_folder_that_is_a_link_is_refused", a_folder_that_is_a_link_is_refused},
        {"the_size_of_a_file_is_that_of_a_plain_file_only",
         the_size_of_a_file_is_that_of_a_plain_file_only},
    };
    return check_main("datadir", cases, sizeof cases / sizeof *cases);
}
