/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the whole-model benchmarks share: options, an opened model with one session, medians with
 * exact order-statistic intervals.
 */
#ifndef IL_BENCH_ENGINE_BENCH_H
#define IL_BENCH_ENGINE_BENCH_H

#include "inferlaw/engine.h"
#include "model/gguf_weights.h"
#include "model/shape.h"

#include <stdio.h>

typedef struct engine_bench_options {
    il_engine_options engine;
    uint32_t n_samples;
    uint32_t prompt_tok;
    char *const *dirs; /* checkpoint directories or GGUF files */
    int n_dirs;
} engine_bench_options;

/* [--dtype fp32|bf16] [--threads N] [--isa I] [--pages default|huge|small] [--samples N]
 * [--prompt N] DIR… */
int engine_bench_parse(int argc, char **argv, uint32_t prompt_tok, engine_bench_options *out,
                       il_error *err);

typedef struct engine_bench_model {
    il_engine_model *model;
    il_engine_session *session;
    il_shape shape;
    bool is_gguf;
    il_gguf_step step;
    int32_t *ids; /* prompt_tok of them */
} engine_bench_model;

int engine_bench_open(const engine_bench_options *options, const char *dir, uint32_t context_tok,
                      engine_bench_model *out, il_error *err);
/* Bytes that a decode step reads, as the engine stores them. */
uint64_t engine_bench_step_bytes(const engine_bench_model *b, il_dtype dtype, uint32_t context_tok);
void engine_bench_close(engine_bench_model *bench);

typedef struct engine_bench_median {
    double median, low, high; /* at least 95 %; low = high = NaN below six samples */
} engine_bench_median;

/* Sorts the samples. The interval runs between the order statistics whose binomial(n, ½) coverage
 * is the least that reaches 95 %. */
engine_bench_median engine_bench_summarise(double *samples, uint32_t n);

int bench_decode(int argc, char **argv);
int bench_prefill(int argc, char **argv);

#endif
