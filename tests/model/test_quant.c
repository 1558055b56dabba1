/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Block formats: the values and bytes of another implementation (tools/quant_golden.py), and the
 * error of a round trip against what the format's steps allow, on fresh random rows.
 */
#include "check.h"

#include "base/file.h"
#include "inferlaw/dtype.h"
#include "model/quant.h"

#include <time.h>

static uint64_t state_of_random;

static double uniform(void)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return ((double)(state_of_random >> 11) + 0.5) * 0x1p-53;
}

static float normal(double sigma)
{
    return (float)(sigma * sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform()));
}

static int seed(void **state)
{
    (void)state;
    const char *text = getenv("IL_TEST_SEED");
    state_of_random = text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL) * 2654435761u + 1;
    print_message("seed %llu\n", (unsigned long long)state_of_random);
    return 0;
}

static uint32_t u32_at(const char *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static void other_implementation(void **state)
{
    (void)state;
    il_error err = {0};
    il_buf file;
    il_buf_init(&file, 1 << 22);
    check_ok(il_file_read(IL_TEST_SOURCE_DIR "/tests/data/quant_golden.bin", &file, &err), &err);
    assert_memory_equal(file.data, "ILQUANT1", 8);
    unsigned n_read = 0, n_written = 0;
    for (size_t at = 8; at < file.len;) {
        const char *head = file.data + at;
        il_ggml_type type = (il_ggml_type)u32_at(head);
        uint32_t what = u32_at(head + 4), n = u32_at(head + 8), n_bytes = u32_at(head + 12);
        float *values = malloc(n * sizeof *values), *got = malloc(n * sizeof *got);
        uint8_t *blocks = malloc(n_bytes);
        memcpy(values, head + 16, n * sizeof *values);
        const char *bytes = head + 16 + n * sizeof *values;
        assert_int_equal(il_quant_bytes(type, n), n_bytes);
        if (what == 0) {
            il_quant_read(type, bytes, n, got);
            for (uint32_t i = 0; i < n; i++) {
                check_near_at(got[i], values[i], 2e-7, 1e-8, il_ggml_layout_of(type)->name, (int)i);
            }
            n_read++;
        } else {
            check_ok(il_quant_write(type, values, n, blocks, &err), &err);
            for (uint32_t i = 0; i < n_bytes; i++) {
                if (blocks[i] != (uint8_t)bytes[i]) {
                    fail_msg("%s: byte %u is %u, not %u", il_ggml_layout_of(type)->name, i,
                             blocks[i], (uint8_t)bytes[i]);
                }
            }
            n_written++;
        }
        at += 16 + n * sizeof *values + n_bytes;
        free(values);
        free(got);
        free(blocks);
    }
    assert_int_equal(n_read, 10);
    assert_int_equal(n_written, 7);
    il_buf_free(&file);
}

typedef struct spread {
    double worst, rms; /* of the error, over the part's range or size */
} spread;

/* Rows of mixed scale (none so small that an fp16 scale is subnormal) through a format and back.
 * Each part of `part` values is judged by its own least and greatest value (`span`: by their
 * distance, else by the larger size). */
static spread round_trip(il_ggml_type type, int part, bool span)
{
    enum { ROWS = 64, WIDTH = 1024 };
    static float x[WIDTH], y[WIDTH];
    static uint8_t blocks[WIDTH * 4];
    spread s = {0};
    for (int r = 0; r < ROWS; r++) {
        double sigma = pow(10, -1.5 + 2.5 * uniform()), shift = r % 4 == 3 ? -sigma * uniform() : 0;
        for (int i = 0; i < WIDTH; i++) {
            x[i] = normal(sigma) + (float)shift;
        }
        il_error err = {0};
        check_ok(il_quant_write(type, x, WIDTH, blocks, &err), &err);
        il_quant_read(type, blocks, WIDTH, y);
        for (int p = 0; p < WIDTH; p += part) {
            double low = 0, high = 0;
            for (int i = p; i < p + part; i++) {
                low = x[i] < low ? x[i] : low;
                high = x[i] > high ? x[i] : high;
            }
            double unit = span ? high - low : (high > -low ? high : -low);
            for (int i = p; i < p + part; i++) {
                double e = fabs((double)y[i] - (double)x[i]) / unit;
                s.worst = e > s.worst ? e : s.worst;
                s.rms += e * e;
            }
        }
    }
    s.rms = sqrt(s.rms / (ROWS * WIDTH));
    return s;
}

/* Half a step of the part's own grid, and what rounding the scale to fp16 (2^-11) adds; a step more
 * at the end that has no level of its own. */
static void plain_errors(void **state)
{
    (void)state;
    static const struct {
        il_ggml_type type;
        bool span;
        double step, end; /* of the unit; error at the far end, in steps */
    } rows[] = {
        {IL_GGML_Q8_0, false, 1.0 / 127, 0.5}, {IL_GGML_Q4_0, false, 1.0 / 8, 1.0},
        {IL_GGML_Q5_0, false, 1.0 / 16, 1.0},  {IL_GGML_Q4_1, true, 1.0 / 15, 0.5},
        {IL_GGML_Q5_1, true, 1.0 / 31, 0.5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        spread s = round_trip(rows[i].type, 32, rows[i].span);
        const char *name = il_ggml_layout_of(rows[i].type)->name;
        print_message("%s: worst %.5f, rms %.5f of the range; step %.5f\n", name, s.worst, s.rms,
                      rows[i].step);
        assert_true(s.worst <= rows[i].end * rows[i].step + 2 * 0x1p-11);
        assert_true(s.rms <= 1.02 * rows[i].step / sqrt(12) + 0x1p-11);
        assert_true(s.worst >= 0.4 * rows[i].step); /* the grid is no finer than the format's */
    }
}

/* The parts' scales are rounded to 1/63 (Q6_K: 1/128) of the block's largest, and ends may clip
 * where that lowers the error: rms against the uniform error of a step, worst within two steps. */
static void grouped_errors(void **state)
{
    (void)state;
    static const struct {
        il_ggml_type type;
        int part;
        bool span;
        double step;
    } rows[] = {
        {IL_GGML_Q4_K, 32, true, 1.0 / 15},
        {IL_GGML_Q5_K, 32, true, 1.0 / 31},
        {IL_GGML_Q6_K, 16, false, 1.0 / 32},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        spread s = round_trip(rows[i].type, rows[i].part, rows[i].span);
        print_message("%s: worst %.5f, rms %.5f of the range; step %.5f\n",
                      il_ggml_layout_of(rows[i].type)->name, s.worst, s.rms, rows[i].step);
        assert_true(s.worst <= 2 * rows[i].step);
        assert_true(s.rms <= 1.1 * rows[i].step / sqrt(12));
    }
}

/* Values that lie on a format's grid come back as they are. */
static void on_the_grid(void **state)
{
    (void)state;
    static const il_ggml_type types[] = {IL_GGML_F32,  IL_GGML_F16,  IL_GGML_BF16, IL_GGML_Q8_0,
                                         IL_GGML_Q4_0, IL_GGML_Q4_1, IL_GGML_Q5_0, IL_GGML_Q5_1,
                                         IL_GGML_Q4_K, IL_GGML_Q5_K, IL_GGML_Q6_K};
    float x[256], y[256];
    uint8_t blocks[1024];
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        il_error err = {0};
        memset(x, 0, sizeof x);
        check_ok(il_quant_write(types[k], x, 256, blocks, &err), &err);
        il_quant_read(types[k], blocks, 256, y);
        for (int i = 0; i < 256; i++) {
            assert_true(y[i] == 0);
        }
    }
    for (int i = 0; i < 256; i++) {
        x[i] = (float)(i % 16 - 8) / 4; /* −2 … 1.75 */
    }
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        bool exact = types[k] <= IL_GGML_F16 || types[k] == IL_GGML_BF16 ||
                     types[k] == IL_GGML_Q4_0 || types[k] == IL_GGML_Q5_0 ||
                     types[k] == IL_GGML_Q4_1;
        il_error err = {0};
        check_ok(il_quant_write(types[k], x, 256, blocks, &err), &err);
        il_quant_read(types[k], blocks, 256, y);
        for (int i = 0; exact && i < 256; i++) {
            assert_true(x[i] == y[i]);
        }
    }
}

static void refusals(void **state)
{
    (void)state;
    float x[256] = {0};
    uint8_t blocks[1024];
    il_error err = {0};
    assert_int_equal(il_quant_bytes(IL_GGML_Q4_K, 384), 0);
    assert_int_equal(il_quant_bytes(IL_GGML_Q4_K, 512), 288);
    assert_int_equal(il_quant_bytes(IL_GGML_Q8_0, 33), 0);
    assert_false(il_quant_can_read(IL_GGML_Q2_K));
    x[77] = NAN;
    assert_int_equal(il_quant_write(IL_GGML_Q8_0, x, 256, blocks, &err), IL_E_NONFINITE);
    assert_non_null(strstr(err.what, "77"));
    x[77] = 1e30f;
    assert_int_equal(il_quant_write(IL_GGML_Q6_K, x, 256, blocks, &err), IL_E_RANGE);
    assert_int_equal(il_quant_write(IL_GGML_F16, x, 256, blocks, &err), IL_E_RANGE);
    check_ok(il_quant_write(IL_GGML_BF16, x, 256, blocks, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_implementation),
        cmocka_unit_test(plain_errors),
        cmocka_unit_test(grouped_errors),
        cmocka_unit_test(on_the_grid),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, seed, NULL);
}
