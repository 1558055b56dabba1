/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/medians.h"

#include "base/csv.h"
#include "base/text.h"
#include "report/medians_internal.h"
#include "stats/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fills median and interval of row from its replicates (sorted in place). */
static void interval_fill(il_cell_median *row, double *replicates, size_t n)
{
    size_t low = 0, high = 0;
    il_sort(replicates, n);
    row->n_replicates = n;
    row->median_ms = il_quantile_sorted(replicates, n, 0.5);
    bool enough = n > 0 && il_order_ranks(n, 0.5, 0.95, &low, &high, NULL) == IL_OK;
    row->low_ms = enough ? replicates[low - 1] : NAN;
    row->high_ms = enough ? replicates[high - 1] : NAN;
}

static int by_replicate(const void *a, const void *b)
{
    const il__call *x = a, *y = b;
    return (x->replicate > y->replicate) - (x->replicate < y->replicate);
}

/* Medians of the calls of each replicate: ids and values, n_out of them. calls get sorted. */
static int replicate_medians(il__cell *cell, il_arena *arena, int64_t **ids, double **values,
                             size_t *n_out)
{
    qsort(cell->calls, cell->n_calls, sizeof *cell->calls, by_replicate);
    *ids = il_arena_array(arena, cell->n_calls, sizeof **ids);
    *values = il_arena_array(arena, cell->n_calls, sizeof **values);
    double *scratch = il_arena_array(arena, cell->n_calls, sizeof *scratch);
    if (!*ids || !*values || !scratch) {
        return IL_E_NOMEM;
    }
    size_t n = 0;
    for (size_t i = 0; i < cell->n_calls;) {
        size_t m = 0;
        int64_t id = cell->calls[i].replicate;
        while (i < cell->n_calls && cell->calls[i].replicate == id) {
            scratch[m++] = cell->calls[i++].ms;
        }
        (*ids)[n] = id;
        il_sort(scratch, m);
        (*values)[n++] = il_quantile_sorted(scratch, m, 0.5);
    }
    *n_out = n;
    return IL_OK;
}

static void row_from_cell(const il__cell *cell, il_cell_median *row)
{
    *row = (il_cell_median){.backend = cell->backend,
                            .backend_kind = cell->backend_kind,
                            .model = cell->model,
                            .scenario = cell->scenario,
                            .mode = cell->mode,
                            .batch_size = cell->batch_size,
                            .gen_tokens = cell->gen_tokens,
                            .params_millions = cell->params_millions,
                            .prompt_tok = cell->prompt_tok,
                            .decode_steps = cell->decode_steps,
                            .n_calls = cell->n_calls};
}

/* The same (backend, model, mode, batch, gen_tokens) in another scenario. */
static bool same_group(const il__cell *a, const il__cell *b)
{
    return strcmp(a->backend, b->backend) == 0 && strcmp(a->model, b->model) == 0 &&
           strcmp(a->mode, b->mode) == 0 && a->batch_size == b->batch_size &&
           a->gen_tokens == b->gen_tokens;
}

/* One row over all scenarios of a group: the geometric mean over scenarios within each replicate,
 * so that the interval holds what a block does to all of them at once. Replicates that lack a
 * scenario are left out. log_sum and seen have room for every replicate id below n_ids. */
static int aggregate_group(const il__cells *cells, size_t from, size_t to, il_arena *arena,
                           il_cell_median *row)
{
    row_from_cell(&cells->items[from], row);
    row->scenario = IL_ALL_SCENARIOS;
    row->n_calls = 0;
    size_t n_ids = 0;
    for (size_t i = from; i < to; i++) {
        n_ids += cells->items[i].n_replicates;
    }
    double *sums = il_arena_array(arena, n_ids + 1, sizeof *sums);
    if (!sums) {
        return IL_E_NOMEM;
    }
    size_t n = 0;
    const il__cell *first = &cells->items[from];
    for (size_t k = 0; k < first->n_replicates; k++) {
        double sum = 0.0;
        bool everywhere = true;
        for (size_t i = from; i < to && everywhere; i++) {
            const il__cell *c = &cells->items[i];
            size_t j = 0;
            while (j < c->n_replicates && c->ids[j] != first->ids[k]) {
                j++;
            }
            everywhere = j < c->n_replicates && c->medians[j] > 0.0;
            sum += everywhere ? log(c->medians[j]) : 0.0;
        }
        if (everywhere) {
            sums[n++] = exp(sum / (double)(to - from));
        }
    }
    for (size_t i = from; i < to; i++) {
        const il__cell *c = &cells->items[i];
        row->n_calls += c->n_calls;
        row->scenario_set += il_fnv1a64(c->scenario, strlen(c->scenario));
        row->prompt_tok = c->prompt_tok == row->prompt_tok ? row->prompt_tok : NAN;
        row->decode_steps = c->decode_steps == row->decode_steps ? row->decode_steps : NAN;
    }
    interval_fill(row, sums, n);
    return IL_OK;
}

static int by_cell(const void *a, const void *b)
{
    const il__cell *x = a, *y = b;
    int d = strcmp(x->backend, y->backend);
    d = d ? d : strcmp(x->mode, y->mode);
    d = d ? d : (x->batch_size > y->batch_size) - (x->batch_size < y->batch_size);
    d = d ? d
          : (x->params_millions > y->params_millions) - (x->params_millions < y->params_millions);
    d = d ? d : strcmp(x->model, y->model);
    d = d ? d : (x->gen_tokens > y->gen_tokens) - (x->gen_tokens < y->gen_tokens);
    return d ? d : strcmp(x->scenario, y->scenario);
}

static int by_row(const void *a, const void *b)
{
    const il_cell_median *x = a, *y = b;
    int d = strcmp(x->backend, y->backend);
    d = d ? d : strcmp(x->mode, y->mode);
    d = d ? d : (x->batch_size > y->batch_size) - (x->batch_size < y->batch_size);
    d = d ? d : strcmp(x->scenario, y->scenario);
    d = d ? d
          : (x->params_millions > y->params_millions) - (x->params_millions < y->params_millions);
    d = d ? d : strcmp(x->model, y->model);
    return d ? d : (x->gen_tokens > y->gen_tokens) - (x->gen_tokens < y->gen_tokens);
}

int il__medians_from_cells(il__cells *cells, il_arena *arena, il_medians *out)
{
    qsort(cells->items, cells->n, sizeof *cells->items, by_cell);
    out->rows = il_arena_array(arena, cells->n * 2 + 1, sizeof *out->rows);
    if (!out->rows) {
        return IL_E_NOMEM;
    }
    for (size_t i = 0; i < cells->n; i++) {
        il__cell *c = &cells->items[i];
        int rc = replicate_medians(c, arena, &c->ids, &c->medians, &c->n_replicates);
        if (rc != IL_OK) {
            return rc;
        }
        double *copy = il_arena_array(arena, c->n_replicates, sizeof *copy);
        if (!copy) {
            return IL_E_NOMEM;
        }
        memcpy(copy, c->medians, c->n_replicates * sizeof *copy);
        row_from_cell(c, &out->rows[out->n_rows]);
        interval_fill(&out->rows[out->n_rows++], copy, c->n_replicates);
    }
    for (size_t from = 0, to; from < cells->n; from = to) {
        for (to = from + 1; to < cells->n && same_group(&cells->items[from], &cells->items[to]);) {
            to++;
        }
        int rc = aggregate_group(cells, from, to, arena, &out->rows[out->n_rows]);
        if (rc != IL_OK) {
            return rc;
        }
        out->n_rows += out->rows[out->n_rows].n_replicates > 0;
    }
    qsort(out->rows, out->n_rows, sizeof *out->rows, by_row);
    return IL_OK;
}

void il_median_per_step(const il_cell_median *m, double out[3])
{
    double steps = m && m->decode_steps > 0.0 ? m->decode_steps : NAN;
    out[0] = m ? m->median_ms / steps : NAN;
    out[1] = m ? m->low_ms / steps : NAN;
    out[2] = m ? m->high_ms / steps : NAN;
}

const il_cell_median *il_medians_find(const il_medians *medians, const char *backend,
                                      const char *model, const char *scenario, const char *mode,
                                      int64_t batch_size)
{
    for (size_t i = 0; i < medians->n_rows; i++) {
        const il_cell_median *m = &medians->rows[i];
        if (strcmp(m->model, model) == 0 && strcmp(m->mode, mode) == 0 &&
            strcmp(m->scenario, scenario) == 0 && strcmp(m->backend, backend) == 0 &&
            (batch_size == 0 || m->batch_size == batch_size)) {
            return m;
        }
    }
    return NULL;
}

bool il_medians_leads(const il_medians *medians, size_t i)
{
    static const char *const modes[] = {"e2e_kv", "kv_decode", "prefill"};
    const il_cell_median *m = &medians->rows[i];
    if (strcmp(m->scenario, IL_ALL_SCENARIOS) != 0) {
        return false;
    }
    for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
        const il_cell_median *best =
            il_medians_find(medians, m->backend, m->model, m->scenario, modes[k], m->batch_size);
        if (best) {
            return strcmp(m->mode, modes[k]) == 0;
        }
    }
    return false;
}

static void put_row(il_csv_writer *to, const il_cell_median *m, bool by_block)
{
    bool decode = strcmp(m->mode, "kv_decode") == 0;
    double step[3];
    il_median_per_step(decode ? m : NULL, step);
    il_csv_text(to, m->backend);
    il_csv_text(to, m->model);
    il_csv_text(to, m->scenario);
    il_csv_text(to, m->mode);
    il_csv_i64(to, m->batch_size);
    il_csv_i64(to, m->gen_tokens);
    il_csv_f64(to, m->params_millions);
    il_csv_f64(to, m->prompt_tok);
    il_csv_text(to, by_block ? "block" : "call");
    il_csv_i64(to, (int64_t)m->n_replicates);
    il_csv_i64(to, (int64_t)m->n_calls);
    il_csv_f64(to, m->median_ms);
    il_csv_f64(to, m->low_ms);
    il_csv_f64(to, m->high_ms);
    il_csv_f64(to, decode ? m->decode_steps : NAN);
    for (size_t i = 0; i < 3; i++) {
        il_csv_f64(to, step[i]);
    }
    il_csv_f64(to, 1000.0 * (double)m->batch_size / step[0]);
    il_csv_end_row(to);
}

int il_medians_write(const il_medians *medians, const char *path, il_error *err)
{
    static const char *const columns[] = {"backend",
                                          "model",
                                          "scenario",
                                          "mode",
                                          "batch_size",
                                          "gen_tokens",
                                          "params_millions",
                                          "prompt_tokens",
                                          "replicate",
                                          "n_replicates",
                                          "n_calls",
                                          "median_ms",
                                          "ci_low_ms",
                                          "ci_high_ms",
                                          "decode_steps",
                                          "step_ms",
                                          "step_ci_low_ms",
                                          "step_ci_high_ms",
                                          "decode_tokens_per_s"};
    il_csv_writer out;
    int rc = il_csv_create(path, &out, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_csv_row(&out, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < medians->n_rows; i++) {
        put_row(&out, &medians->rows[i], medians->by_block);
    }
    rc = il_csv_close(&out, err);
    il_csv_abandon(&out);
    return rc;
}
