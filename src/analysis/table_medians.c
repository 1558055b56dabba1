/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * medians.csv: the median of every backend, model, scenario and mode with its exact interval, and
 * over all scenarios (__all__) the geometric mean within each replicate.
 *
 * The replicate is the block: the calls of one block count as their median. A run with one block (a
 * foreign one, an original study file) has only calls. Rows that a server stopped early count here:
 * this is the time that was measured, and decode_steps says for how much.
 */
#include "analysis/outcomes.h"
#include "analysis/tables.h"

#include "stats/autocorr.h"
#include "stats/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALL_SCENARIOS "__all__"

/* A cell with the texts it is sorted by. */
typedef struct source {
    const char *backend, *model, *mode, *scenario;
    const il_cell *cell;
} source;

typedef struct call {
    double gen_tokens, replicate, ms;
    size_t at; /* storage position */
} call;

/* The calls of one row of the table. */
typedef struct series {
    source key;
    double gen_tokens, params, prompt_tok, decode_steps; /* NaN unknown, or not the same in all */
    size_t n_calls;
    size_t first, n; /* its replicates */
    double median, low, high;
    const char *ci_method;
} series;

/* How much a block tells of the next in one mode, over all cells of the run. */
typedef struct lag {
    const char *mode;
    il_lag1_pool pool;
    double stay; /* 0.5 until every cell is in */
} lag;

enum { N_ARRAYS = 4, MOST_MODES = 16 };

typedef struct work {
    const il__run *run;
    bool by_block;
    source *sources;
    size_t n_sources;
    call *calls;           /* of one series of cells */
    double *ids, *medians; /* of the replicates of all series */
    double *scratch;       /* holds the replicates of one series */
    size_t n_replicates;
    series *items; /* in the order of groups, then the aggregates */
    size_t n, cap;
    lag lags[MOST_MODES];
    size_t n_lags;
    /* of the last interval: cells of a run have as many replicates, as a rule */
    size_t ranks_n, rank_low, rank_high;
    double ranks_stay;
    il_scratch memory[N_ARRAYS]; /* of the arrays that grow with rows */
} work;

static int by_number(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return isnan(a) - isnan(b);
    }
    return (a > b) - (a < b);
}

static int compare_group(const source *a, const source *b)
{
    int order = strcmp(a->backend, b->backend);
    order = order ? order : strcmp(a->model, b->model);
    order = order ? order : strcmp(a->mode, b->mode);
    return order ? order : by_number(a->cell->batch_size, b->cell->batch_size);
}

static int by_source(const void *pa, const void *pb)
{
    const source *a = pa;
    const source *b = pb;
    int order = compare_group(a, b);
    order = order ? order : strcmp(a->scenario, b->scenario);
    return order ? order : (a->cell->first > b->cell->first) - (a->cell->first < b->cell->first);
}

static int by_group(const void *pa, const void *pb)
{
    const series *a = pa;
    const series *b = pb;
    int order = compare_group(&a->key, &b->key);
    order = order ? order : by_number(a->gen_tokens, b->gen_tokens);
    return order ? order : strcmp(a->key.scenario, b->key.scenario);
}

static int by_row(const void *pa, const void *pb)
{
    const series *a = pa;
    const series *b = pb;
    int order = strcmp(a->key.backend, b->key.backend);
    order = order ? order : strcmp(a->key.mode, b->key.mode);
    order = order ? order : by_number(a->key.cell->batch_size, b->key.cell->batch_size);
    order = order ? order : strcmp(a->key.scenario, b->key.scenario);
    order = order ? order : by_number(a->params, b->params);
    order = order ? order : strcmp(a->key.model, b->key.model);
    return order ? order : by_number(a->gen_tokens, b->gen_tokens);
}

static int by_call(const void *pa, const void *pb)
{
    const call *a = pa;
    const call *b = pb;
    int order = by_number(a->gen_tokens, b->gen_tokens);
    order = order ? order : by_number(a->replicate, b->replicate);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

static double value_at(const il__run *run, il_quantity quantity, size_t at)
{
    const double *values = il_rows_values(run->rows, quantity);
    return values ? values[at] : NAN;
}

/* Original files have no decode_steps: their `hf` loop runs exactly gen_tokens steps. What a server
 * ran is not known there, so its time of a step is not measured. */
static double steps_at(const il__run *run, const il_cell *cell, size_t at)
{
    if (il_rows_values(run->rows, IL_Q_decode_steps)) {
        return value_at(run, IL_Q_decode_steps, at);
    }
    return strcmp(il__text(run, cell->backend_kind), "hf") == 0
               ? value_at(run, IL_Q_gen_tokens_target, at)
               : NAN;
}

static double replicate_at(const work *w, const il_cell *cell, size_t at, size_t nth)
{
    if (w->by_block) {
        double block = cell->has_block ? value_at(w->run, IL_Q_replicate, at) : 0;
        return block > 0 ? block : 0;
    }
    double rep = value_at(w->run, IL_Q_rep, at);
    return isnan(rep) ? (double)nth : rep;
}

/* NULL for a mode beyond the most: its blocks are taken for independent. */
static lag *lag_of(work *w, const char *mode)
{
    for (size_t i = 0; i < w->n_lags; i++) {
        if (strcmp(w->lags[i].mode, mode) == 0) {
            return &w->lags[i];
        }
    }
    if (w->n_lags == MOST_MODES) {
        return NULL;
    }
    w->lags[w->n_lags] = (lag){.mode = mode, .stay = 0.5};
    return &w->lags[w->n_lags++];
}

/* Ranks of the exact interval, or of the one for blocks that resemble the ones before. */
static void find_ranks(work *w, size_t n, double stay)
{
    if (n == w->ranks_n && stay == w->ranks_stay) {
        return;
    }
    w->ranks_n = n;
    w->ranks_stay = stay;
    int rc = stay > 0.5 ? il_order_ranks_series(n, stay, 0.95, &w->rank_low, &w->rank_high, NULL)
                        : il_order_ranks(n, 0.5, 0.95, &w->rank_low, &w->rank_high, NULL);
    if (rc != IL_OK) {
        w->rank_low = w->rank_high = 0;
    }
}

/* Median and interval from n replicates, which get sorted. */
static void fill_interval(work *w, series *s, double *replicates, size_t n)
{
    const lag *its = w->by_block ? lag_of(w, s->key.mode) : NULL;
    double stay = its ? its->stay : 0.5;
    il_sort(replicates, n);
    s->n = n;
    s->median = il_quantile_sorted(replicates, n, 0.5);
    find_ranks(w, n, stay);
    bool enough = n > 0 && w->rank_low > 0;
    s->low = enough ? replicates[w->rank_low - 1] : NAN;
    s->high = enough ? replicates[w->rank_high - 1] : NAN;
    s->ci_method = !enough ? "" : stay > 0.5 ? "order_statistic_series" : "order_statistic";
}

/* Once every cell is in: blocks of one cell say nothing of how they depend on each other, those of
 * all cells together do. */
static void widen_where_blocks_depend(work *w)
{
    for (size_t i = 0; i < w->n && w->by_block; i++) {
        lag *its = lag_of(w, w->items[i].key.mode);
        if (its) {
            il_lag1_add(&its->pool, w->medians + w->items[i].first, w->items[i].n);
        }
    }
    for (size_t i = 0; i < w->n_lags; i++) {
        w->lags[i].stay = il_lag1_stay(&w->lags[i].pool);
    }
    for (size_t i = 0; i < w->n && w->by_block; i++) {
        series *s = &w->items[i];
        memcpy(w->scratch, w->medians + s->first, s->n * sizeof *w->scratch);
        fill_interval(w, s, w->scratch, s->n);
    }
}

static series *series_new(work *w)
{
    if (w->n == w->cap) {
        size_t cap = 2 * w->cap + 64;
        series *items = realloc(w->items, cap * sizeof *items);
        if (!items) {
            return NULL;
        }
        w->items = items;
        w->cap = cap;
    }
    return &w->items[w->n++];
}

/* One row from calls of the same length, sorted by replicate. */
static int add_series(work *w, const source *from, size_t n_from, const call *calls, size_t n)
{
    series *s = series_new(w);
    if (!s) {
        return IL_E_NOMEM;
    }
    const il_cell *cell = from->cell;
    *s = (series){.key = *from,
                  .gen_tokens = calls[0].gen_tokens,
                  .params = cell->params,
                  .prompt_tok =
                      value_at(w->run, IL_Q_prompt_tokens_compute, calls[0].at) / cell->batch_size,
                  .decode_steps = steps_at(w->run, cell, calls[0].at),
                  .n_calls = n,
                  .first = w->n_replicates};
    for (size_t i = 1; i < n_from && !(s->params > 0); i++) {
        s->params = from[i].cell->params;
    }
    s->params = s->params > 0 ? s->params : NAN;
    for (size_t i = 0; i < n;) {
        size_t m = 0;
        double id = calls[i].replicate;
        for (; i < n && calls[i].replicate == id; i++) {
            double steps = steps_at(w->run, cell, calls[i].at);
            s->decode_steps = steps == s->decode_steps ? steps : NAN;
            w->scratch[m++] = calls[i].ms;
        }
        il_sort(w->scratch, m);
        w->ids[w->n_replicates] = id;
        w->medians[w->n_replicates++] = il_quantile_sorted(w->scratch, m, 0.5);
    }
    size_t n_replicates = w->n_replicates - s->first;
    memcpy(w->scratch, w->medians + s->first, n_replicates * sizeof *w->scratch);
    fill_interval(w, s, w->scratch, n_replicates);
    return IL_OK;
}

/* Cells of one key: a file may split one by a kind or a parameter count that only some rows have.
 */
static int add_cells(work *w, const source *from, size_t n_from)
{
    size_t n = 0;
    for (size_t i = 0; i < n_from; i++) {
        const il_cell *cell = from[i].cell;
        for (size_t at = cell->first; at < cell->first + cell->n_measured; at++) {
            double gen_tokens = value_at(w->run, IL_Q_gen_tokens_target, at);
            w->calls[n] = (call){.gen_tokens = isnan(gen_tokens) ? 0 : gen_tokens,
                                 .replicate = replicate_at(w, cell, at, n),
                                 .ms = value_at(w->run, IL_Q_latency, at),
                                 .at = at};
            n++;
        }
    }
    /* Files come in order as a rule. */
    size_t sorted = 1;
    while (sorted < n && by_call(&w->calls[sorted - 1], &w->calls[sorted]) <= 0) {
        sorted++;
    }
    if (sorted < n) {
        il_sort_records(w->calls, n, sizeof *w->calls, by_call);
    }
    for (size_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && w->calls[end].gen_tokens == w->calls[first].gen_tokens;) {
            end++;
        }
        int rc = add_series(w, from, n_from, w->calls + first, end - first);
        if (rc != IL_OK) {
            return rc;
        }
    }
    return IL_OK;
}

/* The geometric mean over scenarios within each replicate, so that the interval holds what a block
 * does to all of them at once. A replicate that lacks a scenario is left out. */
static int add_aggregate(work *w, size_t from, size_t to)
{
    series all = w->items[from];
    const double *ids = w->ids + all.first;
    size_t n = all.n;
    for (size_t k = 0; k < n; k++) {
        w->scratch[k] = 0;
    }
    all.key.scenario = ALL_SCENARIOS;
    all.n_calls = 0;
    for (size_t i = from; i < to; i++) {
        const series *s = &w->items[i];
        size_t j = 0;
        for (size_t k = 0; k < n; k++) {
            while (j < s->n && w->ids[s->first + j] < ids[k]) {
                j++;
            }
            bool here = j < s->n && w->ids[s->first + j] == ids[k];
            double median = here ? w->medians[s->first + j] : NAN;
            w->scratch[k] += median > 0 ? log(median) : NAN;
        }
        all.n_calls += s->n_calls;
        all.prompt_tok = s->prompt_tok == all.prompt_tok ? all.prompt_tok : NAN;
        all.decode_steps = s->decode_steps == all.decode_steps ? all.decode_steps : NAN;
    }
    size_t n_whole = 0;
    for (size_t k = 0; k < n; k++) {
        if (!isnan(w->scratch[k])) {
            w->scratch[n_whole++] = exp(w->scratch[k] / (double)(to - from));
        }
    }
    fill_interval(w, &all, w->scratch, n_whole);
    series *s = n_whole > 0 ? series_new(w) : NULL;
    if (s) {
        *s = all;
    }
    return s || n_whole == 0 ? IL_OK : IL_E_NOMEM;
}

static int add_all(work *w)
{
    int rc = IL_OK;
    for (size_t from = 0, to; from < w->n_sources && rc == IL_OK; from = to) {
        const source *first = &w->sources[from];
        for (to = from + 1; to < w->n_sources && compare_group(first, &w->sources[to]) == 0 &&
                            strcmp(first->scenario, w->sources[to].scenario) == 0;) {
            to++;
        }
        rc = add_cells(w, first, to - from);
    }
    size_t n = w->n;
    widen_where_blocks_depend(w);
    if (n > 1) {
        qsort(w->items, n, sizeof *w->items, by_group);
    }
    for (size_t from = 0, to; from < n && rc == IL_OK; from = to) {
        for (to = from + 1; to < n && compare_group(&w->items[from].key, &w->items[to].key) == 0 &&
                            w->items[from].gen_tokens == w->items[to].gen_tokens;) {
            to++;
        }
        rc = add_aggregate(w, from, to);
    }
    if (w->n > 1) {
        qsort(w->items, w->n, sizeof *w->items, by_row);
    }
    return rc;
}

/* The cells with measured rows, sorted, and room for what is made of them. */
static int work_open(work *w, const il__run *run, il_error *err)
{
    size_t n_cells = il_rows_cell_count(run->rows);
    size_t n_measured = 0;
    *w = (work){.run = run, .by_block = il_rows_outcomes(run->rows)->n_blocks > 1};
    w->sources = malloc((n_cells + 1) * sizeof *w->sources);
    for (size_t i = 0; w->sources && i < n_cells; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        if (cell->n_measured > 0) {
            n_measured += cell->n_measured;
            w->sources[w->n_sources++] = (source){.backend = il__text(run, cell->backend),
                                                  .model = il__text(run, cell->model),
                                                  .mode = il__text(run, cell->mode),
                                                  .scenario = il__text(run, cell->scenario),
                                                  .cell = cell};
        }
    }
    if (w->n_sources > 1) {
        qsort(w->sources, w->n_sources, sizeof *w->sources, by_source);
    }
    size_t most = 0;
    for (size_t from = 0, to; from < w->n_sources; from = to) {
        size_t n = 0;
        for (to = from;
             to < w->n_sources && compare_group(&w->sources[from], &w->sources[to]) == 0 &&
             strcmp(w->sources[from].scenario, w->sources[to].scenario) == 0;
             to++) {
            n += w->sources[to].cell->n_measured;
        }
        most = n > most ? n : most;
    }
    const size_t counts[N_ARRAYS] = {most, most, n_measured, n_measured};
    const size_t sizes[N_ARRAYS] = {sizeof *w->calls, sizeof(double), sizeof(double),
                                    sizeof(double)};
    int rc = w->sources ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the table of medians");
    for (size_t i = 0; i < N_ARRAYS && rc == IL_OK; i++) {
        rc = il_scratch_take(&w->memory[i], run->out_dir, counts[i], sizes[i], err);
    }
    w->calls = w->memory[0].data;
    w->scratch = w->memory[1].data;
    w->ids = w->memory[2].data;
    w->medians = w->memory[3].data;
    return rc;
}

static void work_free(work *w)
{
    free(w->sources);
    for (size_t i = 0; i < N_ARRAYS; i++) {
        il_scratch_free(&w->memory[i]);
    }
    free(w->items);
}

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
                                      "decode_tokens_per_s",
                                      "ci_method",
                                      "block_lag1"};

static void put_row(work *w, const series *s, il_csv_writer *to)
{
    double steps = strcmp(s->key.mode, "kv_decode") == 0 ? s->decode_steps : NAN;
    double divisor = steps > 0 ? steps : NAN;
    il_csv_text(to, s->key.backend);
    il_csv_text(to, s->key.model);
    il_csv_text(to, s->key.scenario);
    il_csv_text(to, s->key.mode);
    il_csv_f64(to, s->key.cell->batch_size);
    il_csv_f64(to, s->gen_tokens);
    il_csv_f64(to, s->params);
    il_csv_f64(to, s->prompt_tok);
    il_csv_text(to, w->by_block ? "block" : "call");
    il_csv_i64(to, (int64_t)s->n);
    il_csv_i64(to, (int64_t)s->n_calls);
    il_csv_f64(to, s->median);
    il_csv_f64(to, s->low);
    il_csv_f64(to, s->high);
    il_csv_f64(to, steps);
    il_csv_f64(to, s->median / divisor);
    il_csv_f64(to, s->low / divisor);
    il_csv_f64(to, s->high / divisor);
    il_csv_f64(to, 1000.0 * s->key.cell->batch_size / (s->median / divisor));
    il_csv_text(to, s->ci_method);
    const lag *its = w->by_block ? lag_of(w, s->key.mode) : NULL;
    il_csv_f64(to, its ? il_lag1_of(&its->pool, NULL) : NAN);
    il_csv_end_row(to);
}

int il__write_medians(const il__run *run, il_error *err)
{
    work w;
    il_csv_writer out;
    int rc = work_open(&w, run, err);
    if (rc == IL_OK && add_all(&w) != IL_OK) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for the table of medians");
    }
    rc = rc ? rc : il__table_open(run, "medians.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc == IL_OK) {
        for (size_t i = 0; i < w.n; i++) {
            put_row(&w, &w.items[i], &out);
        }
        rc = il_csv_close(&out, err);
        il_csv_abandon(&out);
    }
    work_free(&w);
    return rc;
}
