/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/tables.h"

#include "base/file.h"
#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *il__text(const il__run *run, il_text_id id)
{
    return il_rows_text(run->rows, id);
}

size_t il__cell_n(const il__run *run, const il_cell *cell)
{
    return cell->n_measured + (run->include_warmup ? cell->n_warmup : 0);
}

size_t il__span_values(const il__run *run, size_t first, size_t count, il_quantity quantity,
                       double *out)
{
    const double *values = il_rows_values(run->rows, quantity);
    size_t n = 0;
    for (size_t i = first; values && i < first + count; i++) {
        if (!isnan(values[i])) {
            out[n++] = values[i];
        }
    }
    return n;
}

bool il__stopped_early(const il__run *run, size_t position)
{
    const double *raw = il_rows_values(run->rows, IL_Q_gen_tokens_raw);
    const double *target = il_rows_values(run->rows, IL_Q_gen_tokens_target);
    return raw && target && raw[position] < target[position];
}

/* A foreign run may lack backend_kind: the backend's name then tells, as "ollama_gpu". */
bool il__is_kind(const il__run *run, const il_cell *cell, const char *kind)
{
    const char *given = il__text(run, cell->backend_kind);
    if (given[0] != '\0') {
        return strcmp(given, kind) == 0;
    }
    return strncmp(il__text(run, cell->backend), kind, strlen(kind)) == 0;
}

bool il__is_mode(const il__run *run, const il_cell *cell, const char *mode)
{
    return strcmp(il__text(run, cell->mode), mode) == 0;
}

size_t il__most_values(const il__run *run)
{
    size_t most = 1;
    for (size_t i = 0; i < il_rows_cell_count(run->rows); i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        size_t n = cell->n_measured + cell->n_warmup;
        most = n > most ? n : most;
    }
    return most;
}

double il__cell_median(const il__run *run, size_t cell, il_quantity quantity)
{
    return run->medians[cell * IL_Q_COUNT + quantity];
}

static double span_median(const il__run *run, size_t first, size_t count, il_quantity quantity,
                          double *scratch)
{
    size_t n = il__span_values(run, first, count, quantity, scratch);
    bool constant = true;
    for (size_t i = 1; i < n && constant; i++) {
        constant = scratch[i] == scratch[0];
    }
    if (n > 0 && constant) {
        return scratch[0];
    }
    return il_quantile_select(scratch, n, 0.5);
}

int il__medians_compute(il__run *run, il_error *err)
{
    size_t n_cells = il_rows_cell_count(run->rows);
    il_scratch scratch;
    run->medians = malloc((n_cells * IL_Q_COUNT + 1) * sizeof *run->medians);
    if (!run->medians) {
        return il_fail(err, IL_E_NOMEM, "no memory for the medians of %zu cells", n_cells);
    }
    int rc = il_scratch_take(&scratch, run->out_dir, il__most_values(run), sizeof(double), err);
    if (rc != IL_OK) {
        return rc;
    }
    for (size_t i = 0; i < n_cells; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        for (int q = 0; q < IL_Q_COUNT; q++) {
            run->medians[i * IL_Q_COUNT + (size_t)q] =
                span_median(run, cell->first, il__cell_n(run, cell), (il_quantity)q, scratch.data);
        }
    }
    il_scratch_free(&scratch);
    return IL_OK;
}

int il__table_open(const il__run *run, const char *name, const char *const *columns,
                   size_t n_columns, il_csv_writer *out, il_error *err)
{
    char path[4096];
    int rc = il_path_join(path, sizeof path, run->out_dir, name);
    if (rc != IL_OK) {
        return il_fail(err, rc, "the path of %s is too long", name);
    }
    rc = il_csv_create(path, out, err);
    if (rc == IL_OK) {
        il_csv_row(out, columns, n_columns);
    }
    return rc;
}

void il__stream_row(char *out, size_t out_bytes, const il__run *run, il_text_id backend,
                    double batch_size, il_text_id mode, const char *rest)
{
    (void)snprintf(out, out_bytes, "%s|%g|%s|%s", il__text(run, backend), batch_size,
                   il__text(run, mode), rest);
}

/* qsort has no context argument in C17. */
static const il__run *sorted_run;

static int by_aggregate(const void *pa, const void *pb)
{
    const il_cell *a = il_rows_cell(sorted_run->rows, *(const size_t *)pa);
    const il_cell *b = il_rows_cell(sorted_run->rows, *(const size_t *)pb);
    int order = strcmp(il__text(sorted_run, a->backend), il__text(sorted_run, b->backend));
    order = order ? order : strcmp(il__text(sorted_run, a->mode), il__text(sorted_run, b->mode));
    order =
        order ? order : (a->backend_kind > b->backend_kind) - (a->backend_kind < b->backend_kind);
    order = order ? order : (a->batch_size > b->batch_size) - (a->batch_size < b->batch_size);
    order = order ? order : isnan(a->params) - isnan(b->params);
    order = order ? order : (a->params > b->params) - (a->params < b->params);
    order = order ? order : strcmp(il__text(sorted_run, a->model), il__text(sorted_run, b->model));
    order = order ? order : (a->model_kind > b->model_kind) - (a->model_kind < b->model_kind);
    return order ? order
                 : strcmp(il__text(sorted_run, a->scenario), il__text(sorted_run, b->scenario));
}

static bool belongs(const il__aggregate *item, const il_cell *cell)
{
    return item->backend == cell->backend && item->backend_kind == cell->backend_kind &&
           item->model == cell->model && item->model_kind == cell->model_kind &&
           item->mode == cell->mode && item->batch_size == cell->batch_size &&
           (item->params == cell->params || (isnan(item->params) && isnan(cell->params)));
}

int il__aggregates_build(const il__run *run, il__aggregates *out, il_error *err)
{
    size_t n_cells = il_rows_cell_count(run->rows);
    *out = (il__aggregates){0};
    out->cells = malloc((n_cells + 1) * sizeof *out->cells);
    out->items = malloc((n_cells + 1) * sizeof *out->items);
    if (!out->cells || !out->items) {
        il__aggregates_free(out);
        return il_fail(err, IL_E_NOMEM, "no memory to aggregate %zu cells", n_cells);
    }
    size_t n = 0;
    for (size_t i = 0; i < n_cells; i++) {
        if (il__cell_n(run, il_rows_cell(run->rows, i)) > 0) {
            out->cells[n++] = i;
        }
    }
    sorted_run = run;
    if (n > 1) {
        qsort(out->cells, n, sizeof *out->cells, by_aggregate);
    }
    for (size_t i = 0; i < n; i++) {
        const il_cell *cell = il_rows_cell(run->rows, out->cells[i]);
        if (out->n == 0 || !belongs(&out->items[out->n - 1], cell)) {
            out->items[out->n++] = (il__aggregate){.backend = cell->backend,
                                                   .backend_kind = cell->backend_kind,
                                                   .model = cell->model,
                                                   .model_kind = cell->model_kind,
                                                   .mode = cell->mode,
                                                   .batch_size = cell->batch_size,
                                                   .params = cell->params,
                                                   .first = i};
        }
        out->items[out->n - 1].n++;
    }
    return IL_OK;
}

void il__aggregates_free(il__aggregates *aggregates)
{
    free(aggregates->items);
    free(aggregates->cells);
    *aggregates = (il__aggregates){0};
}

double il__aggregate_geomean(const il__run *run, const il__aggregates *all,
                             const il__aggregate *item, il_quantity quantity)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = item->first; i < item->first + item->n; i++) {
        double value = il__cell_median(run, all->cells[i], quantity);
        if (value > 0) {
            sum += log(value);
            n++;
        }
    }
    return n ? exp(sum / (double)n) : NAN;
}

size_t il__aggregate_run(const il__aggregates *all, size_t from)
{
    const il__aggregate *a = &all->items[from];
    size_t n = 1;
    while (from + n < all->n) {
        const il__aggregate *b = &all->items[from + n];
        if (a->backend != b->backend || a->backend_kind != b->backend_kind || a->mode != b->mode ||
            a->batch_size != b->batch_size) {
            break;
        }
        n++;
    }
    return n;
}
