/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What number formats alone do to logits, in the units of the parity gate: the largest difference
 * of a row over the row's largest absolute reference logit, the worst of 32 positions. The numbers
 * of src/study/parity.c and docs/parity.md come from here.
 */
#include "bench.h"

#include "base/file.h"
#include "inferlaw/dtype.h"
#include "inferlaw/engine.h"
#include "model/make.h"
#include "model/quant.h"
#include "model/suite.h"
#include "stats/stream.h"
#include "study/parity.h"
#include "study/study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_TOK = 32, SEED = 42 };

static int usage(void)
{
    (void)fprintf(stderr, "usage: inferlaw-bench parity DIR SUITE/NAME…\n"
                          "makes the models below DIR and prints a line of CSV for each\n");
    return 1;
}

/* Logits of N_TOK tokens, malloc'd. */
static float *logits_of(const char *dir, il_dtype dtype, const char *isa, const int32_t *ids,
                        il_error *err)
{
    const il_engine_options options = {.dtype = dtype, .isa = isa};
    const il_engine_session_options sizes = {.max_batch = 1,
                                             .max_context_tok = N_TOK,
                                             .max_prompt_tok = N_TOK,
                                             .logits = IL_ENGINE_LOGITS_ALL};
    const uint32_t length = N_TOK;
    il_engine_model *model = NULL;
    il_engine_session *session = NULL;
    float *out = NULL;
    int rc = il_engine_model_open(dir, &options, &model, err);
    rc = rc ? rc : il_engine_session_open(model, &sizes, &session, err);
    rc = rc ? rc : il_engine_prefill(session, ids, &length, 1, err);
    if (rc == IL_OK) {
        uint32_t n_rows;
        const float *rows = il_engine_logits(session, &n_rows);
        size_t n = (size_t)n_rows * il_engine_model_facts(model)->vocab_size;
        out = malloc(n * sizeof *out);
        if (out) {
            memcpy(out, rows, n * sizeof *out);
        }
    }
    il_engine_session_close(session);
    il_engine_model_close(model);
    return out;
}

/* Frees b. NaN where a side is missing. */
static double error_of(const float *a, float *b, uint32_t n_vocab)
{
    il_parity_result r;
    il_parity_result_init(&r);
    for (size_t i = 0; a && b && i < N_TOK; i++) {
        il_parity_compare_logits(a + i * n_vocab, b + i * n_vocab, n_vocab, 1, &r);
    }
    free(b);
    return r.max_rel;
}

/* Root mean square of rounding normal numbers, over theirs: 8-bit blocks of 32 and bf16. */
static double q8_over_bf16(void)
{
    enum { N = 1 << 16 };
    static float x[N], q8[N], bf16[N];
    static unsigned char blocks[N * 2];
    il_stream stream = il_stream_open(SEED, "parity", "activations");
    double q8_error = 0, bf16_error = 0;
    for (size_t i = 0; i < N; i++) {
        x[i] = (float)il_stream_normal(&stream);
    }
    if (il_quant_write(IL_GGML_Q8_0, x, N, blocks, NULL) != IL_OK) {
        return (double)NAN;
    }
    il_quant_read(IL_GGML_Q8_0, blocks, N, q8);
    for (size_t i = 0; i < N; i++) {
        bf16[i] = il_bf16_to_f32(il_bf16_from_f32(x[i]));
        q8_error += pow((double)(q8[i] - x[i]), 2);
        bf16_error += pow((double)(bf16[i] - x[i]), 2);
    }
    return sqrt(q8_error / bf16_error);
}

static int make(const il_shape *shape, const char *cache, il_dtype dtype, char dir[4096],
                il_error *err)
{
    const il_make_options options = {.seed = SEED, .dtype = dtype};
    return il_model_ensure(shape, cache, &options, dir, 4096, err);
}

static int measure(const il_shape *shape, const char *cache, il_error *err)
{
    char f32[4096], bf16[4096], fp16[4096];
    int32_t ids[N_TOK];
    const uint32_t n = shape->vocab_size;
    int rc = make(shape, cache, IL_DTYPE_F32, f32, err);
    rc = rc ? rc : make(shape, cache, IL_DTYPE_BF16, bf16, err);
    rc = rc ? rc : make(shape, cache, IL_DTYPE_F16, fp16, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_study_prompt_ids(SEED, "parity probe", 0, n, N_TOK, ids);
    float *reference = logits_of(f32, IL_DTYPE_F32, "reference", ids, err);
    float *rounded = logits_of(f32, IL_DTYPE_BF16, "avx2", ids, err);
    double errors[] = {
        error_of(reference, logits_of(f32, IL_DTYPE_F32, "avx2", ids, err), n),
        error_of(reference, logits_of(f32, IL_DTYPE_F32, "auto", ids, err), n),
        error_of(reference, logits_of(fp16, IL_DTYPE_F32, "auto", ids, err), n),
        error_of(reference, logits_of(bf16, IL_DTYPE_F32, "auto", ids, err), n),
        error_of(rounded, logits_of(f32, IL_DTYPE_BF16, "auto", ids, err), n),
        error_of(reference, logits_of(f32, IL_DTYPE_BF16, "auto", ids, err), n),
    };
    (void)printf("%s,%u,%u", shape->name, shape->n_layer, shape->d_model);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        (void)printf(",%.3g", errors[i]);
    }
    (void)printf("\n");
    (void)fflush(stdout);
    free(reference);
    free(rounded);
    return IL_OK;
}

int bench_parity(int argc, char **argv)
{
    il_arena arena = {0};
    il_error err = {0};
    int rc = IL_OK;
    if (argc < 2) {
        return usage();
    }
    (void)printf("# 8-bit blocks of 32 round normal numbers %.2f times as coarsely as bf16\n",
                 q8_over_bf16());
    (void)printf("model,layers,width,fp32_avx2,fp32_auto,fp16_weights,bf16_weights,"
                 "bf16_activations,bf16_engine\n");
    for (int i = 1; rc == IL_OK && i < argc; i++) {
        il_suite suite;
        rc = il_suite_select(argv[i], &arena, &suite, &err);
        for (size_t k = 0; rc == IL_OK && k < suite.n_shapes; k++) {
            rc = measure(&suite.shapes[k], argv[0], &err);
        }
    }
    if (rc != IL_OK) {
        (void)fprintf(stderr, "inferlaw-bench parity: %s\n", err.what);
    }
    il_arena_free(&arena);
    return rc == IL_OK ? 0 : 1;
}
