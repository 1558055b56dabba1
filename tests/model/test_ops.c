/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The operations of a pass against the totals of the shape, over every shape of every suite.
 */
#include "check.h"

#include "model/ops.h"
#include "model/suite.h"

typedef void check_shape(const il_shape *shape);

static void each_shape(check_shape *check)
{
    il_arena arena = {0};
    il_error err = {0};
    const char **names;
    size_t n_names, n_shapes = 0;
    check_ok(il_suite_list(&arena, &names, &n_names, &err), &err);
    for (size_t i = 0; i < n_names; i++) {
        il_suite suite;
        check_ok(il_suite_load(names[i], &arena, &suite, &err), &err);
        for (size_t k = 0; k < suite.n_shapes; k++, n_shapes++) {
            check(&suite.shapes[k]);
        }
    }
    assert_true(n_shapes > 60);
    il_arena_free(&arena);
}

static void sum_of(const il_shape *shape, const il_pass *pass, double *bytes, double *flops)
{
    il_error err = {0};
    il_op *ops;
    size_t n;
    check_ok(il_shape_ops(shape, pass, &ops, &n, &err), &err);
    *bytes = *flops = 0;
    for (size_t i = 0; i < n; i++) {
        *bytes += ops[i].weight_bytes + ops[i].kv_bytes;
        *flops += ops[i].flops;
    }
    free(ops);
}

/* Contexts around the windows of the suites. */
static void check_totals(const il_shape *shape)
{
    static const il_pass passes[] = {
        {1, 1, 0, 1, IL_DTYPE_BF16, IL_DTYPE_F32},   {3, 1, 10, 1, IL_DTYPE_BF16, IL_DTYPE_F32},
        {1, 1, 127, 1, IL_DTYPE_F32, IL_DTYPE_BF16}, {2, 1, 511, 1, IL_DTYPE_F32, IL_DTYPE_F32},
        {1, 1, 5000, 1, IL_DTYPE_F16, IL_DTYPE_F16}, {1, 17, 0, 17, IL_DTYPE_F32, IL_DTYPE_F32},
        {4, 600, 0, 1, IL_DTYPE_F32, IL_DTYPE_F32},  {1, 600, 1000, 1, IL_DTYPE_F32, IL_DTYPE_F32},
    };
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        const il_pass *p = &passes[i];
        double bytes, flops;
        sum_of(shape, p, &bytes, &flops);
        check_near(flops, il_shape_flops(shape, p->batch, p->n_tok, p->context_tok, p->n_logits),
                   1e-12);
        if (p->n_tok == 1) {
            uint64_t total =
                il_shape_bytes_per_step(shape, p->dtype, p->kv_dtype, p->batch, p->context_tok);
            check_near(bytes, (double)total, 1e-12);
        }
    }
}

static void operations_sum_to_the_totals(void **state)
{
    (void)state;
    each_shape(check_totals);
}

/* GPT-2 small by hand: one token, batch 2, ten positions before it, fp32. */
static void one_layer_by_hand(void **state)
{
    (void)state;
    il_shape s;
    il_error err = {0};
    check_ok(il_shape_from_flags("family=gpt2,n_layer=2,d_model=8,n_head=2,vocab_size=50,"
                                 "n_positions=32",
                                 &s, &err),
             &err);
    const il_pass pass = {2, 1, 10, 1, IL_DTYPE_F32, IL_DTYPE_F32};
    static const struct {
        il_op_kind kind;
        int layer;
        double weights, kv, flops;
    } expected[] = {
        {IL_OP_EMBEDDING, -1, 2 * 2 * 8, 0, 0},
        {IL_OP_NORM, 0, 4 * 8, 0, 0},
        {IL_OP_QKV, 0, 24 * 8 + 24, 0, 2 * 2 * 24 * 8},
        {IL_OP_ATTENTION, 0, 0, 2 * 11 * 2 * 8, 2 * 4 * 8 * 11},
        {IL_OP_ATTN_OUT, 0, 8 * 8 + 8, 0, 2 * 2 * 8 * 8},
        {IL_OP_FFN_UP, 0, 32 * 8 + 32, 0, 2 * 2 * 32 * 8},
        {IL_OP_FFN_DOWN, 0, 32 * 8 + 8, 0, 2 * 2 * 32 * 8},
        {IL_OP_NORM, 1, 4 * 8, 0, 0},
    };
    il_op *ops;
    size_t n;
    check_ok(il_shape_ops(&s, &pass, &ops, &n, &err), &err);
    assert_int_equal(n, 1 + 2 * 6 + 2);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_string_equal(il_op_name(ops[i].kind), il_op_name(expected[i].kind));
        assert_int_equal(ops[i].layer, expected[i].layer);
        check_near(ops[i].weight_bytes, 4 * expected[i].weights, 0);
        check_near(ops[i].kv_bytes, 4 * expected[i].kv, 0);
        check_near(ops[i].flops, expected[i].flops, 0);
    }
    assert_int_equal(ops[n - 1].kind, IL_OP_HEAD);
    check_near(ops[n - 1].weight_bytes, 4 * 50 * 8, 0);
    check_near(ops[n - 1].flops, 2 * 2 * 50 * 8, 0);
    free(ops);
}

/* Of 4 experts 2 are used; the router sees all of them; a window caps the cache that is read. */
static void experts_and_windows(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_suite suite;
    il_error err = {0};
    check_ok(il_suite_select("gpt-oss", &arena, &suite, &err), &err);
    const il_shape *s = &suite.shapes[0];
    const il_pass pass = {1, 1, 4000, 1, IL_DTYPE_BF16, IL_DTYPE_BF16};
    il_op *ops;
    size_t n;
    check_ok(il_shape_ops(s, &pass, &ops, &n, &err), &err);
    double kv[2] = {0, 0}, up = 0, router = 0;
    for (size_t i = 0; i < n; i++) {
        if (ops[i].kind == IL_OP_ATTENTION && ops[i].layer < 2) {
            kv[ops[i].layer] = ops[i].kv_bytes;
        }
        up += ops[i].kind == IL_OP_FFN_UP && ops[i].layer == 0 ? ops[i].flops : 0;
        router += ops[i].kind == IL_OP_ROUTER && ops[i].layer == 0 ? ops[i].flops : 0;
    }
    check_near(kv[0] / kv[1], s->sliding_window / 4001.0, 1e-12);
    check_near(up, 2.0 * s->n_expert_used * 2 * s->d_ff * s->d_model, 1e-12);
    check_near(router, 2.0 * s->n_expert * s->d_model, 1e-12);
    free(ops);
    il_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_sum_to_the_totals),
        cmocka_unit_test(one_layer_by_hand),
        cmocka_unit_test(experts_and_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
