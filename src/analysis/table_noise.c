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
        return aa->e2e_ms - aa->prefill_ms;
    default:
        return aa->e2e_ms;
    }
}

/* Pairs arm a with arm b of the same block and pair. a and b hold n_aas each. */
static int aa_ratio(const il_run_facts *facts, uint32_t cell, int mode, double *a, double *b,
                    il_ratio *out, il_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < facts->n_aas; i++) {
        const il_aa *one = &facts->aas[i];
        if (one->cell != cell || one->arm_b) {
            continue;
        }
        for (size_t k = 0; k < facts->n_aas; k++) {
            const il_aa *other = &facts->aas[k];
            if (other->cell == cell && other->arm_b && other->block == one->block &&
                other->pair == one->pair && time_of(one, mode) > 0 && time_of(other, mode) > 0) {
                a[n] = time_of(one, mode);
                b[n++] = time_of(other, mode);
                break;
            }
        }
    }
    no_ratio(out);
    int rc = il_ratio_paired(a, b, n, 0.95, out, err);
    return rc == IL_E_TOO_FEW ? IL_OK : rc;
}

/* Closure time over the median of the block's split calls, block by block. */
static int closure_ratio(const il_run_facts *facts, uint32_t cell, double *ratios, double *scratch,
                         il_ratio *out, il_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < facts->n_closures; i++) {
        const il_closure *closure = &facts->closures[i];
        size_t n_calls = 0;
        for (size_t k = 0; k < facts->n_calls && closure->cell == cell; k++) {
            if (facts->calls[k].cell == cell && facts->calls[k].block == closure->block) {
                scratch[n_calls++] = facts->calls[k].e2e_ms;
            }
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
        if (il__is_mode(run, cell, mode) && cell->batch_size == plan->batch_size &&
            strcmp(il__text(run, cell->backend), plan->backend) == 0 &&
            strcmp(il__text(run, cell->model), plan->model) == 0 &&
            strcmp(il__text(run, cell->scenario), plan->scenario) == 0) {
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
    double *a = malloc(2 * most * sizeof *a);
    if (!a) {
        return il_fail(err, IL_E_NOMEM, "no memory for A/A times");
    }
    double *b = a + most;
    il_interval machine = {NAN, NAN, NAN};
    il_csv_writer out;
    int rc = il__table_open(run, "noise_floor.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc != IL_OK) {
        free(a);
        return rc;
    }
    rc = drift(facts, a, b, &machine, err);
    for (size_t c = 0; c < facts->n_cells && rc == IL_OK; c++) {
        il_ratio closure;
        il_ratio none;
        no_ratio(&none);
        rc = closure_ratio(facts, (uint32_t)c, a, b, &closure, err);
        for (int mode = 0; mode < N_MODES && rc == IL_OK; mode++) {
            il_ratio aa;
            rc = aa_ratio(facts, (uint32_t)c, mode, a, b, &aa, err);
            if (rc == IL_OK && (aa.n > 0 || (mode == E2E_KV && closure.n > 0))) {
                write_row(run, &facts->cells[c], mode, &aa, mode == E2E_KV ? &closure : &none,
                          &machine, &out);
            }
        }
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    free(a);
    return rc;
}
