/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/checked.h"

static void arena_pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    il_arena arena = {0};
    unsigned char *pieces[400];
    size_t sizes[400];
    unsigned seed = 7;
    for (int i = 0; i < 400; i++) {
        seed = seed * 1103515245u + 12345u;
        sizes[i] = i % 50 == 49 ? 300000 : seed / 65536u % 700;
        pieces[i] = il_arena_alloc(&arena, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(pieces[i][k], 0);
        }
        memset(pieces[i], i & 0xff, sizes[i]);
    }
    for (int i = 0; i < 400; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            assert_int_equal(pieces[i][k], i & 0xff);
        }
    }
    il_arena_free(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_null(arena.head);
}

static void arena_refuses_overflow(void **state)
{
    (void)state;
    il_arena arena = {0};
    assert_null(il_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(il_arena_alloc(&arena, SIZE_MAX - 3));
    assert_string_equal(il_arena_printf(&arena, "%s-%d", "block", 7), "block-7");
    assert_string_equal(il_arena_strndup(&arena, "abcdef", 3), "abc");
    il_arena_free(&arena);
}

static void buf_keeps_its_maximum_and_its_first_error(void **state)
{
    (void)state;
    il_buf buf;
    il_buf_init(&buf, 10);
    assert_string_equal(il_buf_text(&buf), "");
    assert_int_equal(il_buf_puts(&buf, "0123456789"), IL_OK);
    assert_int_equal(il_buf_puts(&buf, "x"), IL_E_RANGE);
    assert_int_equal(il_buf_puts(&buf, ""), IL_E_RANGE);
    assert_string_equal(il_buf_text(&buf), "0123456789");
    il_buf_consume(&buf, 4);
    assert_string_equal(il_buf_text(&buf), "456789");
    assert_int_equal(buf.status, IL_E_RANGE);
    il_buf_free(&buf);

    il_buf_init(&buf, 100000);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(il_buf_printf(&buf, "%d,", i % 10), IL_OK);
    }
    assert_int_equal(buf.len, 10000);
    assert_int_equal(buf.data[buf.len], '\0');
    il_buf_free(&buf);
    assert_int_equal(buf.max, 100000);
}

static void checked_arithmetic_says_no(void **state)
{
    (void)state;
    uint64_t x = 5;
    assert_false(il_mul_u64(UINT64_C(1) << 33, UINT64_C(1) << 31, &x));
    assert_false(il_add_u64(UINT64_MAX, 1, &x));
    assert_true(x == 5);
    assert_true(il_mul_u64(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &x));
    assert_true(x == UINT64_C(0xffffffff00000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(arena_refuses_overflow),
        cmocka_unit_test(buf_keeps_its_maximum_and_its_first_error),
        cmocka_unit_test(checked_arithmetic_says_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
