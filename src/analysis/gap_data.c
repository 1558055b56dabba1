/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/gap_data.h"

#include <stdlib.h>

int il__gap_logs(const il__run *run, const il_cell *cell, il__gap_value **out, size_t *n_out,
                 il_error *err)
{
    *n_out = 0;
    size_t n = 0;
    il_scratch memory;
    *out = malloc((IL__GAP_MOST_BLOCKS + 1) * sizeof **out);
    int rc = il_scratch_take(&memory, run->out_dir, cell->n_measured, sizeof(il__replicate), err);
    if (rc == IL_OK && !*out) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for the blocks of a cell");
    }
    il__replicate *replicates = memory.data;
    rc = rc ? rc : il__replicates_of(run, cell, false, replicates, &n, err);
    size_t group = (n + IL__GAP_MOST_BLOCKS - 1) / IL__GAP_MOST_BLOCKS;
    for (size_t i = 0; i < n && rc == IL_OK; i += group) {
        size_t count = n - i < group ? n - i : group;
        double sum = 0;
        for (size_t k = i; k < i + count; k++) {
            sum += log(replicates[k].median);
        }
        /* Groups are numbered, not named: both arms of a run have the same replicates. */
        double id = group == 1 ? replicates[i].id : (double)(i / group);
        (*out)[(*n_out)++] = (il__gap_value){id, sum / (double)count};
    }
    il_scratch_free(&memory);
    if (rc != IL_OK) {
        free(*out);
        *out = NULL;
    }
    return rc;
}

size_t il__gap_join(il__gap_value *a, size_t n_a, const il__gap_value *b, size_t n_b, double weight)
{
    size_t kept = 0;
    size_t j = 0;
    for (size_t i = 0; i < n_a; i++) {
        while (j < n_b && b[j].id < a[i].id) {
            j++;
        }
        if (j < n_b && b[j].id == a[i].id) {
            a[kept++] = (il__gap_value){a[i].id, a[i].d + weight * b[j].d};
        }
    }
    return kept;
}

int il__gap_add(il__gap *gap, double x, il__gap_value *values, size_t n, il_error *err)
{
    bool drop = n == 0 || !(x > 0);
    for (size_t i = 0; i < gap->n && !drop; i++) {
        drop = fabs(gap->points[i].x - x) <= 1e-9 * x;
    }
    if (drop) {
        free(values);
        return IL_OK;
    }
    if (gap->n == gap->cap) {
        size_t more = gap->cap ? 2 * gap->cap : 16;
        il__gap_point *points = realloc(gap->points, more * sizeof *points);
        if (!points) {
            free(values);
            return il_fail(err, IL_E_NOMEM, "no memory for the points of a crossing");
        }
        gap->points = points;
        gap->cap = more;
    }
    gap->points[gap->n++] = (il__gap_point){x, values, n};
    return IL_OK;
}

static int by_x(const void *pa, const void *pb)
{
    const il__gap_point *a = pa;
    const il__gap_point *b = pb;
    return (a->x > b->x) - (a->x < b->x);
}

int il__gap_cross(il__gap *gap, size_t n_resamples, il_stream *stream, il_crossing *out,
                  il_error *err)
{
    size_t total = 0;
    if (gap->n > 1) {
        qsort(gap->points, gap->n, sizeof *gap->points, by_x);
    }
    for (size_t i = 0; i < gap->n; i++) {
        total += gap->points[i].n;
    }
    double *x = malloc((gap->n + total + 1) * sizeof *x);
    size_t *first = malloc((gap->n + 1) * sizeof *first);
    int rc = x && first ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a crossing");
    if (rc == IL_OK) {
        double *d = x + gap->n;
        first[0] = 0;
        for (size_t i = 0; i < gap->n; i++) {
            const il__gap_point *p = &gap->points[i];
            x[i] = log(p->x);
            for (size_t k = 0; k < p->n; k++) {
                d[first[i] + k] = p->values[k].d;
            }
            first[i + 1] = first[i] + p->n;
        }
        const il_curve_gap curve = {gap->n, x, d, first};
        rc = il_crossing_find(&curve, n_resamples, stream, out, err);
    }
    free(x);
    free(first);
    return rc;
}

void il__gap_free(il__gap *gap)
{
    for (size_t i = 0; i < gap->n; i++) {
        free(gap->points[i].values);
    }
    free(gap->points);
    *gap = (il__gap){0};
}
