#include "base/result.h"
#include <stddef.h>
#include "tests/check.h"

static void result_kinds_have_names_both_ways(void)
{
    enum result_kind kind = 0;
    for (int bit = 1; bit <= RESULT_MPR; bit <<= 1) {
        const char *name = result_kind_name((enum result_kind)bit);
        CU_ASSERT_PTR_NOT_NULL_FATAL(name);
        CU_ASSERT(result_kind_parse(name, &kind));
        CU_ASSERT_EQUAL(kind, (enum result_kind)bit);
    }
    CU_ASSERT_FALSE(result_kind_parse("dicom", &kind));
    CU_ASSERT_PTR_NULL(result_kind_name((enum result_kind)128));
}

int main(void)
{
    static const struct check_case cases[] = {
        {"result_kinds_have_names_both_ways", result_kinds_have_names_both_ways},
    };
    return check_main("result", cases, sizeof cases / sizeof *cases);
}
