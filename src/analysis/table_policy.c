/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * policy.csv: as models grow under given limits, when quantisation, another dtype, compilation,
 * batching or another runtime becomes necessary, and until where it helps (docs/policy.md).
 */
#include "analysis/policy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {
    "limit",        "threshold",     "base",        "remedy_kind",    "remedy",
    "base_size",    "base_low",      "base_high",   "remedy_size",    "remedy_low",
    "remedy_high",  "size_ratio",    "ratio_low",   "ratio_high",     "gain_at",
    "gain",         "gain_low",      "gain_high",   "helps",          "equal_at",
    "equal_low",    "equal_high",    "bound_by",    "share_of_floor", "overhead_until",
    "overhead_low", "overhead_high", "mde_percent", "range_low",      "range_high",
    "base_batch",   "remedy_batch",  "n_models",    "n_blocks",       "scenario",
    "reference",    "verdict",       "because"};

static const char *const limits[] = {"itl", "ttft", "tail", "memory"};

static void put_log(il_csv_writer *out, double value)
{
    il_csv_f64(out, isfinite(value) ? exp(value) : NAN);
}

static void put_logs(il_csv_writer *out, const il_interval *i)
{
    put_log(out, i->estimate);
    put_log(out, i->low);
    put_log(out, i->high);
}

static void put_count(il_csv_writer *out, size_t n)
{
    if (n > 0) {
        il_csv_i64(out, (int64_t)n);
    } else {
        il_csv_empty(out);
    }
}

static void write_row(const il_plan_backend *base, const il_plan_backend *remedy, il__remedy kind,
                      const il__policy *p, il_csv_writer *out)
{
    bool ranged = p->n_models > 0;
    il_csv_text(out, p->limit);
    il_csv_f64(out, p->threshold);
    il_csv_text(out, base->name);
    il_csv_text(out, il__remedy_name(kind));
    il_csv_text(out, remedy ? remedy->name : "");
    put_logs(out, &p->base);
    put_logs(out, &p->remedy);
    put_logs(out, &p->ratio);
    put_log(out, p->at);
    put_logs(out, &p->gain);
    il_csv_text(out, p->helps);
    put_logs(out, &p->equal);
    il_csv_text(out, p->bound_by);
    il_csv_f64(out, p->share);
    put_logs(out, &p->overhead);
    il_csv_f64(out, 100 * p->mde);
    put_log(out, ranged ? p->x_low : NAN);
    put_log(out, ranged ? p->x_high : NAN);
    il_csv_f64(out, base->batch_size);
    il_csv_f64(out, remedy ? remedy->batch_size : NAN);
    put_count(out, p->n_models);
    put_count(out, p->n_blocks);
    il_csv_text(out, p->scenario);
    il_csv_bool(out, base->reference);
    il_csv_text(out, p->verdict);
    il_csv_text(out, p->because);
    il_csv_end_row(out);
}

/* Of entries that differ in the runtime alone, the one the study names first is what there is; the
 * others are what could take its place, not each other's. Our own engine is neither. */
static bool is_first_of_runtimes(const il_run_facts *f, size_t base)
{
    for (size_t i = 0; i < base; i++) {
        if (!f->backends[i].reference &&
            il__remedy_of(&f->backends[i], &f->backends[base]) == IL__REMEDY_RUNTIME) {
            return false;
        }
    }
    return true;
}

static il__remedy remedy_between(const il_run_facts *f, size_t base, size_t with)
{
    const il_plan_backend *a = &f->backends[base];
    const il_plan_backend *b = &f->backends[with];
    il__remedy kind = base == with ? IL__REMEDY_NONE : il__remedy_of(a, b);
    bool contest = (!a->reference && !b->reference) || f->rank_reference;
    if (kind == IL__REMEDY_RUNTIME && (!contest || with < base || !is_first_of_runtimes(f, base))) {
        return IL__REMEDY_NONE;
    }
    return kind;
}

/* A plan that does not say what its backends are made of: which keys it lacks. */
static bool write_missing(const il_run_facts *f, size_t at, il_csv_writer *out)
{
    char missing[128];
    il__policy p = {.limit = "",
                    .scenario = "",
                    .helps = "unknown",
                    .bound_by = "",
                    .threshold = NAN,
                    .verdict = "undecided",
                    .at = NAN,
                    .share = NAN,
                    .mde = NAN};
    p.base = p.remedy = p.ratio = p.gain = p.equal = p.overhead = (il_interval){NAN, NAN, NAN};
    il__missing_aspects(&f->backends[at], missing, sizeof missing);
    if (missing[0]) {
        (void)snprintf(p.because, sizeof p.because,
                       "the plan does not say %s of this backend: no remedy can be told apart",
                       missing);
        write_row(&f->backends[at], NULL, IL__REMEDY_NONE, &p, out);
    }
    return missing[0] != '\0';
}

static int write_base(const il__run *run, size_t base, const il_cell **cells, il_csv_writer *out,
                      il_error *err)
{
    const il_run_facts *f = run->facts;
    int rc = IL_OK;
    for (size_t l = 0; l < IL__COUNT_OF(limits) && rc == IL_OK; l++) {
        for (size_t i = 0; i < f->n_backends && rc == IL_OK; i++) {
            char missing[128];
            bool known = false;
            il__policy p;
            il__missing_aspects(&f->backends[i], missing, sizeof missing);
            il__remedy kind = missing[0] ? IL__REMEDY_NONE : remedy_between(f, base, i);
            if (kind == IL__REMEDY_NONE) {
                continue;
            }
            rc = il__policy_of(run, &f->backends[base], &f->backends[i], kind, limits[l], cells, &p,
                               &known, err);
            if (rc == IL_OK && known) {
                write_row(&f->backends[base], &f->backends[i], kind, &p, out);
            }
        }
    }
    return rc;
}

int il__write_policy(const il__run *run, il_error *err)
{
    const il_run_facts *f = run->facts;
    const il_slo *slo = &f->slo;
    bool asked = slo->itl_ms > 0 || slo->ttft_ms > 0 || slo->tail_ms > 0 || slo->memory_bytes > 0;
    il_csv_writer out;
    const il_cell **cells = malloc((2 * il_rows_cell_count(run->rows) + 1) * sizeof *cells);
    int rc = cells ? il__table_open(run, "policy.csv", columns, IL__COUNT_OF(columns), &out, err)
                   : il_fail(err, IL_E_NOMEM, "no memory to group cells");
    if (rc != IL_OK) {
        free(cells);
        return rc;
    }
    for (size_t i = 0; i < f->n_backends && asked && rc == IL_OK; i++) {
        if (!write_missing(f, i, &out)) {
            rc = write_base(run, i, cells, &out, err);
        }
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    free(cells);
    return rc;
}
