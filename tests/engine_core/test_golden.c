/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The engine against logits that transformers computed in float32 (tests/golden, made by
 * tools/golden_logits.py): every family and odd shape, each instruction set this CPU has, both
 * dtypes, one thread and two, a ragged batch of three, every prompt position and cached steps.
 */
#include "fixture.h"

#include "base/file.h"
#include "engine/cpu/kernels.h"

#include <dirent.h>

typedef struct golden {
    il_buf bytes;
    size_t at;
    char config[4096];
    uint64_t seed;
    uint32_t dtype, vocab, n_columns, batch, n_steps;
    uint32_t lengths[8];
    const int32_t *prompts, *steps;
    const uint32_t *columns;
    const float *rows;
    uint32_t n_prompt_rows;
    int32_t *aligned; /* owns prompts, steps, columns, rows */
} golden;

static void golden_take(golden *g, void *out, size_t n_bytes)
{
    assert_true(g->bytes.len - g->at >= n_bytes);
    memcpy(out, g->bytes.data + g->at, n_bytes);
    g->at += n_bytes;
}

static void golden_read(golden *g, const char *path)
{
    il_error err = {0};
    char magic[8];
    uint32_t n;
    il_buf_init(&g->bytes, 1 << 20);
    check_ok(il_file_read(path, &g->bytes, &err), &err);
    g->at = 0;
    golden_take(g, magic, sizeof magic);
    assert_memory_equal(magic, "ILGOLD1\n", sizeof magic);
    golden_take(g, &n, sizeof n);
    assert_true(n < sizeof g->config);
    golden_take(g, g->config, n);
    g->config[n] = '\0';
    golden_take(g, &g->seed, sizeof g->seed);
    golden_take(g, &g->dtype, sizeof g->dtype);
    golden_take(g, &g->vocab, sizeof g->vocab);
    golden_take(g, &g->n_columns, sizeof g->n_columns);
    golden_take(g, &g->batch, sizeof g->batch);
    golden_take(g, &g->n_steps, sizeof g->n_steps);
    assert_true(g->batch <= 8);
    golden_take(g, g->lengths, g->batch * sizeof *g->lengths);
    size_t left = g->bytes.len - g->at;
    g->aligned = malloc(left);
    assert_non_null(g->aligned);
    golden_take(g, g->aligned, left);
    g->n_prompt_rows = 0;
    for (uint32_t i = 0; i < g->batch; i++) {
        g->n_prompt_rows += g->lengths[i];
    }
    g->prompts = g->aligned;
    g->steps = g->prompts + g->n_prompt_rows;
    g->columns = (const uint32_t *)(g->steps + (size_t)g->n_steps * g->batch);
    g->rows = (const float *)(g->columns + g->n_columns);
    size_t n_rows = g->n_prompt_rows + (size_t)g->n_steps * g->batch;
    assert_int_equal((const char *)(g->rows + n_rows * (g->n_columns + 1)) -
                         (const char *)g->aligned,
                     (ptrdiff_t)left);
}

static void golden_free(golden *g)
{
    il_buf_free(&g->bytes);
    free(g->aligned);
}

/* Largest |ours − golden| over the golden columns, over the row's largest |logit|. */
static double row_error(const golden *g, size_t row, const float *logits)
{
    const float *at = g->rows + row * (g->n_columns + 1);
    double most = 0;
    for (uint32_t i = 0; i < g->n_columns; i++) {
        double gap = fabs((double)logits[g->columns[i]] - (double)at[1 + i]);
        most = isfinite(gap) ? fmax(most, gap) : INFINITY;
    }
    return most / (double)at[0];
}

static double rows_error(const golden *g, size_t first, const il_engine_session *session,
                         uint32_t n_expected)
{
    uint32_t n_rows;
    double most = 0;
    const float *logits = il_engine_logits(session, &n_rows);
    assert_int_equal(n_rows, n_expected);
    for (uint32_t i = 0; i < n_rows; i++) {
        most = fmax(most, row_error(g, first + i, logits + (size_t)i * g->vocab));
    }
    return most;
}

/* Of a prefill with logits at the last position only. */
static double last_rows_error(const golden *g, const il_engine_session *session)
{
    uint32_t n_rows;
    uint32_t end = 0;
    double most = 0;
    const float *logits = il_engine_logits(session, &n_rows);
    assert_int_equal(n_rows, g->batch);
    for (uint32_t i = 0; i < g->batch; i++) {
        end += g->lengths[i];
        most = fmax(most, row_error(g, end - 1, logits + (size_t)i * g->vocab));
    }
    return most;
}

/* `brief`: the last prompt positions and one step. */
static double engine_error(const golden *g, const char *dir, const il_engine_options *options,
                           bool brief)
{
    il_error err = {0};
    il_engine_model *model;
    il_engine_session *session;
    check_ok(il_engine_model_open(dir, options, &model, &err), &err);
    il_engine_session_options so = {.max_batch = g->batch,
                                    .logits = brief ? IL_ENGINE_LOGITS_LAST : IL_ENGINE_LOGITS_ALL};
    for (uint32_t i = 0; i < g->batch; i++) {
        so.max_prompt_tok = g->lengths[i] > so.max_prompt_tok ? g->lengths[i] : so.max_prompt_tok;
    }
    so.max_context_tok = so.max_prompt_tok + g->n_steps;
    check_ok(il_engine_session_open(model, &so, &session, &err), &err);
    check_ok(il_engine_prefill(session, g->prompts, g->lengths, g->batch, &err), &err);
    double most = brief ? last_rows_error(g, session) : rows_error(g, 0, session, g->n_prompt_rows);
    for (uint32_t step = 0; step < (brief ? 1 : g->n_steps); step++) {
        check_ok(il_engine_decode(session, g->steps + (size_t)step * g->batch, &err), &err);
        size_t first = g->n_prompt_rows + (size_t)step * g->batch;
        most = fmax(most, rows_error(g, first, session, g->batch));
    }
    il_engine_session_close(session);
    il_engine_model_close(model);
    return most;
}

/* worst[bf16]: the largest error so far, raised here. */
static void compare_case(const char *path, const char *isa, double worst[2])
{
    golden g;
    fixture f;
    il_param_counts counts;
    il_error err = {0};
    double of_case[2] = {0, 0};
    golden_read(&g, path);
    fixture_make(&f, g.config, (il_dtype)g.dtype, g.seed, NULL);
    check_ok(il_shape_count(&f.shape, &counts, &err), &err);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        /* The plain C kernels take seconds where there are millions of weights. */
        bool brief = counts.total > 100000 && strcmp(isa, "reference") == 0;
        for (uint32_t threads = brief ? 2 : 1; threads <= 2; threads++) {
            il_engine_options options = {
                .dtype = bf16 ? IL_DTYPE_BF16 : IL_DTYPE_F32, .n_threads = threads, .isa = isa};
            double error = engine_error(&g, f.dir, &options, brief);
            double limit = bf16 ? 2e-2 : 1e-4;
            if (!(error <= limit)) {
                print_error("%s, %s, %s, %u threads: relative error %.3g, limit %.0e\n",
                            il_path_base(path), isa, bf16 ? "bf16" : "fp32", threads, error, limit);
            }
            assert_true(error <= limit);
            worst[bf16] = fmax(worst[bf16], error);
            of_case[bf16] = fmax(of_case[bf16], error);
        }
    }
    if (getenv("IL_GOLDEN_ERRORS")) {
        print_message("%s, %s: fp32 %.1e, bf16 %.1e\n", il_path_base(path), isa, of_case[0],
                      of_case[1]);
    }
    fixture_remove(&f);
    golden_free(&g);
}

static void compare_all(const char *isa)
{
    char dir[512];
    (void)snprintf(dir, sizeof dir, "%s/tests/golden", IL_TEST_SOURCE_DIR);
    DIR *listing = opendir(dir);
    assert_non_null(listing);
    unsigned n_cases = 0;
    double worst[2] = {0, 0};
    for (struct dirent *entry; (entry = readdir(listing));) {
        char path[1024];
        size_t n = strlen(entry->d_name);
        if (n < 4 || strcmp(entry->d_name + n - 4, ".bin") != 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        compare_case(path, isa, worst);
        n_cases++;
    }
    (void)closedir(listing);
    print_message("%s: %u shapes, largest relative error fp32 %.1e, bf16 %.1e\n", isa, n_cases,
                  worst[0], worst[1]);
    assert_true(n_cases >= 20);
}

static void compare_isa(const char *isa)
{
    il_error err = {0};
    il_isa chosen;
    if (il_isa_choose(isa, &chosen, &err) == IL_E_UNSUPPORTED) {
        skip();
    }
    compare_all(isa);
}

static void reference_kernels_agree(void **state)
{
    (void)state;
    compare_isa("reference");
}

static void avx2_kernels_agree(void **state)
{
    (void)state;
    compare_isa("avx2");
}

static void avx512_kernels_agree(void **state)
{
    (void)state;
    compare_isa("avx512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_kernels_agree),
        cmocka_unit_test(avx2_kernels_agree),
        cmocka_unit_test(avx512_kernels_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
