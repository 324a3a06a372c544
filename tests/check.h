// The tests' floor: a main() for CUnit suites, skips, scratch folders, shared data.
#pragma once
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdlib.h>

#ifdef __clang_analyzer__ // It cannot see that a fatal assertion does not return.
#undef CU_ASSERT_FATAL
#undef CU_ASSERT_TRUE_FATAL
#undef CU_ASSERT_EQUAL_FATAL
#undef CU_ASSERT_PTR_NOT_NULL_FATAL
#define CU_ASSERT_FATAL(value)          ((value) ? (void)0 : abort())
#define CU_ASSERT_TRUE_FATAL(value)     ((value) ? (void)0 : abort())
#define CU_ASSERT_EQUAL_FATAL(a, b)     ((a) == (b) ? (void)0 : abort())
#define CU_ASSERT_PTR_NOT_NULL_FATAL(p) ((p) != NULL ? (void)0 : abort())
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct check_case {
    const char *sentence; // volume_from_slices_reports_missing_slice
    void (*run)(void);
};

// Runs count cases as one suite; of them only those that ANODE_TEST_CASES lists (sentences with
// commas between them), where it is set. Returns the exit status for main(): 0, 1 when an assertion
// failed, 2 when it lists a case that does not exist.
int check_main(const char *suite, const struct check_case *cases, size_t count);

// Prints "skipped: why" and ends the program with status 77.
void check_skip(const char *why) __attribute__((noreturn));

// A new empty folder, removed with all it holds when the program ends.
const char *check_scratch(void);

// Runs a script of another toolkit in Python, with arguments quoted as for the shell, in one line.
// Its exit status; -1: a signal ended it. All run under one server, see tests/peer_server.py.
int check_peer(const char *script, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Absolute path of a file below the shared test data, or NULL where it is absent (a message says
// so). The folder is $ANODE_TEST_DATA or ../shared/data beside the checkout. Valid until the next
// call.
const char *check_data(const char *path);

#ifdef __cplusplus
}
#endif
