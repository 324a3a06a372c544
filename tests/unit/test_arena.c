#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/arena.h"
#include "tests/check.h"

static void pieces_are_zeroed_aligned_and_apart(void)
{
    struct arena *a = arena_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    static const size_t sizes[] = {0, 1, 7, 16, 100, 5000, 20000, 70000, 1, 200000, 3};
    unsigned char *pieces[200];
    size_t lengths[200];
    for (size_t i = 0; i < 200; i++) {
        lengths[i] = sizes[i % 11];
        pieces[i] = arena_alloc(a, lengths[i], 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(pieces[i]);
        CU_ASSERT_EQUAL((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < lengths[i]; k++) {
            if (pieces[i][k] != 0)
                CU_FAIL("a piece is not zeroed");
        }
        memset(pieces[i], (int)(i % 255 + 1), lengths[i]);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t k = 0; k < lengths[i]; k++) {
            if (pieces[i][k] != i % 255 + 1)
                CU_FAIL("pieces overlap");
        }
    }
    arena_destroy(a);
}

static void sizes_that_overflow_are_refused(void)
{
    struct arena *a = arena_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_PTR_NULL(arena_alloc(a, SIZE_MAX, 2));
    CU_ASSERT_PTR_NULL(arena_alloc(a, SIZE_MAX / 2 + 1, 2));
    CU_ASSERT_PTR_NULL(arena_alloc(a, SIZE_MAX, 1));
    CU_ASSERT_PTR_NULL(arena_alloc(a, SIZE_MAX - 4, 1));
    CU_ASSERT_PTR_NOT_NULL(arena_alloc(a, 1, 1)); // still usable
    arena_destroy(a);
    arena_destroy(NULL);
}

static void texts_are_copied_and_printed(void)
{
    struct arena *a = arena_create();
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    char text[] = "abc";
    char *copy = arena_strdup(a, text);
    text[0] = 'x';
    CU_ASSERT_STRING_EQUAL(copy, "abc");
    CU_ASSERT_PTR_NULL(arena_strdup(a, NULL));
    char *printed = arena_printf(a, "%0500d/%s", 7, copy);
    CU_ASSERT_PTR_NOT_NULL_FATAL(printed);
    CU_ASSERT_EQUAL(strlen(printed), 504);
    CU_ASSERT_STRING_EQUAL(printed + 499, "7/abc");
    arena_destroy(a);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"pieces_are_zeroed_aligned_and_apart", pieces_are_zeroed_aligned_and_apart},
        {"sizes_that_overflow_are_refused", sizes_that_overflow_are_refused},
        {"texts_are_copied_and_printed", texts_are_copied_and_printed},
    };
    return check_main("arena", cases, sizeof cases / sizeof cases[0]);
}
