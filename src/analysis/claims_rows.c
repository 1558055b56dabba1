/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Which rows a claim speaks of, and the gates that stand on rows alone.
 */
#include "analysis/claims_internal.h"

#include "base/file.h"
#include "stats/order.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COLUMNS = 8 };

static bool matches(const il_claim_globs *globs, const char *text)
{
    for (size_t i = 0; i < globs->n; i++) {
        if (fnmatch(globs->texts[i], text, 0) == 0) {
            return true;
        }
    }
    return globs->n == 0;
}

static bool within(double low, double value, double high)
{
    return (isnan(low) || value >= low) && (isnan(high) || value <= high);
}

double il__claim_x_of(const il__run *run, const il_cell *cell, il_claim_x x)
{
    const il_model_shape *shape = il_shapes_of(run->shapes, il__text(run, cell->model));
    switch (x) {
    case IL_CLAIM_X_params_total:
        return cell->params_total > 0 ? cell->params_total / 1e6 : cell->params;
    case IL_CLAIM_X_params_non_embedding:
        return cell->params_non_embedding / 1e6;
    case IL_CLAIM_X_params_active:
        return cell->params_active / 1e6;
    case IL_CLAIM_X_bytes_read:
        return cell->bytes_read;
    case IL_CLAIM_X_flops:
        return cell->flops;
    case IL_CLAIM_X_n_layer:
        return isnan(cell->n_layer) && shape ? shape->n_layer : cell->n_layer;
    case IL_CLAIM_X_d_model:
        return isnan(cell->d_model) && shape ? shape->d_model : cell->d_model;
    case IL_CLAIM_X_n_head:
        return isnan(cell->n_head) && shape ? shape->n_head : cell->n_head;
    default:
        return NAN;
    }
}

static bool selected(const il__run *run, const il_claim_side *side, const il_cell *cell)
{
    const char *model = il__text(run, cell->model);
    if (!matches(&side->backend, il__text(run, cell->backend)) ||
        !matches(&side->scenario, il__text(run, cell->scenario)) ||
        !(matches(&side->model, model) || matches(&side->model, il_path_base(model))) ||
        (side->mode && !il__is_mode(run, cell, side->mode))) {
        return false;
    }
    double layers = il__claim_x_of(run, cell, IL_CLAIM_X_n_layer);
    double width = il__claim_x_of(run, cell, IL_CLAIM_X_d_model);
    double size = il__claim_x_of(run, cell, IL_CLAIM_X_params_total);
    return (isnan(side->batch_size) || cell->batch_size == side->batch_size) &&
           (isnan(side->n_layer) || layers == side->n_layer) &&
           (isnan(side->d_model) || width == side->d_model) &&
           within(side->params_from, size, side->params_to);
}

/* The rows of one kind as a cell of their own: warm-up rows follow the measured ones. */
static il_cell side_of(const il_cell *cell, bool warmup)
{
    il_cell out = *cell;
    if (warmup) {
        out.first += cell->n_measured;
        out.n_measured = cell->n_warmup;
    }
    return out;
}

static size_t count_flagged(const il__run *run, const il_cell *part)
{
    const double *flagged = il_rows_values(run->rows, IL_Q_flagged);
    size_t n = 0;
    for (size_t i = part->first; flagged && i < part->first + part->n_measured; i++) {
        n += flagged[i] == 1;
    }
    return n;
}

static int add_cell(const il__run *run, const il_cell *cell, bool warmup, il__replicate *replicates,
                    double *scratch, il__claim_rows *out, il_error *err)
{
    const il_cell part = side_of(cell, warmup);
    size_t n;
    int rc = il__replicates_of(run, &part, false, replicates, &n, err);
    size_t first = out->values.count;
    rc = rc || n == 0 ? rc : il_vector_resize(&out->values, run->out_dir, first + n, err);
    if (rc != IL_OK || n == 0) {
        return rc;
    }
    il__claim_value *values = (il__claim_value *)out->values.data + first;
    for (size_t i = 0; i < n; i++) {
        scratch[i] = log(replicates[i].median);
        values[i] = (il__claim_value){replicates[i].id, scratch[i]};
    }
    il__claim_cell *item = &out->items[out->n++];
    *item = (il__claim_cell){cell, first, n, il_quantile_select(scratch, n, 0.5), out->n_models};
    for (size_t i = 0; i + 1 < out->n; i++) {
        if (out->items[i].cell->model == cell->model) {
            item->group = out->items[i].group;
        }
    }
    out->n_models += item->group == out->n_models;
    out->summary &= n == 1;
    out->n_calls += part.n_measured;
    out->n_flagged += count_flagged(run, &part);
    return IL_OK;
}

int il__claim_rows_select(const il__run *run, const il_claim_side *side, il__claim_rows *out,
                          il_error *err)
{
    size_t n_cells = il_rows_cell_count(run->rows);
    size_t most = 1;
    for (size_t i = 0; i < n_cells; i++) {
        const il_cell part = side_of(il_rows_cell(run->rows, i), side->warmup);
        most = part.n_measured > most ? part.n_measured : most;
    }
    *out = (il__claim_rows){.summary = true};
    il_vector_init(&out->values, sizeof(il__claim_value));
    out->items = malloc((n_cells + 1) * sizeof *out->items);
    il_scratch memory[2] = {{.data = NULL}, {.data = NULL}};
    int rc = out->items ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the rows of a claim");
    rc = rc ? rc : il_scratch_take(&memory[0], run->out_dir, most, sizeof(il__replicate), err);
    rc = rc ? rc : il_scratch_take(&memory[1], run->out_dir, most, sizeof(double), err);
    for (size_t i = 0; rc == IL_OK && i < n_cells; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        if (selected(run, side, cell)) {
            rc = add_cell(run, cell, side->warmup, memory[0].data, memory[1].data, out, err);
        }
    }
    il_scratch_free(&memory[0]);
    il_scratch_free(&memory[1]);
    return rc;
}

void il__claim_rows_free(il__claim_rows *rows)
{
    free(rows->items);
    rows->items = NULL;
    il_vector_free(&rows->values);
}

const il__claim_value *il__claim_values(const il__claim_rows *rows, const il__claim_cell *cell)
{
    return (const il__claim_value *)rows->values.data + cell->first;
}

/* --- tables already written ---------------------------------------------------------------------
 */

int il__rows_each(const il__run *run, const char *name, const char *const *columns,
                  size_t n_columns, il__row_fn each, void *user, il_error *err)
{
    char path[4096];
    size_t at[MOST_COLUMNS];
    il_csv_field row[MOST_COLUMNS];
    il_csv_reader *csv;
    if (il_path_join(path, sizeof path, run->out_dir, name) != IL_OK || !il_path_is_file(path)) {
        return IL_OK;
    }
    int rc = il_csv_open(path, &csv, err);
    for (bool header = true; rc == IL_OK; header = false) {
        const il_csv_field *fields;
        size_t n;
        rc = il_csv_next(csv, &fields, &n, err);
        if (rc != IL_OK || n == 0) {
            break;
        }
        for (size_t c = 0; c < n_columns; c++) {
            if (header) {
                at[c] = SIZE_MAX;
                for (size_t i = 0; i < n; i++) {
                    if (fields[i].len == strlen(columns[c]) &&
                        memcmp(fields[i].text, columns[c], fields[i].len) == 0) {
                        at[c] = i;
                    }
                }
            } else {
                row[c] = at[c] < n ? il_csv_unprefix(fields[at[c]]) : (il_csv_field){"", 0};
            }
        }
        if (!header) {
            each(row, user);
        }
    }
    il_csv_free(csv);
    return rc;
}

static bool is_text(il_csv_field field, const char *text)
{
    return field.len == strlen(text) && memcmp(field.text, text, field.len) == 0;
}

typedef struct noise {
    const il__run *run;
    const il__claim_rows *rows;
    double most;
} noise;

static void take_noise(const il_csv_field *f, void *user)
{
    noise *state = user;
    double percent;
    if (!il_csv_to_f64(f[2], &percent)) {
        return;
    }
    for (size_t i = 0; i < state->rows->n; i++) {
        const il_cell *cell = state->rows->items[i].cell;
        if (is_text(f[0], il__text(state->run, cell->backend)) &&
            is_text(f[1], il__text(state->run, cell->mode))) {
            state->most = fmax(state->most, percent / 100);
            return;
        }
    }
}

int il__claims_noise(const il__run *run, const il__claim_rows *rows, double *out, il_error *err)
{
    static const char *const columns[] = {"backend", "mode", "mde_percent"};
    noise state = {run, rows, NAN};
    int rc = il__rows_each(run, "noise_floor.csv", columns, 3, take_noise, &state, err);
    *out = state.most;
    return rc;
}

typedef struct roofline {
    const il__run *run;
    const il__claim_rows *rows;
    double worst;
    char where[200];
} roofline;

/* Beyond this the floor was measured too high: the machine did what it cannot do. */
#define MOST_SHARE_OF_FLOOR 1.1

static void take_share(const il_csv_field *f, void *user)
{
    roofline *state = user;
    double low, batch;
    if (!il_csv_to_f64(f[5], &low) || !(low > MOST_SHARE_OF_FLOOR) || low <= state->worst) {
        return;
    }
    for (size_t i = 0; i < state->rows->n; i++) {
        const il_cell *cell = state->rows->items[i].cell;
        if (is_text(f[0], il__text(state->run, cell->backend)) &&
            is_text(f[1], il__text(state->run, cell->model)) &&
            is_text(f[2], il__text(state->run, cell->scenario)) && il_csv_to_f64(f[3], &batch) &&
            batch == cell->batch_size && is_text(f[4], il__text(state->run, cell->mode))) {
            state->worst = low;
            (void)snprintf(state->where, sizeof state->where, "%.*s, %.*s, %.*s", (int)f[1].len,
                           f[1].text, (int)f[2].len, f[2].text, (int)f[4].len, f[4].text);
            return;
        }
    }
}

int il__effect_row_gates(const il__run *run, const il__claim_rows *rows, il__effect *e,
                         il_error *err)
{
    static const char *const columns[] = {"backend",    "model", "scenario",
                                          "batch_size", "mode",  "ci_low"};
    if (rows->n_flagged * 10 > rows->n_calls) {
        il__effect_gate(e, "flagged", "the same study on a quieter machine",
                        "machine-state gates flagged %zu of %zu rows, more than 10 %%",
                        rows->n_flagged, rows->n_calls);
    }
    roofline state = {.run = run, .rows = rows};
    int rc = il__rows_each(run, "efficiency.csv", columns, 6, take_share, &state, err);
    if (rc == IL_OK && state.worst > 0) {
        il__effect_gate(e, "roofline", "a run whose measured ceilings are not exceeded",
                        "%s beats its floor: the share of it is at least %.2f", state.where,
                        state.worst);
    }
    return rc;
}
