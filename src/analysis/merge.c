/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/merge.h"

#include "stats/order.h"

#include <stdlib.h>
#include <string.h>

static const il__merge *sorted; /* qsort has no context argument in C17 */
static unsigned sorted_mask;

static int compare_text(unsigned bit, il_text_id a, il_text_id b)
{
    if (!(sorted_mask & bit) || a == b) {
        return 0;
    }
    return strcmp(il__text(sorted->run, a), il__text(sorted->run, b));
}

static int compare_keys(const il_cell *a, const il_cell *b)
{
    int order = compare_text(IL__KEY_BACKEND, a->backend, b->backend);
    order = order ? order : compare_text(IL__KEY_KIND, a->backend_kind, b->backend_kind);
    order = order ? order : compare_text(IL__KEY_MODE, a->mode, b->mode);
    order = order ? order : compare_text(IL__KEY_SCENARIO, a->scenario, b->scenario);
    return order ? order : compare_text(IL__KEY_MODEL, a->model, b->model);
}

static int by_key(const void *pa, const void *pb)
{
    size_t a = *(const size_t *)pa;
    size_t b = *(const size_t *)pb;
    int order =
        compare_keys(il_rows_cell(sorted->run->rows, a), il_rows_cell(sorted->run->rows, b));
    return order ? order : (a > b) - (a < b);
}

static int by_item(const void *pa, const void *pb)
{
    const il__merged *a = pa;
    const il__merged *b = pb;
    unsigned mask = sorted_mask;
    sorted_mask &= ~(unsigned)IL__KEY_MODEL;
    const il_cell *ca = il__merge_cell(sorted, a);
    const il_cell *cb = il__merge_cell(sorted, b);
    int order = compare_keys(ca, cb);
    sorted_mask = mask;
    if (mask & IL__KEY_MODEL) {
        order = order ? order : isnan(a->params) - isnan(b->params);
        order = order ? order : (a->params > b->params) - (a->params < b->params);
    }
    return order ? order : compare_keys(ca, cb);
}

static int make_room(il__merge *merge, il_error *err)
{
    const il__run *run = merge->run;
    for (size_t i = 0; i < merge->n; i++) {
        size_t n = 0;
        for (size_t k = 0; k < merge->items[i].n; k++) {
            const il_cell *cell = il_rows_cell(run->rows, merge->cells[merge->items[i].first + k]);
            n += cell->n_measured + cell->n_warmup;
        }
        merge->most = n > merge->most ? n : merge->most;
    }
    int rc = il_scratch_take(&merge->memory[0], run->out_dir, merge->most, sizeof(double), err);
    rc = rc ? rc
            : il_scratch_take(&merge->memory[1], run->out_dir, merge->most, sizeof(size_t), err);
    merge->scratch = merge->memory[0].data;
    merge->positions = merge->memory[1].data;
    return rc;
}

int il__merge_build(const il__run *run, unsigned mask,
                    bool (*keep)(const il__run *, const il_cell *), il__merge *out, il_error *err)
{
    size_t n_cells = il_rows_cell_count(run->rows);
    *out = (il__merge){.run = run,
                       .items = malloc((n_cells + 1) * sizeof *out->items),
                       .cells = malloc((n_cells + 1) * sizeof *out->cells)};
    if (!out->items || !out->cells) {
        il__merge_free(out);
        return il_fail(err, IL_E_NOMEM, "no memory to group %zu cells", n_cells);
    }
    size_t n = 0;
    for (size_t i = 0; i < n_cells; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        if (cell->n_measured + cell->n_warmup > 0 && (!keep || keep(run, cell))) {
            out->cells[n++] = i;
        }
    }
    sorted = out;
    sorted_mask = mask;
    if (n > 1) {
        qsort(out->cells, n, sizeof *out->cells, by_key);
    }
    for (size_t i = 0; i < n; i++) {
        const il_cell *cell = il_rows_cell(run->rows, out->cells[i]);
        if (out->n == 0 || compare_keys(il__merge_cell(out, &out->items[out->n - 1]), cell) != 0) {
            out->items[out->n++] = (il__merged){i, 0, cell->params};
        }
        il__merged *item = &out->items[out->n - 1];
        item->params = isnan(item->params) ? cell->params : fmin(item->params, cell->params);
        item->n++;
    }
    if (out->n > 1) {
        qsort(out->items, out->n, sizeof *out->items, by_item);
    }
    int rc = make_room(out, err);
    if (rc != IL_OK) {
        il__merge_free(out);
    }
    return rc;
}

void il__merge_free(il__merge *merge)
{
    free(merge->items);
    free(merge->cells);
    il_scratch_free(&merge->memory[0]);
    il_scratch_free(&merge->memory[1]);
    *merge = (il__merge){0};
}

const il_cell *il__merge_cell(const il__merge *merge, const il__merged *item)
{
    return il_rows_cell(merge->run->rows, merge->cells[item->first]);
}

size_t il__merge_rows(il__merge *merge, const il__merged *item, il__side side)
{
    size_t n = 0;
    for (size_t i = item->first; i < item->first + item->n; i++) {
        const il_cell *cell = il_rows_cell(merge->run->rows, merge->cells[i]);
        size_t from = cell->first + (side == IL__WARMUP ? cell->n_measured : 0);
        size_t count = side == IL__WARMUP ? cell->n_warmup : cell->n_measured;
        for (size_t k = 0; k < count; k++) {
            merge->positions[n++] = from + k;
        }
    }
    return n;
}

size_t il__merge_values(il__merge *merge, size_t n_rows, il_quantity quantity)
{
    const double *values = il_rows_values(merge->run->rows, quantity);
    size_t n = 0;
    for (size_t i = 0; values && i < n_rows; i++) {
        double value = values[merge->positions[i]];
        if (!isnan(value)) {
            merge->scratch[n++] = value;
        }
    }
    return n;
}

double il__merge_median(il__merge *merge, size_t n_rows, il_quantity quantity)
{
    size_t n = il__merge_values(merge, n_rows, quantity);
    return il_quantile_select(merge->scratch, n, 0.5);
}
