/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/limits.h"

#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The models of one scenario by size, and the curves through them. */
typedef struct points {
    il__series *series;
    double *x, *y, *low, *high; /* natural logarithms */
    size_t n;
} points;

static int points_open(points *p, size_t n, il_error *err)
{
    double *numbers = malloc((4 * n + 1) * sizeof *numbers);
    *p = (points){malloc((n + 1) * sizeof *p->series), numbers, NULL, NULL, NULL, 0};
    if (!p->series || !numbers) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu models", n);
    }
    p->y = numbers + n;
    p->low = numbers + 2 * n;
    p->high = numbers + 3 * n;
    return IL_OK;
}

static void points_free(points *p)
{
    free(p->series);
    free(p->x);
}

double il__cell_millions(const il_cell *cell)
{
    double n = cell->params_total > 0 ? cell->params_total / 1e6 : cell->params;
    return n > 0 ? n : NAN;
}

double il__cell_steps(const il__run *run, const il_cell *cell)
{
    if (cell->decode_steps > 0) {
        return cell->decode_steps;
    }
    const double *target = il_rows_values(run->rows, IL_Q_gen_tokens_target);
    bool whole = strcmp(il__text(run, cell->backend_kind), "hf") == 0;
    return whole && target && target[cell->first] > 0 ? target[cell->first] : NAN;
}

/* Cells of a family lie scattered over the rows' order, which is by backend, mode, scenario. */
static int by_family(const void *pa, const void *pb)
{
    const il_cell *a = *(const il_cell *const *)pa;
    const il_cell *b = *(const il_cell *const *)pb;
    if (a->backend == b->backend && a->batch_size != b->batch_size) {
        return a->batch_size < b->batch_size ? -1 : 1;
    }
    return (a > b) - (a < b); /* one array, sorted by backend first */
}

void il__sort_families(const il_cell **cells, size_t n)
{
    if (n > 1) {
        qsort(cells, n, sizeof *cells, by_family);
    }
}

/* --- which scenario --------------------------------------------------------------------------- */

typedef struct question {
    const char *mode;
    il_quantity quantity;
    bool per_step;
} question;

static double divisor_of(const il__run *run, const il_cell *cell, const question *q)
{
    return q->per_step ? il__cell_steps(run, cell) : 1;
}

static bool answers(const il__run *run, const il_cell *cell, const question *q)
{
    return il__is_mode(run, cell, q->mode) && il__cell_millions(cell) > 0 &&
           divisor_of(run, cell, q) > 0 &&
           il__cell_median(run, (size_t)(cell - il_rows_cell(run->rows, 0)), q->quantity) > 0;
}

/* A limit must hold in every scenario: the slowest of those that most models ran. 0: none. */
static il_text_id slowest_scenario(const il__run *run, const il__family *f, const question *q)
{
    il_text_id best = 0;
    size_t best_n = 0;
    double best_mean = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (!answers(run, f->cells[i], q) ||
            (i > 0 && f->cells[i - 1]->scenario == f->cells[i]->scenario &&
             answers(run, f->cells[i - 1], q))) {
            continue; /* cells of a mode and scenario stand together */
        }
        size_t n = 0;
        double sum = 0;
        for (size_t k = i; k < f->n; k++) {
            const il_cell *cell = f->cells[k];
            if (cell->scenario == f->cells[i]->scenario && answers(run, cell, q)) {
                size_t at = (size_t)(cell - il_rows_cell(run->rows, 0));
                sum += log(il__cell_median(run, at, q->quantity) / divisor_of(run, cell, q));
                n++;
            }
        }
        double mean = sum / (double)n;
        if (n > best_n || (n == best_n && mean > best_mean)) {
            best = f->cells[i]->scenario;
            best_n = n;
            best_mean = mean;
        }
    }
    return best;
}

static void collect(const il__run *run, const il__family *f, const question *q, il_text_id scenario,
                    points *p)
{
    p->n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const il_cell *cell = f->cells[i];
        if (cell->scenario != scenario || !answers(run, cell, q)) {
            continue;
        }
        double x = log(il__cell_millions(cell));
        size_t at = p->n++;
        for (; at > 0 && p->x[at - 1] > x; at--) {
            p->x[at] = p->x[at - 1];
            p->series[at] = p->series[at - 1];
        }
        p->x[at] = x;
        p->series[at] = (il__series){cell, q->quantity, divisor_of(run, cell, q)};
    }
}

/* --- what is said ----------------------------------------------------------------------------- */

static void say(il__limit *l, const char *text)
{
    size_t len = strlen(l->note);
    (void)snprintf(l->note + len, sizeof l->note - len, "%s%s", len ? "; " : "", text);
}

/* Where the crossing is out of reach one bound is known: a size measured on its near side. */
static void settle(il__limit *l, const points *p, const il__crossing *c)
{
    l->at = c->at;
    l->n_models = p->n;
    if (c->at == INFINITY) {
        say(l, "beyond range: the largest model is within it, and so is one of twice the size by "
               "the slope over all");
        l->low = isfinite(l->low) ? fmin(l->low, p->x[p->n - 1]) : p->x[p->n - 1];
        l->high = NAN;
    } else if (c->at == -INFINITY) {
        say(l, "beyond range: the smallest model exceeds it, and so does one of half the size by "
               "the slope over all");
        l->high = isfinite(l->high) ? fmax(l->high, p->x[0]) : p->x[0];
        l->low = NAN;
    } else if (c->extrapolated) {
        say(l, "extrapolated by less than an octave");
    }
    if (c->back) {
        say(l, "a larger model is within it again");
    }
}

/* --- limits of time --------------------------------------------------------------------------- */

static int median_limit(const il__run *run, points *p, il__limit *l, il_error *err)
{
    il__block_table table;
    double threshold = log(l->threshold);
    double *scratch = NULL;
    int rc = il__block_table_build(run, p->series, p->n, &table, err);
    for (size_t i = 0; i < p->n; i++) {
        size_t at = (size_t)(p->series[i].cell - il_rows_cell(run->rows, 0));
        p->y[i] = log(il__cell_median(run, at, p->series[i].quantity) / p->series[i].divisor);
    }
    l->n_blocks = table.n_blocks;
    if (rc == IL_OK && table.n_blocks > 0) {
        scratch = malloc(2 * table.n_blocks * sizeof *scratch);
        rc = scratch ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for %zu blocks", l->n_blocks);
    }
    if (scratch) {
        il__block_medians(&table, NULL, scratch, p->y);
        char row[1024];
        const il_cell *cell = p->series[0].cell;
        il__stream_row(row, sizeof row, run, cell->backend, cell->batch_size, cell->mode, l->name);
        il_stream stream = il_stream_open(run->seed, "first_limit.csv", row);
        il_interval ends;
        rc = il__crossing_interval(&table, p->x, threshold, run->n_resamples_own, &stream, &ends,
                                   err);
        l->low = ends.low;
        l->high = ends.high;
    }
    if (rc == IL_E_TOO_FEW || (rc == IL_OK && !scratch)) {
        char text[96];
        (void)snprintf(text, sizeof text, "no interval: %zu blocks, it takes %d", l->n_blocks,
                       IL__LEAST_BLOCKS);
        say(l, text);
        rc = IL_OK;
    }
    if (rc == IL_OK) {
        const il__curve curve = {p->x, p->y, p->n};
        il__crossing got = il__first_crossing(&curve, threshold);
        settle(l, p, &got);
    }
    free(scratch);
    il__block_table_free(&table);
    return rc;
}

/* From the curve through the quantiles and those through the ends of their intervals: a model whose
 * lower end exceeds the threshold fails for sure. */
static void band_limit(const points *p, double threshold, il__limit *l)
{
    const il__curve middle = {p->x, p->y, p->n}, low = {p->x, p->low, p->n},
                    high = {p->x, p->high, p->n};
    l->low = il__first_crossing(&high, threshold).at;
    l->high = il__first_crossing(&low, threshold).at;
    il__crossing got = il__first_crossing(&middle, threshold);
    settle(l, p, &got);
}

static int tail_limit(const il__run *run, points *p, il__limit *l, il_error *err)
{
    il_scratch scratch;
    double quantile = run->facts->slo.tail_quantile;
    size_t least = SIZE_MAX;
    int rc = il_scratch_take(&scratch, run->out_dir, il__most_values(run), sizeof(double), err);
    l->n_models = p->n;
    for (size_t i = 0; i < p->n && rc == IL_OK; i++) {
        const il_cell *cell = p->series[i].cell;
        size_t needed = 0;
        il_interval got;
        size_t n = il__span_values(run, cell->first, cell->n_measured, IL_Q_latency, scratch.data);
        il_sort(scratch.data, n);
        rc = il_quantile_interval_sorted(scratch.data, n, quantile, 0.95, &got, &needed, err);
        if (rc == IL_E_TOO_FEW) {
            char text[128];
            (void)snprintf(text, sizeof text, "n too small: %zu calls, the %g quantile takes %zu",
                           n, quantile, needed);
            say(l, text);
            l->at = l->low = l->high = NAN;
            il_scratch_free(&scratch);
            return IL_OK;
        }
        p->y[i] = log(got.estimate);
        p->low[i] = log(got.low);
        p->high[i] = log(got.high);
        least = n < least ? n : least;
    }
    if (rc == IL_OK) {
        char text[64];
        (void)snprintf(text, sizeof text, "of %zu calls a model or more", least);
        say(l, text);
        band_limit(p, log(l->threshold), l);
    }
    il_scratch_free(&scratch);
    return rc;
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Weights and cache as the shape says, bytes; 0 unknown. */
static double bytes_by_shape(const il_run_facts *facts, const il_plan_cell *p)
{
    il_param_counts counts;
    il_dtype dtype;
    if (p->model_at >= facts->n_models || !facts->models[p->model_at].has_shape ||
        il_dtype_parse(p->dtype, &dtype) != IL_OK || !(p->seq_len >= 1)) {
        return 0;
    }
    const il_shape *shape = &facts->models[p->model_at].shape;
    if (il_shape_count(shape, &counts, NULL) != IL_OK) {
        return 0;
    }
    double context = p->depth_tok + p->seq_len + (double)p->gen_tokens;
    return (double)counts.total * (double)il_dtype_bytes(dtype) +
           p->batch_size * context * (double)il_shape_kv_bytes_per_token(shape, dtype);
}

/* The calls of a cell of the plan: a stretch of the list, which is sorted by cell. */
static const il_block_call *calls_of(const il_run_facts *facts, uint32_t cell, size_t *n)
{
    size_t low = 0, high = facts->n_calls;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (facts->calls[mid].cell < cell) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    for (*n = 0; low + *n < facts->n_calls && facts->calls[low + *n].cell == cell;) {
        (*n)++;
    }
    return facts->calls + low;
}

/* Least and most over blocks of the most a block took, with the estimate the most of all: what did
 * not fit once does not fit. False when no call says. */
static bool memory_of(const il_run_facts *facts, const il_cell *cell, const il_plan_cell *plan,
                      il_interval *out)
{
    size_t n = 0;
    const il_block_call *calls = calls_of(facts, (uint32_t)cell->plan_cell, &n);
    double least_bytes = bytes_by_shape(facts, plan);
    bool known = false;
    *out = (il_interval){0, INFINITY, 0};
    for (size_t i = 0; i < n;) {
        double most = NAN;
        size_t first = i;
        for (; i < n && calls[i].block == calls[first].block; i++) {
            most = fmax(most, calls[i].rss_bytes);
        }
        if (most > 0) {
            most = fmax(most, least_bytes);
            out->low = fmin(out->low, most);
            out->high = fmax(out->high, most);
            known = true;
        }
    }
    out->estimate = out->high;
    return known;
}

/* Every scenario counts: the one that takes the most. */
static void collect_memory(const il__run *run, const il__family *f, points *p)
{
    p->n = 0;
    for (size_t i = 0; i < f->n; i++) {
        const il_cell *cell = f->cells[i];
        const il_plan_cell *plan = il__plan_cell_of(run, cell);
        il_interval bytes;
        if (!plan || !plan->on_cpu || !il__is_mode(run, cell, "e2e_kv") ||
            !(il__cell_millions(cell) > 0) || !memory_of(run->facts, cell, plan, &bytes)) {
            continue;
        }
        double x = log(il__cell_millions(cell));
        size_t at = 0;
        while (at < p->n &&
               (p->x[at] < x || (p->x[at] == x && p->series[at].cell->model != cell->model))) {
            at++;
        }
        bool same = at < p->n && p->x[at] == x;
        for (size_t k = p->n; k > at && !same; k--) {
            p->x[k] = p->x[k - 1];
            p->y[k] = p->y[k - 1];
            p->low[k] = p->low[k - 1];
            p->high[k] = p->high[k - 1];
            p->series[k] = p->series[k - 1];
        }
        bool larger = !same || log(bytes.estimate) > p->y[at];
        p->n += !same;
        if (larger) {
            p->x[at] = x;
            p->y[at] = log(bytes.estimate);
            p->low[at] = log(bytes.low);
            p->high[at] = log(bytes.high);
            p->series[at] = (il__series){cell, IL_Q_latency, 1};
        }
    }
}

/* Weights are known to the byte: what the machine holds of them is arithmetic, not a law. */
static void say_arithmetic(const il__run *run, const points *p, il__limit *l)
{
    il_dtype dtype;
    const il_plan_cell *plan = il__plan_cell_of(run, p->series[p->n - 1].cell);
    if (l->at != INFINITY || il_dtype_parse(plan->dtype, &dtype) != IL_OK) {
        return;
    }
    char text[128];
    double bytes = (double)il_dtype_bytes(dtype);
    double rest = exp(p->y[p->n - 1]) - exp(p->x[p->n - 1]) * 1e6 * bytes;
    (void)snprintf(text, sizeof text, "weights of %.4g million in %s would fill it",
                   (l->threshold - fmax(rest, 0)) / bytes / 1e6, plan->dtype);
    say(l, text);
}

/* Of the cell's model, millions of parameters; NaN unknown. */
static double millions_of(const il__run *run, const il_memory_rung *rung)
{
    return rung ? run->facts->cells[rung->cell].params_total * 1e-6 : NAN;
}

/* The wall that the memory ladder met on this backend: between the largest model that held and the
 * smallest that did not. False where no rung of size failed. */
static bool met_wall(const il__run *run, const il__family *f, il__limit *l)
{
    const il_run_facts *facts = run->facts;
    const char *backend = il__text(run, f->cells[0]->backend);
    il_memory_climb climb = {0};
    for (size_t i = 0; i < facts->n_rungs; i++) {
        const il_memory_rung *r = &facts->rungs[i];
        if (r->axis == IL_RUNG_SIZE && strcmp(facts->cells[r->cell].backend, backend) == 0 &&
            facts->cells[r->cell].batch_size == f->cells[0]->batch_size) {
            il__memory_climb_add(&climb, r);
        }
    }
    double held = millions_of(run, climb.last_ok), failed = millions_of(run, climb.first_failed);
    if (!(held > 0) || !(failed > held)) {
        return false;
    }
    char text[128];
    l->n_models = climb.n_ok + climb.n_failed;
    l->threshold = climb.first_failed->limit;
    l->low = log(held);
    l->high = log(failed);
    l->at = (l->low + l->high) / 2;
    (void)snprintf(text, sizeof text, "met by the memory ladder under a limit by %s",
                   climb.first_failed->limit_by);
    say(l, text);
    return true;
}

static void memory_limit(const il__run *run, const il__family *f, points *p, il__limit *l)
{
    if (met_wall(run, f, l)) {
        return;
    }
    collect_memory(run, f, p);
    l->n_models = p->n;
    if (p->n > 0) {
        band_limit(p, log(l->threshold), l);
        say_arithmetic(run, p, l);
    }
}

/* --- all -------------------------------------------------------------------------------------- */

static int time_limit(const il__run *run, const il__family *f, const question *q, points *p,
                      il__limit *l, il_error *err)
{
    il_text_id scenario = slowest_scenario(run, f, q);
    if (scenario == 0) {
        return IL_OK;
    }
    collect(run, f, q, scenario, p);
    l->scenario = il__text(run, scenario);
    return strcmp(l->name, "tail") == 0 ? tail_limit(run, p, l, err) : median_limit(run, p, l, err);
}

int il__limits_find(const il__run *run, const il__family *f, il__limit *out, size_t *n_out,
                    il_error *err)
{
    const il_slo *slo = &run->facts->slo;
    const question first_token = {"prefill", IL_Q_ttft, false};
    bool client = slowest_scenario(run, f, &first_token) != 0;
    const struct {
        const char *name;
        double threshold;
        question question;
    } rows[] = {
        {"itl", slo->itl_ms, {"kv_decode", IL_Q_latency, true}},
        {"ttft", slo->ttft_ms, {"prefill", client ? IL_Q_ttft : IL_Q_latency, false}},
        {"tail", slo->tail_ms, {"e2e_kv", IL_Q_latency, false}},
        {"memory", f->memory_bytes, {NULL, IL_Q_latency, false}},
    };
    points p;
    int rc = points_open(&p, f->n, err);
    *n_out = 0;
    for (size_t i = 0; i < IL__COUNT_OF(rows) && rc == IL_OK; i++) {
        if (!(rows[i].threshold > 0)) {
            continue;
        }
        il__limit *l = &out[*n_out];
        *l = (il__limit){.name = rows[i].name,
                         .threshold = rows[i].threshold,
                         .at = NAN,
                         .low = NAN,
                         .high = NAN,
                         .scenario = ""};
        if (rows[i].question.mode) {
            rc = time_limit(run, f, &rows[i].question, &p, l, err);
        } else {
            memory_limit(run, f, &p, l);
        }
        if (i == 1 && !client && l->n_models > 0) {
            say(l, "prefill stands for it: no client's clock");
        }
        *n_out += l->n_models > 0;
    }
    points_free(&p);
    return rc;
}
