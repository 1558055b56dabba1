/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/order.h"

#include "stats/dist.h"

#include <gsl/gsl_heapsort.h>
#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* qsort merges through a copy: beyond this a slower sort in place keeps memory bounded. */
enum { IN_PLACE_FROM = 1 << 20, IN_PLACE_FROM_BYTES = 8 << 20 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

void il_sort(double *values, size_t n)
{
    if (n > IN_PLACE_FROM) {
        gsl_sort(values, 1, n);
    } else if (n > 1) {
        qsort(values, n, sizeof *values, by_value);
    }
}

void il_sort_records(void *records, size_t n, size_t record_bytes,
                     int (*order)(const void *, const void *))
{
    if (n > IN_PLACE_FROM_BYTES / record_bytes) {
        gsl_heapsort(records, n, record_bytes, order);
    } else if (n > 1) {
        qsort(records, n, record_bytes, order);
    }
}

size_t il_keep_last(void *records, size_t n, size_t record_bytes,
                    int (*same)(const void *, const void *))
{
    char *at = records;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const char *record = at + i * record_bytes;
        if (i + 1 == n || same(record, record + record_bytes) != 0) {
            memmove(at + kept++ * record_bytes, record, record_bytes);
        }
    }
    return kept;
}

double il_mean(const double *values, size_t n)
{
    if (n == 0) {
        return NAN;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
    }
    return sum / (double)n;
}

double il_geomean(const double *values, size_t n)
{
    double sum = 0;
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (values[i] > 0) {
            sum += log(values[i]);
            used++;
        }
    }
    return used ? exp(sum / (double)used) : NAN;
}

double il_sd(const double *values, size_t n)
{
    if (n < 2) {
        return NAN;
    }
    double mean = il_mean(values, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (values[i] - mean) * (values[i] - mean);
    }
    return sqrt(sum / (double)(n - 1));
}

double il_quantile_sorted(const double *sorted, size_t n, double q)
{
    if (n == 0 || !(q >= 0 && q <= 1)) {
        return NAN;
    }
    double h = (double)(n - 1) * q;
    size_t i = (size_t)h;
    if (i + 1 >= n) {
        return sorted[n - 1];
    }
    return sorted[i] + (h - (double)i) * (sorted[i + 1] - sorted[i]);
}

/* Puts the k-th smallest at k with nothing larger before it (Hoare's selection, middle of three).
 */
static void select_kth(double *v, size_t n, size_t k)
{
    size_t low = 0;
    size_t high = n - 1;
    while (low < high) {
        double a = v[low];
        double b = v[low + (high - low) / 2];
        double c = v[high];
        double pivot = fmax(fmin(a, b), fmin(fmax(a, b), c));
        size_t i = low;
        size_t j = high;
        while (i <= j) {
            while (v[i] < pivot) {
                i++;
            }
            while (v[j] > pivot) {
                j--;
            }
            if (i > j) {
                break;
            }
            double swap = v[i];
            v[i++] = v[j];
            v[j] = swap;
            if (j == 0) {
                break;
            }
            j--;
        }
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            return;
        }
    }
}

double il_quantile_select(double *values, size_t n, double q)
{
    if (n == 0 || !(q >= 0 && q <= 1)) {
        return NAN;
    }
    double h = (double)(n - 1) * q;
    size_t k = (size_t)h;
    select_kth(values, n, k);
    double low = values[k];
    if (k + 1 >= n || h == (double)k) {
        return low;
    }
    double next = INFINITY;
    for (size_t i = k + 1; i < n; i++) {
        next = fmin(next, values[i]);
    }
    return low + (h - (double)k) * (next - low);
}

double il_quantile(const double *values, size_t n, double q)
{
    if (n == 0 || n > SIZE_MAX / sizeof *values) {
        return NAN;
    }
    double small[64];
    double *copy = n <= 64 ? small : malloc(n * sizeof *copy);
    if (!copy) {
        return NAN;
    }
    memcpy(copy, values, n * sizeof *copy);
    double result = il_quantile_select(copy, n, q);
    if (copy != small) {
        free(copy);
    }
    return result;
}

double il_median(const double *values, size_t n)
{
    return il_quantile(values, n, 0.5);
}

/* The smallest k with P(B ≤ k) ≥ p, by bisection: the distribution function is monotone in k. */
static int64_t binomial_quantile(double p, uint32_t n, double q)
{
    int64_t low = 0;
    int64_t high = n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (il_binomial_cdf(mid, n, q) >= p) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

int il_order_ranks(size_t n, double q, double confidence, size_t *low, size_t *high,
                   size_t *n_needed)
{
    *low = *high = 0;
    if (!(q > 0 && q < 1) || !(confidence > 0 && confidence < 1) || n > UINT32_MAX / 2) {
        return IL_E_INVALID;
    }
    double tail = (1 - confidence) / 2;
    double rare = q > 0.5 ? 1 - q : q;
    /* The farther tail decides: (1 − rare)^n ≤ tail. The nudge keeps an exact power on its side. */
    double need = ceil(log(tail) / log1p(-rare) - 1e-9);
    if (n_needed) {
        *n_needed = need < 0x1p53 ? (size_t)need : SIZE_MAX;
    }
    if ((double)n < need) {
        return IL_E_TOO_FEW;
    }
    uint32_t count = (uint32_t)n;
    /* k₁ is the first with P(B ≤ k₁) > tail, so l − 1 = k₁ − 1 is the last at or below it. */
    int64_t k1 = binomial_quantile(tail, count, q);
    int64_t l = il_binomial_cdf(k1, count, q) > tail ? k1 : k1 + 1;
    int64_t u = binomial_quantile(1 - tail, count, q) + 1;
    if (l < 1 || u > (int64_t)n) {
        return IL_E_TOO_FEW;
    }
    *low = (size_t)l;
    *high = (size_t)u;
    return IL_OK;
}

int il_quantile_interval_sorted(const double *sorted, size_t n, double q, double confidence,
                                il_interval *out, size_t *n_needed, il_error *err)
{
    *out = (il_interval){il_quantile_sorted(sorted, n, q), NAN, NAN};
    if (n == 0) {
        (void)il_order_ranks(1, q, confidence, &(size_t){0}, &(size_t){0}, n_needed);
        return il_fail(err, IL_E_TOO_FEW, "no value to take a quantile of");
    }
    size_t l, u;
    size_t need = 0;
    int rc = il_order_ranks(n, q, confidence, &l, &u, &need);
    if (n_needed) {
        *n_needed = need;
    }
    if (rc == IL_OK) {
        out->low = sorted[l - 1];
        out->high = sorted[u - 1];
    } else if (rc == IL_E_TOO_FEW) {
        rc = il_fail(err, rc, "%zu values give no %.3g %% interval of the %.3g quantile, %zu would",
                     n, 100 * confidence, q, need);
    } else {
        rc = il_fail(err, rc, "no interval of quantile %g at confidence %g", q, confidence);
    }
    return rc;
}

int il_quantile_interval(const double *values, size_t n, double q, double confidence,
                         il_interval *out, size_t *n_needed, il_error *err)
{
    double *sorted = n < SIZE_MAX / sizeof *sorted ? malloc((n + 1) * sizeof *sorted) : NULL;
    if (!sorted) {
        *out = (il_interval){NAN, NAN, NAN};
        return il_fail(err, IL_E_NOMEM, "no memory to sort %zu values", n);
    }
    if (n > 0) {
        memcpy(sorted, values, n * sizeof *sorted);
    }
    il_sort(sorted, n);
    int rc = il_quantile_interval_sorted(sorted, n, q, confidence, out, n_needed, err);
    free(sorted);
    return rc;
}

int il_mean_interval(const double *values, size_t n, double confidence, il_interval *out,
                     il_error *err)
{
    *out = (il_interval){il_mean(values, n), NAN, NAN};
    if (n < 2) {
        return il_fail(err, IL_E_TOO_FEW, "%zu values give no t interval, 2 would", n);
    }
    double half = il_t_quantile(1 - (1 - confidence) / 2, (double)(n - 1)) * il_sd(values, n) /
                  sqrt((double)n);
    out->low = out->estimate - half;
    out->high = out->estimate + half;
    return IL_OK;
}

int il_log_values(const double *values, size_t n, double *out, il_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] > 0 && isfinite(values[i]))) {
            return il_fail(err, IL_E_INVALID, "the logarithm of %g does not exist", values[i]);
        }
        out[i] = log(values[i]);
    }
    return IL_OK;
}

/* In two passes over the values: as many as rows, perhaps, so no copy. */
int il_log_mean_interval(const double *values, size_t n, double confidence, il_interval *out,
                         il_error *err)
{
    double sum = 0;
    double squares = 0;
    *out = (il_interval){NAN, NAN, NAN};
    for (size_t i = 0; i < n; i++) {
        double one = 0;
        int rc = il_log_values(&values[i], 1, &one, err);
        if (rc != IL_OK) {
            return rc;
        }
        sum += one;
    }
    double mean = n > 0 ? sum / (double)n : NAN;
    out->estimate = exp(mean);
    if (n < 2) {
        return il_fail(err, IL_E_TOO_FEW, "%zu values give no t interval, 2 would", n);
    }
    for (size_t i = 0; i < n; i++) {
        double d = log(values[i]) - mean;
        squares += d * d;
    }
    double half = il_t_quantile(1 - (1 - confidence) / 2, (double)(n - 1)) *
                  sqrt(squares / (double)(n - 1)) / sqrt((double)n);
    out->low = exp(mean - half);
    out->high = exp(mean + half);
    return IL_OK;
}
