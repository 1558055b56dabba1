/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What each block records of the machine: sentinel and ceilings; and the pilot that says, before
 * anything is measured, how small an effect the run may hope to see.
 */
#include "study/driver_parts.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CEILING_SAMPLES = 5, MOST_WORKING_SETS = 32, MOST_PEAKS = 16, PILOT_SAMPLES = 30 };

/* Beyond this a larger buffer reads no slower, and filling it takes longer than reading. */
#define MOST_WORKING_SET_BYTES (UINT64_C(512) << 20)

static int open_sentinel(il__driver *d, il_error *err)
{
    if (d->sentinel_open) {
        return IL_OK;
    }
    int rc = il_sentinel_open(&d->sentinel, err);
    d->sentinel_open = rc == IL_OK;
    return rc;
}

static int write_sentinel(il__driver *d, uint32_t block, il_error *err)
{
    il_state before, after;
    int rc = open_sentinel(d, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_state_read(0, &before);
    rc = il_sentinel_run(&d->sentinel, err);
    il_state_read(0, &after);
    if (rc != IL_OK) {
        return rc;
    }
    json_t *line =
        json_pack("{s:I,s:o,s:o,s:o}", "block", (json_int_t)block, "gemm_ms",
                  il_json_real(d->sentinel.gemm_ms), "read_ms", il_json_real(d->sentinel.read_ms),
                  "state", il_state_json(&before, &after));
    d->history.sentinels[block] = true;
    return il_journal_write(d->journal, "sentinel", line, err);
}

static int write_ceiling(il__driver *d, uint32_t block, const char *what, const char *dtype,
                         uint32_t threads, uint64_t working_set, const double *samples,
                         il_error *err)
{
    json_t *list = json_array();
    for (int i = 0; list && i < CEILING_SAMPLES; i++) {
        (void)json_array_append_new(list, il_json_real(samples[i]));
    }
    json_t *line = json_pack("{s:I,s:s,s:s?,s:I,s:o,s:o}", "block", (json_int_t)block, "what", what,
                             "dtype", dtype, "threads", (json_int_t)threads, "working_set_bytes",
                             working_set ? json_integer((json_int_t)working_set) : json_null(),
                             "samples", list);
    return il_journal_write(d->journal, "ceiling", line, err);
}

typedef struct wanted {
    uint64_t sizes[MOST_WORKING_SETS]; /* ascending insertion not needed: a set */
    uint32_t threads[MOST_WORKING_SETS];
    uint32_t n;
    il_dtype peak_dtypes[MOST_PEAKS]; /* a peak is of a dtype on as many threads as its cell has */
    uint32_t peak_threads[MOST_PEAKS];
    uint32_t n_peaks;
} wanted;

static void want_peak(wanted *w, il_dtype dtype, uint32_t threads)
{
    for (uint32_t i = 0; i < w->n_peaks; i++) {
        if (w->peak_dtypes[i] == dtype && w->peak_threads[i] == threads) {
            return;
        }
    }
    if (w->n_peaks < MOST_PEAKS) {
        w->peak_dtypes[w->n_peaks] = dtype;
        w->peak_threads[w->n_peaks++] = threads;
    }
}

/* Sizes within a quarter of one another share a ceiling. */
static void want(wanted *w, uint64_t bytes, uint32_t threads)
{
    bytes = bytes > MOST_WORKING_SET_BYTES ? MOST_WORKING_SET_BYTES : bytes;
    for (uint32_t i = 0; i < w->n; i++) {
        double ratio = (double)bytes / (double)w->sizes[i];
        if (w->threads[i] == threads && ratio > 0.8 && ratio < 1.25) {
            return;
        }
    }
    if (w->n < MOST_WORKING_SETS) {
        w->sizes[w->n] = bytes;
        w->threads[w->n++] = threads;
    }
}

/* The cells that compute on this machine's CPU. */
static void collect(const il__driver *d, wanted *w)
{
    const il_plan *p = d->plan;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        const il_param_set *set = &p->study->backends[c->backend].set;
        const il_study_model *m = &p->study->models[c->model];
        il_dtype dtype = IL_DTYPE_F32;
        if (c->skip.code != IL_OK || !m->has_shape ||
            !(p->ops[c->backend]->caps & IL_CAP_PROCESS) ||
            strcmp(il_param_text(set, IL_P_DEVICE), "cpu") != 0) {
            continue;
        }
        (void)il_dtype_parse(il_param_text(set, IL_P_DTYPE), &dtype);
        uint32_t threads = (uint32_t)il_param_i64(set, IL_P_THREADS);
        threads = threads ? threads : d->machine.n_cores_allowed;
        threads = threads ? threads : 1;
        want(w, m->counts.read_per_step * il_dtype_bytes(dtype), threads);
        want_peak(w, dtype, threads);
    }
}

static int write_ceilings(il__driver *d, uint32_t block, il_error *err)
{
    wanted w = {0};
    double samples[CEILING_SAMPLES];
    collect(d, &w);
    int rc = IL_OK;
    for (uint32_t i = 0; rc == IL_OK && i < w.n; i++) {
        rc = il_ceiling_read_gbps(w.sizes[i], w.threads[i], CEILING_SAMPLES, samples, err);
        if (rc == IL_OK) {
            rc = write_ceiling(d, block, "read_gbps", NULL, w.threads[i], w.sizes[i], samples, err);
        }
    }
    for (uint32_t i = 0; rc == IL_OK && i < w.n_peaks; i++) {
        rc = il_ceiling_fma_gflops(w.peak_dtypes[i], w.peak_threads[i], CEILING_SAMPLES, samples,
                                   err);
        if (rc == IL_OK) {
            rc = write_ceiling(d, block, "fma_gflops", il_dtype_name(w.peak_dtypes[i]),
                               w.peak_threads[i], 0, samples, err);
        }
    }
    d->history.ceilings[block] = true;
    return rc;
}

int il__driver_block_facts(il__driver *d, uint32_t block, il_error *err)
{
    if (!d->plan->sentinel) {
        return IL_OK;
    }
    il__driver_tick(d, block, "sentinel and ceilings", 0);
    int rc = d->history.sentinels[block] ? IL_OK : write_sentinel(d, block, err);
    if (rc == IL_OK && !d->history.ceilings[block]) {
        rc = write_ceilings(d, block, err);
    }
    il__driver_tick(d, block, NULL, IL_PLAN_BLOCK_OVERHEAD_MS);
    return rc;
}

/* --- the pilot -------------------------------------------------------------------------------- */

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Standard deviation of log x by the quartiles: one burst of another program is not the noise that
 * medians of blocks will see. */
static double log_spread(double *x, uint32_t n)
{
    qsort(x, n, sizeof *x, compare_double);
    return (log(x[(3 * n) / 4]) - log(x[n / 4])) / 1.349;
}

/* 97.5 % quantile of Student's t, by the expansion of Cornish and Fisher in 1/v; within 1 % from 4
 * degrees up, and this is an estimate. */
static double student_975(double v)
{
    double z = 1.959963985, z3 = z * z * z, z5 = z3 * z * z;
    return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v);
}

double il__driver_pilot_percent(il__driver *d)
{
    double gemm[PILOT_SAMPLES], read[PILOT_SAMPLES];
    /* One block leaves no difference of blocks, so no interval that an effect could exceed. */
    if (!d->plan->sentinel || d->plan->sampling.rounds < 2 || open_sentinel(d, NULL) != IL_OK) {
        return (double)NAN;
    }
    for (uint32_t i = 0; i < PILOT_SAMPLES; i++) {
        if (il__driver_stopping(d) || il_sentinel_run(&d->sentinel, NULL) != IL_OK) {
            return (double)NAN;
        }
        gemm[i] = d->sentinel.gemm_ms;
        read[i] = d->sentinel.read_ms;
    }
    double spread = fmax(log_spread(gemm, PILOT_SAMPLES), log_spread(read, PILOT_SAMPLES));
    double blocks = d->plan->sampling.rounds;
    double half = student_975(blocks - 1) * spread * sqrt(2 / blocks);
    return 100.0 * (exp(2 * half) - 1);
}
