/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Simulated runs with a known truth, and what each method makes of them. One table of cases serves
 * the fast test (tests/stats/test_coverage.c) and the full one (inferlaw-bench coverage). A method
 * returns whether its interval held the truth, or whether a test was wrong, for one simulated run.
 *
 * Logarithms of block values: level + sd × noise. Noise, of unit scale:
 *   lognormal       independent normal
 *   bimodal         normal, and 4 higher in 30 % of the blocks
 *   autocorrelated  AR(1), correlation 0.5 from block to block
 *   drifting        normal, and a straight line from −1.5 to 1.5 over the run
 */
#ifndef IL_TESTS_STATS_SIMULATE_H
#define IL_TESTS_STATS_SIMULATE_H

#include "stats/autocorr.h"
#include "stats/bca.h"
#include "stats/boot.h"
#include "stats/deming.h"
#include "stats/dist.h"
#include "stats/equivalence.h"
#include "stats/fieller.h"
#include "stats/noise.h"
#include "stats/order.h"
#include "stats/rank.h"
#include "stats/robust.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

typedef enum sim_noise { SIM_LOGNORMAL, SIM_BIMODAL, SIM_AR, SIM_DRIFT } sim_noise;
static const char *const sim_noise_names[] = {"lognormal", "bimodal", "autocorrelated", "drifting"};

enum { SIM_MOST_BLOCKS = 256, SIM_MOST_MODELS = 32 };
static const double sim_phi = 0.5;

static inline void sim_series(sim_noise noise, size_t n, il_stream *stream, double *out)
{
    double level = il_stream_normal(stream);
    for (size_t i = 0; i < n; i++) {
        double z = il_stream_normal(stream);
        out[i] = z;
        if (noise == SIM_BIMODAL) {
            out[i] += il_stream_uniform(stream) < 0.3 ? 4 : 0;
        } else if (noise == SIM_AR) {
            out[i] = level;
            level = sim_phi * level + sqrt(1 - sim_phi * sim_phi) * z;
        } else if (noise == SIM_DRIFT && n > 1) {
            out[i] += 3 * ((double)i / (double)(n - 1) - 0.5);
        }
    }
}

static inline double sim_mean(sim_noise noise)
{
    return noise == SIM_BIMODAL ? 1.2 : 0;
}

/* 0.7Φ(x) + 0.3Φ(x − 4) = 1/2; the others are symmetric about 0. */
static inline double sim_median(sim_noise noise)
{
    return noise == SIM_BIMODAL ? 0.5655745067408696 : 0;
}

/* What is asked of a share. SHOWN: the method is not what the tool takes there, and this is why. */
typedef enum sim_ask {
    SIM_APPROXIMATE,
    SIM_EXACT,
    SIM_RAW,
    SIM_VERDICT,
    SIM_POWER,
    SIM_LEVEL,
    SIM_SHOWN,
} sim_ask;
static const struct {
    double least, most; /* percent */
} sim_asked[] = {{93, 97}, {95, 100}, {3, 7}, {0, 0.1}, {90, 100}, {0, 5}, {0, 100}};

struct sim_case;
typedef bool (*sim_trial)(const struct sim_case *c, il_stream *stream);

typedef struct sim_case {
    const char *method, *quantity;
    sim_trial trial;
    sim_noise noise;
    size_t n_models, n_blocks; /* 0 models: one cell */
    sim_ask ask;
    int fast_trials, full_trials;
} sim_case;

static inline bool sim_inside(const il_interval *interval, double truth)
{
    return interval->low <= truth && truth <= interval->high;
}

/* --- one cell --- */

static inline bool sim_order(const sim_case *c, il_stream *stream)
{
    double v[SIM_MOST_BLOCKS];
    il_interval got;
    sim_series(c->noise, c->n_blocks, stream, v);
    (void)il_quantile_interval(v, c->n_blocks, 0.5, 0.95, &got, NULL, NULL);
    return sim_inside(&got, sim_median(c->noise));
}

static inline bool sim_order_series(const sim_case *c, il_stream *stream)
{
    double v[SIM_MOST_BLOCKS];
    size_t low, high;
    sim_series(c->noise, c->n_blocks, stream, v);
    il_sort(v, c->n_blocks);
    double stay = 0.5 + asin(sim_phi) / 3.14159265358979323846;
    if (il_order_ranks_series(c->n_blocks, stay, 0.95, &low, &high, NULL) != IL_OK) {
        return false;
    }
    double truth = sim_median(c->noise);
    return v[low - 1] <= truth && truth <= v[high - 1];
}

static inline bool sim_mean_by(const sim_case *c, il_stream *stream,
                               int (*interval)(const double *, size_t, double, il_interval *,
                                               il_error *))
{
    double v[SIM_MOST_BLOCKS];
    il_interval got;
    sim_series(c->noise, c->n_blocks, stream, v);
    (void)interval(v, c->n_blocks, 0.95, &got, NULL);
    return sim_inside(&got, sim_mean(c->noise));
}

static inline bool sim_t(const sim_case *c, il_stream *stream)
{
    return sim_mean_by(c, stream, il_mean_interval);
}

static inline bool sim_t_series(const sim_case *c, il_stream *stream)
{
    return sim_mean_by(c, stream, il_mean_interval_series);
}

static inline bool sim_t_trend(const sim_case *c, il_stream *stream)
{
    return sim_mean_by(c, stream, il_mean_interval_trend);
}

static inline double sim_pick_mean(void *context, const size_t *pick, size_t n)
{
    const double *v = context;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += v[pick[i]];
    }
    return sum / (double)n;
}

static inline bool sim_bca(const sim_case *c, il_stream *stream)
{
    double v[SIM_MOST_BLOCKS];
    il_interval got;
    sim_series(c->noise, c->n_blocks, stream, v);
    (void)il_bca_interval(c->n_blocks, sim_pick_mean, v, 0.95, 600, stream, &got, NULL, NULL);
    return sim_inside(&got, sim_mean(c->noise));
}

static inline bool sim_block_boot(const sim_case *c, il_stream *stream)
{
    double v[SIM_MOST_BLOCKS];
    il_interval got;
    sim_series(c->noise, c->n_blocks, stream, v);
    double length = il_block_length(v, c->n_blocks, IL_BLOCK_STATIONARY);
    length = fmin(length, (double)(c->n_blocks / IL_BCA_LEAST));
    (void)il_block_interval(c->n_blocks, sim_pick_mean, v, IL_BLOCK_STATIONARY, length, 0.95, 400,
                            stream, &got, NULL, NULL);
    return sim_inside(&got, sim_mean(c->noise));
}

/* A drift of 3 over the run, or of none. */
static inline double sim_drifting(const sim_case *c, il_stream *stream, double *t, double *v)
{
    sim_series(c->noise, c->n_blocks, stream, v);
    for (size_t i = 0; i < c->n_blocks; i++) {
        t[i] = (double)i / (double)(c->n_blocks - 1);
    }
    return c->noise == SIM_DRIFT ? 3 : 0;
}

static inline bool sim_drift(const sim_case *c, il_stream *stream)
{
    double v[SIM_MOST_BLOCKS], t[SIM_MOST_BLOCKS];
    double truth = sim_drifting(c, stream, t, v);
    il_theil_sen got;
    (void)il_theil_sen_fit(t, v, c->n_blocks, &got, NULL);
    return got.slope_low <= truth && truth <= got.slope_high;
}

/* What the tool prints of the sentinel. */
static inline bool sim_drift_series(const sim_case *c, il_stream *stream)
{
    double v[SIM_MOST_BLOCKS], t[SIM_MOST_BLOCKS];
    double truth = sim_drifting(c, stream, t, v);
    for (size_t i = 0; i < c->n_blocks; i++) {
        v[i] = exp(v[i] / 100);
    }
    il_interval got;
    (void)il_drift_percent(t, v, c->n_blocks, &got, NULL);
    return sim_inside(&got, truth);
}

/* --- two arms in the same blocks: what the blocks do is common to both --- */

enum { SIM_BLOCK_SD = 5 }; /* percent; an arm's own noise is 2 % */

static inline void sim_arms(const sim_case *c, double effect, il_stream *stream, il_ratio *out)
{
    double block[SIM_MOST_BLOCKS], a[SIM_MOST_BLOCKS], b[SIM_MOST_BLOCKS];
    sim_noise own = c->noise == SIM_BIMODAL ? SIM_BIMODAL : SIM_LOGNORMAL;
    sim_series(c->noise, c->n_blocks, stream, block);
    sim_series(own, c->n_blocks, stream, a);
    sim_series(own, c->n_blocks, stream, b);
    for (size_t i = 0; i < c->n_blocks; i++) {
        a[i] = exp(0.01 * SIM_BLOCK_SD * block[i] + 0.02 * a[i]);
        b[i] = exp(0.01 * SIM_BLOCK_SD * block[i] + 0.02 * b[i] + effect);
    }
    (void)il_ratio_paired(a, b, c->n_blocks, 0.95, out, NULL);
}

static inline bool sim_ratio(const sim_case *c, il_stream *stream)
{
    il_ratio got;
    sim_arms(c, 0.03, stream, &got);
    return sim_inside(&got.ratio, exp(0.03));
}

static inline bool sim_aa_raw(const sim_case *c, il_stream *stream)
{
    il_ratio got;
    sim_arms(c, 0, stream, &got);
    return !sim_inside(&got.ratio, 1);
}

static inline bool sim_verdict(const il_ratio *r)
{
    return !sim_inside(&r->ratio, 1) && fabs(r->ratio.estimate - 1) > r->mde;
}

static inline bool sim_aa_verdict(const sim_case *c, il_stream *stream)
{
    il_ratio got;
    sim_arms(c, 0, stream, &got);
    return sim_verdict(&got);
}

/* Twice the rule alone, without t's 99.9 %: the finding that il_mde_factor mends. */
static inline bool sim_aa_twice(const sim_case *c, il_stream *stream)
{
    il_ratio got;
    sim_arms(c, 0, stream, &got);
    return fabs(got.ratio.estimate - 1) > 2 * got.half_width;
}

/* An effect of twice the smallest that gets a verdict, at the noise that there truly is. */
static inline bool sim_power(const sim_case *c, il_stream *stream)
{
    double variance = c->noise == SIM_BIMODAL ? 1 + 16 * 0.3 * 0.7 : 1;
    double se = 0.02 * sqrt(2 * variance / (double)c->n_blocks);
    double half = il_t_quantile(0.975, (double)(c->n_blocks - 1)) * se;
    il_ratio got;
    sim_arms(c, 2 * il_mde_factor(c->n_blocks, 0.95) * half, stream, &got);
    return sim_verdict(&got) && got.ratio.estimate > 1;
}

/* An effect that just reaches the margin must pass for equivalent in 5 % of runs at most. */
static inline bool sim_tost(const sim_case *c, il_stream *stream)
{
    double v[SIM_MOST_BLOCKS], w[SIM_MOST_BLOCKS];
    sim_noise own = c->noise == SIM_BIMODAL ? SIM_BIMODAL : SIM_LOGNORMAL;
    sim_series(own, c->n_blocks, stream, v);
    sim_series(own, c->n_blocks, stream, w);
    for (size_t i = 0; i < c->n_blocks; i++) {
        v[i] = 0.02 + 0.002 * (v[i] - w[i]);
    }
    il_equivalence got;
    (void)il_equivalence_test(v, c->n_blocks, 0.02, 0.05, &got, NULL);
    return got.equivalent;
}

/* --- laws over models --- */

typedef struct sim_law {
    size_t n, blocks;
    double x[SIM_MOST_MODELS], second[SIM_MOST_MODELS], y[SIM_MOST_MODELS];
    double values[SIM_MOST_MODELS * 24];
    size_t first[SIM_MOST_MODELS + 1];
    double rows[SIM_MOST_MODELS * 2];
} sim_law;

static const double sim_slope = 0.5;

/* log10 latencies: models scatter by 0.1 around the law, a block by 0.02 for every model and by
 * 0.02 for each alone. x is as spread out as the study's sizes. */
static inline void sim_models(const sim_case *c, il_stream *stream, sim_law *law)
{
    double shared[SIM_MOST_BLOCKS], own[SIM_MOST_BLOCKS];
    law->n = c->n_models;
    law->blocks = c->n_blocks;
    law->first[0] = 0;
    sim_series(c->noise, c->n_blocks, stream, shared);
    for (size_t m = 0; m < law->n; m++) {
        law->x[m] = 2.0 * (double)m / (double)(law->n - 1) + 0.3 * il_stream_normal(stream);
        law->second[m] = il_stream_normal(stream);
        double truth = 1 + sim_slope * law->x[m] + 0.1 * il_stream_normal(stream);
        sim_series(c->noise, c->n_blocks, stream, own);
        double *values = law->values + m * c->n_blocks;
        for (size_t b = 0; b < c->n_blocks; b++) {
            values[b] = truth + 0.02 * shared[b] + 0.02 * own[b];
        }
        law->first[m + 1] = (m + 1) * c->n_blocks;
        law->y[m] = il_median(values, c->n_blocks);
    }
}

static inline bool sim_law_t(const sim_case *c, il_stream *stream)
{
    sim_law law;
    il_ols fit;
    il_interval got = {0, NAN, NAN};
    sim_models(c, stream, &law);
    (void)il_ols_fit(law.x, law.y, law.n, 1, &fit, NULL, NULL, NULL);
    il_ols_interval(&fit, 1, 0.95, &got.low, &got.high);
    return sim_inside(&got, sim_slope);
}

static inline bool sim_law_hc3(const sim_case *c, il_stream *stream)
{
    sim_law law;
    il_robust fit;
    il_interval got = {0, NAN, NAN};
    sim_models(c, stream, &law);
    (void)il_hc3_fit(law.x, law.y, law.n, 1, &fit, NULL);
    il_robust_interval(&fit, 1, 0.95, &got.low, &got.high);
    return sim_inside(&got, sim_slope);
}

static inline bool sim_law_huber(const sim_case *c, il_stream *stream)
{
    sim_law law;
    il_robust fit;
    il_interval got = {0, NAN, NAN};
    sim_models(c, stream, &law);
    (void)il_huber_fit(law.x, law.y, law.n, 1, &fit, NULL, NULL);
    il_robust_interval(&fit, 1, 0.95, &got.low, &got.high);
    return sim_inside(&got, sim_slope);
}

static inline bool sim_law_nested(const sim_case *c, il_stream *stream)
{
    sim_law law;
    il_boot_line got;
    sim_models(c, stream, &law);
    const il_nested data = {law.n, law.x, law.values, law.first, NULL};
    (void)il_boot_line_nested(&data, 600, stream, &got, NULL);
    return sim_inside(&got.slope, sim_slope);
}

static inline bool sim_law_pairs(const sim_case *c, il_stream *stream)
{
    sim_law law;
    il_boot_line got;
    sim_models(c, stream, &law);
    (void)il_boot_line_pairs(law.x, law.y, law.n, 600, stream, &got, NULL);
    return sim_inside(&got.slope, sim_slope);
}

static inline int sim_plane(void *context, const size_t *pick, const double *y, size_t n,
                            double *terms)
{
    sim_law *law = context;
    for (size_t i = 0; i < n; i++) {
        law->rows[2 * i] = law->x[pick[i]];
        law->rows[2 * i + 1] = law->second[pick[i]];
    }
    il_ols fit;
    int rc = il_ols_fit(law->rows, y, n, 2, &fit, NULL, NULL, NULL);
    terms[0] = fit.coef[1];
    return rc;
}

static inline bool sim_plane_nested(const sim_case *c, il_stream *stream)
{
    sim_law law;
    il_interval got;
    size_t used;
    sim_models(c, stream, &law);
    const il_nested data = {law.n, NULL, law.values, law.first, NULL};
    (void)il_boot_nested(&data, 3, 1, sim_plane, &law, 400, stream, &got, &used, NULL);
    return sim_inside(&got, sim_slope);
}

static inline bool sim_plane_by(const sim_case *c, il_stream *stream, bool hc3)
{
    sim_law law;
    il_interval got = {0, NAN, NAN};
    sim_models(c, stream, &law);
    for (size_t i = 0; i < law.n; i++) {
        law.rows[2 * i] = law.x[i];
        law.rows[2 * i + 1] = law.second[i];
    }
    il_ols fit;
    il_robust robust;
    if (hc3) {
        (void)il_hc3_fit(law.rows, law.y, law.n, 2, &robust, NULL);
        il_robust_interval(&robust, 1, 0.95, &got.low, &got.high);
    } else {
        (void)il_ols_fit(law.rows, law.y, law.n, 2, &fit, NULL, NULL, NULL);
        il_ols_interval(&fit, 1, 0.95, &got.low, &got.high);
    }
    return sim_inside(&got, sim_slope);
}

static inline bool sim_plane_t(const sim_case *c, il_stream *stream)
{
    return sim_plane_by(c, stream, false);
}

static inline bool sim_plane_hc3(const sim_case *c, il_stream *stream)
{
    return sim_plane_by(c, stream, true);
}

/* x carries as much noise as y; the true x's are the law's. */
static inline bool sim_deming(const sim_case *c, il_stream *stream)
{
    double x[SIM_MOST_MODELS], y[SIM_MOST_MODELS];
    for (size_t i = 0; i < c->n_models; i++) {
        double truth = 2.0 * (double)i / (double)(c->n_models - 1);
        x[i] = truth + 0.1 * il_stream_normal(stream);
        y[i] = 1 + sim_slope * truth + 0.1 * il_stream_normal(stream);
    }
    il_deming got;
    (void)il_deming_fit(x, y, c->n_models, 1, &got, NULL);
    return sim_inside(&got.slope, sim_slope);
}

/* Ratio of the means of two quantities measured in the same blocks, a/b = 2, b clear of 0. */
static inline bool sim_fieller(const sim_case *c, il_stream *stream)
{
    double a[SIM_MOST_BLOCKS], b[SIM_MOST_BLOCKS];
    size_t n = c->n_blocks;
    double ma = 0;
    double mb = 0;
    for (size_t i = 0; i < n; i++) {
        double common = il_stream_normal(stream);
        a[i] = 4 + common + il_stream_normal(stream);
        b[i] = 2 + common + il_stream_normal(stream);
        ma += a[i] / (double)n;
        mb += b[i] / (double)n;
    }
    double va = 0;
    double vb = 0;
    double cov = 0;
    double scale = (double)n * (double)(n - 1);
    for (size_t i = 0; i < n; i++) {
        va += (a[i] - ma) * (a[i] - ma) / scale;
        vb += (b[i] - mb) * (b[i] - mb) / scale;
        cov += (a[i] - ma) * (b[i] - mb) / scale;
    }
    il_fieller got;
    (void)il_fieller_ratio(ma, mb, va, vb, cov, (double)(n - 1), 0.95, &got, NULL);
    bool inside = got.low <= 2 && 2 <= got.high;
    return got.kind == IL_FIELLER_EXCLUSIVE ? !inside : inside;
}

static inline bool sim_spearman(const sim_case *c, il_stream *stream)
{
    double x[SIM_MOST_MODELS], y[SIM_MOST_MODELS];
    for (size_t i = 0; i < c->n_models; i++) {
        x[i] = il_stream_normal(stream);
        y[i] = il_stream_below(stream, 6); /* depths are often the same */
    }
    double p;
    (void)il_spearman_exact_p(x, y, c->n_models, &p, NULL);
    return p <= 0.05;
}

/* --- the table --- */

#define SIM_CELL(method, quantity, fn, noise, ask, fast, full)                                     \
    {method, quantity, fn, noise, 0, 6, ask, fast, full},                                          \
        {method, quantity, fn, noise, 0, 10, ask, fast, full},                                     \
    {                                                                                              \
        method, quantity, fn, noise, 0, 20, ask, fast, full                                        \
    }
#define SIM_CELLS(method, quantity, fn, normal, bimodal, autocorrelated, drifting, fast, full)     \
    SIM_CELL(method, quantity, fn, SIM_LOGNORMAL, normal, fast, full),                             \
        SIM_CELL(method, quantity, fn, SIM_BIMODAL, bimodal, fast, full),                          \
        SIM_CELL(method, quantity, fn, SIM_AR, autocorrelated, fast, full),                        \
        SIM_CELL(method, quantity, fn, SIM_DRIFT, drifting, fast, full)
#define SIM_ALL(method, quantity, fn, ask, fast, full)                                             \
    SIM_CELL(method, quantity, fn, SIM_LOGNORMAL, ask, fast, full),                                \
        SIM_CELL(method, quantity, fn, SIM_BIMODAL, ask, fast, full),                              \
        SIM_CELL(method, quantity, fn, SIM_AR, ask, fast, full),                                   \
        SIM_CELL(method, quantity, fn, SIM_DRIFT, ask, fast, full)
#define SIM_LAW(method, quantity, fn, noise, seven, ask, fast, full)                               \
    {method, quantity, fn, noise, 7, 6, seven, fast, full},                                        \
        {method, quantity, fn, noise, 7, 10, seven, fast, full},                                   \
        {method, quantity, fn, noise, 11, 10, ask, fast, full},                                    \
    {                                                                                              \
        method, quantity, fn, noise, 20, 20, ask, fast, full                                       \
    }
#define SIM_LAWS(method, quantity, fn, seven, ask, fast, full)                                     \
    SIM_LAW(method, quantity, fn, SIM_LOGNORMAL, seven, ask, fast, full),                          \
        SIM_LAW(method, quantity, fn, SIM_BIMODAL, seven, ask, fast, full),                        \
        SIM_LAW(method, quantity, fn, SIM_AR, seven, ask, fast, full),                             \
        SIM_LAW(method, quantity, fn, SIM_DRIFT, seven, ask, fast, full)

/* clang-format off */
static const sim_case sim_cases[] = {
    /* One cell. Blocks that depend on each other break what is exact for independent ones. */
    SIM_CELLS("order statistics", "median", sim_order,
              SIM_EXACT, SIM_EXACT, SIM_SHOWN, SIM_EXACT, 1500, 200000),
    {"order statistics, series", "median", sim_order_series, SIM_LOGNORMAL, 0, 10, SIM_EXACT, 1500, 200000},
    {"order statistics, series", "median", sim_order_series, SIM_LOGNORMAL, 0, 20, SIM_EXACT, 1500, 200000},
    {"order statistics, series", "median", sim_order_series, SIM_BIMODAL, 0, 10, SIM_EXACT, 1500, 200000},
    {"order statistics, series", "median", sim_order_series, SIM_BIMODAL, 0, 20, SIM_EXACT, 1500, 200000},
    {"order statistics, series", "median", sim_order_series, SIM_AR, 0, 10, SIM_EXACT, 1500, 200000},
    {"order statistics, series", "median", sim_order_series, SIM_AR, 0, 20, SIM_EXACT, 1500, 200000},
    {"order statistics, series", "median", sim_order_series, SIM_DRIFT, 0, 10, SIM_EXACT, 1500, 200000},
    {"order statistics, series", "median", sim_order_series, SIM_DRIFT, 0, 20, SIM_EXACT, 1500, 200000},
    /* The mean of one cell: t for independent blocks, its kin for each kind of dependence. At six
     * skewed blocks t is short. */
    SIM_CELLS("t", "mean", sim_t,
              SIM_APPROXIMATE, SIM_SHOWN, SIM_SHOWN, SIM_SHOWN, 1500, 200000),
    SIM_CELLS("t, series", "mean", sim_t_series,
              SIM_APPROXIMATE, SIM_APPROXIMATE, SIM_APPROXIMATE, SIM_SHOWN, 1500, 200000),
    SIM_CELLS("t, trend", "mean", sim_t_trend,
              SIM_APPROXIMATE, SIM_SHOWN, SIM_SHOWN, SIM_APPROXIMATE, 1500, 200000),
    {"t, series", "mean", sim_t_series, SIM_AR, 0, 200, SIM_APPROXIMATE, 1000, 20000},
    {"BCa", "mean", sim_bca, SIM_LOGNORMAL, 0, 20, SIM_APPROXIMATE, 50, 10000},
    {"BCa", "mean", sim_bca, SIM_BIMODAL, 0, 20, SIM_APPROXIMATE, 50, 10000},
    {"BCa", "mean", sim_bca, SIM_LOGNORMAL, 0, 40, SIM_APPROXIMATE, 50, 5000},
    {"BCa", "mean", sim_bca, SIM_BIMODAL, 0, 40, SIM_APPROXIMATE, 50, 5000},
    {"block bootstrap", "mean", sim_block_boot, SIM_LOGNORMAL, 0, 200, SIM_APPROXIMATE, 50, 3000},
    {"block bootstrap", "mean", sim_block_boot, SIM_AR, 0, 200, SIM_SHOWN, 100, 3000},
    SIM_CELLS("Sen", "drift", sim_drift,
              SIM_SHOWN, SIM_SHOWN, SIM_SHOWN, SIM_SHOWN, 500, 50000),
    SIM_CELLS("t, trend of a series", "drift", sim_drift_series,
              SIM_APPROXIMATE, SIM_APPROXIMATE, SIM_APPROXIMATE, SIM_APPROXIMATE, 500, 50000),
    /* Two arms in the same blocks. */
    SIM_ALL("t, paired", "ratio", sim_ratio, SIM_APPROXIMATE, 1500, 200000),
    SIM_ALL("t, paired", "A/A error, raw", sim_aa_raw, SIM_RAW, 1500, 200000),
    SIM_ALL("twice the half-width", "A/A error, verdict", sim_aa_twice, SIM_SHOWN, 1500, 200000),
    SIM_ALL("il_ratio.mde", "A/A error, verdict", sim_aa_verdict, SIM_VERDICT, 6000, 400000),
    SIM_ALL("il_ratio.mde", "power at 2 MDE", sim_power, SIM_POWER, 1000, 20000),
    SIM_ALL("TOST", "error at the margin", sim_tost, SIM_LEVEL, 1500, 200000),
    /* Laws. */
    SIM_LAWS("t", "slope", sim_law_t, SIM_APPROXIMATE, SIM_APPROXIMATE, 400, 20000),
    SIM_LAWS("HC3", "slope", sim_law_hc3, SIM_APPROXIMATE, SIM_APPROXIMATE, 400, 20000),
    SIM_LAWS("Huber", "slope", sim_law_huber, SIM_APPROXIMATE, SIM_APPROXIMATE, 400, 20000),
    SIM_LAWS("nested bootstrap", "slope", sim_law_nested, SIM_APPROXIMATE, SIM_APPROXIMATE, 40, 4000),
    SIM_LAWS("percentile pairs", "slope", sim_law_pairs, SIM_SHOWN, SIM_SHOWN, 100, 4000),
    SIM_LAWS("t", "slope of two", sim_plane_t, SIM_APPROXIMATE, SIM_APPROXIMATE, 400, 20000),
    SIM_LAWS("HC3", "slope of two", sim_plane_hc3, SIM_SHOWN, SIM_APPROXIMATE, 400, 20000),
    SIM_LAWS("nested bootstrap", "slope of two", sim_plane_nested, SIM_SHOWN, SIM_APPROXIMATE, 25, 2000),
    {"jackknife", "Deming slope", sim_deming, SIM_LOGNORMAL, 7, 0, SIM_APPROXIMATE, 1000, 50000},
    {"jackknife", "Deming slope", sim_deming, SIM_LOGNORMAL, 11, 0, SIM_APPROXIMATE, 1000, 50000},
    {"jackknife", "Deming slope", sim_deming, SIM_LOGNORMAL, 20, 0, SIM_APPROXIMATE, 1000, 50000},
    SIM_CELL("Fieller", "ratio", sim_fieller, SIM_LOGNORMAL, SIM_APPROXIMATE, 1500, 200000),
    {"exact", "Spearman error", sim_spearman, SIM_LOGNORMAL, 7, 0, SIM_LEVEL, 100, 20000},
};
/* clang-format on */

/* Share of trials, in percent. */
static inline double sim_run(const sim_case *c, int trials, uint64_t seed)
{
    char row[160];
    (void)snprintf(row, sizeof row, "%s|%s|%d|%zu|%zu", c->method, c->quantity, (int)c->noise,
                   c->n_models, c->n_blocks);
    il_stream stream = il_stream_open(seed, "coverage", row);
    int hits = 0;
    for (int t = 0; t < trials; t++) {
        hits += c->trial(c, &stream);
    }
    return 100.0 * hits / trials;
}

#endif
