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

/* --- one arm ---------------------------------------------------------------------------------- */

typedef struct arm {
    uint32_t cell, block, pair;
    bool is_b;
    uint32_t *done; /* calls of it in the journal */
} arm;

static json_t *int_or_null(bool known, int64_t value)
{
    return known ? json_integer(value) : json_null();
}

/* The line of the next call; r is NULL when the call failed. Takes state. */
static int write_arm_call(il__driver *d, const arm *a, const il_call_result *r, const il_error *why,
                          json_t *state, il_error *err)
{
    bool flagged = r && strcmp(r->status, "flagged") == 0;
    const char *reason = r ? (flagged && r->reason[0] ? r->reason : NULL) : il_code_name(why->code);
    json_t *line = json_pack(
        "{s:I,s:I,s:s,s:I,s:I,s:s,s:s?,s:o,s:o,s:o,s:o,s:o,s:O?}", "cell", (json_int_t)a->cell,
        "block", (json_int_t)a->block, "arm", a->is_b ? "b" : "a", "pair", (json_int_t)a->pair,
        "rep", (json_int_t)*a->done, "status", r ? (flagged ? "flagged" : "ok") : "error", "reason",
        reason, "t0_ns", int_or_null(r, r ? r->t0_ns : 0), "t_first_ns",
        int_or_null(r, r ? r->t_first_ns : 0), "t_end_ns", int_or_null(r, r ? r->t_end_ns : 0),
        "decode_steps", int_or_null(r, r ? r->n_steps : 0), "state", state ? state : json_null(),
        "server_prefill_ms", r ? json_object_get(r->server, "prefill_ms") : NULL);
    ++*a->done;
    return il_journal_write(d->journal, "aa", line, err);
}

/* Warm-ups, which are not recorded, and the measured calls, as in a block. */
static int arm_calls(il__driver *d, const arm *a, const il_call_request *request, il_error *err)
{
    uint32_t n = il_plan_arm_calls(d->plan), n_warm = n - d->plan->repetitions;
    int rc = IL_OK;
    for (uint32_t i = 0; rc == IL_OK && i < n && !il__driver_stopping(d); i++) {
        il_call_result r;
        il_error why = {0};
        json_t *state, *flags;
        bool there = d->loaded != IL__NO_GROUP;
        int code = there ? il__driver_call(d, a->cell, request, &r, &state, &flags, &why)
                         : il_fail(&why, IL_E_CRASHED, "the worker ended in the call before");
        if (!there) {
            state = flags = NULL;
            r = (il_call_result){0};
        }
        json_decref(flags);
        if (i >= n_warm) {
            rc = write_arm_call(d, a, code == IL_OK ? &r : NULL, &why, state, err);
        } else {
            json_decref(state);
        }
        json_decref(r.server);
        json_decref(r.flags);
        il__driver_tick(d, a->block, NULL, there ? d->plan->cells[a->cell].estimate_ms : 0);
    }
    return rc;
}

static int fail_arm(il__driver *d, const arm *a, const il_error *why, il_error *err)
{
    int rc = IL_OK;
    while (rc == IL_OK && *a->done < d->plan->repetitions) {
        rc = write_arm_call(d, a, NULL, why, NULL, err);
    }
    return rc;
}

int il__driver_arm(il__driver *d, uint32_t block, uint32_t pair, uint32_t which, il_error *err)
{
    uint32_t cell = d->pair_cell[pair];
    size_t at = ((size_t)block * d->history.n_pairs + pair) * 2 + which;
    const arm a = {cell, block, pair, which == 1, &d->history.arms[at]};
    const il_cell *c = &d->plan->cells[cell];
    il_call_request request;
    il_error why = {0};
    char what[512];
    if (il_history_arm_done(&d->history, at)) {
        return IL_OK;
    }
    *a.done = 0; /* an arm is one process: one that was cut short is run again from its start */
    (void)snprintf(what, sizeof what, "A/A arm  %s  %s", d->plan->study->backends[c->backend].name,
                   d->plan->study->models[c->model].name);
    il__driver_tick(d, block, what, 0);
    int rc = il__driver_load(d, c->group, block, &why, err);
    il__driver_tick(d, block, NULL, il_plan_load_estimate_ms(d->plan, c->group));
    if (rc == IL_OK && why.code == IL_OK) {
        (void)il__driver_prepare(d, cell, &request, &why);
    }
    if (rc == IL_OK) {
        rc = why.code == IL_OK ? arm_calls(d, &a, &request, err) : fail_arm(d, &a, &why, err);
    }
    il__driver_unload(d);
    d->load_ms = (double)NAN; /* of the arm's process: no call line carries it */
    return rc;
}
