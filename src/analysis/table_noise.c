/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * noise_floor.csv: what this run can tell apart. A/A ratios with intervals, closure, drift of the
 * sentinel, rows that carry flags.
 */
#include "analysis/tables.h"

#include "stats/noise.h"
#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"backend",
                                      "mode",
                                      "cell",
                                      "n_blocks",
                                      "aa_ratio",
                                      "ci_low",
                                      "ci_high",
                                      "mde_percent",
                                      "closure",
                                      "drift_percent_per_hour",
                                      "flagged_rows",
                                      "closure_ci_low",
                                      "closure_ci_high",
                                      "drift_ci_low",
                                      "drift_ci_high"};
static const char *const modes[] = {"prefill", "kv_decode", "e2e_kv"};
enum { PREFILL, KV_DECODE, E2E_KV, N_MODES };

static void no_ratio(il_ratio *out)
{
    *out = (il_ratio){{NAN, NAN, NAN}, NAN, NAN, 0};
}

static double time_of(const il_aa *aa, int mode)
{
    switch (mode) {
    case PREFILL:
        return aa->prefill_ms;
    case KV_DECODE:
        return aa->decode_ms;
    default:
        return aa->e2e_ms;
    }
}

/* A/A arms by cell, block, pair and arm, as the journal reader leaves them. */
typedef struct arms {
    const il_aa *items;
    size_t n, at; /* at: the first that the next cell may have */
} arms;

/* The arms of a cell; cells are asked for in ascending order. */
static const il_aa *arms_of(arms *all, uint32_t cell, size_t *n)
{
    size_t first = all->at;
    while (first < all->n && all->items[first].cell < cell) {
        first++;
    }
    for (all->at = first; all->at < all->n && all->items[all->at].cell == cell;) {
        all->at++;
    }
    *n = all->at - first;
    return all->items + first;
}

/* Pairs arm a with arm b of the same block and pair. a and b hold n_arms each. */
static int aa_ratio(const il_aa *items, size_t n_arms, int mode, double *a, double *b,
                    il_ratio *out, il_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < n_arms; i++) {
        const il_aa *one = &items[i];
        const il_aa *other = &items[i + 1];
        if (!one->arm_b && other->arm_b && other->block == one->block && other->pair == one->pair &&
            time_of(one, mode) > 0 && time_of(other, mode) > 0) {
            a[n] = time_of(one, mode);
            b[n++] = time_of(other, mode);
        }
    }
    no_ratio(out);
    int rc = il_ratio_paired(a, b, n, 0.95, out, err);
    return rc == IL_E_TOO_FEW ? IL_OK : rc;
}

/* The first of the calls, which come by cell, then block, that is not before (cell, block). */
static size_t first_call(const il_run_facts *facts, uint32_t cell, uint32_t block)
{
    size_t low = 0, high = facts->n_calls;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const il_block_call *c = &facts->calls[middle];
        if (c->cell < cell || (c->cell == cell && c->block < block)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Closures in the order of the journal, gathered by cell: of cell c from first[c] to first[c + 1].
 */
typedef struct closures {
    const il_closure **items;
    size_t *first; /* [n_cells + 1] */
    il_scratch memory;
} closures;

static int closures_gather(const il__run *run, closures *out, il_error *err)
{
    const il_run_facts *facts = run->facts;
    int rc =
        il_scratch_take(&out->memory, run->out_dir, facts->n_closures, sizeof *out->items, err);
    out->items = out->memory.data;
    out->first = calloc(facts->n_cells + 2, sizeof *out->first);
    if (rc != IL_OK || !out->first) {
        return rc ? rc : il_fail(err, IL_E_NOMEM, "no memory for closure calls");
    }
    size_t *next = out->first + 1; /* one ahead, so that filling moves it into place */
    for (size_t i = 0; i < facts->n_closures; i++) {
        if (facts->closures[i].cell < facts->n_cells) {
            next[facts->closures[i].cell]++;
        }
    }
    size_t at = 0;
    for (size_t c = 0; c < facts->n_cells; c++) {
        size_t n = next[c];
        next[c] = at;
        at += n;
    }
    for (size_t i = 0; i < facts->n_closures; i++) {
        if (facts->closures[i].cell < facts->n_cells) {
            out->items[next[facts->closures[i].cell]++] = &facts->closures[i];
        }
    }
    return IL_OK;
}

/* Closure time over the median of the block's split calls, block by block. */
static int closure_ratio(const il_run_facts *facts, const closures *all, uint32_t cell,
                         double *ratios, double *scratch, il_ratio *out, il_error *err)
{
    size_t n = 0;
    for (size_t i = all->first[cell]; i < all->first[cell + 1]; i++) {
        const il_closure *closure = all->items[i];
        size_t n_calls = 0;
        for (size_t k = first_call(facts, cell, closure->block);
             k < facts->n_calls && facts->calls[k].cell == cell &&
             facts->calls[k].block == closure->block;
             k++) {
            scratch[n_calls++] = facts->calls[k].e2e_ms;
        }
        if (n_calls > 0 && closure->ms > 0) {
            ratios[n++] = closure->ms / il_quantile_select(scratch, n_calls, 0.5);
        }
    }
    no_ratio(out);
    int rc = il_ratio_of(ratios, n, 0.95, out, err);
    return rc == IL_E_TOO_FEW ? IL_OK : rc;
}

/* The sentinel's two parts drift together when the machine does: their geometric mean over time. */
static int drift(const il_run_facts *facts, double *hours, double *values, il_interval *out,
                 il_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < facts->n_sentinels; i++) {
        const il_sentinel *s = &facts->sentinels[i];
        if (s->gemm_ms > 0 && s->read_ms > 0) {
            hours[n] = (s->at_unix - facts->sentinels[0].at_unix) / 3600;
            values[n++] = sqrt(s->gemm_ms * s->read_ms);
        }
    }
    int rc = il_drift_percent(hours, values, n, out, err);
    return rc == IL_E_TOO_FEW ? IL_OK : rc;
}

static size_t flagged_rows(const il__run *run, const il_plan_cell *plan, const char *mode)
{
    size_t n = 0;
    for (size_t i = 0; i < il_rows_cell_count(run->rows); i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        if (cell->plan_cell == plan - run->facts->cells && il__is_mode(run, cell, mode)) {
            n += cell->n_flagged;
        }
    }
    return n;
}

static void write_row(const il__run *run, const il_plan_cell *plan, int mode, const il_ratio *aa,
                      const il_ratio *closure, const il_interval *machine, il_csv_writer *out)
{
    char name[2048];
    (void)snprintf(name, sizeof name, "%s|%s|b%g|g%lld", plan->model, plan->scenario,
                   plan->batch_size, (long long)plan->gen_tokens);
    il_csv_text(out, plan->backend);
    il_csv_text(out, modes[mode]);
    il_csv_text(out, name);
    il_csv_i64(out, (int64_t)(aa->n ? aa->n : closure->n));
    il_csv_f64(out, aa->ratio.estimate);
    il_csv_f64(out, aa->ratio.low);
    il_csv_f64(out, aa->ratio.high);
    il_csv_f64(out, 100 * aa->mde);
    il_csv_f64(out, closure->ratio.estimate);
    /* A drift whose interval takes in none is no finding: its interval alone is shown. */
    bool drifts = machine->low > 0 || machine->high < 0;
    il_csv_f64(out, drifts ? machine->estimate : NAN);
    il_csv_i64(out, (int64_t)flagged_rows(run, plan, modes[mode]));
    il_csv_f64(out, closure->ratio.low);
    il_csv_f64(out, closure->ratio.high);
    il_csv_f64(out, machine->low);
    il_csv_f64(out, machine->high);
    il_csv_end_row(out);
}

int il__write_noise(const il__run *run, il_error *err)
{
    const il_run_facts *facts = run->facts;
    size_t most = facts->n_aas + facts->n_closures + facts->n_calls + facts->n_sentinels + 1;
    il_scratch memory;
    int rc = il_scratch_take(&memory, run->out_dir, 2 * most, sizeof(double), err);
    if (rc != IL_OK) {
        return rc;
    }
    double *a = memory.data;
    double *b = a + most;
    il_interval machine = {NAN, NAN, NAN};
    il_csv_writer out;
    rc = il__table_open(run, "noise_floor.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc != IL_OK) {
        il_scratch_free(&memory);
        return rc;
    }
    closures gathered = {0};
    arms pairs = {.items = facts->aas, .n = facts->n_aas};
    rc = closures_gather(run, &gathered, err);
    rc = rc ? rc : drift(facts, a, b, &machine, err);
    for (size_t c = 0; c < facts->n_cells && rc == IL_OK; c++) {
        il_ratio closure;
        il_ratio none;
        no_ratio(&none);
        rc = closure_ratio(facts, &gathered, (uint32_t)c, a, b, &closure, err);
        size_t n_arms;
        const il_aa *arm = arms_of(&pairs, (uint32_t)c, &n_arms);
        for (int mode = 0; mode < N_MODES && rc == IL_OK; mode++) {
            il_ratio aa;
            rc = aa_ratio(arm, n_arms, mode, a, b, &aa, err);
            if (rc == IL_OK && (aa.n > 0 || (mode == E2E_KV && closure.n > 0))) {
                write_row(run, &facts->cells[c], mode, &aa, mode == E2E_KV ? &closure : &none,
                          &machine, &out);
            }
        }
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    il_scratch_free(&gathered.memory);
    free(gathered.first);
    il_scratch_free(&memory);
    return rc;
}
