/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/arms.h"

#include "stats/order.h"

#include <math.h>

static int by_arm(const il__arm_call *a, const il__arm_call *b)
{
    int order = (a->cell > b->cell) - (a->cell < b->cell);
    order = order ? order : (a->block > b->block) - (a->block < b->block);
    order = order ? order : (a->pair > b->pair) - (a->pair < b->pair);
    return order ? order : a->arm_b - b->arm_b;
}

static int by_arm_and_place(const void *pa, const void *pb)
{
    const il__arm_call *a = pa, *b = pb;
    int order = by_arm(a, b);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* The last attempt among the calls of one arm: from where rep did not rise for the last time. */
static size_t last_attempt(const il__arm_call *calls, size_t n)
{
    size_t first = 0;
    for (size_t i = 1; i < n; i++) {
        first = calls[i].rep <= calls[i - 1].rep ? i : first;
    }
    return first;
}

/* False when no call worked. values holds n. */
static bool median_arm(const il__arm_call *calls, size_t n, double *values, il_aa *out)
{
    enum { PREFILL, DECODE, E2E, N_PARTS };
    double medians[N_PARTS];
    for (int part = 0; part < N_PARTS; part++) {
        size_t known = 0;
        for (size_t i = 0; i < n; i++) {
            double ms = part == PREFILL  ? calls[i].prefill_ms
                        : part == DECODE ? calls[i].decode_ms
                                         : calls[i].e2e_ms;
            if (!isnan(calls[i].e2e_ms) && !isnan(ms)) {
                values[known++] = ms;
            }
        }
        medians[part] = il_quantile_select(values, known, 0.5);
    }
    *out = (il_aa){.cell = calls->cell,
                   .block = calls->block,
                   .pair = calls->pair,
                   .arm_b = calls->arm_b,
                   .prefill_ms = medians[PREFILL],
                   .decode_ms = medians[DECODE],
                   .e2e_ms = medians[E2E]};
    return !isnan(medians[E2E]);
}

/* How many of the calls belong to the first one's arm. */
static size_t arm_length(const il__arm_call *calls, size_t n)
{
    size_t length = 1;
    while (length < n && by_arm(&calls[0], &calls[length]) == 0) {
        length++;
    }
    return length;
}

int il__arms_of(il__arm_call *calls, size_t n, const char *dir, il_vector *out, il_error *err)
{
    il_vector_init(out, sizeof(il_aa));
    if (n == 0) {
        return IL_OK;
    }
    il_sort_records(calls, n, sizeof *calls, by_arm_and_place);
    size_t n_arms = 0, longest = 0;
    for (size_t i = 0, length; i < n; i += length) {
        length = arm_length(calls + i, n - i);
        longest = length > longest ? length : longest;
        n_arms++;
    }
    il_scratch values;
    int rc = il_scratch_take(&values, dir, longest, sizeof(double), err);
    rc = rc ? rc : il_vector_resize(out, dir, n_arms, err);
    if (rc != IL_OK) {
        il_scratch_free(&values);
        return rc;
    }
    out->count = 0;
    for (size_t i = 0, length; i < n; i += length) {
        length = arm_length(calls + i, n - i);
        size_t first = i + last_attempt(calls + i, length);
        out->count += median_arm(calls + first, i + length - first, values.data,
                                 (il_aa *)out->data + out->count);
    }
    il_scratch_free(&values);
    return IL_OK;
}
