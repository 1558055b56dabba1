/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/policy.h"

#include "analysis/gap_data.h"
#include "stats/noise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double OVERHEAD_SHARE = 0.5; /* less of the time is the floor: the rest is overhead */

typedef struct duel_cells {
    const il_cell **base, **remedy;
    size_t n_base, n_remedy;
} duel_cells;

static size_t cells_of(const il__run *run, const il_plan_backend *backend, const il_cell **out)
{
    size_t n = 0;
    for (size_t i = 0; i < il_rows_cell_count(run->rows); i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        if (cell->n_measured > 0 && strcmp(il__text(run, cell->backend), backend->name) == 0) {
            out[n++] = cell;
        }
    }
    return n;
}

static double median_of(const il__run *run, const il_cell *cell, il_quantity quantity)
{
    return il__cell_median(run, (size_t)(cell - il_rows_cell(run->rows, 0)), quantity);
}

/* A client's time to the first token where there is one, else the prefill. */
static il_quantity quantity_of(const il__run *run, const char *limit, const il_cell *cell)
{
    return strcmp(limit, "ttft") == 0 && median_of(run, cell, IL_Q_ttft) > 0 ? IL_Q_ttft
                                                                             : IL_Q_latency;
}

static bool series_of(const il__run *run, const char *limit, const il_cell *cell, il__series *out)
{
    bool decode = strcmp(limit, "itl") == 0;
    *out =
        (il__series){cell, quantity_of(run, limit, cell), decode ? il__cell_steps(run, cell) : 1};
    return il__is_mode(run, cell, decode ? "kv_decode" : "prefill") &&
           il__cell_millions(cell) > 0 && out->divisor > 0 &&
           median_of(run, cell, out->quantity) > 0;
}

static const il_cell *twin_of(const il__run *run, const duel_cells *c, const il_cell *cell)
{
    for (size_t i = 0; i < c->n_remedy; i++) {
        const il_cell *other = c->remedy[i];
        if (other->model == cell->model && other->scenario == cell->scenario &&
            other->mode == cell->mode && median_of(run, other, IL_Q_latency) > 0) {
            return other;
        }
    }
    return NULL;
}

/* Pairs of one scenario by size; returns how many and the mean log time of the base. */
static size_t collect(const il__run *run, const char *limit, const duel_cells *c,
                      il_text_id scenario, il__series *base, il__series *remedy, double *mean)
{
    size_t n = 0;
    *mean = 0;
    for (size_t i = 0; i < c->n_base; i++) {
        const il_cell *cell = c->base[i];
        il__series a, b;
        const il_cell *twin = cell->scenario == scenario ? twin_of(run, c, cell) : NULL;
        if (!twin || !series_of(run, limit, cell, &a) || !series_of(run, limit, twin, &b)) {
            continue;
        }
        size_t at = n++;
        for (; at > 0 && il__cell_millions(base[at - 1].cell) > il__cell_millions(cell); at--) {
            base[at] = base[at - 1];
            remedy[at] = remedy[at - 1];
        }
        base[at] = a;
        remedy[at] = b;
        *mean += log(median_of(run, cell, a.quantity) / a.divisor);
    }
    *mean /= n > 0 ? (double)n : 1;
    return n;
}

/* A limit must hold in every scenario: the base's slowest of those that most models ran. */
static il_text_id slowest(const il__run *run, const char *limit, const duel_cells *c,
                          il__series *base, il__series *remedy)
{
    il_text_id best = 0;
    size_t best_n = 0;
    double best_mean = 0, mean;
    for (size_t i = 0; i < c->n_base; i++) {
        il_text_id scenario = c->base[i]->scenario;
        if (i > 0 && c->base[i - 1]->scenario == scenario) {
            continue;
        }
        size_t n = collect(run, limit, c, scenario, base, remedy, &mean);
        if (n > best_n || (n == best_n && n > 0 && mean > best_mean)) {
            best = scenario;
            best_n = n;
            best_mean = mean;
        }
    }
    return best;
}

/* --- noise ------------------------------------------------------------------------------------ */

static double arm_ms(const il_aa *aa, bool decode)
{
    return decode ? aa->decode_ms : aa->prefill_ms;
}

/* Smallest effect with a verdict: the largest over the A/A cells, of this backend (NULL: all). */
static double mde_of(const il__run *run, const char *backend, bool decode)
{
    const il_run_facts *f = run->facts;
    double most = NAN;
    double *logs = malloc((2 * f->n_aas + 1) * sizeof *logs);
    for (size_t i = 0, to; logs && i < f->n_aas; i = to) {
        size_t n = 0;
        for (to = i; to < f->n_aas && f->aas[to].cell == f->aas[i].cell; to++) {
            const il_aa *a = &f->aas[to];
            const il_aa *b = a + 1;
            if (to + 1 < f->n_aas && b->cell == a->cell && !a->arm_b && b->arm_b &&
                a->block == b->block && a->pair == b->pair && arm_ms(a, decode) > 0 &&
                arm_ms(b, decode) > 0) {
                logs[n] = arm_ms(a, decode);
                logs[f->n_aas + n++] = arm_ms(b, decode);
            }
        }
        il_ratio ratio;
        bool its = !backend || (f->aas[i].cell < f->n_cells &&
                                strcmp(f->cells[f->aas[i].cell].backend, backend) == 0);
        if (its && il_ratio_paired(logs, logs + f->n_aas, n, 0.95, &ratio, NULL) == IL_OK) {
            most = fmax(most, ratio.mde);
        }
    }
    free(logs);
    return most;
}

/* Of the two, each by its own arms or, without any, by the noisiest of the run. */
static double mde_of_pair(const il__run *run, const char *a, const char *b, bool decode)
{
    double one = mde_of(run, a, decode), other = mde_of(run, b, decode);
    if (isnan(one) || isnan(other)) {
        return mde_of(run, NULL, decode);
    }
    return fmax(one, other);
}

/* --- regime ----------------------------------------------------------------------------------- */

/* ln(floor / time) of a cell's blocks, less that of the share where overhead ends. */
static int add_share(const il__run *run, const il_cell *cell, il__gap *gap, il_error *err)
{
    il__work work;
    il__gap_value *values = NULL;
    size_t n = 0, kept = 0;
    int rc = il__work_of(run, cell, il__text(run, cell->mode), &work, err);
    if (rc == IL_E_NOT_FOUND) {
        il__work_free(&work);
        return IL_OK;
    }
    rc = rc ? rc : il__gap_logs(run, cell, &values, &n, err);
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        il__floor floor;
        if (il__floor_of_block(run, &work, (uint32_t)values[i].id, &floor)) {
            values[kept++] = (il__gap_value){values[i].id, log(floor.floor_ms) - values[i].d -
                                                               log(OVERHEAD_SHARE)};
        }
    }
    il__work_free(&work);
    if (rc != IL_OK) {
        free(values);
        return rc;
    }
    return il__gap_add(gap, il__cell_millions(cell), values, kept, err);
}

static double mean_share(const il__gap_point *p)
{
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        sum += p->values[i].d;
    }
    return sum / (double)p->n;
}

/* The share at the limit, from the points on both sides of it. */
static double share_at(const il__gap *gap, double at)
{
    const il__gap_point *below = NULL, *above = NULL;
    for (size_t i = 0; i < gap->n; i++) {
        const il__gap_point *p = &gap->points[i];
        if (log(p->x) <= at && (!below || p->x > below->x)) {
            below = p;
        }
        if (log(p->x) >= at && (!above || p->x < above->x)) {
            above = p;
        }
    }
    if (!below || !above) {
        const il__gap_point *only = below ? below : above;
        return only ? OVERHEAD_SHARE * exp(mean_share(only)) : NAN;
    }
    double width = log(above->x) - log(below->x);
    double w = width > 0 ? (at - log(below->x)) / width : 0;
    return OVERHEAD_SHARE * exp((1 - w) * mean_share(below) + w * mean_share(above));
}

/* What bounds the base's times where its limit is; nothing for weights that the floor's dtype does
 * not describe. */
static int find_regime(const il__run *run, const il_plan_backend *backend, const il__series *base,
                       size_t n, const char *row, il__policy *out, il_error *err)
{
    il__gap gap = {0};
    int rc = IL_OK;
    const char *weights = backend->aspect[IL_ASPECT_weights];
    il_plan_backend plain = *backend;
    plain.aspect[IL_ASPECT_weights] = NULL;
    if (weights && weights[0] && strcmp(weights, il__weights_format(&plain)) != 0) {
        return IL_OK;
    }
    size_t nearest = 0;
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        double to = fabs(log(il__cell_millions(base[i].cell)) - out->at);
        double best = fabs(log(il__cell_millions(base[nearest].cell)) - out->at);
        nearest = to < best ? i : nearest;
        rc = base[i].cell->has_block ? add_share(run, base[i].cell, &gap, err) : IL_OK;
    }
    if (rc == IL_OK && gap.n > 0) {
        il__floor floor;
        il_crossing found;
        out->share = share_at(&gap, out->at);
        out->bound_by = out->share < OVERHEAD_SHARE                      ? "overhead"
                        : !il__floor_of(run, base[nearest].cell, &floor) ? ""
                        : floor.memory_bound                             ? "bandwidth"
                                                                         : "compute";
        il_stream stream = il_stream_open(run->seed, "policy.csv overhead", row);
        if (gap.n >= 2) {
            rc = il__gap_cross(&gap, run->n_resamples_own, &stream, &found, err);
            if (rc == IL_OK && found.p_inside >= 0.95 && found.n_crossings == 1 &&
                found.direction > 0) {
                out->overhead = (il_interval){found.estimate, found.low, found.high};
            }
        }
    }
    il__gap_free(&gap);
    return rc;
}

/* --- limits ----------------------------------------------------------------------------------- */

static int of_time(const il__run *run, const il_plan_backend *base, const il_plan_backend *remedy,
                   il__remedy kind, const duel_cells *c, il__policy *out, il_error *err)
{
    bool decode = strcmp(out->limit, "itl") == 0;
    size_t most = c->n_base + 1;
    il__series *series = malloc(2 * most * sizeof *series);
    double *x = malloc(most * sizeof *x), mean;
    char row[1024];
    int rc = series && x ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for %zu cells", most);
    if (rc != IL_OK) {
        goto out;
    }
    il_text_id scenario = slowest(run, out->limit, c, series, series + most);
    size_t n = scenario ? collect(run, out->limit, c, scenario, series, series + most, &mean) : 0;
    if (n == 0) {
        out->verdict = "undecided";
        (void)snprintf(out->because, sizeof out->because, "no model and scenario that both ran");
        goto out;
    }
    out->scenario = il__text(run, scenario);
    memmove(series + n, series + most, n * sizeof *series);
    for (size_t i = 0; i < n; i++) {
        x[i] = log(il__cell_millions(series[i].cell));
    }
    il__duel duel = {.x = x, .threshold = log(out->threshold)};
    duel.batch = kind == IL__REMEDY_BATCHING ? log(remedy->batch_size / base->batch_size) : 0;
    rc = il__block_table_build(run, series, 2 * n, &duel.table, err);
    /* Every remedy of a base sees the same resamples: the base has one interval. */
    (void)snprintf(row, sizeof row, "%s|%s", out->limit, base->name);
    il_stream stream = il_stream_open(run->seed, "policy.csv", row);
    if (rc == IL_OK && duel.table.n_blocks > 0) {
        rc = il__duel_resample(&duel, run->n_resamples_own, &stream, out, err);
        out->mde = mde_of_pair(run, base->name, remedy->name, decode);
        if (rc == IL_OK && !(series[0].quantity == IL_Q_ttft)) {
            rc = find_regime(run, base, series, n, row, out, err);
        }
    }
    il__block_table_free(&duel.table);
out:
    free(series);
    free(x);
    return rc;
}

static bool limit_named(const il__limit *limits, size_t n, const char *name, il_interval *out,
                        size_t *n_models)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(limits[i].name, name) == 0) {
            *out = (il_interval){limits[i].at, limits[i].low, limits[i].high};
            *n_models = limits[i].n_models;
            return true;
        }
    }
    return false;
}

/* Tails and memory: two limits as first_limit.csv has them, nothing paired. */
static int of_sizes(const il__run *run, const il_plan_backend *base, const il_plan_backend *remedy,
                    const duel_cells *c, il__policy *out, il_error *err)
{
    il__limit limits[IL__MOST_LIMITS];
    size_t n = 0, n_models = 0;
    double bytes = run->facts->slo.memory_bytes;
    const il__family one = {c->base, c->n_base, bytes}, other = {c->remedy, c->n_remedy, bytes};
    bool known[2] = {false, false};
    out->x_low = INFINITY;
    out->x_high = -INFINITY;
    for (size_t i = 0; i < c->n_base; i++) {
        double x = log(il__cell_millions(c->base[i]));
        out->x_low = fmin(out->x_low, x);
        out->x_high = fmax(out->x_high, x);
    }
    int rc = c->n_base ? il__limits_find(run, &one, limits, &n, err) : IL_OK;
    known[0] = rc == IL_OK && limit_named(limits, n, out->limit, &out->base, &out->n_models);
    n = 0;
    rc = rc ? rc : c->n_remedy ? il__limits_find(run, &other, limits, &n, err) : IL_OK;
    known[1] = rc == IL_OK && limit_named(limits, n, out->limit, &out->remedy, &n_models);
    if (rc == IL_OK && !(known[0] && known[1])) {
        out->verdict = "undecided";
        (void)snprintf(out->because, sizeof out->because, "%s was not measured on %s", out->limit,
                       known[0] ? remedy->name : base->name);
    } else if (rc == IL_OK) {
        out->n_models = n_models < out->n_models ? n_models : out->n_models;
        out->ratio =
            (il_interval){out->remedy.estimate - out->base.estimate,
                          out->remedy.low - out->base.high, out->remedy.high - out->base.low};
    }
    return rc;
}

static double threshold_of(const il__run *run, const char *limit)
{
    const il_slo *slo = &run->facts->slo;
    return strcmp(limit, "itl") == 0    ? slo->itl_ms
           : strcmp(limit, "ttft") == 0 ? slo->ttft_ms
           : strcmp(limit, "tail") == 0 ? slo->tail_ms
                                        : slo->memory_bytes;
}

int il__policy_of(const il__run *run, const il_plan_backend *base, const il_plan_backend *remedy,
                  il__remedy kind, const char *limit, const il_cell **cells, il__policy *out,
                  bool *known, il_error *err)
{
    static const il_interval none = {NAN, NAN, NAN};
    *out = (il__policy){.limit = limit,
                        .scenario = "",
                        .verdict = "",
                        .helps = "unknown",
                        .bound_by = "",
                        .threshold = threshold_of(run, limit),
                        .base = none,
                        .remedy = none,
                        .ratio = none,
                        .gain = none,
                        .equal = none,
                        .overhead = none,
                        .at = NAN,
                        .share = NAN,
                        .mde = NAN};
    *known = out->threshold > 0;
    if (!*known) {
        return IL_OK;
    }
    duel_cells c = {.base = cells};
    c.n_base = cells_of(run, base, c.base);
    c.remedy = cells + c.n_base;
    c.n_remedy = cells_of(run, remedy, c.remedy);
    bool time = strcmp(limit, "itl") == 0 || strcmp(limit, "ttft") == 0;
    int rc = time ? of_time(run, base, remedy, kind, &c, out, err)
                  : of_sizes(run, base, remedy, &c, out, err);
    if (rc == IL_OK) {
        il__policy_judge(kind, base->name, remedy->name, out);
    }
    return rc;
}
