/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whole-model decode at batch 1 as a share of the read bandwidth measured in the same run: samples
 * of decode and of the ceiling take turns, with the same threads and a working set of the model's
 * size, so that a busy host slows both.
 */
#include "engine_bench.h"

#include "base/log.h"
#include "base/file.h"
#include "os/ceiling.h"
#include "os/clock.h"

#include <stdlib.h>

enum { SAMPLE_NS = 10000000, MOST_STEPS = 64, WARM_STEPS = 3 };

typedef struct decode_samples {
    double *us_per_token, *gbps, *share;
} decode_samples;

/* Steps that take about SAMPLE_NS, from a timed warm-up. */
static int count_steps(engine_bench_model *b, int32_t *next, uint32_t *out, il_error *err)
{
    int rc = IL_OK;
    int64_t least = INT64_MAX;
    for (int i = 0; i < WARM_STEPS && rc == IL_OK; i++) {
        int64_t t0 = il_clock_ns();
        rc = il_engine_decode(b->session, next, err);
        int64_t took = il_clock_ns() - t0;
        least = took < least ? took : least;
    }
    int64_t n = SAMPLE_NS / (least > 0 ? least : 1);
    *out = n < 1 ? 1 : n > MOST_STEPS ? MOST_STEPS : (uint32_t)n;
    return rc;
}

static int take_samples(const engine_bench_options *o, engine_bench_model *b, il_ceiling *ceiling,
                        decode_samples *s, il_error *err)
{
    int32_t next = b->ids[0];
    uint32_t n_steps = 1;
    int rc = IL_OK;
    for (uint32_t i = 0; i < o->n_samples && rc == IL_OK; i++) {
        il_engine_reset(b->session);
        rc = il_engine_prefill(b->session, b->ids, &o->prompt_tok, 1, err);
        if (rc == IL_OK && i == 0) {
            rc = count_steps(b, &next, &n_steps, err);
        }
        il_engine_reset(b->session);
        if (rc == IL_OK) {
            rc = il_engine_prefill(b->session, b->ids, &o->prompt_tok, 1, err);
        }
        int64_t t0 = il_clock_ns();
        for (uint32_t step = 0; step < n_steps && rc == IL_OK; step++) {
            rc = il_engine_argmax(b->session, &next, err);
            if (rc == IL_OK) {
                rc = il_engine_decode(b->session, &next, err);
            }
        }
        double ns = (double)(il_clock_ns() - t0) / n_steps;
        uint64_t bytes = engine_bench_step_bytes(b, o->engine.dtype, o->prompt_tok + n_steps / 2);
        s->us_per_token[i] = ns / 1e3;
        s->gbps[i] = il_ceiling_read_sample_gbps(ceiling);
        s->share[i] = (double)bytes / ns / s->gbps[i];
    }
    return rc;
}

static int run_model(const engine_bench_options *o, const char *dir, decode_samples *s,
                     il_error *err)
{
    engine_bench_model b;
    il_ceiling *ceiling = NULL;
    int rc = engine_bench_open(o, dir, o->prompt_tok + MOST_STEPS, &b, err);
    if (rc != IL_OK) {
        return rc;
    }
    const il_engine_facts *facts = il_engine_model_facts(b.model);
    rc = il_ceiling_open(facts->weight_bytes, facts->n_threads, &ceiling, err);
    if (rc == IL_OK) {
        rc = take_samples(o, &b, ceiling, s, err);
    }
    if (rc == IL_OK) {
        engine_bench_median us = engine_bench_summarise(s->us_per_token, o->n_samples);
        engine_bench_median gbps = engine_bench_summarise(s->gbps, o->n_samples);
        engine_bench_median share = engine_bench_summarise(s->share, o->n_samples);
        (void)printf("%-28s %-10s %u %8.1f %9.1f [%.1f, %.1f] %8.0f %7.1f %6.1f%% [%.1f, %.1f]\n",
                     il_path_base(dir), facts->isa, facts->n_threads,
                     (double)facts->weight_bytes / 1e6, us.median, us.low, us.high, 1e6 / us.median,
                     gbps.median, 100 * share.median, 100 * share.low, 100 * share.high);
        (void)fflush(stdout);
    }
    il_ceiling_close(ceiling);
    engine_bench_close(&b);
    return rc;
}

int bench_decode(int argc, char **argv)
{
    il_error err = {0};
    engine_bench_options o;
    decode_samples s = {0};
    int rc = engine_bench_parse(argc, argv, 16, &o, &err);
    if (rc == IL_OK) {
        s.us_per_token = calloc(o.n_samples, sizeof(double));
        s.gbps = calloc(o.n_samples, sizeof(double));
        s.share = calloc(o.n_samples, sizeof(double));
        if (!s.us_per_token || !s.gbps || !s.share) {
            rc = il_fail(&err, IL_E_NOMEM, "no memory for %u samples", o.n_samples);
        }
    }
    if (rc == IL_OK) {
        (void)printf("%-28s %-10s t %8s %9s %-15s %8s %7s %7s\n", "model", "kernels", "MB",
                     "us/token", "95 %", "tok/s", "GB/s", "share of read ceiling, 95 %");
    }
    for (int i = 0; i < o.n_dirs && rc == IL_OK; i++) {
        rc = run_model(&o, o.dirs[i], &s, &err);
    }
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    free(s.us_per_token);
    free(s.gbps);
    free(s.share);
    return rc == IL_OK ? 0 : 1;
}
