/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/block_table.h"

#include "stats/dist.h"
#include "stats/order.h"

#include <stdlib.h>
#include <string.h>

/* One series while the table is built: replicates by id, at most IL__MOST_BATCHES. */
typedef struct column {
    double ids[IL__MOST_BATCHES], logs[IL__MOST_BATCHES];
    size_t n;
} column;

typedef struct builder {
    const il__run *run;
    il__replicate *replicates;
    double *values;         /* as long as replicates */
    double first_id, width; /* of a batch; 0: replicates stand for themselves */
} builder;

static double batch_of(const builder *b, double id)
{
    return b->width > 0 ? floor((id - b->first_id) / b->width) : id;
}

static int fill_column(builder *b, const il__series *s, column *out, il_error *err)
{
    size_t n = 0;
    int rc = il__replicates_by(b->run, s->cell, s->quantity, false, b->replicates, &n, err);
    out->n = 0;
    for (size_t i = 0; rc == IL_OK && i < n;) {
        double id = batch_of(b, b->replicates[i].id);
        size_t m = 0;
        for (; i < n && batch_of(b, b->replicates[i].id) == id; i++) {
            b->values[m++] = b->replicates[i].median;
        }
        if (out->n < IL__MOST_BATCHES) {
            out->ids[out->n] = id;
            out->logs[out->n++] = log(il_quantile_select(b->values, m, 0.5) / s->divisor);
        }
    }
    return rc;
}

/* Batches where any series has more replicates than may stand for themselves. */
static int choose_batches(builder *b, const il__series *series, size_t n_series, il_error *err)
{
    double least = INFINITY, most = -INFINITY;
    size_t longest = 0;
    for (size_t i = 0; i < n_series; i++) {
        size_t n = 0;
        int rc = il__replicates_by(b->run, series[i].cell, series[i].quantity, false, b->replicates,
                                   &n, err);
        if (rc != IL_OK) {
            return rc;
        }
        if (n > 0) {
            least = fmin(least, b->replicates[0].id);
            most = fmax(most, b->replicates[n - 1].id);
        }
        longest = n > longest ? n : longest;
    }
    b->first_id = least;
    b->width = longest > IL__MOST_BATCHES ? (most + 1 - least) / IL__MOST_BATCHES : 0;
    return IL_OK;
}

static size_t place_of(const column *c, double id)
{
    size_t low = 0, high = c->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c->ids[mid] < id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < c->n && c->ids[low] == id ? low : SIZE_MAX;
}

/* Keeps the ids that every column has. */
static int intersect(const column *columns, size_t n, il__block_table *out, il_error *err)
{
    const column *first = &columns[0];
    out->logs = malloc((n * first->n + 1) * sizeof *out->logs);
    if (!out->logs) {
        return il_fail(err, IL_E_NOMEM, "no memory for the blocks of %zu cells", n);
    }
    bool common[IL__MOST_BATCHES];
    for (size_t b = 0; b < first->n; b++) {
        common[b] = true;
        for (size_t i = 1; i < n && common[b]; i++) {
            common[b] = place_of(&columns[i], first->ids[b]) != SIZE_MAX;
        }
        out->n_blocks += common[b];
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        for (size_t b = 0; b < first->n; b++) {
            if (common[b]) {
                size_t place = place_of(&columns[i], first->ids[b]);
                out->logs[i * out->n_blocks + at++] = columns[i].logs[place];
            }
        }
    }
    return IL_OK;
}

int il__block_table_build(const il__run *run, const il__series *series, size_t n,
                          il__block_table *out, il_error *err)
{
    *out = (il__block_table){.n_series = n, .by_block = true};
    size_t most = 1;
    for (size_t i = 0; i < n; i++) {
        out->by_block = out->by_block && series[i].cell->has_block;
        most = series[i].cell->n_measured > most ? series[i].cell->n_measured : most;
    }
    il_scratch memory[2] = {{.data = NULL}, {.data = NULL}};
    column *columns = calloc(n + 1, sizeof *columns);
    int rc = columns ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the blocks of %zu cells", n);
    rc = rc ? rc : il_scratch_take(&memory[0], run->out_dir, most, sizeof(il__replicate), err);
    rc = rc ? rc : il_scratch_take(&memory[1], run->out_dir, most, sizeof(double), err);
    builder b = {run, memory[0].data, memory[1].data, 0, 0};
    rc = rc ? rc : choose_batches(&b, series, n, err);
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        rc = fill_column(&b, &series[i], &columns[i], err);
    }
    if (rc == IL_OK && n > 0) {
        rc = intersect(columns, n, out, err);
    }
    il_scratch_free(&memory[0]);
    il_scratch_free(&memory[1]);
    free(columns);
    return rc;
}

void il__block_table_free(il__block_table *table)
{
    free(table->logs);
    table->logs = NULL;
}

void il__block_medians(const il__block_table *t, il_stream *stream, double *scratch, double *out)
{
    double *picks = scratch + t->n_blocks;
    for (size_t b = 0; b < t->n_blocks; b++) {
        picks[b] = stream ? il_stream_below(stream, (uint32_t)t->n_blocks) : (double)b;
    }
    for (size_t i = 0; i < t->n_series; i++) {
        for (size_t b = 0; b < t->n_blocks; b++) {
            scratch[b] = t->logs[i * t->n_blocks + (size_t)picks[b]];
        }
        out[i] = il_quantile_select(scratch, t->n_blocks, 0.5);
    }
}

size_t il__resample_tail(size_t n_resamples, size_t n_blocks)
{
    double n = (double)n_blocks;
    double z = il_normal_quantile(0.975) * sqrt(n / (n - 1));
    return (size_t)((double)n_resamples * 0.5 * erfc(z / sqrt(2.0)));
}
