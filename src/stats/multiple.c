/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/multiple.h"

#include <math.h>
#include <stdlib.h>

typedef struct ranked {
    double p;
    size_t at;
} ranked;

static int by_p(const void *a, const void *b)
{
    const ranked *x = a;
    const ranked *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

/* The p values that are tests, ascending. */
static int rank_all(const double *p, size_t n, double *out, ranked **sorted, size_t *n_tests,
                    il_error *err)
{
    *n_tests = 0;
    *sorted = malloc((n + 1) * sizeof **sorted);
    if (!*sorted) {
        return il_fail(err, IL_E_NOMEM, "no memory to rank %zu tests", n);
    }
    for (size_t i = 0; i < n; i++) {
        if (isnan(p[i])) {
            out[i] = NAN;
        } else {
            (*sorted)[(*n_tests)++] = (ranked){p[i], i};
        }
    }
    if (*n_tests > 1) {
        qsort(*sorted, *n_tests, sizeof **sorted, by_p);
    }
    return IL_OK;
}

int il_holm_adjust(const double *p, size_t n, double *out, il_error *err)
{
    ranked *sorted = NULL;
    size_t m = 0;
    int rc = rank_all(p, n, out, &sorted, &m, err);
    double largest = 0;
    for (size_t i = 0; rc == IL_OK && i < m; i++) {
        largest = fmax(largest, fmin(1.0, (double)(m - i) * sorted[i].p));
        out[sorted[i].at] = largest;
    }
    free(sorted);
    return rc;
}

int il_fdr_adjust(const double *p, size_t n, double *out, il_error *err)
{
    ranked *sorted = NULL;
    size_t m = 0;
    int rc = rank_all(p, n, out, &sorted, &m, err);
    double least = 1;
    for (size_t i = m; rc == IL_OK && i-- > 0;) {
        least = fmin(least, (double)m / (double)(i + 1) * sorted[i].p);
        out[sorted[i].at] = least;
    }
    free(sorted);
    return rc;
}
