/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whole-model prefill at batch 1 as a share of the multiply-add peak measured in the same run and
 * in turns with it: model FLOPs (2 per weight and token, attention, the head at the last position).
 */
#include "engine_bench.h"

#include "base/file.h"
#include "base/log.h"
#include "os/ceiling.h"
#include "os/clock.h"

#include <stdlib.h>

typedef struct prefill_samples {
    double *ms, *gflops, *share;
} prefill_samples;

static int take_samples(const engine_bench_options *o, engine_bench_model *b, il_ceiling *ceiling,
                        prefill_samples *s, il_error *err)
{
    double flops = il_shape_flops(&b->shape, 1, o->prompt_tok, 0, 1);
    int rc = il_engine_prefill(b->session, b->ids, &o->prompt_tok, 1, err);
    for (uint32_t i = 0; i < o->n_samples && rc == IL_OK; i++) {
        il_engine_reset(b->session);
        int64_t t0 = il_clock_ns();
        rc = il_engine_prefill(b->session, b->ids, &o->prompt_tok, 1, err);
        double ns = (double)(il_clock_ns() - t0);
        s->ms[i] = ns / 1e6;
        s->gflops[i] = il_ceiling_fma_sample_gflops(ceiling, o->engine.dtype);
        s->share[i] = flops / ns / s->gflops[i];
    }
    return rc;
}

static int run_model(const engine_bench_options *o, const char *dir, prefill_samples *s,
                     il_error *err)
{
    engine_bench_model b;
    il_ceiling *ceiling = NULL;
    int rc = engine_bench_open(o, dir, o->prompt_tok, &b, err);
    if (rc != IL_OK) {
        return rc;
    }
    const il_engine_facts *facts = il_engine_model_facts(b.model);
    rc = il_ceiling_open(0, facts->n_threads, &ceiling, err);
    if (rc == IL_OK) {
        rc = take_samples(o, &b, ceiling, s, err);
    }
    if (rc == IL_OK) {
        engine_bench_median ms = engine_bench_summarise(s->ms, o->n_samples);
        engine_bench_median gflops = engine_bench_summarise(s->gflops, o->n_samples);
        engine_bench_median share = engine_bench_summarise(s->share, o->n_samples);
        (void)printf("%-28s %-10s %u %6u %9.2f [%.2f, %.2f] %8.0f %7.0f %6.1f%% [%.1f, %.1f]\n",
                     il_path_base(dir), facts->isa, facts->n_threads, o->prompt_tok, ms.median,
                     ms.low, ms.high, 1e3 * o->prompt_tok / ms.median, gflops.median,
                     100 * share.median, 100 * share.low, 100 * share.high);
        (void)fflush(stdout);
    }
    il_ceiling_close(ceiling);
    engine_bench_close(&b);
    return rc;
}

int bench_prefill(int argc, char **argv)
{
    il_error err = {0};
    engine_bench_options o;
    prefill_samples s = {0};
    int rc = engine_bench_parse(argc, argv, 512, &o, &err);
    if (rc == IL_OK) {
        s.ms = calloc(o.n_samples, sizeof(double));
        s.gflops = calloc(o.n_samples, sizeof(double));
        s.share = calloc(o.n_samples, sizeof(double));
        if (!s.ms || !s.gflops || !s.share) {
            rc = il_fail(&err, IL_E_NOMEM, "no memory for %u samples", o.n_samples);
        }
    }
    if (rc == IL_OK) {
        (void)printf("%-28s %-10s t %6s %9s %-15s %8s %7s %7s\n", "model", "kernels", "prompt",
                     "ms", "95 %", "tok/s", "GFLOP/s", "share of multiply-add peak, 95 %");
    }
    for (int i = 0; i < o.n_dirs && rc == IL_OK; i++) {
        rc = run_model(&o, o.dirs[i], &s, &err);
    }
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    free(s.ms);
    free(s.gflops);
    free(s.share);
    return rc == IL_OK ? 0 : 1;
}
