/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shared parts of the whole-model benchmarks.
 */
#include "engine_bench.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int set_option(const char *name, const char *value, engine_bench_options *o, il_error *err)
{
    int64_t n = 0;
    int rc = IL_E_USAGE;
    if (strcmp(name, "--dtype") == 0) {
        rc = il_dtype_parse(value, &o->engine.dtype);
    } else if (strcmp(name, "--isa") == 0) {
        o->engine.isa = value;
        rc = IL_OK;
    } else if (strcmp(name, "--pages") == 0) {
        static const char *const names[] = {"default", "huge", "small"};
        for (int i = 0; i < 3 && rc != IL_OK; i++) {
            if (strcmp(value, names[i]) == 0) {
                o->engine.pages = (il_engine_pages)i;
                rc = IL_OK;
            }
        }
    } else if (il_text_to_i64(value, &n) == IL_OK && n >= 0 && n <= 1 << 20) {
        uint32_t *to = strcmp(name, "--threads") == 0   ? &o->engine.n_threads
                       : strcmp(name, "--samples") == 0 ? &o->n_samples
                       : strcmp(name, "--prompt") == 0  ? &o->prompt_tok
                                                        : NULL;
        if (to) {
            *to = (uint32_t)n;
            rc = IL_OK;
        }
    }
    return rc == IL_OK ? rc : il_fail(err, IL_E_USAGE, "%s %s is no option", name, value);
}

int engine_bench_parse(int argc, char **argv, uint32_t prompt_tok, engine_bench_options *out,
                       il_error *err)
{
    *out = (engine_bench_options){.n_samples = 21, .prompt_tok = prompt_tok};
    int i = 0;
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        int rc = set_option(argv[i], argv[i + 1], out, err);
        if (rc != IL_OK) {
            return rc;
        }
    }
    out->dirs = argv + i;
    out->n_dirs = argc - i;
    if (out->n_dirs < 1 || out->n_samples < 1 || out->prompt_tok < 1) {
        (void)il_fail(err, IL_E_USAGE, "which checkpoint directories or GGUF files?");
        il_error_hint(err,
                      "[--dtype fp32|bf16] [--threads N] [--isa I] [--pages default|huge|small]"
                      " [--samples N] [--prompt N] DIR|FILE.gguf...");
        return IL_E_USAGE;
    }
    return IL_OK;
}

static int read_shape(const char *path, engine_bench_model *out, il_error *err)
{
    il_gguf_weights *file = NULL;
    if (!il_path_is_gguf(path)) {
        return il_shape_from_dir(path, &out->shape, err);
    }
    int rc = il_gguf_weights_open(path, &file, err);
    if (rc == IL_OK) {
        out->shape = *il_gguf_weights_shape(file);
        out->step = il_gguf_weights_step(file);
        out->is_gguf = true;
    }
    il_gguf_weights_close(file);
    return rc;
}

uint64_t engine_bench_step_bytes(const engine_bench_model *b, il_dtype dtype, uint32_t context_tok)
{
    return b->is_gguf ? il_gguf_step_bytes(&b->shape, b->step, dtype, 1, context_tok)
                      : il_shape_bytes_per_step(&b->shape, dtype, dtype, 1, context_tok);
}

int engine_bench_open(const engine_bench_options *options, const char *dir, uint32_t context_tok,
                      engine_bench_model *out, il_error *err)
{
    *out = (engine_bench_model){0};
    int rc = read_shape(dir, out, err);
    if (rc == IL_OK) {
        rc = il_engine_model_open(dir, &options->engine, &out->model, err);
    }
    if (rc == IL_OK) {
        il_engine_session_options so = {
            .max_batch = 1, .max_context_tok = context_tok, .max_prompt_tok = options->prompt_tok};
        rc = il_engine_session_open(out->model, &so, &out->session, err);
    }
    if (rc == IL_OK && !(out->ids = malloc(options->prompt_tok * sizeof *out->ids))) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for %u ids", options->prompt_tok);
    }
    for (uint32_t i = 0; i < options->prompt_tok && rc == IL_OK; i++) {
        out->ids[i] = (int32_t)((i * 7919U + 13U) % out->shape.vocab_size);
    }
    if (rc != IL_OK) {
        engine_bench_close(out);
    }
    return rc;
}

void engine_bench_close(engine_bench_model *bench)
{
    il_engine_session_close(bench->session);
    il_engine_model_close(bench->model);
    free(bench->ids);
    *bench = (engine_bench_model){0};
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

engine_bench_median engine_bench_summarise(double *samples, uint32_t n)
{
    qsort(samples, n, sizeof *samples, compare_doubles);
    engine_bench_median m = {
        .median = (samples[(n - 1) / 2] + samples[n / 2]) / 2, .low = NAN, .high = NAN};
    /* Largest r with P(fewer than r of n fall below the median) ≤ 2.5 %. */
    double p = pow(0.5, (double)n);
    double below = 0;
    uint32_t r = 0;
    while (r < n / 2 && below + p <= 0.025) {
        below += p;
        p *= (double)(n - r) / (double)(r + 1);
        r++;
    }
    if (r > 0) {
        m.low = samples[r - 1];
        m.high = samples[n - r];
    }
    return m;
}
