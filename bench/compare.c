/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * How often compare is right, simulated: coverage of the interval, the raw A/A test, false
 * verdicts, SAME where nothing changed, and the power at twice the smallest callable effect, in
 * tables of twelve cells.
 */
#include "bench.h"

#include "base/text.h"
#include "stats/autocorr.h"
#include "stats/change.h"
#include "stats/multiple.h"
#include "stats/noise.h"
#include "stats/stream.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 20, SIDES = 4, CELLS = 12 };
enum { LOGNORMAL, BIMODAL, SKEWED, DRIFT, AR_SHARED, AR_OWN, N_KINDS };
static const char *const kinds[N_KINDS] = {
    "lognormal",           "bimodal", "skewed", "drifting machine", "autocorrelated machine",
    "autocorrelated sides"};

typedef struct noise {
    int kind;
    double sd, shared; /* of a step; what the machine does to all sides of a block */
    double own[SIDES];
    il_stream stream;
} noise;

static void begin_run(noise *n)
{
    n->shared = il_stream_normal(&n->stream) / sqrt(0.75);
    for (int k = 0; k < SIDES; k++) {
        n->own[k] = il_stream_normal(&n->stream) / sqrt(0.75);
    }
}

static void begin_block(noise *n, size_t block)
{
    if (n->kind == DRIFT) {
        n->shared = 0.5 * (double)block; /* sd's a block: ten times the noise over a run of 20 */
    } else if (n->kind == AR_SHARED) {
        n->shared = 0.5 * n->shared + il_stream_normal(&n->stream);
    } else {
        n->shared = 0;
    }
}

static double log_time(noise *n, int side)
{
    double z = il_stream_normal(&n->stream), u = il_stream_uniform(&n->stream);
    switch (n->kind) {
    case BIMODAL:
        return n->sd * (0.5 * z + (u < 0.3 ? 2 : 0));
    case SKEWED:
        return n->sd * (0.5 * z - 0.8 * log(1 - u));
    case AR_OWN:
        n->own[side] = 0.5 * n->own[side] + z;
        return n->sd * n->own[side];
    default:
        return n->sd * (z + n->shared);
    }
}

typedef struct rates {
    double covered, raw, wrong, same, slower, margin;
} rates;

/* One table: CELLS cells of four sides (A, B and two A/A arms), n blocks each. */
typedef struct table {
    size_t n;
    bool paired, arms;
    double v[CELLS][SIDES][MOST];
} table;

/* paired: all sides share the machine of a block; else side B has a run of its own. */
static void fill(table *t, noise *world, double effect)
{
    for (int c = 0; c < CELLS; c++) {
        for (int part = 0; part < (t->paired ? 1 : 2); part++) {
            begin_run(world);
            for (size_t i = 0; i < t->n; i++) {
                begin_block(world, i);
                for (int k = 0; k < SIDES; k++) {
                    double x = exp(log_time(world, k) + (k == 1 ? log1p(effect) : 0));
                    if (part == (!t->paired && k == 1)) {
                        t->v[c][k][i] = x;
                    }
                }
            }
        }
    }
}

/* Appends ln v with mean 0 and standard deviation 1. */
static double *append(double *to, const double *v, const double *over, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = log(over ? v[i] / over[i] : v[i]);
    }
    double mean = il_mean(to, n), sd = il_sd(to, n);
    for (size_t i = 0; i < n; i++) {
        to[i] = (to[i] - mean) / sd;
    }
    return to + n;
}

/* As analysis/compare.c pools the cells of a mode. */
static double correlation(const table *t)
{
    static double all[2 * CELLS * MOST];
    size_t first[2 * CELLS + 1] = {0}, n = 0;
    double *end = all;
    for (int c = 0; c < CELLS; c++) {
        for (int k = t->paired ? 1 : 0; k < 2; k++) {
            end = append(end, t->v[c][k], t->paired ? t->v[c][0] : NULL, t->n);
            first[++n] = (size_t)(end - all);
        }
    }
    return il_pooled_lag1(all, first, n, NULL);
}

static void judge_table(const table *t, double effect, double weight, rates *out)
{
    il_log_ratio r[CELLS];
    double p[CELLS], q[CELLS], rho = correlation(t);
    for (int c = 0; c < CELLS; c++) {
        (void)(t->paired ? il_log_ratio_paired(t->v[c][0], t->v[c][1], t->n, &r[c], NULL)
                         : il_log_ratio_welch(t->v[c][0], t->n, t->v[c][1], t->n, &r[c], NULL));
        il_log_ratio_correlate(&r[c], rho);
        p[c] = il_log_ratio_p(&r[c]);
    }
    (void)il_fdr_adjust(p, CELLS, q, NULL);
    for (int c = 0; c < CELLS; c++) {
        double floor = il_log_ratio_half_width(&r[c], 0.95);
        il_ratio aa;
        if (t->arms && il_ratio_paired(t->v[c][2], t->v[c][3], t->n, 0.95, &aa, NULL) == IL_OK) {
            floor = fmax(floor, aa.half_width);
        }
        double margin = fmax(0.02, 2 * floor);
        il_change verdict = il_change_judge(&r[c], margin, q[c], NULL);
        il_interval ci = il_log_ratio_interval(&r[c], 0.95);
        bool wrong = verdict == IL_CHANGE_FASTER || verdict == IL_CHANGE_SLOWER;
        out->covered += ci.low <= 1 + effect && 1 + effect <= ci.high ? weight : 0;
        out->raw += p[c] <= 0.05 ? weight : 0;
        out->wrong += wrong ? weight : 0;
        out->same += verdict == IL_CHANGE_SAME ? weight : 0;
        out->slower += verdict == IL_CHANGE_SLOWER ? weight : 0;
        out->margin += margin * weight;
    }
}

static rates simulate(int kind, bool paired, bool arms, size_t n, double effect, int tables)
{
    rates out = {0};
    static table t;
    t = (table){.n = n, .paired = paired, .arms = arms};
    noise world = {.kind = kind, .sd = 0.02};
    world.stream = il_stream_open(3, kinds[kind], paired ? "paired" : "stored");
    for (int i = 0; i < tables; i++) {
        fill(&t, &world, effect);
        judge_table(&t, effect, 1.0 / tables / CELLS, &out);
    }
    return out;
}

int bench_compare(int argc, char **argv)
{
    static const size_t sizes[] = {6, 10, 20};
    int64_t tables = 5000;
    if (argc > 0 &&
        (il_text_to_i64(argv[0], &tables) != IL_OK || tables < 1 || tables > 100000000)) {
        (void)fprintf(stderr, "usage: inferlaw-bench compare [TABLES]\n");
        return 1;
    }
    (void)printf("%-7s %-23s %-5s %3s %9s %9s %10s %7s %9s %9s\n", "design", "noise", "arms", "n",
                 "covered", "raw A/A", "verdicts", "SAME", "MDE", "power");
    for (int row = 0; row < 4 * N_KINDS; row++) {
        bool paired = row >= 2 * N_KINDS, arms = row / N_KINDS % 2;
        for (int i = 0; i < 3; i++) {
            int kind = row % N_KINDS;
            rates aa = simulate(kind, paired, arms, sizes[i], 0, (int)tables);
            rates ab = simulate(kind, paired, arms, sizes[i], 2 * aa.margin, (int)tables / 5 + 1);
            (void)printf("%-7s %-23s %-5s %3zu %8.2f%% %8.2f%% %9.4f%% %6.1f%% %8.2f%% %8.1f%%\n",
                         paired ? "live" : "stored", kinds[kind], arms ? "yes" : "no", sizes[i],
                         100 * aa.covered, 100 * aa.raw, 100 * aa.wrong, 100 * aa.same,
                         100 * aa.margin, 100 * ab.slower);
        }
    }
    return 0;
}
