/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/replicates.h"

#include "stats/order.h"

#include <stdlib.h>

typedef struct sample {
    double id, latency;
} sample;

static int by_id(const void *pa, const void *pb)
{
    const sample *a = pa;
    const sample *b = pb;
    int order = (a->id > b->id) - (a->id < b->id);
    return order ? order : (a->latency > b->latency) - (a->latency < b->latency);
}

/* The samples of one replicate are sorted by latency. */
static il__replicate reduce(const sample *samples, size_t n)
{
    il__replicate out = {samples[0].id, 0, 0};
    out.median = (samples[(n - 1) / 2].latency + samples[n / 2].latency) / 2;
    if (n >= 2) {
        double mean = 0;
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            mean += log10(samples[i].latency) / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            double d = log10(samples[i].latency) - mean;
            sum += d * d;
        }
        /* The variance of a median of n normals is close to π/2 times that of their mean. */
        double factor = n == 2 ? 1.0 : 1.57079632679489662;
        out.inside_var = factor * sum / ((double)(n - 1) * (double)n);
    }
    return out;
}

int il__replicates_of(const il__run *run, const il_cell *cell, bool without_flagged,
                      il__replicate *out, size_t *n_out, il_error *err)
{
    return il__replicates_by(run, cell, IL_Q_latency, without_flagged, out, n_out, err);
}

int il__replicates_by(const il__run *run, const il_cell *cell, il_quantity quantity,
                      bool without_flagged, il__replicate *out, size_t *n_out, il_error *err)
{
    const double *latency = il_rows_values(run->rows, quantity);
    const double *id = il_rows_values(run->rows, IL_Q_replicate);
    const double *flagged = il_rows_values(run->rows, IL_Q_flagged);
    *n_out = 0;
    il_scratch memory;
    int rc = il_scratch_take(&memory, run->out_dir, cell->n_measured, sizeof(sample), err);
    if (rc != IL_OK) {
        return rc;
    }
    sample *samples = memory.data;
    size_t n = 0;
    bool in_order = true;
    for (size_t i = 0; latency && i < cell->n_measured; i++) {
        size_t at = cell->first + i;
        if (!(latency[at] > 0) || il__stopped_early(run, at) ||
            (without_flagged && flagged && flagged[at] == 1)) {
            continue;
        }
        samples[n].id = id && !isnan(id[at]) ? id[at] : (double)i;
        in_order = in_order && (n == 0 || samples[n - 1].id <= samples[n].id);
        samples[n++].latency = latency[at];
    }
    if (!in_order) {
        il_sort_records(samples, n, sizeof *samples, by_id);
    }
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && samples[end].id == samples[i].id) {
            end++;
        }
        if (end - i > 1) {
            il_sort_records(samples + i, end - i, sizeof *samples, by_id);
        }
        out[(*n_out)++] = reduce(samples + i, end - i);
        i = end;
    }
    il_scratch_free(&memory);
    return IL_OK;
}

static int by_median(const void *pa, const void *pb)
{
    const il__replicate *a = pa;
    const il__replicate *b = pb;
    return (a->median > b->median) - (a->median < b->median);
}

size_t il__replicates_pool(il__replicate *r, size_t n)
{
    if (n <= IL__MOST_REPLICATES) {
        return n;
    }
    for (size_t k = 0; k < IL__MOST_REPLICATES; k++) {
        size_t first = k * n / IL__MOST_REPLICATES;
        size_t end = (k + 1) * n / IL__MOST_REPLICATES;
        il_sort_records(r + first, end - first, sizeof *r, by_median);
        double median =
            (r[first + (end - first - 1) / 2].median + r[first + (end - first) / 2].median) / 2;
        /* k never exceeds first: what is overwritten has been read. Batches hold their own scatter.
         */
        r[k] = (il__replicate){(double)k, median, 0};
    }
    return IL__MOST_REPLICATES;
}

const char *il__replication(const il__run *run, const il_cell *cell)
{
    if (!cell->has_block) {
        return "call";
    }
    const char *given = il__text(run, cell->replication);
    return given[0] ? given : "block";
}
