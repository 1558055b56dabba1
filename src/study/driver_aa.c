/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A/A arms: the fastest, the median and the slowest cell of every backend, each twice a block in
 * processes of their own. What differs between two arms is noise.
 */
#include "study/driver_parts.h"

#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct ranked {
    uint32_t cell;
    double e2e_ms;
} ranked;

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    int by_time = (x->e2e_ms > y->e2e_ms) - (x->e2e_ms < y->e2e_ms);
    return by_time ? by_time : (x->cell > y->cell) - (x->cell < y->cell);
}

/* The median of the cell's measured calls in the first block, NaN when none worked. */
static double first_median_ms(il__driver *d, uint32_t cell)
{
    uint32_t n = d->plan->repetitions, known = 0;
    double *times = &d->history.first_e2e_ms[(size_t)cell * n];
    double *copy = il_arena_array(&d->arena, n, sizeof *copy);
    for (uint32_t i = 0; copy && i < n; i++) {
        if (!isnan(times[i])) {
            copy[known++] = times[i];
        }
    }
    if (known == 0) {
        return (double)NAN;
    }
    qsort(copy, known, sizeof *copy, compare_double);
    return copy[known / 2];
}

static void add_pair(il__driver *d, uint32_t cell)
{
    /* A resumed run goes on with the cells it has compared before. */
    uint32_t before = d->history.pair_cell[d->n_pairs];
    d->pair_cell[d->n_pairs++] = before != UINT32_MAX ? before : cell;
}

int il__driver_pick_pairs(il__driver *d, il_error *err)
{
    const il_plan *p = d->plan;
    ranked *list = il_arena_array(&d->arena, p->n_cells, sizeof *list);
    if (!list) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    d->n_pairs = 0;
    for (uint32_t b = 0; b < p->study->n_backends; b++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < p->n_cells; i++) {
            double e2e = p->cells[i].backend == b ? first_median_ms(d, i) : (double)NAN;
            if (!isnan(e2e)) {
                list[n++] = (ranked){i, e2e};
            }
        }
        qsort(list, n, sizeof *list, compare_ranked);
        if (n > 0) {
            add_pair(d, list[0].cell);
        }
        if (n > 2) {
            add_pair(d, list[n / 2].cell);
        }
        if (n > 1) {
            add_pair(d, list[n - 1].cell);
        }
    }
    return IL_OK;
}

/* What an arm did, as far as it came; *left tells that it was given up for a signal. */
static int arm_run(il__driver *d, uint32_t cell, uint32_t block, il_call_result *result,
                   json_t **state, bool *left, il_error *why, il_error *err)
{
    int rc = il__driver_load(d, d->plan->cells[cell].group, block, why, err);
    il_call_request request;
    if (rc != IL_OK || why->code != IL_OK) {
        return rc;
    }
    (void)il__driver_prepare(d, cell, &request, why);
    uint32_t n_warm = d->plan->warmups > 0 ? d->plan->warmups : 1;
    for (uint32_t i = 0; why->code == IL_OK && i <= n_warm; i++) {
        json_t *flags;
        if (il__driver_stopping(d)) {
            *left = true;
            return IL_OK;
        }
        json_decref(*state);
        (void)il__driver_call(d, cell, &request, result, state, &flags, why);
        json_decref(flags);
        json_decref(result->server);
    }
    return IL_OK;
}

int il__driver_arm(il__driver *d, uint32_t block, uint32_t pair, uint32_t arm, il_error *err)
{
    uint32_t cell = d->pair_cell[pair];
    const il_cell *c = &d->plan->cells[cell];
    bool *done = &d->history.arms[((size_t)block * d->history.n_pairs + pair) * 2 + arm];
    il_error why = {0};
    il_call_result r = {0};
    json_t *state = NULL;
    bool left = false;
    char what[512];
    if (*done) {
        return IL_OK;
    }
    (void)snprintf(what, sizeof what, "A/A arm  %s  %s", d->plan->study->backends[c->backend].name,
                   d->plan->study->models[c->model].name);
    il__driver_tick(d, block, what, 0);
    il__driver_unload(d);
    int rc = arm_run(d, cell, block, &r, &state, &left, &why, err);
    il__driver_unload(d);
    d->load_ms = (double)NAN; /* of the arm's process: no call line carries it */
    if (rc != IL_OK || left) {
        json_decref(state);
        return rc;
    }
    bool ok = why.code == IL_OK;
    json_t *line =
        json_pack("{s:I,s:I,s:s,s:I,s:s,s:s?,s:o,s:o,s:o,s:o,s:o}", "cell", (json_int_t)cell,
                  "block", (json_int_t)block, "arm", arm ? "b" : "a", "pair", (json_int_t)pair,
                  "status", ok ? "ok" : "error", "reason", ok ? NULL : il_code_name(why.code),
                  "t0_ns", ok ? json_integer(r.t0_ns) : json_null(), "t_first_ns",
                  ok ? json_integer(r.t_first_ns) : json_null(), "t_end_ns",
                  ok ? json_integer(r.t_end_ns) : json_null(), "decode_steps",
                  ok ? json_integer(r.n_steps) : json_null(), "state", state ? state : json_null());
    *done = true;
    il__driver_tick(d, block, NULL,
                    2 * c->estimate_ms + il_plan_load_estimate_ms(d->plan, c->group));
    return il_journal_write(d->journal, "aa", line, err);
}
