/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every linear kernel of the list against a double-precision product made here from the source
 * matrix, at random shapes: ones, odd sizes, tails, tall and wide, ragged strides, several sources,
 * both orientations, all epilogues, 1 to 3 threads.
 */
#include "random.h"

#include "engine/cpu/kernels_internal.h"

static il_isa best_isa;

static bool can_run(il_isa isa)
{
    return isa <= best_isa;
}

static double activation_of(double x, il_epilogue e)
{
    switch (e) {
    case IL_EPILOGUE_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case IL_EPILOGUE_GELU_ERF:
        return 0.5 * x * erfc(-x / sqrt(2));
    case IL_EPILOGUE_RELU:
        return x > 0 ? x : 0;
    case IL_EPILOGUE_SILU:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

typedef struct problem {
    uint32_t m, n, k;
    size_t ldx, ldy;
    bool transposed, with_bias;
    il_epilogue epilogue;
    il_dtype src_dtype;
    uint32_t n_sources;
} problem;

static void pack_sources(il_linear *lin, const problem *p, const float *w, il_pool *pool)
{
    size_t n_elements = (size_t)p->n * p->k;
    uint16_t *half = aligned_bytes(n_elements * sizeof *half);
    float *ordered = aligned_bytes(n_elements * sizeof *ordered);
    for (uint32_t s = 0; s < p->n_sources; s++) {
        uint32_t row0 = (uint32_t)((uint64_t)p->n * s / p->n_sources);
        uint32_t row1 = (uint32_t)((uint64_t)p->n * (s + 1) / p->n_sources);
        uint32_t rows = row1 - row0;
        for (uint32_t r = 0; r < rows; r++) {
            for (uint32_t c = 0; c < p->k; c++) {
                size_t at = p->transposed ? (size_t)c * rows + r : (size_t)r * p->k + c;
                ordered[at] = w[(size_t)(row0 + r) * p->k + c];
            }
        }
        for (size_t i = 0; i < (size_t)rows * p->k; i++) {
            half[i] = p->src_dtype == IL_DTYPE_BF16 ? il_bf16_from_f32(ordered[i])
                                                    : il_f16_from_f32(ordered[i]);
        }
        const void *src = p->src_dtype == IL_DTYPE_F32 ? (const void *)ordered : half;
        assert_int_equal(il_linear_pack(lin, row0, rows, src, p->src_dtype, p->transposed,
                                        p->transposed ? rows : p->k, pool),
                         IL_OK);
    }
    free(half);
    free(ordered);
}

/* Rounds w to what the source's and the packed dtype leave of it. */
static void round_weights(float *w, size_t n, il_dtype src, il_dtype dtype)
{
    for (size_t i = 0; i < n; i++) {
        w[i] = src == IL_DTYPE_BF16  ? il_bf16_to_f32(il_bf16_from_f32(w[i]))
               : src == IL_DTYPE_F16 ? il_f16_to_f32(il_f16_from_f32(w[i]))
                                     : w[i];
        w[i] = dtype == IL_DTYPE_BF16 ? il_bf16_to_f32(il_bf16_from_f32(w[i])) : w[i];
    }
}

/* fp32: an error of a sum of k products is below k·2^-24·Σ|x·w|, and in practice √k of it; the
 * bound below is looser than the typical and tighter than the worst case. A kernel that rounds x to
 * bf16 is compared with the rounded x, so the same bound holds for it. Activations have slopes up
 * to 1.13 and errors of their own below 2e-6. */
static void check_result(const problem *p, const float *w, const float *x, bool x_bf16,
                         const float *bias, const float *y_before, const float *y,
                         const char *kernel)
{
    for (uint32_t r = 0; r < p->m; r++) {
        for (uint32_t c = 0; c < p->n; c++) {
            double sum = 0, magnitude = 0;
            for (uint32_t i = 0; i < p->k; i++) {
                float xi = x[r * p->ldx + i];
                xi = x_bf16 ? il_bf16_to_f32(il_bf16_from_f32(xi)) : xi;
                double product = (double)xi * (double)w[(size_t)c * p->k + i];
                sum += product;
                magnitude += fabs(product);
            }
            double before = (double)y_before[r * p->ldy + c];
            sum += bias ? (double)bias[c] : 0;
            sum += p->epilogue == IL_EPILOGUE_ADD ? before : 0;
            magnitude += (bias ? fabs((double)bias[c]) : 0) + fabs(before);
            double want = activation_of(sum, p->epilogue);
            double got = (double)y[r * p->ldy + c];
            double tolerance =
                (4 + 2 * sqrt(p->k)) * 0x1p-24 * magnitude + 2e-6 * fabs(want) + 1e-7;
            if (!(fabs(got - want) <= tolerance)) {
                print_error("%s m=%u n=%u k=%u ldx=%zu epilogue=%d transposed=%d src=%d row %u "
                            "column %u: %.9g, not %.9g (tolerance %.2g)\n",
                            kernel, p->m, p->n, p->k, p->ldx, (int)p->epilogue, p->transposed,
                            (int)p->src_dtype, r, c, got, want, tolerance);
                fail();
            }
        }
        for (size_t c = p->n; c < p->ldy && r + 1 < p->m; c++) {
            assert_true(y[r * p->ldy + c] == y_before[r * p->ldy + c]);
        }
    }
}

static void check_problem(const il__linear_kernel *kernel, const problem *p, il_pool *pool)
{
    size_t n_weights = (size_t)p->n * p->k;
    float *w = aligned_bytes(n_weights * sizeof *w);
    float *x = aligned_bytes(p->m * p->ldx * sizeof *x);
    float *bias = p->with_bias ? aligned_bytes(p->n * sizeof *bias) : NULL;
    float *y = aligned_bytes(p->m * p->ldy * sizeof *y);
    float *before = aligned_bytes(p->m * p->ldy * sizeof *y);
    random_fill(w, n_weights);
    random_fill(x, p->m * p->ldx);
    random_fill(y, p->m * p->ldy);
    memcpy(before, y, p->m * p->ldy * sizeof *y);
    if (bias) {
        random_fill(bias, p->n);
    }
    il_linear lin = {
        .n_in = p->k, .n_out = p->n, .dtype = kernel->dtype, .isa = kernel->isa, .bias = bias};
    size_t packed_bytes = il_linear_packed_bytes(&lin);
    lin.packed = aligned_bytes(packed_bytes);
    memset(lin.packed, 0xff, packed_bytes); /* NaNs where packing forgets to write */
    pack_sources(&lin, p, w, pool);
    round_weights(w, n_weights, p->src_dtype, kernel->dtype);
    void *scratch = aligned_bytes(il_linear_scratch_bytes(&lin, p->m));
    il_linear_forward(&lin, x, p->ldx, y, p->ldy, p->m, p->epilogue, scratch, pool);
    check_result(p, w, x, kernel->x_bf16, bias, before, y, kernel->name);

    float *row = aligned_bytes(p->k * sizeof *row);
    uint32_t r = random_between(0, p->n - 1);
    il_linear_row(&lin, r, row);
    assert_memory_equal(row, w + (size_t)r * p->k, p->k * sizeof *row);
    free(row);
    free(scratch);
    free(lin.packed);
    free(before);
    free(y);
    free(bias);
    free(x);
    free(w);
}

static problem random_problem(uint32_t most_m, uint32_t most_n, uint32_t most_k)
{
    problem p = {.m = random_between(1, most_m),
                 .n = random_between(1, most_n),
                 .k = random_between(1, most_k),
                 .transposed = random_between(0, 1),
                 .with_bias = random_between(0, 1),
                 .epilogue = (il_epilogue)random_between(0, IL_EPILOGUE_SILU)};
    p.ldx = p.k + random_between(0, 3) * 7;
    p.ldy = p.n + random_between(0, 5);
    p.src_dtype = (il_dtype)random_between(0, IL_DTYPE_COUNT - 1);
    p.n_sources = p.n >= 3 ? random_between(1, 3) : 1;
    return p;
}

static void random_shapes(void **state)
{
    (void)state;
    for (uint32_t n_threads = 1; n_threads <= 3; n_threads++) {
        il_pool *pool = NULL;
        il_error err = {0};
        check_ok(il_pool_create(n_threads, &pool, &err), &err);
        il_pool_enter(pool);
        for (size_t i = 0; i < il__n_linear_kernels; i++) {
            const il__linear_kernel *kernel = &il__linear_kernels[i];
            if (!can_run(kernel->isa)) {
                continue;
            }
            for (int round = 0; round < 40; round++) {
                problem small = random_problem(5, 20, 20);
                check_problem(kernel, &small, pool);
                problem medium = random_problem(40, 150, 150);
                check_problem(kernel, &medium, pool);
            }
            problem tall = random_problem(180, 70, 90);
            check_problem(kernel, &tall, pool);
        }
        il_pool_leave(pool);
        il_pool_destroy(pool);
    }
}

/* The shapes random choice rarely hits: ones, tile edges, strides that alias in the cache (they are
 * copied), k long enough to be cut into blocks, enough rows for the shared preparation. */
static void chosen_shapes(void **state)
{
    (void)state;
    static const struct {
        uint32_t m, n, k;
    } shapes[] = {
        {1, 1, 1},    {1, 2, 2},      {1, 32, 1},     {12, 32, 64},   {13, 33, 65},  {12, 96, 256},
        {9, 64, 512}, {25, 31, 1024}, {1, 65, 20000}, {3, 40, 20001}, {300, 40, 96}, {64, 600, 300},
    };
    il_pool *pool = NULL;
    il_error err = {0};
    check_ok(il_pool_create(2, &pool, &err), &err);
    for (size_t i = 0; i < il__n_linear_kernels; i++) {
        const il__linear_kernel *kernel = &il__linear_kernels[i];
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0] && can_run(kernel->isa); s++) {
            for (int e = IL_EPILOGUE_NONE; e <= IL_EPILOGUE_GELU_TANH; e++) {
                problem p = {.m = shapes[s].m,
                             .n = shapes[s].n,
                             .k = shapes[s].k,
                             .ldx = shapes[s].k,
                             .ldy = shapes[s].n,
                             .with_bias = true,
                             .epilogue = (il_epilogue)e,
                             .src_dtype = IL_DTYPE_F32,
                             .n_sources = 1};
                check_problem(kernel, &p, pool);
            }
        }
    }
    il_pool_destroy(pool);
}

/* The same bits from 1, 2 and 3 threads: who computes an output never changes how. */
static void threads_do_not_change_results(void **state)
{
    (void)state;
    enum { N = 200, K = 300, MOST_M = 150 };
    static const uint32_t rows[] = {1, 2, 13, MOST_M};
    float *w = aligned_bytes(N * K * sizeof *w), *x = aligned_bytes(MOST_M * K * sizeof *x);
    float *y[3];
    random_fill(w, N * K);
    random_fill(x, MOST_M * K);
    for (size_t i = 0; i < il__n_linear_kernels; i++) {
        const il__linear_kernel *kernel = &il__linear_kernels[i];
        for (size_t s = 0; s < 4 && can_run(kernel->isa); s++) {
            for (uint32_t t = 0; t < 3; t++) {
                il_pool *pool = NULL;
                il_error err = {0};
                check_ok(il_pool_create(t + 1, &pool, &err), &err);
                il_linear lin = {.n_in = K, .n_out = N, .dtype = kernel->dtype, .isa = kernel->isa};
                lin.packed = aligned_bytes(il_linear_packed_bytes(&lin));
                void *scratch = aligned_bytes(il_linear_scratch_bytes(&lin, MOST_M));
                y[t] = aligned_bytes(MOST_M * N * sizeof(float));
                assert_int_equal(il_linear_pack(&lin, 0, N, w, IL_DTYPE_F32, false, K, pool),
                                 IL_OK);
                il_linear_forward(&lin, x, K, y[t], N, rows[s], IL_EPILOGUE_SILU, scratch, pool);
                free(scratch);
                free(lin.packed);
                il_pool_destroy(pool);
            }
            assert_memory_equal(y[0], y[1], rows[s] * N * sizeof(float));
            assert_memory_equal(y[0], y[2], rows[s] * N * sizeof(float));
            free(y[0]);
            free(y[1]);
            free(y[2]);
        }
    }
    free(w);
    free(x);
}

static void bad_ranges_are_refused(void **state)
{
    (void)state;
    il_pool *pool = NULL;
    il_error err = {0};
    check_ok(il_pool_create(1, &pool, &err), &err);
    float w[12] = {0}, packed[16];
    il_linear lin = {.n_in = 4, .n_out = 3, .dtype = IL_DTYPE_F32, .isa = IL_ISA_REFERENCE};
    lin.packed = packed;
    assert_int_equal(il_linear_pack(&lin, 1, 3, w, IL_DTYPE_F32, false, 4, pool), IL_E_RANGE);
    assert_int_equal(il_linear_pack(&lin, 4, 1, w, IL_DTYPE_F32, false, 4, pool), IL_E_RANGE);
    lin.dtype = IL_DTYPE_F16;
    assert_int_equal(il_linear_pack(&lin, 0, 3, w, IL_DTYPE_F32, false, 4, pool), IL_E_UNSUPPORTED);
    il_pool_destroy(pool);
}

/* Names choose what the machine has and refuse the rest. */
static void isa_names(void **state)
{
    (void)state;
    il_error err = {0};
    il_isa isa = IL_ISA_COUNT;
    check_ok(il_isa_choose("reference", &isa, &err), &err);
    assert_int_equal(isa, IL_ISA_REFERENCE);
    check_ok(il_isa_choose(NULL, &isa, &err), &err);
    assert_int_equal(isa, best_isa);
    assert_int_equal(il_isa_choose("sse9", &isa, &err), IL_E_UNSUPPORTED);
    assert_int_equal(isa, best_isa);
    int rc = il_isa_choose("avx512", &isa, &err);
    assert_int_equal(rc, best_isa >= IL_ISA_AVX512 ? IL_OK : IL_E_UNSUPPORTED);
    assert_int_equal(isa, best_isa);
    assert_string_equal(il_isa_name(IL_ISA_AVX2), "avx2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes),
        cmocka_unit_test(chosen_shapes),
        cmocka_unit_test(threads_do_not_change_results),
        cmocka_unit_test(bad_ranges_are_refused),
        cmocka_unit_test(isa_names),
    };
    random_seed();
    il_error err = {0};
    if (il_isa_choose("auto", &best_isa, &err) != IL_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
