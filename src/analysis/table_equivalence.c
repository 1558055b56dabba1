/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * equivalence.csv: whether a model takes as long as the one it is a twin of (random against real
 * weights of one shape): two one-sided tests on the log ratios of their block medians, cell by cell
 * (docs/parity.md).
 */
#include "analysis/block_table.h"

#include "stats/equivalence.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double margin = 0.02, level = 0.05;

static const char *const columns[] = {"backend",    "model_a",  "model_b", "mode",    "ratio",
                                      "ci_low",     "ci_high",  "margin",  "verdict", "scenario",
                                      "batch_size", "n_blocks", "p",       "because"};

/* The model that another one is a twin of; "" when it is none. */
static const char *twin_of(const il_run_facts *f, const char *model)
{
    for (size_t i = 0; i < f->n_models; i++) {
        if (strcmp(f->models[i].name, model) == 0) {
            return f->models[i].twin_of;
        }
    }
    return "";
}

static const il_cell *partner(const il__run *run, const il_cell *twin, const char *model)
{
    size_t n = il_rows_cell_count(run->rows);
    for (size_t i = 0; i < n; i++) {
        const il_cell *c = il_rows_cell(run->rows, i);
        if (c->backend == twin->backend && c->scenario == twin->scenario && c->mode == twin->mode &&
            c->batch_size == twin->batch_size && strcmp(il__text(run, c->model), model) == 0) {
            return c;
        }
    }
    return NULL;
}

typedef struct judged {
    size_t n_blocks;
    il_equivalence test; /* of logarithms */
    const char *verdict, *because;
} judged;

/* Logs of the twin over those of the original, block by block. */
static int judge(const il__run *run, const il_cell *original, const il_cell *twin, judged *out,
                 il_error *err)
{
    const il__series series[2] = {{original, IL_Q_latency, 1}, {twin, IL_Q_latency, 1}};
    il__block_table table;
    *out = (judged){.test = {NAN, NAN, NAN, NAN, false}, .verdict = "undecided", .because = ""};
    int rc = il__block_table_build(run, series, 2, &table, err);
    if (rc != IL_OK) {
        il__block_table_free(&table);
        return rc;
    }
    size_t n = table.n_blocks;
    if (!table.by_block) {
        out->because = "one block: calls of two models pair nothing";
    } else if (n < IL__LEAST_BLOCKS) {
        out->n_blocks = n;
        out->because = "fewer than 6 blocks with both models";
    } else {
        double *effects = table.logs + n; /* in the place of the twin's */
        for (size_t b = 0; b < n; b++) {
            effects[b] -= table.logs[b];
        }
        out->n_blocks = n;
        rc = il_equivalence_test(effects, n, log1p(margin), level, &out->test, err);
        double reach = log1p(margin);
        bool apart = out->test.low > reach || out->test.high < -reach;
        out->verdict = out->test.equivalent ? "equivalent" : apart ? "different" : "undecided";
        out->because =
            out->test.equivalent || apart ? "" : "the interval reaches across the margin";
    }
    il__block_table_free(&table);
    return rc;
}

static void write_row(const il__run *run, const il_cell *original, const il_cell *twin,
                      const judged *j, il_csv_writer *out)
{
    il_csv_text(out, il__text(run, twin->backend));
    il_csv_text(out, il__text(run, original->model));
    il_csv_text(out, il__text(run, twin->model));
    il_csv_text(out, il__text(run, twin->mode));
    il_csv_f64(out, exp(j->test.estimate));
    il_csv_f64(out, exp(j->test.low));
    il_csv_f64(out, exp(j->test.high));
    il_csv_f64(out, margin);
    il_csv_text(out, j->verdict);
    il_csv_text(out, il__text(run, twin->scenario));
    il_csv_f64(out, twin->batch_size);
    il_csv_i64(out, (int64_t)j->n_blocks);
    il_csv_f64(out, j->test.p);
    il_csv_text(out, j->because);
    il_csv_end_row(out);
}

int il__write_equivalence(const il__run *run, il_error *err)
{
    il_csv_writer out;
    size_t n = il_rows_cell_count(run->rows);
    int rc = il__table_open(run, "equivalence.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc != IL_OK) {
        return rc;
    }
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        const il_cell *twin = il_rows_cell(run->rows, i);
        const char *name = twin_of(run->facts, il__text(run, twin->model));
        const il_cell *original = name[0] ? partner(run, twin, name) : NULL;
        if (!original || original->n_measured == 0 || twin->n_measured == 0) {
            continue;
        }
        judged j;
        rc = judge(run, original, twin, &j, err);
        if (rc == IL_OK) {
            write_row(run, original, twin, &j, &out);
        }
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    return rc;
}
