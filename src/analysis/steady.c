/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/steady.h"

#include "stats/noise.h"

#include <math.h>

enum { LEAST_BLOCKS = 5 };
static const bool yes = true;
static const bool no = false;

/* The ratio of the first to the last call of each block that has two or more. */
static size_t block_ratios(const il__steady_call *calls, size_t n, double *ratios, size_t *n_blocks)
{
    size_t n_ratios = 0;
    *n_blocks = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && calls[end].block == calls[i].block) {
            end++;
        }
        double first = NAN;
        double last = NAN;
        size_t count = 0;
        for (size_t k = i; k < end; k++) {
            if (calls[k].ms > 0) {
                first = count++ == 0 ? calls[k].ms : first;
                last = calls[k].ms;
            }
        }
        *n_blocks += count > 0;
        if (count > 1) {
            ratios[n_ratios++] = first / last;
        }
        i = end;
    }
    return n_ratios;
}

static bool has_blocks(const il__steady_call *calls, size_t n)
{
    return n > 0 && !isnan(calls[0].block);
}

int il__steady_of(const il__steady_call *calls, size_t n, double *work, il__steady *out,
                  il_error *err)
{
    *out = (il__steady){.kind = IL_STEADY_TOO_FEW};
    for (size_t i = 0; i < n; i++) {
        if (calls[i].ms > 0) {
            work[out->n_calls++] = log(calls[i].ms);
        }
    }
    int rc = il_steadiness_of(work, out->n_calls, IL__STEADY_LEAST_CHANGE, &out->kind,
                              &out->change_at, err);
    size_t n_blocks = 1;
    size_t n_ratios = has_blocks(calls, n) ? block_ratios(calls, n, work, &n_blocks) : 0;
    il_ratio ratio;
    if (n_blocks > 1) {
        if (n_ratios >= LEAST_BLOCKS && il_ratio_of(work, n_ratios, 0.95, &ratio, NULL) == IL_OK) {
            bool slower =
                ratio.ratio.low > 1 && log(ratio.ratio.estimate) > IL__STEADY_LEAST_CHANGE;
            out->warmup_too_short = slower ? &yes : &no;
        }
    } else if (out->kind != IL_STEADY_TOO_FEW) {
        out->warmup_too_short = out->kind == IL_STEADY_WARMUP ? &yes : &no;
    }
    return rc;
}

double il__steady_at(const il__steady *steady, size_t place)
{
    if (steady->kind == IL_STEADY_TOO_FEW) {
        return NAN;
    }
    return steady->kind != IL_STEADY_NEVER && place >= steady->change_at;
}
