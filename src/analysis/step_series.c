/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/step_series.h"

#include "stats/order.h"

#include <stdlib.h>

enum { MOST_REPLICATES = 64, MOST_BATCHES = 32 };

static bool is_block_change(const il__step_series *s, size_t i)
{
    return i == 0 || s->calls[i].block != s->calls[i - 1].block;
}

static int by_number(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa;
    uint32_t b = *(const uint32_t *)pb;
    return (a > b) - (a < b);
}

/* The different blocks of the group, ascending. */
static int find_blocks(const il__step_group *g, uint32_t **out, size_t *n_out, il_error *err)
{
    size_t n = 0;
    for (size_t s = 0; s < g->n_series; s++) {
        for (size_t i = 0; i < g->series[s].n_calls; i++) {
            n += is_block_change(&g->series[s], i);
        }
    }
    uint32_t *blocks = malloc((n + 1) * sizeof *blocks);
    if (!blocks) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu blocks", n);
    }
    n = 0;
    for (size_t s = 0; s < g->n_series; s++) {
        for (size_t i = 0; i < g->series[s].n_calls; i++) {
            if (is_block_change(&g->series[s], i)) {
                blocks[n++] = g->series[s].calls[i].block;
            }
        }
    }
    if (n > 1) {
        qsort(blocks, n, sizeof *blocks, by_number);
    }
    size_t unique = 0;
    for (size_t i = 0; i < n; i++) {
        if (unique == 0 || blocks[unique - 1] != blocks[i]) {
            blocks[unique++] = blocks[i];
        }
    }
    *out = blocks;
    *n_out = unique;
    return IL_OK;
}

static size_t rank_of(const uint32_t *blocks, size_t n, uint32_t block)
{
    const uint32_t *at = bsearch(&block, blocks, n, sizeof *blocks, by_number);
    return at ? (size_t)(at - blocks) : 0;
}

static size_t replicate_of(const il__step_group *g, const il__step_series *s, size_t call,
                           const uint32_t *blocks, size_t n_blocks)
{
    size_t rank = g->by_block ? rank_of(blocks, n_blocks, s->calls[call].block) : call;
    size_t of = g->by_block ? n_blocks : s->n_calls;
    return rank * g->n_replicates / of;
}

/* Medians of each step over the calls [from, to). */
static void fill_medians(const il__step_series *s, const double *times, size_t from, size_t to,
                         double *scratch, double *out)
{
    for (size_t k = 0; k < s->n_steps; k++) {
        size_t n = 0;
        for (size_t i = from; i < to; i++) {
            if (s->calls[i].n > k) {
                scratch[n++] = times[s->calls[i].first + k];
            }
        }
        out[k] = n > 0 ? il_quantile_select(scratch, n, 0.5) : NAN;
    }
}

static int fill_series(const il__step_group *g, il__step_series *s, const uint32_t *blocks,
                       size_t n_blocks, il_error *err)
{
    const double *times = g->run->facts->step_ms.data;
    size_t most = s->n_calls > g->n_replicates ? s->n_calls : g->n_replicates;
    double *scratch = malloc((most + 1) * sizeof *scratch);
    s->medians = malloc((g->n_replicates + 1) * (s->n_steps + 1) * sizeof *s->medians);
    if (!scratch || !s->medians) {
        free(scratch);
        return il_fail(err, IL_E_NOMEM, "no memory for %zu steps", s->n_steps);
    }
    s->typical = s->medians + g->n_replicates * s->n_steps;
    for (size_t i = 0; i < g->n_replicates * s->n_steps; i++) {
        s->medians[i] = NAN;
    }
    for (size_t from = 0; from < s->n_calls;) {
        size_t replicate = replicate_of(g, s, from, blocks, n_blocks);
        size_t to = from + 1;
        while (to < s->n_calls && replicate_of(g, s, to, blocks, n_blocks) == replicate) {
            to++;
        }
        fill_medians(s, times, from, to, scratch, s->medians + replicate * s->n_steps);
        from = to;
    }
    for (size_t k = 0; k < s->n_steps; k++) {
        size_t n = 0;
        for (size_t r = 0; r < g->n_replicates; r++) {
            double v = s->medians[r * s->n_steps + k];
            if (!isnan(v)) {
                scratch[n++] = v;
            }
        }
        s->typical[k] = n > 0 ? il_quantile_select(scratch, n, 0.5) : NAN;
    }
    free(scratch);
    return IL_OK;
}

/* The calls of a plan cell stand together in the order of the plan. */
static void find_calls(const il__run *run, size_t cell, il__step_group *g)
{
    const il_vector *all = &run->facts->step_calls;
    const il_step_call *calls = all->data;
    size_t low = 0;
    size_t high = all->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (calls[middle].cell < cell) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    il__step_series s = {.plan = &run->facts->cells[cell], .bin = 1, .context = NAN};
    for (size_t i = low; i < all->count && calls[i].cell == cell; i++) {
        s.n_calls++;
        s.n_steps = calls[i].n > s.n_steps ? calls[i].n : s.n_steps;
        g->n_calls += calls[i].n > 0;
        g->n_chunked += calls[i].n == 0;
        if (isnan(s.context)) {
            s.context = calls[i].context_tok + s.plan->depth_tok;
        }
    }
    s.calls = s.n_calls ? calls + low : NULL;
    if (s.n_steps > 0 && !isnan(s.context)) {
        g->series[g->n_series++] = s;
    }
}

int il__step_group_make(const il__run *run, const size_t *cells, size_t n_cells,
                        il__step_group *out, il_error *err)
{
    *out = (il__step_group){.run = run};
    uint32_t *blocks = NULL;
    size_t n_blocks = 0;
    out->series = calloc(n_cells + 1, sizeof *out->series);
    int rc = out->series ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for %zu cells", n_cells);
    for (size_t i = 0; i < n_cells && rc == IL_OK; i++) {
        find_calls(run, cells[i], out);
    }
    rc = rc ? rc : find_blocks(out, &blocks, &n_blocks, err);
    if (rc == IL_OK && out->n_series > 0) {
        size_t least = SIZE_MAX;
        for (size_t s = 0; s < out->n_series; s++) {
            least = out->series[s].n_calls < least ? out->series[s].n_calls : least;
        }
        out->by_block = n_blocks > 1;
        size_t most = out->by_block ? MOST_REPLICATES : MOST_BATCHES;
        size_t n = out->by_block ? n_blocks : least;
        out->n_replicates = n < most ? n : most;
    }
    for (size_t s = 0; s < out->n_series && rc == IL_OK; s++) {
        rc = fill_series(out, &out->series[s], blocks, n_blocks, err);
    }
    free(blocks);
    if (rc != IL_OK) {
        il__step_group_free(out);
    }
    return rc;
}

void il__step_group_free(il__step_group *group)
{
    for (size_t s = 0; s < group->n_series; s++) {
        free(group->series[s].medians);
        il_changes_free(&group->series[s].changes);
    }
    free(group->series);
    *group = (il__step_group){0};
}
