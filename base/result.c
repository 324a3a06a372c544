#include "base/result.h"
#include <stddef.h>
#include <string.h>

static const struct {
    enum result_kind kind;
    const char *name;
} result_kinds[] = {
    {RESULT_SR, "sr"},     {RESULT_GSPS, "gsps"}, {RESULT_SC, "sc"},   {RESULT_SEG, "seg"},
    {RESULT_PMAP, "pmap"}, {RESULT_PDF, "pdf"},   {RESULT_MPR, "mpr"},
};

const char *result_kind_name(enum result_kind kind)
{
    for (size_t i = 0; i < sizeof result_kinds / sizeof *result_kinds; i++) {
        if (result_kinds[i].kind == kind)
            return result_kinds[i].name;
    }
    return NULL;
}

bool result_kind_parse(const char *name, enum result_kind *kind)
{
    for (size_t i = 0; i < sizeof result_kinds / sizeof *result_kinds; i++) {
        if (strcmp(result_kinds[i].name, name) == 0) {
            *kind = result_kinds[i].kind;
            return true;
        }
    }
    return false;
}
