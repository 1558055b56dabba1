/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * parity.csv: whether each backend gives the reference's answers on each model (docs/parity.md), by
 * backend and model. A run without the gate has none.
 */
#include "analysis/tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {
    "backend",      "model",       "probe_tokens",     "max_rel_error", "tolerance",
    "top1_match",   "verdict",     "median_rel_error", "judged_by",     "rms_rel_error",
    "top1_checked", "steps",       "compared",         "reference",     "reference_isa",
    "noise",        "noise_error", "factor",           "layers",        "because"};

static int by_names(const void *a, const void *b)
{
    const il_parity_line *x = *(il_parity_line *const *)a, *y = *(il_parity_line *const *)b;
    int order = strcmp(x->backend, y->backend);
    return order ? order : strcmp(x->model, y->model);
}

static void write_line(const il_parity_line *p, il_csv_writer *out)
{
    il_csv_text(out, p->backend);
    il_csv_text(out, p->model);
    il_csv_f64(out, p->probe_tokens);
    il_csv_f64(out, p->max_rel_error);
    il_csv_f64(out, p->tolerance);
    if (p->top1_match < 0) {
        il_csv_text(out, "");
    } else {
        il_csv_bool(out, p->top1_match == 1);
    }
    il_csv_text(out, p->verdict);
    il_csv_f64(out, p->median_rel_error);
    il_csv_text(out, p->judged_by);
    il_csv_f64(out, p->rms_rel_error);
    il_csv_f64(out, p->top1_checked);
    il_csv_f64(out, p->steps);
    il_csv_text(out, p->compared);
    il_csv_text(out, p->reference);
    il_csv_text(out, p->reference_isa);
    il_csv_text(out, p->noise);
    il_csv_f64(out, p->noise_error);
    il_csv_f64(out, p->factor);
    il_csv_f64(out, p->layers);
    il_csv_text(out, p->because);
    il_csv_end_row(out);
}

int il__write_parity(const il__run *run, il_error *err)
{
    const il_run_facts *f = run->facts;
    il_csv_writer out;
    const il_parity_line **sorted = calloc(f->n_parity + 1, sizeof(*sorted));
    if (!sorted) {
        return il_fail(err, IL_E_NOMEM, "no memory for parity.csv");
    }
    for (size_t i = 0; i < f->n_parity; i++) {
        sorted[i] = &f->parity[i];
    }
    qsort(sorted, f->n_parity, sizeof *sorted, by_names);
    int rc = il__table_open(run, "parity.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc == IL_OK) {
        for (size_t i = 0; i < f->n_parity; i++) {
            write_line(sorted[i], &out);
        }
        rc = il_csv_close(&out, err);
        il_csv_abandon(&out);
    }
    free(sorted);
    return rc;
}
