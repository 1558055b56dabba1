/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/claims_points.h"

#include "stats/order.h"

#include <stdlib.h>

static bool in_key(const il__claim_cell *item, il__claim_key key)
{
    return item->cell->backend == key.backend && item->cell->batch_size == key.batch_size;
}

bool il__claim_key_new(const il__claim_rows *rows, size_t i, il__claim_key *out)
{
    *out = (il__claim_key){rows->items[i].cell->backend, rows->items[i].cell->batch_size};
    for (size_t k = 0; k < i; k++) {
        if (in_key(&rows->items[k], *out)) {
            return false;
        }
    }
    return true;
}

/* How many different scenarios the key has. */
static size_t count_scenarios(const il__claim_rows *rows, il__claim_key key)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->n; i++) {
        bool known = !in_key(&rows->items[i], key);
        for (size_t k = 0; k < i && !known; k++) {
            known = in_key(&rows->items[k], key) &&
                    rows->items[k].cell->scenario == rows->items[i].cell->scenario;
        }
        n += !known;
    }
    return n;
}

static void take_ids(const il__claim_rows *rows, const il__claim_cell *item, il__points *out)
{
    const il__claim_value *values = il__claim_values(rows, item);
    for (size_t i = 0; i < item->n; i++) {
        out->ids[out->n_ids++] = values[i].id;
    }
}

static void add_point(const il__run *run, const il__claim_rows *rows, il__claim_key key,
                      size_t group, size_t n_scenarios, il__points *out)
{
    il__point point = {.group = group};
    size_t n = 0, least = SIZE_MAX;
    for (size_t i = 0; i < rows->n; i++) {
        const il__claim_cell *item = &rows->items[i];
        if (item->group == group && in_key(item, key)) {
            point.cell = item->cell;
            point.y += item->ln / (double)n_scenarios;
            least = item->n < least ? item->n : least;
            n++;
        }
    }
    if (n != n_scenarios) {
        out->n_left_out += n > 0;
        return;
    }
    for (int x = 0; x < IL_CLAIM_X_COUNT; x++) {
        point.x[x] = il__claim_x_of(run, point.cell, (il_claim_x)x);
    }
    out->n_blocks = least < out->n_blocks ? least : out->n_blocks;
    out->items[out->n++] = point;
}

int il__points_build(const il__run *run, const il__claim_rows *rows, il__claim_key key,
                     il__points *out, il_error *err)
{
    size_t most = 1;
    size_t n_scenarios = count_scenarios(rows, key);
    const il__claim_cell *first = NULL;
    *out = (il__points){.n_blocks = SIZE_MAX};
    for (size_t i = 0; i < rows->n; i++) {
        most = rows->items[i].n > most ? rows->items[i].n : most;
        first = !first && in_key(&rows->items[i], key) ? &rows->items[i] : first;
    }
    out->items = malloc((rows->n_models + 1) * sizeof *out->items);
    int rc = out->items ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for points");
    rc = rc ? rc : il_scratch_take(&out->memory[0], run->out_dir, most, sizeof(double), err);
    rc = rc ? rc : il_scratch_take(&out->memory[1], run->out_dir, most, sizeof(double), err);
    out->ids = out->memory[0].data;
    out->scratch = out->memory[1].data;
    for (size_t g = 0; rc == IL_OK && g < rows->n_models; g++) {
        add_point(run, rows, key, g, n_scenarios, out);
    }
    out->n_blocks = out->n ? out->n_blocks : 0;
    if (rc == IL_OK && first) {
        take_ids(rows, first, out);
    }
    return rc;
}

void il__points_free(il__points *points)
{
    free(points->items);
    il_scratch_free(&points->memory[0]);
    il_scratch_free(&points->memory[1]);
    *points = (il__points){0};
}

double il__point_without(const il__claim_rows *rows, il__claim_key key, const il__points *points,
                         const il__point *point, double block)
{
    double sum = 0;
    size_t n_cells = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const il__claim_cell *item = &rows->items[i];
        if (item->group != point->group || !in_key(item, key)) {
            continue;
        }
        const il__claim_value *values = il__claim_values(rows, item);
        size_t n = 0;
        for (size_t k = 0; k < item->n; k++) {
            if (values[k].id != block) {
                points->scratch[n++] = values[k].ln;
            }
        }
        sum += n ? il_quantile_select(points->scratch, n, 0.5) : NAN;
        n_cells++;
    }
    return sum / (double)n_cells;
}
