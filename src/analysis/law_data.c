/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/law_data.h"

#include "analysis/floor.h"
#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const il__law_x_names[IL__X_COUNT] = {
#define X_NAME(name) #name,
    IL__LAW_X_MAP(X_NAME)
#undef X_NAME
};

static bool has_scenario(const il__run *run, const il__aggregates *all, const il__aggregate *item,
                         il_text_id scenario)
{
    for (size_t i = item->first; i < item->first + item->n; i++) {
        const il_cell *cell = il_rows_cell(run->rows, all->cells[i]);
        if (cell->scenario == scenario && cell->n_measured > 0) {
            return true;
        }
    }
    return false;
}

/* The first scenario that another model ran and this one did not; 0 when there is none. */
static il_text_id lacking(const il__run *run, const il__aggregates *all, size_t from, size_t count,
                          const il__aggregate *item)
{
    for (size_t k = from; k < from + count; k++) {
        const il__aggregate *other = &all->items[k];
        for (size_t i = other->first; i < other->first + other->n; i++) {
            const il_cell *cell = il_rows_cell(run->rows, all->cells[i]);
            if (cell->n_measured > 0 && !has_scenario(run, all, item, cell->scenario)) {
                return cell->scenario;
            }
        }
    }
    return 0;
}

static void note_missing(il__law_data *out, const char *model, const char *scenario)
{
    size_t len = strlen(out->missing);
    (void)snprintf(out->missing + len, sizeof out->missing - len,
                   "%s%s lacks scenario %s and is left out", len ? "; " : "", model, scenario);
}

/* Forward passes of a row; NaN when the run does not say. */
static double passes_of(const il__run *run, const il_cell *cell)
{
    if (il__is_mode(run, cell, "prefill")) {
        return 1;
    }
    double steps = cell->decode_steps > 0 ? cell->decode_steps : NAN;
    return il__is_mode(run, cell, "kv_decode") ? steps : steps + 1;
}

static void fill_x(const il__run *run, const il__aggregates *all, const il__aggregate *item,
                   il__law_model *model)
{
    const il_cell *cell = il_rows_cell(run->rows, all->cells[item->first]);
    const il_model_shape *shape = il_shapes_of(run->shapes, model->name);
    model->x[IL__X_params_total] = cell->params_total > 0 ? cell->params_total / 1e6 : cell->params;
    model->x[IL__X_params_non_embedding] = cell->params_non_embedding / 1e6;
    model->x[IL__X_params_active] = cell->params_active / 1e6;
    model->x[IL__X_n_layer] =
        !isnan(cell->n_layer) ? cell->n_layer : (shape ? shape->n_layer : NAN);
    model->x[IL__X_d_model] =
        !isnan(cell->d_model) ? cell->d_model : (shape ? shape->d_model : NAN);
    model->n_head = !isnan(cell->n_head) ? cell->n_head : (shape ? shape->n_head : NAN);
    double bytes = 0;
    double flops = 0;
    double passes = 0;
    double floors = 0;
    double memory = 0;
    double rates = 0;
    double sets = 0;
    for (size_t i = item->first; i < item->first + item->n; i++) {
        il__floor floor;
        const il_cell *its = il_rows_cell(run->rows, all->cells[i]);
        double per = il__is_mode(run, its, "kv_decode") ? its->decode_steps : 1;
        bytes += log(its->bytes_read / per);
        flops += log(its->flops);
        passes += log(passes_of(run, its));
        floors += il__floor_of(run, its, &floor) ? log(floor.floor_ms) : NAN;
        memory += floor.memory_bound_ms / floor.floor_ms;
        rates += log(floor.read_gbps);
        sets += log(floor.working_set_bytes);
    }
    model->x[IL__X_bytes_read] = exp(bytes / (double)item->n);
    model->x[IL__X_flops] = exp(flops / (double)item->n);
    model->passes = exp(passes / (double)item->n);
    model->passes_known = !isnan(model->passes);
    model->passes = model->passes_known ? model->passes : 1;
    model->floor_ms = exp(floors / (double)item->n);
    model->floor_memory = memory / (double)item->n;
    model->read_gbps = exp(rates / (double)item->n);
    model->working_set_bytes = exp(sets / (double)item->n);
}

/* Median over replicates of a cell, log10; NaN when none is left. */
static double cell_log(const il__replicate *replicates, size_t n, double *scratch)
{
    for (size_t i = 0; i < n; i++) {
        scratch[i] = replicates[i].median;
    }
    return n ? log10(il_quantile_select(scratch, n, 0.5)) : NAN;
}

typedef struct work {
    il__replicate *replicates,
        *common; /* of one cell; of the model so far, medians as log10 sums */
    double *scratch;
} work;

/* Keeps the replicates that both lists hold, adding the logs of the second to the first. */
static size_t intersect(il__replicate *common, size_t n_common, const il__replicate *next,
                        size_t n_next)
{
    size_t kept = 0;
    size_t j = 0;
    for (size_t i = 0; i < n_common; i++) {
        while (j < n_next && next[j].id < common[i].id) {
            j++;
        }
        if (j < n_next && next[j].id == common[i].id) {
            common[kept] = common[i];
            common[kept].median += log10(next[j].median);
            common[kept++].inside_var += next[j].inside_var;
        }
    }
    return kept;
}

static size_t count_flagged(const il__run *run, const il_cell *cell)
{
    const double *flagged = il_rows_values(run->rows, IL_Q_flagged);
    size_t n = 0;
    for (size_t i = cell->first; flagged && i < cell->first + cell->n_measured; i++) {
        n += flagged[i] == 1;
    }
    return n;
}

static int add_model(const il__run *run, const il__aggregates *all, const il__aggregate *item,
                     work *w, il__law_data *out, il_error *err)
{
    il__law_model model = {.name = il__text(run, item->model), .first = out->n_values};
    size_t n_common = 0;
    for (size_t i = 0; i < item->n; i++) {
        const il_cell *cell = il_rows_cell(run->rows, all->cells[item->first + i]);
        size_t n;
        int rc = il__replicates_of(run, cell, true, w->replicates, &n, err);
        model.y_unflagged += cell_log(w->replicates, n, w->scratch);
        rc = rc ? rc : il__replicates_of(run, cell, false, w->replicates, &n, err);
        if (rc != IL_OK) {
            return rc;
        }
        model.y += cell_log(w->replicates, n, w->scratch);
        n = il__replicates_pool(w->replicates, n);
        if (i == 0) {
            out->replication = il__replication(run, cell);
            for (n_common = 0; n_common < n; n_common++) {
                w->common[n_common] = w->replicates[n_common];
                w->common[n_common].median = log10(w->replicates[n_common].median);
            }
        } else {
            n_common = intersect(w->common, n_common, w->replicates, n);
        }
        out->n_flagged += count_flagged(run, cell);
    }
    double n_scenarios = (double)item->n;
    model.y /= n_scenarios;
    model.y_unflagged /= n_scenarios;
    if (isnan(model.y)) {
        note_missing(out, model.name, "with complete calls");
        return IL_OK;
    }
    for (size_t i = 0; i < n_common; i++) {
        out->values[out->n_values + i] = w->common[i].median / n_scenarios;
        model.inside_var +=
            w->common[i].inside_var / (n_scenarios * n_scenarios) / (double)n_common;
    }
    if (n_common == 0) {
        out->values[out->n_values] = model.y;
        n_common = 1;
    }
    double shift = model.y - il_median(out->values + out->n_values, n_common);
    for (size_t i = 0; i < n_common; i++) {
        out->values[out->n_values + i] += shift;
    }
    model.n_blocks = n_common;
    out->n_values += n_common;
    fill_x(run, all, item, &model);
    out->models[out->n_models++] = model;
    return IL_OK;
}

int il__law_data_build(const il__run *run, const il__aggregates *all, size_t from, size_t count,
                       il__law_data *out, il_error *err)
{
    *out = (il__law_data){.key = &all->items[from], .replication = "call"};
    size_t most = 1;
    size_t total = count + 1;
    for (size_t k = from; k < from + count; k++) {
        const il__aggregate *item = &all->items[k];
        for (size_t i = item->first; i < item->first + item->n; i++) {
            size_t n = il_rows_cell(run->rows, all->cells[i])->n_measured;
            most = n > most ? n : most;
            total += n < IL__MOST_REPLICATES ? n : IL__MOST_REPLICATES;
        }
    }
    il_scratch memory[2] = {{.data = NULL}, {.data = NULL}};
    il__replicate common[IL__MOST_REPLICATES];
    int rc = il_scratch_take(&memory[0], run->out_dir, most, sizeof(il__replicate), err);
    rc = rc ? rc : il_scratch_take(&memory[1], run->out_dir, most, sizeof(double), err);
    work w = {memory[0].data, common, memory[1].data};
    out->models = malloc(count * sizeof *out->models);
    out->values = malloc(total * sizeof *out->values);
    if (rc == IL_OK && (!out->models || !out->values)) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for the points of a law");
    }
    for (size_t k = from; k < from + count && rc == IL_OK; k++) {
        const il__aggregate *item = &all->items[k];
        il_text_id missing = lacking(run, all, from, count, item);
        if (missing) {
            note_missing(out, il__text(run, item->model), il__text(run, missing));
        } else {
            rc = add_model(run, all, item, &w, out, err);
        }
    }
    il_scratch_free(&memory[0]);
    il_scratch_free(&memory[1]);
    if (rc != IL_OK) {
        il__law_data_free(out);
    }
    return rc;
}

void il__law_data_free(il__law_data *data)
{
    free(data->models);
    free(data->values);
    data->models = NULL;
    data->values = NULL;
}
