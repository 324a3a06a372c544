// The tests' floor: a main() for CUnit suites, skips, scratch folders, shared data.
#pragma once
#include <CUnit/CUnit.h>
#include <stdbool.h>

struct check_case {
    const char *sentence; // volume_from_slices_reports_missing_slice
    void (*run)(void);
};

// Runs count cases as one suite. Returns the exit status for main(): 0, or 1 when an assertion
// failed.
int check_main(const char *suite, const struct check_case *cases, size_t count);

// Prints "skipped: why" and ends the program with status 77.
_Noreturn void check_skip(const char *why);

// A new empty folder, removed with all it holds when the program ends.
const char *check_scratch(void);

// Absolute path of a file below the shared test data, or NULL where it is absent (a message says
// so). The folder is $ANODE_TEST_DATA or ../shared/data beside the checkout. Valid until the next
// call.
const char *check_data(const char *path);
