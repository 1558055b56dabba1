/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Every set of row kernels of the list against formulas in double precision written here, at sizes
 * around the vector lengths; the activations also over their whole range.
 */
#include "random.h"

#include "engine/cpu/kernels_internal.h"

typedef struct row_set {
    const char *name;
    il_isa isa;
    const il_row_kernels *kernels;
} row_set;

static const row_set sets[] = {
#define IL_ROW_KERNELS(isa, table) {#table, IL_ISA_##isa, &table},
#include "engine/cpu/kernel_list.inc"
};
enum { N_SETS = sizeof sets / sizeof sets[0], MOST = 1100 };

static il_isa best_isa;
static const uint32_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 80, 127, 768, 1025};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

#define FOR_EACH_SET(set)                                                                          \
    for (const row_set *set = sets; set < sets + N_SETS; set++)                                    \
        if (set->isa <= best_isa)

static double activation_of(double x, il_epilogue e)
{
    switch (e) {
    case IL_EPILOGUE_GELU_TANH: /* x·σ(2u): the same function as ½x(1 + tanh u) */
        return x / (1 + exp(-2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
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

static void norms(void **state)
{
    (void)state;
    float x[MOST], w[MOST], b[MOST], y[MOST];
    FOR_EACH_SET(set)
    {
        for (size_t s = 0; s < N_SIZES; s++) {
            uint32_t n = sizes[s];
            random_fill(x, n);
            random_fill(w, n);
            random_fill(b, n);
            float offset = random_between(0, 1) ? 3.0f : 0.0f;
            double mean = 0, squares = 0, raw = 0, eps = 1e-5;
            for (uint32_t i = 0; i < n; i++) {
                x[i] += offset;
                mean += (double)x[i] / n;
                raw += (double)x[i] * (double)x[i] / n;
            }
            for (uint32_t i = 0; i < n; i++) {
                squares += ((double)x[i] - mean) * ((double)x[i] - mean) / n;
            }
            bool with_bias = random_between(0, 1);
            y[n] = 77.0f;
            set->kernels->layer_norm(x, w, with_bias ? b : NULL, eps, n, y);
            /* the mean's rounding, magnified by 1/σ where the row hardly varies */
            double tolerance = 4e-6 * (1 + (fabs(mean) + 1) / sqrt(squares + eps));
            for (uint32_t i = 0; i < n; i++) {
                double want = ((double)x[i] - mean) / sqrt(squares + eps) * (double)w[i] +
                              (with_bias ? (double)b[i] : 0);
                check_close((double)y[i], want, tolerance);
            }
            assert_true(y[n] == 77.0f);
            float plus = (float)random_between(0, 1);
            memcpy(y, x, n * sizeof *y); /* in place */
            set->kernels->rms_norm(y, w, 1e-6, plus, n, y);
            for (uint32_t i = 0; i < n; i++) {
                double want = (double)x[i] / sqrt(raw + 1e-6) * ((double)w[i] + (double)plus);
                check_near_at((double)y[i], want, 3e-6, 1e-7, __FILE__, __LINE__);
            }
            assert_true(y[n] == 77.0f);
        }
    }
}

static void sums_and_gates(void **state)
{
    (void)state;
    float a[MOST], b[MOST], y[MOST];
    FOR_EACH_SET(set)
    {
        for (size_t s = 0; s < N_SIZES; s++) {
            uint32_t n = sizes[s];
            random_fill(a, n);
            random_fill(b, n);
            y[n] = 77.0f;
            set->kernels->add(a, b, n, y);
            for (uint32_t i = 0; i < n; i++) {
                assert_true(y[i] == a[i] + b[i]);
            }
            set->kernels->scale(y, 0.3f, n);
            for (uint32_t i = 0; i < n; i++) {
                assert_true(y[i] == (a[i] + b[i]) * 0.3f);
            }
            for (int e = IL_EPILOGUE_GELU_TANH; e <= IL_EPILOGUE_SILU; e++) {
                set->kernels->gate(a, b, (il_epilogue)e, n, y);
                for (uint32_t i = 0; i < n; i++) {
                    double want = activation_of((double)a[i], (il_epilogue)e) * (double)b[i];
                    check_near_at((double)y[i], want, 2e-6, 1e-30, __FILE__, __LINE__);
                }
            }
            assert_true(y[n] == 77.0f);
        }
    }
}

/* |a| of the e^a inside the function: roundings of a, a few of 2^-24, become relative errors of
 * |a| times that. */
static double exp_argument(double x, il_epilogue e)
{
    return e == IL_EPILOGUE_GELU_TANH  ? fabs(1.6 * (x + 0.044715 * x * x * x))
           : e == IL_EPILOGUE_GELU_ERF ? x * x / 2
                                       : fabs(x);
}

/* Relative errors over the range in which the result is a normal number, and sane limits beyond. */
static void activations_over_their_range(void **state)
{
    (void)state;
    enum { N = 4001 };
    static float x[N], y[N];
    FOR_EACH_SET(set)
    {
        for (int e = IL_EPILOGUE_GELU_TANH; e <= IL_EPILOGUE_SILU; e++) {
            double worst = 0, worst_at = 0;
            for (int i = 0; i < N; i++) {
                x[i] = y[i] = (float)(-13 + 26.0 * i / (N - 1)) + 1e-4f * random_float();
            }
            set->kernels->activate(y, (il_epilogue)e, N);
            for (int i = 0; i < N; i++) {
                double want = activation_of((double)x[i], (il_epilogue)e);
                double error = fabs((double)y[i] - want);
                double allowed = 1e-6 + 5 * 0x1p-24 * exp_argument((double)x[i], (il_epilogue)e);
                double relative = fabs(want) > 1e-36 ? error / fabs(want) : error * 1e30;
                if (relative / allowed > worst) {
                    worst = relative / allowed;
                    worst_at = (double)x[i];
                }
            }
            if (!(worst <= 1)) {
                print_error("%s activation %d: %.3g of the tolerance at %.9g\n", set->name, e,
                            worst, worst_at);
                fail();
            }
            float far[] = {-1e30f, -200.0f, 200.0f, 1e30f, NAN, 0.0f};
            set->kernels->activate(far, (il_epilogue)e, 6);
            assert_true(fabsf(far[0]) < 1e-30f && fabsf(far[1]) < 1e-30f);
            assert_true(far[2] == 200.0f && far[3] == 1e30f && far[5] == 0.0f);
            assert_true(e == IL_EPILOGUE_RELU || isnan(far[4]));
        }
    }
}

static void rotation(void **state)
{
    (void)state;
    float x[MOST], y[MOST], c[64], s[64];
    FOR_EACH_SET(set)
    {
        for (int round = 0; round < 60; round++) {
            uint32_t d_head = random_between(2, 100);
            uint32_t half = random_between(1, d_head / 2), n_heads = random_between(1, 5);
            for (uint32_t i = 0; i < half; i++) {
                double angle = (double)random_float() * 6;
                c[i] = (float)cos(angle);
                s[i] = (float)sin(angle);
            }
            random_fill(x, n_heads * d_head);
            memcpy(y, x, n_heads * d_head * sizeof *y);
            set->kernels->rope(y, c, s, n_heads, d_head, 2 * half);
            for (uint32_t i = 0; i < n_heads * d_head; i++) {
                uint32_t d = i % d_head;
                double want = (double)x[i];
                if (d < half) {
                    want = (double)x[i] * (double)c[d] - (double)x[i + half] * (double)s[d];
                } else if (d < 2 * half) {
                    want = (double)x[i] * (double)c[d - half] +
                           (double)x[i - half] * (double)s[d - half];
                }
                check_close((double)y[i], want, 2e-7);
            }
        }
    }
}

static void rounding_to_bf16(void **state)
{
    (void)state;
    float x[MOST];
    uint16_t y[MOST];
    const float special[] = {NAN, INFINITY, -INFINITY, -0.0f, 1e-40f, 3.4e38f, 1.00390625f};
    FOR_EACH_SET(set)
    {
        for (size_t s = 0; s < N_SIZES; s++) {
            uint32_t n = sizes[s];
            random_fill(x, n);
            for (uint32_t i = 0; i < 7 && i < n; i++) {
                x[random_between(0, n - 1)] = special[i];
            }
            y[n] = 12345;
            set->kernels->to_bf16(x, y, n);
            for (uint32_t i = 0; i < n; i++) {
                assert_int_equal(y[i], il_bf16_from_f32(x[i]));
            }
            assert_int_equal(y[n], 12345);
        }
    }
}

static void argmax_takes_the_first_and_sees_nonfinite(void **state)
{
    (void)state;
    float x[MOST];
    FOR_EACH_SET(set)
    {
        for (int round = 0; round < 300; round++) {
            uint32_t n = round < N_SIZES ? sizes[round] : random_between(1, 300);
            random_fill(x, n);
            for (uint32_t i = 0; i < n; i++) {
                x[i] -= 5.0f; /* all negative: lanes that are absent must not win with 0 */
            }
            uint32_t first = random_between(0, n - 1), again = random_between(first, n - 1);
            x[first] = x[again] = -0.5f;
            bool finite = false;
            assert_int_equal(set->kernels->argmax(x, n, &finite), first);
            assert_true(finite);
            const float bad[] = {NAN, INFINITY, -INFINITY};
            x[random_between(0, n - 1)] = bad[round % 3];
            (void)set->kernels->argmax(x, n, &finite);
            assert_false(finite);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms),
        cmocka_unit_test(sums_and_gates),
        cmocka_unit_test(activations_over_their_range),
        cmocka_unit_test(rotation),
        cmocka_unit_test(rounding_to_bf16),
        cmocka_unit_test(argmax_takes_the_first_and_sees_nonfinite),
    };
    random_seed();
    il_error err = {0};
    if (il_isa_choose("auto", &best_isa, &err) != IL_OK) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
