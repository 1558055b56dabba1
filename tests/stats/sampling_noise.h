/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Simulated studies with the stopping rule inside: what stats/test_sampling.c asserts quickly and
 * inferlaw-bench sampling counts in full.
 */
#ifndef TESTS_STATS_SAMPLING_NOISE_H
#define TESTS_STATS_SAMPLING_NOISE_H

#include "stats/order.h"
#include "stats/sampling.h"
#include "stats/stream.h"

#include <math.h>
#include <string.h>

enum { NOISE_MOST_BLOCKS = 128, NOISE_LEAST_BLOCKS = 8 };

/* Every kind has a spread of 2 % where nothing else is said. */
typedef enum noise_kind {
    NOISE_LOGNORMAL,
    NOISE_BIMODAL, /* three of ten blocks 12 % slower */
    NOISE_SKEWED,  /* one-sided: exp(1.2 z) times 2 % above a floor */
    NOISE_DRIFT,   /* 5 % over all blocks that could be, linear */
    NOISE_AR1,     /* correlation 0.3 from block to block */
    NOISE_WALK,    /* a random walk: blocks teach nothing */
    NOISE_KINDS
} noise_kind;

static const char *const noise_names[NOISE_KINDS] = {"lognormal", "bimodal", "skewed",
                                                     "drift",     "ar1 0.3", "random walk"};

static inline void noise_draw(noise_kind kind, il_stream *stream, size_t n, double *out)
{
    const double spread = 0.02;
    double state = il_stream_normal(stream);
    for (size_t i = 0; i < n; i++) {
        double z = il_stream_normal(stream), log_value = spread * z;
        switch (kind) {
        case NOISE_BIMODAL:
            log_value += il_stream_uniform(stream) < 0.3 ? 0.12 : 0;
            break;
        case NOISE_SKEWED:
            log_value = spread * exp(1.2 * z);
            break;
        case NOISE_DRIFT:
            log_value += 0.05 * (double)i / (double)n;
            break;
        case NOISE_AR1:
            state = 0.3 * state + sqrt(1 - 0.3 * 0.3) * z;
            log_value = spread * state;
            break;
        case NOISE_WALK:
            state += z;
            log_value = spread * state;
            break;
        default:
            break;
        }
        out[i] = exp(log_value);
    }
}

/* The true median over the n blocks that were measured, of `most` that could be. */
static inline double noise_truth(noise_kind kind, size_t n, size_t most)
{
    if (kind == NOISE_SKEWED) {
        return exp(0.02);
    }
    if (kind == NOISE_DRIFT) {
        return exp(0.05 * ((double)n - 1) / 2 / (double)most);
    }
    if (kind != NOISE_BIMODAL) {
        return 1;
    }
    double low = -0.1, high = 0.2; /* F(m) = 0.7 Φ(m/s) + 0.3 Φ((m − 0.12)/s) = 1/2 */
    for (int i = 0; i < 60; i++) {
        double m = (low + high) / 2;
        double f = 0.35 * erfc(-m / 0.02 / sqrt(2)) + 0.15 * erfc(-(m - 0.12) / 0.02 / sqrt(2));
        *(f < 0.5 ? &low : &high) = m;
    }
    return exp(low);
}

typedef struct noise_count {
    size_t trials, covered, covered_fixed, covered_peeking, met, stuck, blocks;
} noise_count;

static inline int noise_covers(const double *values, size_t n, double truth)
{
    il_interval got;
    return il_quantile_interval(values, n, 0.5, 0.95, &got, NULL, NULL) == IL_OK &&
           got.low <= truth && truth <= got.high;
}

/* A rule that stops when the interval it publishes is narrow enough, for comparison. */
static inline size_t noise_peek(const double *values, size_t most, double target)
{
    for (size_t n = NOISE_LEAST_BLOCKS; n < most; n++) {
        il_interval got;
        (void)il_quantile_interval(values, n, 0.5, 0.95, &got, NULL, NULL);
        if ((got.high - got.low) / 2 / got.estimate <= target) {
            return n;
        }
    }
    return most;
}

/* One cell measured until the rule stops; the interval that counts is the published one, exact at
 * 95 %, of the blocks there are then. */
static inline void noise_trial(noise_kind kind, il_stream *stream, size_t most, double target,
                               noise_count *out)
{
    double values[NOISE_MOST_BLOCKS];
    il_sampling_view view = {0};
    size_t n = NOISE_LEAST_BLOCKS;
    noise_draw(kind, stream, most, values);
    for (;; n++) {
        (void)il_sampling_median(values, n, target, &view, NULL);
        if (view.met || view.stuck || n == most) {
            break;
        }
    }
    size_t peeked = noise_peek(values, most, target);
    out->trials++;
    out->met += view.met;
    out->stuck += view.stuck;
    out->blocks += n;
    out->covered += (size_t)noise_covers(values, n, noise_truth(kind, n, most));
    out->covered_fixed += (size_t)noise_covers(values, most, noise_truth(kind, most, most));
    out->covered_peeking += (size_t)noise_covers(values, peeked, noise_truth(kind, peeked, most));
}

enum { NOISE_MODELS = 7 };

/* Seven models over two decades of size, exponent 0.8; every round gives a block to those models
 * that lower the variance most, until the rule stops. The deciding interval of the exponent counts.
 */
static inline void noise_law_trial(noise_kind kind, il_stream *stream, size_t most, double target,
                                   noise_count *out)
{
    double values[NOISE_MODELS][NOISE_MOST_BLOCKS], x[NOISE_MODELS], gain[NOISE_MODELS];
    double logs[NOISE_MODELS * NOISE_MOST_BLOCKS];
    size_t n[NOISE_MODELS], last[NOISE_MODELS], half[NOISE_MODELS], first[NOISE_MODELS + 1] = {0};
    il_sampling_view view = {0};
    for (size_t m = 0; m < NOISE_MODELS; m++) {
        x[m] = (double)m / 3;
        noise_draw(kind, stream, most, values[m]);
        n[m] = last[m] = NOISE_LEAST_BLOCKS;
        half[m] = NOISE_LEAST_BLOCKS / 2;
    }
    for (size_t round = NOISE_LEAST_BLOCKS;; round++) {
        for (size_t m = 0; m < NOISE_MODELS; m++) {
            for (size_t i = 0; i < n[m]; i++) {
                logs[first[m] + i] = log10(values[m][i]) + 0.8 * x[m];
            }
            first[m + 1] = first[m] + n[m];
            half[m] = n[m] / 2;
        }
        const il_sampling_line line = {NOISE_MODELS, x, logs, first};
        (void)il_sampling_slope(&line, last, half, target, gain, &view, NULL);
        if (view.met || view.stuck || round == most) {
            break;
        }
        double best = 0;
        for (size_t m = 0; m < NOISE_MODELS; m++) {
            best = gain[m] > best ? gain[m] : best;
        }
        for (size_t m = 0; m < NOISE_MODELS; m++) {
            last[m] = n[m];
            n[m] += gain[m] >= best / 2;
        }
    }
    double mean = 0, slope = 0, sxx = 0;
    for (size_t m = 0; m < NOISE_MODELS; m++) {
        mean += x[m] / NOISE_MODELS;
        out->blocks += n[m];
    }
    for (size_t m = 0; m < NOISE_MODELS; m++) {
        slope += (x[m] - mean) * il_median(logs + first[m], n[m]);
        sxx += (x[m] - mean) * (x[m] - mean);
    }
    out->trials++;
    out->met += view.met;
    out->stuck += view.stuck;
    out->covered += fabs(slope / sxx - 0.8) <= view.half_width;
}

#endif
