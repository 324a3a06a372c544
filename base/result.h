// The kinds of result object an analysis can give. Thread-safety: pure.
#pragma once
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum result_kind { // bits
    RESULT_SR = 1,
    RESULT_GSPS = 2,
    RESULT_SC = 4,
    RESULT_SEG = 8,
    RESULT_PMAP = 16,
    RESULT_PDF = 32,
    RESULT_MPR = 64,
};
const char *result_kind_name(enum result_kind kind); // "sr"; NULL: none of them
bool result_kind_parse(const char *name, enum result_kind *kind);

#ifdef __cplusplus
}
#endif
