/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * steady.csv: what the measured calls of each cell did over time, and whether its warm-up was too
 * short.
 */
#include "analysis/steady.h"
#include "analysis/tables.h"

#include <stdlib.h>

static const char *const columns[] = {"backend",        "model",     "scenario",
                                      "batch_size",     "mode",      "n_calls",
                                      "classification", "change_at", "warmup_too_short"};

static void write_row(const il__run *run, const il_cell *cell, const il__steady *s,
                      il_csv_writer *out)
{
    il_csv_text(out, il__text(run, cell->backend));
    il_csv_text(out, il__text(run, cell->model));
    il_csv_text(out, il__text(run, cell->scenario));
    il_csv_f64(out, cell->batch_size);
    il_csv_text(out, il__text(run, cell->mode));
    il_csv_i64(out, (int64_t)s->n_calls);
    il_csv_text(out, il_steadiness_names[s->kind]);
    if (s->kind == IL_STEADY_TOO_FEW || s->kind == IL_STEADY_FLAT) {
        il_csv_empty(out);
    } else {
        il_csv_i64(out, (int64_t)s->change_at + 1);
    }
    if (s->warmup_too_short) {
        il_csv_bool(out, *s->warmup_too_short);
    } else {
        il_csv_empty(out);
    }
    il_csv_end_row(out);
}

int il__write_steady(const il__run *run, il_error *err)
{
    const double *latency = il_rows_values(run->rows, IL_Q_latency);
    const double *replicate = il_rows_values(run->rows, IL_Q_replicate);
    size_t n_cells = il_rows_cell_count(run->rows);
    size_t most = 1;
    for (size_t i = 0; i < n_cells; i++) {
        size_t n = il_rows_cell(run->rows, i)->n_measured;
        most = n > most ? n : most;
    }
    il_csv_writer out = {.fd = -1};
    il_scratch memory[2] = {{.data = NULL}, {.data = NULL}};
    int rc = il_scratch_take(&memory[0], run->out_dir, most, sizeof(il__steady_call), err);
    rc = rc ? rc : il_scratch_take(&memory[1], run->out_dir, most, sizeof(double), err);
    il__steady_call *calls = memory[0].data;
    rc = rc ? rc : il__table_open(run, "steady.csv", columns, IL__COUNT_OF(columns), &out, err);
    for (size_t i = 0; i < n_cells && rc == IL_OK; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        if (cell->n_measured == 0) {
            continue;
        }
        for (size_t k = 0; k < cell->n_measured; k++) {
            size_t at = cell->first + k;
            calls[k] =
                (il__steady_call){latency[at], cell->has_block && replicate ? replicate[at] : NAN};
        }
        il__steady steady;
        rc = il__steady_of(calls, cell->n_measured, memory[1].data, &steady, err);
        if (rc == IL_OK) {
            write_row(run, cell, &steady, &out);
        }
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    il_scratch_free(&memory[0]);
    il_scratch_free(&memory[1]);
    return rc;
}
