/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * crossovers.csv: the prompt length at which prefill takes as long as the decode, the batch size
 * from which a decode step is bound by arithmetic, the model size at which one backend overtakes
 * another. Nothing is extrapolated; "none in range" is an answer (docs/regimes.md).
 */
#include "analysis/gap_data.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {
    "kind",     "mode",    "a",       "b",          "x",        "estimate", "ci_low", "ci_high",
    "p_inside", "verdict", "because", "batch_size", "n_points", "n_blocks", "x_low",  "x_high"};
enum { LEAST_BLOCKS = 5, NAME_BYTES = 1024 };
#define SURE 0.95

/* One question: where a becomes slower than b (rising) or faster. */
typedef struct question {
    const char *kind, *mode, *x;
    char a[NAME_BYTES], b[NAME_BYTES];
    double batch_size; /* NaN where batch size is x */
    bool rises;        /* a can only become slower relative to b: a bound is known outside */
    const char *what;  /* what a point is, for words: "prompt lengths" */
} question;

typedef struct answer {
    il_crossing c;
    const char *verdict;
    double estimate, low, high, p_inside;
    size_t n_blocks;
} answer;

/* a below b (or above it) at every point. */
static void say_none(const question *q, const il__gap *gap, bool below, answer *out, il_buf *words)
{
    double first = gap->points[0].x;
    double last = gap->points[gap->n - 1].x;
    out->verdict = "none_in_range";
    (void)il_buf_printf(words, "%s stays %s %s from %.4g to %.4g", q->a, below ? "below" : "above",
                        q->b, first, last);
    if (q->rises && below) {
        out->low = last;
    } else if (q->rises) {
        out->high = first;
    }
}

static void judge(const question *q, const il__gap *gap, answer *out, il_buf *words)
{
    const il_crossing *c = &out->c;
    out->p_inside = c->p_inside;
    out->n_blocks = c->n_blocks;
    if (c->n_blocks < LEAST_BLOCKS) {
        (void)il_buf_printf(words, "%zu blocks measured both at the least point, %d are needed",
                            c->n_blocks, (int)LEAST_BLOCKS);
        out->p_inside = NAN;
        return;
    }
    if (c->p_all_below >= SURE || c->p_all_above >= SURE) {
        say_none(q, gap, c->p_all_below >= SURE, out, words);
        return;
    }
    if (c->n_crossings > 1) {
        (void)il_buf_printf(words, "the curves cross %zu times", c->n_crossings);
        return;
    }
    if (c->p_inside >= SURE) {
        out->verdict = "supported";
        out->estimate = exp(c->estimate);
        out->low = exp(c->low);
        out->high = exp(c->high);
        (void)il_buf_printf(words, "%s is %s before it and %s after it", q->a,
                            c->direction > 0 ? "lower" : "higher",
                            c->direction > 0 ? "higher" : "lower");
        return;
    }
    out->low = exp(c->one_low);
    out->high = exp(c->one_high);
    if (isfinite(out->low) && isfinite(out->high)) {
        out->low = out->high = NAN; /* two one-sided bounds are not an interval */
    }
    (void)il_buf_printf(words, "a crossing inside the range has probability %.2f, 0.95 is needed",
                        c->p_inside);
}

static void write_row(const question *q, const il__gap *gap, const answer *a, const char *because,
                      il_csv_writer *out)
{
    il_csv_text(out, q->kind);
    il_csv_text(out, q->mode);
    il_csv_text(out, q->a);
    il_csv_text(out, q->b);
    il_csv_text(out, q->x);
    il_csv_f64(out, a->estimate);
    il_csv_f64(out, a->low);
    il_csv_f64(out, a->high);
    il_csv_f64(out, a->p_inside);
    il_csv_text(out, a->verdict);
    il_csv_text(out, because);
    il_csv_f64(out, q->batch_size);
    il_csv_i64(out, (int64_t)gap->n);
    if (gap->n >= 2) {
        il_csv_i64(out, (int64_t)a->n_blocks);
    } else {
        il_csv_empty(out);
    }
    il_csv_f64(out, gap->n ? gap->points[0].x : NAN);
    il_csv_f64(out, gap->n ? gap->points[gap->n - 1].x : NAN);
    il_csv_end_row(out);
}

static int answer_it(const il__run *run, const question *q, il__gap *gap, il_csv_writer *out,
                     il_error *err)
{
    answer a = {
        .verdict = "not_identifiable", .estimate = NAN, .low = NAN, .high = NAN, .p_inside = NAN};
    il_buf words;
    il_buf_init(&words, 1 << 16);
    int rc = IL_OK;
    if (gap->n >= 2) {
        char row[2 * NAME_BYTES + 64];
        (void)snprintf(row, sizeof row, "%s|%s|%s|%s|%g", q->kind, q->mode, q->a, q->b,
                       q->batch_size);
        il_stream stream = il_stream_open(run->seed, "crossovers.csv", row);
        rc = il__gap_cross(gap, run->n_resamples_own, &stream, &a.c, err);
        if (rc == IL_OK) {
            judge(q, gap, &a, &words);
        }
    } else {
        (void)il_buf_printf(&words, "%zu of the %s have both; two are needed", gap->n, q->what);
    }
    rc = rc ? rc : words.status;
    if (rc == IL_OK) {
        write_row(q, gap, &a, il_buf_text(&words), out);
    }
    il_buf_free(&words);
    return rc;
}

/* --- what is measured ------------------------------------------------------------------------- */

static const il_cell *cell_at(const il__run *run, const il__aggregates *all,
                              const il__aggregate *item, size_t i)
{
    return il_rows_cell(run->rows, all->cells[item->first + i]);
}

static const il_cell *cell_of(const il__run *run, const il__aggregates *all,
                              const il__aggregate *item, il_text_id scenario)
{
    for (size_t i = 0; i < item->n; i++) {
        const il_cell *cell = cell_at(run, all, item, i);
        if (cell->scenario == scenario && cell->n_measured > 0) {
            return cell;
        }
    }
    return NULL;
}

/* ln a − ln b per replicate that both cells have. */
static int log_ratio(const il__run *run, const il_cell *a, const il_cell *b, il__gap_value **out,
                     size_t *n, il_error *err)
{
    il__gap_value *other = NULL;
    size_t n_other = 0;
    *out = NULL;
    *n = 0;
    int rc = il__gap_logs(run, a, out, n, err);
    rc = rc ? rc : il__gap_logs(run, b, &other, &n_other, err);
    if (rc == IL_OK) {
        *n = il__gap_join(*out, *n, other, n_other, -1);
    } else {
        free(*out);
        *out = NULL;
    }
    free(other);
    return rc;
}

/* The mean over the scenarios that both ran, in the replicates that have them all. */
static int ratio_over_scenarios(const il__run *run, const il__aggregates *all,
                                const il__aggregate *a, const il__aggregate *b, il__gap_value **out,
                                size_t *n, il_error *err)
{
    size_t n_scenarios = 0;
    *out = NULL;
    *n = 0;
    for (size_t i = 0; i < a->n; i++) {
        const il_cell *its = cell_at(run, all, a, i);
        const il_cell *other = cell_of(run, all, b, its->scenario);
        if (its->n_measured == 0 || !other) {
            continue;
        }
        il__gap_value *values;
        size_t n_values;
        int rc = log_ratio(run, its, other, &values, &n_values, err);
        if (rc != IL_OK) {
            free(*out);
            *out = NULL;
            return rc;
        }
        if (n_scenarios++ == 0) {
            *out = values;
            *n = n_values;
        } else {
            *n = il__gap_join(*out, *n, values, n_values, 1);
            free(values);
        }
    }
    for (size_t i = 0; i < *n; i++) {
        (*out)[i].d /= (double)n_scenarios;
    }
    return IL_OK;
}

static double size_of(const il__run *run, const il__aggregates *all, const il__aggregate *item)
{
    const il_cell *cell = cell_at(run, all, item, 0);
    return cell->params_total > 0 ? cell->params_total / 1e6 : cell->params;
}

static bool same_model(const il__aggregate *a, const il__aggregate *b)
{
    return a->model == b->model && a->model_kind == b->model_kind;
}

/* --- one backend against another -------------------------------------------------------------- */

static int overtakes(const il__run *run, const il__aggregates *all, size_t a, size_t n_a, size_t b,
                     size_t n_b, il_csv_writer *out, il_error *err)
{
    question q = {.kind = "backend_overtakes",
                  .mode = il__text(run, all->items[a].mode),
                  .x = "params_total",
                  .batch_size = all->items[a].batch_size,
                  .what = "models"};
    il__gap gap = {0};
    size_t n_common = 0;
    int rc = IL_OK;
    (void)snprintf(q.a, sizeof q.a, "%s", il__text(run, all->items[a].backend));
    (void)snprintf(q.b, sizeof q.b, "%s", il__text(run, all->items[b].backend));
    for (size_t i = a; i < a + n_a && rc == IL_OK; i++) {
        for (size_t k = b; k < b + n_b && rc == IL_OK; k++) {
            if (same_model(&all->items[i], &all->items[k])) {
                il__gap_value *values;
                size_t n;
                rc = ratio_over_scenarios(run, all, &all->items[i], &all->items[k], &values, &n,
                                          err);
                rc = rc ? rc : il__gap_add(&gap, size_of(run, all, &all->items[i]), values, n, err);
                n_common++;
            }
        }
    }
    if (rc == IL_OK && n_common > 0) {
        rc = answer_it(run, &q, &gap, out, err);
    }
    il__gap_free(&gap);
    return rc;
}

static int all_pairs(const il__run *run, const il__aggregates *all, il_csv_writer *out,
                     il_error *err)
{
    int rc = IL_OK;
    for (size_t i = 0; i < all->n && rc == IL_OK;) {
        size_t n = il__aggregate_run(all, i);
        for (size_t k = i + n; k < all->n && rc == IL_OK;) {
            size_t m = il__aggregate_run(all, k);
            const il__aggregate *a = &all->items[i];
            const il__aggregate *b = &all->items[k];
            if (a->mode == b->mode && a->batch_size == b->batch_size && a->backend != b->backend) {
                rc = overtakes(run, all, i, n, k, m, out, err);
            }
            k += m;
        }
        i += n;
    }
    return rc;
}

/* --- prefill against decode ------------------------------------------------------------------- */

/* a is the prefill, b the decode of the same backend, model and batch. */
static int prefill_meets(const il__run *run, const il__aggregates *all, const il__aggregate *a,
                         const il__aggregate *b, bool per_step, il_csv_writer *out, il_error *err)
{
    question q = {.kind = per_step ? "prefill_equals_decode_step" : "prefill_equals_decode",
                  .mode = "prefill",
                  .x = "prompt_tokens",
                  .batch_size = a->batch_size,
                  .rises = true,
                  .what = "prompt lengths"};
    const char *backend = il__text(run, a->backend);
    const char *model = il__text(run, a->model);
    (void)snprintf(q.a, sizeof q.a, "%s %s prefill", backend, model);
    (void)snprintf(q.b, sizeof q.b, "%s %s kv_decode%s", backend, model, per_step ? " step" : "");
    il__gap gap = {0};
    int rc = IL_OK;
    for (size_t i = 0; i < a->n && rc == IL_OK; i++) {
        size_t number = all->cells[a->first + i];
        const il_cell *prefill = il_rows_cell(run->rows, number);
        const il_cell *decode = cell_of(run, all, b, prefill->scenario);
        if (prefill->n_measured == 0 || !decode) {
            continue;
        }
        il__gap_value *values;
        size_t n;
        rc = log_ratio(run, prefill, decode, &values, &n, err);
        for (size_t k = 0; k < n && per_step; k++) {
            values[k].d += log(decode->decode_steps);
        }
        bool known = rc == IL_OK && (!per_step || decode->decode_steps > 0);
        double tokens = il__cell_median(run, number, IL_Q_prompt_tokens) / a->batch_size;
        rc = rc ? rc : il__gap_add(&gap, tokens, values, known ? n : 0, err);
    }
    rc = rc ? rc : answer_it(run, &q, &gap, out, err);
    il__gap_free(&gap);
    return rc;
}

static int all_prefills(const il__run *run, const il__aggregates *all, il_csv_writer *out,
                        il_error *err)
{
    int rc = IL_OK;
    for (size_t i = 0; i < all->n && rc == IL_OK; i++) {
        const il__aggregate *a = &all->items[i];
        if (strcmp(il__text(run, a->mode), "prefill") != 0) {
            continue;
        }
        for (size_t k = 0; k < all->n && rc == IL_OK; k++) {
            const il__aggregate *b = &all->items[k];
            if (b->backend == a->backend && b->backend_kind == a->backend_kind &&
                b->batch_size == a->batch_size && same_model(a, b) &&
                strcmp(il__text(run, b->mode), "kv_decode") == 0) {
                rc = prefill_meets(run, all, a, b, false, out, err);
                rc = rc ? rc : prefill_meets(run, all, a, b, true, out, err);
            }
        }
    }
    return rc;
}

/* --- batch sizes ------------------------------------------------------------------------------ */

/* The length of a backend's name without the suffix that its batch size gave it. */
static size_t base_length(const char *name, double batch_size)
{
    char suffix[40];
    int n = snprintf(suffix, sizeof suffix, "_bs%.0f", batch_size);
    size_t len = strlen(name);
    return n > 0 && len > (size_t)n && strcmp(name + len - (size_t)n, suffix) == 0 ? len - (size_t)n
                                                                                   : len;
}

static bool same_entry(const il__run *run, const il__aggregate *a, const il__aggregate *b)
{
    const char *name_a = il__text(run, a->backend);
    const char *name_b = il__text(run, b->backend);
    size_t len_a = base_length(name_a, a->batch_size);
    size_t len_b = base_length(name_b, b->batch_size);
    return a->mode == b->mode && a->backend_kind == b->backend_kind && same_model(a, b) &&
           len_a == len_b && memcmp(name_a, name_b, len_a) == 0;
}

/* Threads a cell's ceilings were measured on: its own, or the most when it has every core. */
static double threads_of(const il_run_facts *f, const il_plan_cell *cell, uint32_t block)
{
    double most = 0;
    for (size_t i = 0; i < f->n_ceilings; i++) {
        most = f->ceilings[i].block == block ? fmax(most, f->ceilings[i].threads) : most;
    }
    return cell->threads > 0 ? cell->threads : most;
}

/* ln of (time of the arithmetic / time of the reading) of a step at this block's ceilings; the
 * working set nearest in size. NaN when a ceiling is missing. */
static double log_balance(const il_run_facts *f, const il_plan_cell *cell, uint32_t block)
{
    double threads = threads_of(f, cell, block);
    double gap = log(2);
    double read = NAN;
    double multiply = NAN;
    for (size_t i = 0; i < f->n_ceilings; i++) {
        const il_ceiling *c = &f->ceilings[i];
        if (c->block != block || (!isnan(c->threads) && c->threads != threads)) {
            continue;
        }
        /* Buffers above 256 MiB are of one tier. */
        double apart =
            fabs(log(fmin(c->working_set_bytes, 0x1p28) / fmin(cell->bytes_per_step, 0x1p28)));
        if (c->is_read && apart < gap) {
            gap = apart;
            read = c->median;
        } else if (!c->is_read && strcmp(c->dtype, cell->dtype) == 0) {
            multiply = c->median;
        }
    }
    return log(cell->flops_decode_step / multiply) - log(cell->bytes_per_step / read);
}

static int add_balance(const il__run *run, const il__aggregates *all, const il__aggregate *item,
                       il__gap *gap, il_error *err)
{
    const il_run_facts *f = run->facts;
    const il_cell *cell = cell_at(run, all, item, 0);
    const il_plan_cell *plan = NULL;
    for (size_t i = 0; i < f->n_cells && !plan; i++) {
        const il_plan_cell *p = &f->cells[i];
        bool it = p->batch_size == item->batch_size &&
                  strcmp(p->backend, il__text(run, item->backend)) == 0 &&
                  strcmp(p->model, il__text(run, item->model)) == 0 &&
                  strcmp(p->scenario, il__text(run, cell->scenario)) == 0;
        plan = it ? p : NULL;
    }
    il__gap_value *values;
    size_t n;
    int rc = il__gap_logs(run, cell, &values, &n, err);
    size_t kept = 0;
    for (size_t i = 0; rc == IL_OK && plan && i < n; i++) {
        double d = log_balance(f, plan, (uint32_t)values[i].id);
        if (isfinite(d)) {
            values[kept++] = (il__gap_value){values[i].id, d};
        }
    }
    return rc ? rc : il__gap_add(gap, item->batch_size, values, kept, err);
}

/* Growth of the step between neighbouring batch sizes, as an exponent, less one half. */
static int add_growth(const il__run *run, const il__aggregates *all, const il__aggregate *low,
                      const il__aggregate *high, il__gap *gap, il_error *err)
{
    il__gap_value *values;
    size_t n;
    int rc = ratio_over_scenarios(run, all, high, low, &values, &n, err);
    double octaves = log(high->batch_size / low->batch_size);
    for (size_t i = 0; i < n; i++) {
        values[i].d = values[i].d / octaves - 0.5;
    }
    return rc ? rc : il__gap_add(gap, sqrt(low->batch_size * high->batch_size), values, n, err);
}

static int by_batch(const void *pa, const void *pb)
{
    const il__aggregate *a = *(const il__aggregate *const *)pa;
    const il__aggregate *b = *(const il__aggregate *const *)pb;
    return (a->batch_size > b->batch_size) - (a->batch_size < b->batch_size);
}

/* The batch sizes of one entry and model, two rows: by the floor, and by what was measured. */
static int batches(const il__run *run, const il__aggregates *all, const il__aggregate **items,
                   size_t n, il_csv_writer *out, il_error *err)
{
    question q = {.kind = "decode_compute_bound",
                  .mode = "kv_decode",
                  .x = "batch_size",
                  .batch_size = NAN,
                  .rises = true,
                  .what = "batch sizes"};
    const char *backend = il__text(run, items[0]->backend);
    const char *model = il__text(run, items[0]->model);
    int len = (int)base_length(backend, items[0]->batch_size);
    il__gap floor = {0};
    il__gap growth = {0};
    int rc = IL_OK;
    qsort(items, n, sizeof(const il__aggregate *), by_batch);
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        rc = add_balance(run, all, items[i], &floor, err);
        if (rc == IL_OK && i > 0 && items[i]->batch_size > items[i - 1]->batch_size) {
            rc = add_growth(run, all, items[i - 1], items[i], &growth, err);
        }
    }
    (void)snprintf(q.a, sizeof q.a, "%.*s %s floor compute", len, backend, model);
    (void)snprintf(q.b, sizeof q.b, "%.*s %s floor memory", len, backend, model);
    if (rc == IL_OK && floor.n > 0) {
        rc = answer_it(run, &q, &floor, out, err);
    }
    (void)snprintf(q.a, sizeof q.a, "%.*s %s growth of a step", len, backend, model);
    (void)snprintf(q.b, sizeof q.b, "square root of the batch size");
    q.what = "pairs of batch sizes";
    rc = rc ? rc : answer_it(run, &q, &growth, out, err);
    il__gap_free(&floor);
    il__gap_free(&growth);
    return rc;
}

static int all_batches(const il__run *run, const il__aggregates *all, il_csv_writer *out,
                       il_error *err)
{
    const il__aggregate **items = malloc((all->n + 1) * sizeof *items);
    bool *done = calloc(all->n + 1, sizeof *done);
    int rc = items && done ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the batch sizes");
    for (size_t i = 0; rc == IL_OK && i < all->n; i++) {
        size_t n = 0;
        if (done[i] || strcmp(il__text(run, all->items[i].mode), "kv_decode") != 0) {
            continue;
        }
        for (size_t k = i; k < all->n; k++) {
            if (same_entry(run, &all->items[i], &all->items[k])) {
                items[n++] = &all->items[k];
                done[k] = true;
            }
        }
        if (n > 1) {
            rc = batches(run, all, items, n, out, err);
        }
    }
    free(items);
    free(done);
    return rc;
}

int il__write_crossovers(const il__run *run, il_error *err)
{
    il__aggregates all;
    il_csv_writer out = {.fd = -1};
    int rc = il__aggregates_build(run, &all, err);
    rc = rc ? rc : il__table_open(run, "crossovers.csv", columns, IL__COUNT_OF(columns), &out, err);
    rc = rc ? rc : all_prefills(run, &all, &out, err);
    rc = rc ? rc : all_batches(run, &all, &out, err);
    rc = rc ? rc : all_pairs(run, &all, &out, err);
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    il__aggregates_free(&all);
    return rc;
}
