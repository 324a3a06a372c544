#include "tests/check.h"
#include <CUnit/Basic.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"

static char scratch[PATH_MAX];
static pid_t scratch_owner;

static void scratch_remove(void)
{
    if (scratch[0] && getpid() == scratch_owner)
        fs_remove_tree(scratch, NULL);
}

const char *check_scratch(void)
{
    if (!scratch[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(scratch, sizeof scratch, "%s/anode-test-XXXXXX", base ? base : "/tmp");
        if (!mkdtemp(scratch)) {
            perror("mkdtemp");
            exit(2);
        }
        scratch_owner = getpid();
        atexit(scratch_remove);
    }
    return scratch;
}

int check_peer(const char *script, const char *format, ...)
{
    char command[3 * PATH_MAX];
    // A sanitizer's runtime that is preloaded is ours, not the script's.
    int n = snprintf(command, sizeof command,
                     "env -u LD_PRELOAD PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 %s ", script);
    va_list ap;
    va_start(ap, format);
    vsnprintf(command + n, sizeof command - (size_t)n, format, ap);
    va_end(ap);
    fflush(stdout);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *check_data(const char *path)
{
    static char full[PATH_MAX];
    const char *base = getenv("ANODE_TEST_DATA");
    snprintf(full, sizeof full, "%s/%s", base ? base : "../shared/data", path);
    if (access(full, R_OK) == 0)
        return full;
    fprintf(stderr, "test data %s is absent\n", full);
    return NULL;
}

void check_skip(const char *why)
{
    printf("skipped: %s\n", why);
    exit(77);
}

// Whether list, names with commas between them, holds name.
static bool listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at++) {
        bool starts = at == list || at[-1] == ',';
        if (starts && (at[length] == ',' || !at[length]))
            return true;
    }
    return false;
}

static size_t list_length(const char *list)
{
    size_t count = 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

int check_main(const char *suite, const struct check_case *cases, size_t count)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    CU_pSuite s = CU_add_suite(suite, NULL, NULL);
    const char *only = getenv("ANODE_TEST_CASES");
    size_t chosen = 0;
    for (size_t i = 0; s && i < count; i++) {
        if (only && !listed(only, cases[i].sentence))
            continue;
        chosen++;
        if (!CU_add_test(s, cases[i].sentence, cases[i].run))
            s = NULL;
    }
    if (only && chosen != list_length(only)) {
        fprintf(stderr, "%s: a case of ANODE_TEST_CASES=%s does not exist\n", suite, only);
        return 2;
    }
    if (!s)
        return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_ErrorCode run = CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures();
    CU_cleanup_registry();
    return run != CUE_SUCCESS || failed ? 1 : 0;
}
