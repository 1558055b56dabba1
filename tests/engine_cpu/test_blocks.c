/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every kernel of blocks against a double-precision product made here from what the format's reader
 * yields, at random shapes: one row to several tiles, odd heights of panels, ragged strides,
 * several sources, all epilogues, 1 to 3 threads. Kernels that round activations are compared with
 * activations rounded here, so that the bound is that of fp32 sums.
 */
#include "random.h"

#include "engine/cpu/kernels_internal.h"

static il_isa best_isa;

typedef struct problem {
    uint32_t m, n, k;
    size_t ldx, ldy;
    bool with_bias;
    il_epilogue epilogue;
    uint32_t n_sources;
} problem;

/* Rows of blocks, and the same as fp32. */
typedef struct weights {
    uint8_t *blocks;
    const uint8_t **rows;
    float *values;
} weights;

static weights make_weights(il_ggml_type type, uint32_t n, uint32_t k)
{
    il_error err = {0};
    size_t row_bytes = il_quant_bytes(type, k);
    weights w = {.blocks = aligned_bytes(n * row_bytes),
                 .rows = (const uint8_t **)aligned_bytes(n * sizeof(uint8_t *)),
                 .values = aligned_bytes((size_t)n * k * sizeof(float))};
    random_fill(w.values, (size_t)n * k);
    check_ok(il_quant_write(type, w.values, (size_t)n * k, w.blocks, &err), &err);
    il_quant_read(type, w.blocks, (size_t)n * k, w.values);
    for (uint32_t r = 0; r < n; r++) {
        w.rows[r] = w.blocks + r * row_bytes;
    }
    return w;
}

static void free_weights(weights *w)
{
    free(w->blocks);
    free((void *)w->rows);
    free(w->values);
}

/* Activations as a kernel sees them: whole multiples of a 127th of each block's largest. */
static void round_activations(float *x, uint32_t k)
{
    for (uint32_t b = 0; b < k; b += 32) {
        float most = 0;
        for (uint32_t i = b; i < b + 32; i++) {
            most = fmaxf(most, fabsf(x[i]));
        }
        float per = most > 0 ? 127.0F / most : 0, d = most / 127.0F;
        for (uint32_t i = b; i < b + 32; i++) {
            x[i] = d * rintf(x[i] * per);
        }
    }
}

static double activation_of(double x, il_epilogue e)
{
    return e == IL_EPILOGUE_RELU ? fmax(x, 0) : e == IL_EPILOGUE_SILU ? x / (1 + exp(-x)) : x;
}

static void check_row(const il__block_kernel *kernel, const problem *p, const weights *w,
                      const float *x, const float *bias, const float *before, const float *y)
{
    for (uint32_t c = 0; c < p->n; c++) {
        double sum = 0, magnitude = 0;
        for (uint32_t i = 0; i < p->k; i++) {
            double product = (double)x[i] * (double)w->values[(size_t)c * p->k + i];
            sum += product;
            magnitude += fabs(product);
        }
        sum += bias ? (double)bias[c] : 0;
        sum += p->epilogue == IL_EPILOGUE_ADD ? (double)before[c] : 0;
        magnitude += (bias ? fabs((double)bias[c]) : 0) + fabs((double)before[c]);
        double want = activation_of(sum, p->epilogue);
        /* Levels are summed before offsets are taken off: up to 8 times the product's size. */
        double tolerance = (32 + 8 * sqrt(p->k)) * 0x1p-24 * magnitude + 2e-6 * fabs(want) + 1e-6;
        if (!(fabs((double)y[c] - want) <= tolerance)) {
            print_error("%s m=%u n=%u k=%u epilogue=%d column %u: %.9g, not %.9g (%.2g)\n",
                        kernel->name, p->m, p->n, p->k, (int)p->epilogue, c, (double)y[c], want,
                        tolerance);
            fail();
        }
    }
}

static void check_problem(const il__block_kernel *kernel, const problem *p, il_pool *pool)
{
    weights w = make_weights(kernel->type, p->n, p->k);
    float *x = aligned_bytes(p->m * p->ldx * sizeof *x);
    float *y = aligned_bytes(p->m * p->ldy * sizeof *y);
    float *before = aligned_bytes(p->m * p->ldy * sizeof *y);
    float *bias = p->with_bias ? aligned_bytes(p->n * sizeof *bias) : NULL;
    random_fill(x, p->m * p->ldx);
    random_fill(y, p->m * p->ldy);
    memcpy(before, y, p->m * p->ldy * sizeof *y);
    if (bias) {
        random_fill(bias, p->n);
    }
    il_linear lin = {
        .n_in = p->k, .n_out = p->n, .blocks = kernel->type, .isa = kernel->isa, .bias = bias};
    size_t packed_bytes = il_linear_packed_bytes(&lin);
    lin.packed = aligned_bytes(packed_bytes);
    memset(lin.packed, 0xff, packed_bytes); /* NaNs where packing forgets to write */
    for (uint32_t s = 0; s < p->n_sources; s++) {
        uint32_t row0 = p->n * s / p->n_sources, row1 = p->n * (s + 1) / p->n_sources;
        assert_int_equal(il_linear_pack_blocks(&lin, row0, row1 - row0, w.rows + row0, pool),
                         IL_OK);
    }
    void *scratch = aligned_bytes(il_linear_scratch_bytes(&lin, p->m) + 64);
    il_linear_forward(&lin, x, p->ldx, y, p->ldy, p->m, p->epilogue, scratch, pool);
    float *row = aligned_bytes(p->k * sizeof *row);
    for (uint32_t r = 0; r < p->m; r++) {
        memcpy(row, x + r * p->ldx, p->k * sizeof *row);
        if (kernel->prepare) {
            round_activations(row, p->k);
        }
        check_row(kernel, p, &w, row, bias, before + r * p->ldy, y + r * p->ldy);
        for (size_t c = p->n; c < p->ldy && r + 1 < p->m; c++) {
            assert_true(y[r * p->ldy + c] == before[r * p->ldy + c]);
        }
    }
    uint32_t r = random_between(0, p->n - 1);
    il_linear_row(&lin, r, row);
    for (uint32_t i = 0; i < p->k; i++) {
        assert_true(row[i] == w.values[(size_t)r * p->k + i]); /* zeros of either sign */
    }
    free(row);
    free(scratch);
    free(lin.packed);
    free(bias);
    free(before);
    free(y);
    free(x);
    free_weights(&w);
}

static void every_kernel_multiplies(void **state)
{
    (void)state;
    static const uint32_t heights[] = {1, 2, 3, 4, 5, 7, 9, 12, 13, 29, 60};
    static const il_epilogue epilogues[] = {IL_EPILOGUE_NONE, IL_EPILOGUE_ADD, IL_EPILOGUE_RELU,
                                            IL_EPILOGUE_SILU};
    for (uint32_t t = 1; t <= 3; t++) {
        il_pool *pool = NULL;
        il_error err = {0};
        check_ok(il_pool_create(t, &pool, &err), &err);
        for (size_t i = 0; i < il__n_block_kernels; i++) {
            const il__block_kernel *kernel = &il__block_kernels[i];
            uint32_t block = il_ggml_layout_of((uint32_t)kernel->type)->block_values;
            for (size_t h = 0; kernel->isa <= best_isa && h < 11; h++) {
                problem p = {.m = heights[h],
                             .n = random_between(1, 70),
                             .k = block * random_between(1, 512 / block),
                             .with_bias = random_between(0, 1) == 1,
                             .epilogue = epilogues[random_between(0, 3)],
                             .n_sources = 1};
                p.n_sources = p.n >= 3 ? random_between(1, 3) : 1;
                p.ldx = p.k + random_between(0, 9);
                p.ldy = p.n + random_between(0, 9);
                check_problem(kernel, &p, pool);
            }
        }
        il_pool_destroy(pool);
    }
}

/* A product's whole numbers stay exact at the ends of the formats: every level and every activation
 * as large as it gets, with either sign. */
static void extremes_do_not_overflow(void **state)
{
    (void)state;
    enum { K = 256, N = 16 };
    il_pool *pool = NULL;
    il_error err = {0};
    check_ok(il_pool_create(1, &pool, &err), &err);
    for (size_t i = 0; i < il__n_block_kernels; i++) {
        const il__block_kernel *kernel = &il__block_kernels[i];
        for (int sign = -1; kernel->isa <= best_isa && sign <= 1; sign += 2) {
            weights w = make_weights(kernel->type, N, K);
            float x[K], y[N];
            for (uint32_t k = 0; k < K; k++) {
                x[k] = (float)sign;
                for (uint32_t r = 0; r < N; r++) {
                    w.values[r * K + k] = r % 2 ? 1.0F : -1.0F;
                }
            }
            check_ok(il_quant_write(kernel->type, w.values, (size_t)N * K, w.blocks, &err), &err);
            il_quant_read(kernel->type, w.blocks, (size_t)N * K, w.values);
            il_linear lin = {.n_in = K, .n_out = N, .blocks = kernel->type, .isa = kernel->isa};
            lin.packed = aligned_bytes(il_linear_packed_bytes(&lin));
            void *scratch = aligned_bytes(il_linear_scratch_bytes(&lin, 1) + 64);
            assert_int_equal(il_linear_pack_blocks(&lin, 0, N, w.rows, pool), IL_OK);
            il_linear_forward(&lin, x, K, y, N, 1, IL_EPILOGUE_NONE, scratch, pool);
            for (uint32_t r = 0; r < N; r++) {
                double want = 0;
                for (uint32_t k = 0; k < K; k++) {
                    want += (double)sign * (double)w.values[r * K + k];
                }
                check_near((double)y[r], want, 1e-5);
            }
            free(scratch);
            free(lin.packed);
            free_weights(&w);
        }
    }
    il_pool_destroy(pool);
}

/* What is no number in a row of activations is none in its results, and in no other row's. */
static void a_nan_stays_in_its_row(void **state)
{
    (void)state;
    enum { K = 256, N = 20, M = 5, BAD = 3 };
    il_pool *pool = NULL;
    il_error err = {0};
    check_ok(il_pool_create(1, &pool, &err), &err);
    for (size_t i = 0; i < il__n_block_kernels; i++) {
        const il__block_kernel *kernel = &il__block_kernels[i];
        if (kernel->isa > best_isa) {
            continue;
        }
        weights w = make_weights(kernel->type, N, K);
        float x[M * K], y[M * N];
        random_fill(x, M * K);
        x[BAD * K + 77] = i % 2 ? NAN : INFINITY;
        il_linear lin = {.n_in = K, .n_out = N, .blocks = kernel->type, .isa = kernel->isa};
        lin.packed = aligned_bytes(il_linear_packed_bytes(&lin));
        void *scratch = aligned_bytes(il_linear_scratch_bytes(&lin, M) + 64);
        assert_int_equal(il_linear_pack_blocks(&lin, 0, N, w.rows, pool), IL_OK);
        il_linear_forward(&lin, x, K, y, N, M, IL_EPILOGUE_NONE, scratch, pool);
        bool some = false;
        for (uint32_t c = 0; c < M * N; c++) {
            some = some || (c / N == BAD && !isfinite(y[c]));
            assert_true(c / N == BAD || isfinite(y[c]));
        }
        assert_true(some);
        free(scratch);
        free(lin.packed);
        free_weights(&w);
    }
    il_pool_destroy(pool);
}

static void threads_do_not_change_results(void **state)
{
    (void)state;
    enum { N = 200, K = 512, M = 150 };
    float *x = aligned_bytes(M * K * sizeof *x);
    random_fill(x, M * K);
    for (size_t i = 0; i < il__n_block_kernels; i++) {
        const il__block_kernel *kernel = &il__block_kernels[i];
        if (kernel->isa > best_isa || !kernel->prepare) {
            continue;
        }
        weights w = make_weights(kernel->type, N, K);
        float *y[3];
        for (uint32_t t = 0; t < 3; t++) {
            il_pool *pool = NULL;
            il_error err = {0};
            check_ok(il_pool_create(t + 1, &pool, &err), &err);
            il_linear lin = {.n_in = K, .n_out = N, .blocks = kernel->type, .isa = kernel->isa};
            lin.packed = aligned_bytes(il_linear_packed_bytes(&lin));
            void *scratch = aligned_bytes(il_linear_scratch_bytes(&lin, M));
            y[t] = aligned_bytes(M * N * sizeof(float));
            assert_int_equal(il_linear_pack_blocks(&lin, 0, N, w.rows, pool), IL_OK);
            il_linear_forward(&lin, x, K, y[t], N, M, IL_EPILOGUE_NONE, scratch, pool);
            free(scratch);
            free(lin.packed);
            il_pool_destroy(pool);
        }
        assert_memory_equal(y[0], y[1], M * N * sizeof(float));
        assert_memory_equal(y[0], y[2], M * N * sizeof(float));
        for (int t = 0; t < 3; t++) {
            free(y[t]);
        }
        free_weights(&w);
    }
    free(x);
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    il_pool *pool = NULL;
    il_error err = {0};
    check_ok(il_pool_create(1, &pool, &err), &err);
    const uint8_t *row = NULL;
    il_linear lin = {.n_in = 64, .n_out = 2, .blocks = IL_GGML_Q2_K, .isa = best_isa};
    assert_int_equal(il_linear_pack_blocks(&lin, 0, 1, &row, pool), IL_E_UNSUPPORTED);
    lin.blocks = IL_GGML_Q4_K;
    assert_int_equal(il_linear_pack_blocks(&lin, 0, 1, &row, pool), IL_E_RANGE);
    lin.blocks = IL_GGML_Q4_0;
    assert_int_equal(il_linear_pack_blocks(&lin, 1, 2, &row, pool), IL_E_RANGE);
    il_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_multiplies),
        cmocka_unit_test(extremes_do_not_overflow),
        cmocka_unit_test(a_nan_stays_in_its_row),
        cmocka_unit_test(threads_do_not_change_results),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    il_error err = {0};
    random_seed();
    check_ok(il_isa_choose("auto", &best_isa, &err), &err);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
