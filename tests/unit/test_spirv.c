// compute/gpu/spirv.h: shaders as the build makes them are taken; damaged ones never do harm.
#include "compute/gpu/spirv.h"
#include <stdlib.h>
#include <string.h>
#include "tests/check.h"
#include "tests/shaders/boxmean/shaders.h"
#include "tests/shaders/pipeline/shaders.h"

static struct err err;

static const struct kernel mean = {.shader = &shader_boxmean_mean,
                                   .group = {8, 8, 1},
                                   .push_bytes = 52,
                                   .bindings = 3,
                                   .access = {KERNEL_TEXELS, KERNEL_IN, KERNEL_OUT}};

static void shaders_that_fit_their_kernel_are_taken(void)
{
    struct kernel k = mean;
    CU_ASSERT_TRUE(spirv_check(&k, &err));
    k.push_bytes = 64; // more than the shader reads
    CU_ASSERT_TRUE(spirv_check(&k, &err));
    k.bindings = 5;
    CU_ASSERT_TRUE(spirv_check(&k, &err));
}

static void what_a_kernel_does_not_declare_is_named(void)
{
    struct kernel k = mean;
    k.push_bytes = 48;
    CU_ASSERT_FALSE(spirv_check(&k, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "boxmean/mean has 52 bytes of push constants"));
    k = mean;
    k.bindings = 2;
    CU_ASSERT_FALSE(spirv_check(&k, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "binding 2"));
    k = mean;
    k.access[0] = KERNEL_IN;
    CU_ASSERT_FALSE(spirv_check(&k, &err));
    CU_ASSERT_EQUAL(err.code, ERR_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "a texel buffer"));
}

// Bits, words and ends at random: an answer each time, and a sanitizer has nothing to say.
static void damaged_shaders_do_no_harm(void)
{
    const size_t size = shader_boxmean_mean.size;
    uint32_t seed = 99, refused = 0;
    uint32_t *words = malloc(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(words);
    for (int round = 0; round < 20000; round++) {
        memcpy(words, shader_boxmean_mean.words, size);
        for (uint32_t n = 0; n <= (uint32_t)round % 4; n++) {
            seed = seed * 1664525u + 1013904223u;
            uint32_t at = (seed >> 8) % (uint32_t)(size / 4);
            seed = seed * 1664525u + 1013904223u;
            words[at] = seed >> 31 ? words[at] ^ 1u << (seed >> 16 & 31) : seed;
        }
        seed = seed * 1664525u + 1013904223u;
        size_t end = round % 3 ? size : (seed >> 8) % size;
        // A copy of its own size, so that what lies beyond the end is out of bounds.
        uint32_t *cut = malloc(end + 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(cut);
        memcpy(cut, words, end);
        struct shader shader = {"damaged", cut, end};
        struct kernel k = mean;
        k.shader = &shader;
        refused += !spirv_check(&k, &err);
        free(cut);
    }
    CU_ASSERT(refused > 5000);
    free(words);
}

int main(void)
{
    static const struct check_case cases[] = {
        {"shaders_that_fit_their_kernel_are_taken", shaders_that_fit_their_kernel_are_taken},
        {"what_a_kernel_does_not_declare_is_named", what_a_kernel_does_not_declare_is_named},
        {"damaged_shaders_do_no_harm", damaged_shaders_do_no_harm},
    };
    return check_main("unit/spirv", cases, sizeof cases / sizeof *cases);
}
