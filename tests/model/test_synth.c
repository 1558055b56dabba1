/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The weights: Philox against its published vectors, values against a second implementation, every
 * instruction set against the portable one, any cut against the whole.
 */
#include "check.h"

#include "model/synth.h"

#include <time.h>

/* Known answers of the Random123 distribution (kat_vectors, philox4x32 10). */
static void test_philox(void **state)
{
    (void)state;
    static const uint32_t kat[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        il__philox(kat[i], kat[i] + 4, out);
        assert_memory_equal(out, kat[i] + 6, sizeof out);
    }
}

enum { LINEAR, EMBEDDING, NORM, BIAS };

static void test_vectors(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        const char *name;
        uint64_t index;
        int kind;
        uint64_t n;
        float f32, bf16, f16;
    } vectors[] = {
#define V(...) {__VA_ARGS__},
#include "synth_vectors.inc"
#undef V
    };
    static const il_tensor_role roles[] = {IL_ROLE_LINEAR, IL_ROLE_EMBEDDING, IL_ROLE_NORM_WEIGHT,
                                           IL_ROLE_LINEAR_BIAS};
    const il_shape shape = {.norm = IL_NORM_LAYER};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        il_tensor_info info = {.role = roles[vectors[i].kind], .fan_in = vectors[i].n};
        info.dims[1] = vectors[i].n;
        (void)snprintf(info.name, sizeof info.name, "%s", vectors[i].name);
        il_synth synth = il_synth_of(&shape, &info, vectors[i].seed);
        float f32;
        uint16_t bf16, f16;
        il_synth_fill(&synth, vectors[i].index, 1, IL_DTYPE_F32, &f32);
        il_synth_fill(&synth, vectors[i].index, 1, IL_DTYPE_BF16, &bf16);
        il_synth_fill(&synth, vectors[i].index, 1, IL_DTYPE_F16, &f16);
        if (f32 != vectors[i].f32 || il_bf16_to_f32(bf16) != vectors[i].bf16 ||
            il_f16_to_f32(f16) != vectors[i].f16) {
            fail_msg("%s[%llu]: %a, wanted %a", vectors[i].name,
                     (unsigned long long)vectors[i].index, f32, vectors[i].f32);
        }
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static const il_dtype dtypes[] = {IL_DTYPE_F32, IL_DTYPE_BF16, IL_DTYPE_F16};

static void test_isas_agree(void **state)
{
    (void)state;
    enum { N = 10000 };
    uint64_t random = (uint64_t)time(NULL) * 2654435761u + 1;
    print_message("seed %llu\n", (unsigned long long)random);
    size_t n_isa = 0;
    while (il__synth_isa_at(n_isa)) {
        n_isa++;
    }
    const il__synth_isa *portable = il__synth_isa_at(n_isa - 1);
    assert_string_equal(portable->name, "portable");
    char *want = malloc(N * 4), *have = malloc(N * 4);
    assert_true(want && have);
    for (int round = 0; round < 12; round++) {
        il_synth synth = {.key = {(uint32_t)next_random(&random), (uint32_t)next_random(&random)},
                          .scale = round % 3 == 2 ? 0x1p-12f : 0x1.3p-30f,
                          .around_one = round % 3 == 1};
        /* Also across the carry into the counter's second word. */
        uint64_t first =
            round % 2 ? 0xFFFFFFFFu - next_random(&random) % N : next_random(&random) >> 20;
        il_dtype dtype = dtypes[(round / 3) % 3];
        il__synth_fill_with(portable, &synth, first, N, dtype, want);
        for (size_t i = 0; i + 1 < n_isa; i++) {
            memset(have, 0, N * 4);
            il__synth_fill_with(il__synth_isa_at(i), &synth, first, N, dtype, have);
            assert_memory_equal(want, have, N * il_dtype_bytes(dtype));
        }
    }
    free(want);
    free(have);
}

static void test_any_cut(void **state)
{
    (void)state;
    enum { N = 5000 };
    uint64_t random = (uint64_t)time(NULL) | 1;
    print_message("seed %llu\n", (unsigned long long)random);
    il_synth synth = {.key = {1, 2}, .scale = 0x1p-20f};
    for (size_t d = 0; d < 3; d++) {
        size_t size = il_dtype_bytes(dtypes[d]);
        char *whole = malloc(N * size), *parts = malloc(N * size);
        assert_true(whole && parts);
        il_synth_fill(&synth, 77, N, dtypes[d], whole);
        for (size_t at = 0; at < N;) {
            size_t n = next_random(&random) % 1500 + 1;
            n = n < N - at ? n : N - at;
            il_synth_fill(&synth, 77 + at, n, dtypes[d], parts + at * size);
            at += n;
        }
        assert_memory_equal(whole, parts, N * size);
        free(whole);
        free(parts);
    }
}

static void test_distribution(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    const il_shape shape = {.norm = IL_NORM_RMS};
    il_tensor_info info = {.role = IL_ROLE_LINEAR, .fan_in = 300, .name = "x.weight"};
    il_synth synth = il_synth_of(&shape, &info, 7);
    float *v = malloc(N * sizeof *v);
    uint16_t *h = malloc(N * sizeof *h);
    assert_true(v && h);
    il_synth_fill(&synth, 0, N, IL_DTYPE_F32, v);
    double sum = 0, square = 0, fourth = 0, lag = 0;
    for (size_t i = 0; i < N; i++) {
        double x = v[i] * sqrt(300.0);
        assert_true(isnormal(v[i]) && fabs(x) < 2 * sqrt(3.0));
        sum += x, square += x * x, fourth += x * x * x * x;
        lag += i ? x * v[i - 1] * sqrt(300.0) : 0;
    }
    /* Five standard errors; kurtosis of a sum of four uniforms is 3 − 1.2/4. */
    check_close(sum / N, 0, 5 / sqrt(N));
    check_close(square / N, 1, 5 * sqrt(1.7 / N));
    check_close(fourth / square / square * N, 2.7, 0.02);
    check_close(lag / N, 0, 5 / sqrt(N));
    il_synth_fill(&synth, 0, N, IL_DTYPE_F16, h);
    for (size_t i = 0; i < N; i++) {
        assert_true((h[i] & 0x7C00) != 0 && (h[i] & 0x7C00) != 0x7C00); /* normal */
        assert_int_equal(h[i] >> 15, v[i] < 0);
    }
    info.role = IL_ROLE_NORM_WEIGHT;
    synth = il_synth_of(&shape, &info, 7);
    il_synth_fill(&synth, 0, N, IL_DTYPE_F32, v);
    float least = 2, most = 0;
    for (size_t i = 0; i < N; i++) {
        least = v[i] < least ? v[i] : least;
        most = v[i] > most ? v[i] : most;
    }
    assert_true(least >= 0.9f && most <= 1.1f && most - least > 0.18f);
    /* Gemma's checkpoints hold the weight less one. */
    const il_shape plus_one = {.norm = IL_NORM_RMS_PLUS_ONE};
    synth = il_synth_of(&plus_one, &info, 7);
    assert_false(synth.around_one);
    free(v);
    free(h);
}

static void test_streams_differ(void **state)
{
    (void)state;
    const il_shape shape = {.norm = IL_NORM_RMS};
    il_tensor_info a = {.role = IL_ROLE_LINEAR, .fan_in = 4, .name = "a.weight"};
    il_tensor_info b = {.role = IL_ROLE_LINEAR, .fan_in = 4, .name = "b.weight"};
    const il_synth s[] = {il_synth_of(&shape, &a, 1), il_synth_of(&shape, &a, 2),
                          il_synth_of(&shape, &b, 1)};
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(s[i].key, s[j].key, sizeof s[i].key);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox),       cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_isas_agree),   cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_distribution), cmocka_unit_test(test_streams_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
