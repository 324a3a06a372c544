#include "tests/check.h"
#include <CUnit/Basic.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

// The server that runs scripts of other toolkits, from the first of them until the program ends.
static FILE *peer_requests, *peer_answers;

static void peer_start(void)
{
    int requests[2], answers[2];
    if (pipe2(requests, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0) {
        perror("pipe2");
        exit(2);
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", answers[1]);
        // A sanitizer's runtime that is preloaded is ours, not the script's.
        if (dup2(requests[0], STDIN_FILENO) == STDIN_FILENO && fcntl(answers[1], F_SETFD, 0) == 0)
            execl("/usr/bin/env", "env", "-u", "LD_PRELOAD", "PYTHONDONTWRITEBYTECODE=1",
                  "/usr/bin/python3", "tests/peer_server.py", number, NULL);
        perror("peer_server.py");
        _exit(2);
    }
    close(requests[0]);
    close(answers[1]);
    peer_requests = fdopen(requests[1], "w");
    peer_answers = fdopen(answers[0], "r");
    if (pid < 0 || !peer_requests || !peer_answers) {
        perror("peer_server.py");
        exit(2);
    }
}

int check_peer(const char *script, const char *format, ...)
{
    if (!peer_requests)
        peer_start();
    fprintf(peer_requests, "%s ", script);
    va_list ap;
    va_start(ap, format);
    vfprintf(peer_requests, format, ap);
    va_end(ap);
    fputc('\n', peer_requests);
    fflush(peer_requests);
    fflush(stdout);
    char answer[16];
    if (!fgets(answer, sizeof answer, peer_answers)) {
        fprintf(stderr, "peer_server.py ended\n");
        exit(2);
    }
    return (int)strtol(answer, NULL, 10);
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
