/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "inferlaw/dtype.h"

/* Every half value converts to float and back; every midpoint between neighbours goes to the even
 * one. This covers normals, subnormals and the step to infinity without a second implementation. */
static void f16_round_trip_and_ties(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7c00u; h++) {
        float x = il_f16_to_f32((uint16_t)h);
        assert_int_equal(il_f16_from_f32(x), h);
        assert_int_equal(il_f16_from_f32(-x), h | 0x8000u);
        float next = h + 1 < 0x7c00u ? il_f16_to_f32((uint16_t)(h + 1)) : 65536.0f;
        float middle = (float)(((double)x + (double)next) / 2);
        assert_int_equal(il_f16_from_f32(middle), h & 1u ? h + 1 : h);
        assert_int_equal(il_f16_from_f32(nextafterf(middle, 0.0f)), h);
        assert_int_equal(il_f16_from_f32(nextafterf(middle, 1e9f)), h + 1);
    }
    assert_true(isnan(il_f16_to_f32(il_f16_from_f32(NAN))));
    assert_true(isinf(il_f16_to_f32(il_f16_from_f32(INFINITY))));
}

static void bf16_round_trip_and_ties(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 0x7f7fu; b++) {
        float x = il_bf16_to_f32((uint16_t)b);
        float next = il_bf16_to_f32((uint16_t)(b + 1));
        float middle = (float)(((double)x + (double)next) / 2);
        assert_int_equal(il_bf16_from_f32(x), b);
        assert_int_equal(il_bf16_from_f32(middle), b & 1u ? b + 1 : b);
        assert_int_equal(il_bf16_from_f32(nextafterf(middle, 0.0f)), b);
    }
    assert_true(isnan(il_bf16_to_f32(il_bf16_from_f32(NAN))));
    assert_int_equal(il_bf16_from_f32(3.4e38f), 0x7f80); /* rounds up to infinity */
}

static void names_parse_back(void **state)
{
    (void)state;
    for (int i = 0; i < IL_DTYPE_COUNT; i++) {
        il_dtype dtype = IL_DTYPE_COUNT;
        assert_int_equal(il_dtype_parse(il_dtype_name((il_dtype)i), &dtype), IL_OK);
        assert_int_equal(dtype, i);
        assert_int_equal(il_dtype_parse(il_dtype_safetensors_name((il_dtype)i), &dtype), IL_OK);
        assert_int_equal(dtype, i);
    }
    il_dtype dtype = IL_DTYPE_F16;
    assert_int_equal(il_dtype_parse("float32", &dtype), IL_E_INVALID);
    assert_int_equal(dtype, IL_DTYPE_F16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_round_trip_and_ties),
        cmocka_unit_test(bf16_round_trip_and_ties),
        cmocka_unit_test(names_parse_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
