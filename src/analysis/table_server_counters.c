/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * server_counters.csv: which steps a server's decode counter covers. A server that returns N tokens
 * ran N − 1 decode steps after its prefill; whether its counter holds the time of N steps or of
 * N − 1 is told by the counter in steps of the client's clock within the same call, against N.
 */
#include "analysis/tables.h"

#include "stats/fieller.h"
#include "stats/robust.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_LENGTHS = 3 };

static const char *const columns[] = {
    "backend",      "model",           "counter",        "n",
    "n_lengths",    "slope_per_token", "slope_ci_low",   "slope_ci_high",
    "offset_steps", "offset_ci_low",   "offset_ci_high", "verdict",
    "decode_steps", "because"};

typedef struct proof {
    size_t n, n_lengths;
    double slope, slope_low, slope_high, offset, low, high;
    const char *verdict;
    char because[160];
} proof;

static size_t lengths_of(const double *x, size_t n)
{
    size_t different = 0;
    for (size_t i = 0; i < n; i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++) {
            seen = x[k] == x[i];
        }
        different += !seen;
    }
    return different;
}

/* An interval that lies within half a step of one of the two answers. Holding one and not the other
 * is not enough: where a chunk's way to the client takes as long as a step, the line is off. */
static void judge(proof *p)
{
    if (p->low > 0.5 && p->high < 1.5) {
        p->verdict = "N-1";
    } else if (p->low > -0.5 && p->high < 0.5) {
        p->verdict = "N";
    } else {
        (void)snprintf(p->because, sizeof p->because,
                       "the interval of the offset does not lie within half a step of 0 or of 1");
    }
}

/* Huber's line: a machine that is busy otherwise makes some calls far off. Its slope is below 1
 * where the counter leaves the choice of tokens out; it meets 0 at the tokens that cost nothing. */
static void fit(const double *x, const double *y, proof *p)
{
    il_robust line;
    il_fieller ratio = {.kind = IL_FIELLER_UNBOUNDED};
    il_error why = {0};
    int rc = il_huber_fit(x, y, p->n, 1, &line, NULL, &why);
    p->verdict = "undecided";
    if (rc != IL_OK) {
        (void)snprintf(p->because, sizeof p->because, "no line: %.140s", why.what);
        return;
    }
    p->slope = line.coef[1];
    p->offset = -line.coef[0] / line.coef[1];
    il_robust_interval(&line, 1, 0.95, &p->slope_low, &p->slope_high);
    rc = il_fieller_ratio(-line.coef[0], line.coef[1], line.cov[0][0], line.cov[1][1],
                          -line.cov[0][1], line.dof, 0.95, &ratio, NULL);
    if (rc == IL_OK && ratio.kind == IL_FIELLER_BOUNDED && p->slope > 0) {
        p->low = ratio.low;
        p->high = ratio.high;
        judge(p);
    } else {
        (void)snprintf(p->because, sizeof p->because,
                       "the counter is not known to grow with the tokens");
    }
}

/* x and y have room for every point of the run. */
static void prove(const il_run_facts *facts, const char *backend, const char *model, double *x,
                  double *y, proof *p)
{
    *p = (proof){.slope = NAN,
                 .slope_low = NAN,
                 .slope_high = NAN,
                 .offset = NAN,
                 .low = NAN,
                 .high = NAN,
                 .verdict = "not_measured"};
    for (size_t i = 0; i < facts->n_counters; i++) {
        const il_counter_point *point = &facts->counters[i];
        if (strcmp(point->backend, backend) == 0 && strcmp(point->model, model) == 0) {
            x[p->n] = point->n_tok;
            y[p->n++] = point->counter_ms / (point->client_ms / point->client_steps);
        }
    }
    p->n_lengths = lengths_of(x, p->n);
    if (p->n_lengths < LEAST_LENGTHS || p->n < LEAST_LENGTHS + 1) {
        (void)snprintf(p->because, sizeof p->because,
                       "%zu generations of %zu lengths could be used; %d lengths are needed", p->n,
                       p->n_lengths, LEAST_LENGTHS);
        return;
    }
    fit(x, y, p);
}

static void write_row(const char *backend, const char *model, const proof *p, il_csv_writer *out)
{
    il_csv_text(out, backend);
    il_csv_text(out, model);
    il_csv_text(out, "eval_duration");
    il_csv_i64(out, (int64_t)p->n);
    il_csv_i64(out, (int64_t)p->n_lengths);
    const double values[] = {p->slope, p->slope_low, p->slope_high, p->offset, p->low, p->high};
    for (size_t i = 0; i < IL__COUNT_OF(values); i++) {
        il_csv_f64(out, values[i]);
    }
    il_csv_text(out, p->verdict);
    il_csv_text(out, "client_stamps_of_N-1");
    il_csv_text(out, p->because);
    il_csv_end_row(out);
}

/* Measured, or proved and then flagged. */
static bool is_told(const il__run *run, const il_cell *cell)
{
    const il_run_facts *facts = run->facts;
    for (size_t i = 0; i < facts->n_counters; i++) {
        if (strcmp(facts->counters[i].backend, il__text(run, cell->backend)) == 0 &&
            strcmp(facts->counters[i].model, il__text(run, cell->model)) == 0) {
            return true;
        }
    }
    return cell->n_measured > 0;
}

/* Whether an earlier cell that is told of has the same backend and model. */
static bool is_repeat(const il__run *run, size_t index)
{
    const il_cell *cell = il_rows_cell(run->rows, index);
    for (size_t i = 0; i < index; i++) {
        const il_cell *other = il_rows_cell(run->rows, i);
        if (other->backend == cell->backend && other->model == cell->model && is_told(run, other)) {
            return true;
        }
    }
    return false;
}

int il__write_server_counters(const il__run *run, il_error *err)
{
    const il_run_facts *facts = run->facts;
    il_csv_writer out = {.fd = -1};
    double *xy = calloc(2 * facts->n_counters + 1, sizeof *xy);
    if (!xy) {
        return il_fail(err, IL_E_NOMEM, "no memory for the proofs of counters");
    }
    int rc = il__table_open(run, "server_counters.csv", columns, IL__COUNT_OF(columns), &out, err);
    for (size_t i = 0; rc == IL_OK && i < il_rows_cell_count(run->rows); i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        if (!il__is_kind(run, cell, "ollama") || !is_told(run, cell) || is_repeat(run, i)) {
            continue;
        }
        const char *backend = il__text(run, cell->backend), *model = il__text(run, cell->model);
        proof p;
        prove(facts, backend, model, xy, xy + facts->n_counters, &p);
        write_row(backend, model, &p, &out);
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    free(xy);
    return rc;
}
