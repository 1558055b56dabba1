/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The largest relative errors that number formats alone made on models of up to 12 layers, and how
 * they were measured: docs/parity.md. */
static const struct {
    const char *name;
    double error;
} noises[IL_PARITY_NOISES] = {
    [IL_PARITY_FP32] = {"fp32", 2.1e-6},
    [IL_PARITY_FP16] = {"fp16", 1.2e-3},
    [IL_PARITY_BF16] = {"bf16", 1.1e-2},
    [IL_PARITY_Q8] = {"q8", 2.3e-2},
};

enum { NOISE_LAYERS = 12, UNKNOWN_LAYERS = 32 };

/* Runtimes add up in other orders than the ones measured and round in more places. */
static const double tolerance_factor = 4;

const char *il_parity_verdict_name(il_parity_verdict verdict)
{
    switch (verdict) {
    case IL_PARITY_PASSED:
        return "passed";
    case IL_PARITY_FAILED:
        return "failed";
    case IL_PARITY_NOT_CHECKABLE:
    case IL_PARITY_EXEMPT:
        return "not_checkable";
    case IL_PARITY_UNKNOWN:
        break;
    }
    return "";
}

bool il_parity_is_exempt(const char *kind)
{
    return strcmp(kind, "noop") == 0 || strcmp(kind, "replay") == 0;
}

il_parity_verdict il_parity_verdict_read(const char *name, const char *kind)
{
    if (strcmp(name, "passed") == 0 || strcmp(name, "failed") == 0) {
        return name[0] == 'p' ? IL_PARITY_PASSED : IL_PARITY_FAILED;
    }
    if (strcmp(name, "not_checkable") == 0) {
        return il_parity_is_exempt(kind) ? IL_PARITY_EXEMPT : IL_PARITY_NOT_CHECKABLE;
    }
    return IL_PARITY_UNKNOWN;
}

static il_parity_noise noise_of(const char *dtype, const char *weights)
{
    bool bf16 = strcmp(dtype, "bf16") == 0 || strcmp(weights, "BF16") == 0;
    if (weights[0] == 'Q') {
        return IL_PARITY_Q8;
    }
    if (bf16) {
        return IL_PARITY_BF16;
    }
    /* What runs GGUF files keeps an fp16 cache and tables whatever the type of the weights. */
    return weights[0] || strcmp(dtype, "fp16") == 0 ? IL_PARITY_FP16 : IL_PARITY_FP32;
}

il_parity_tolerance il_parity_tolerance_of(const char *dtype, const char *weights, uint32_t n_layer)
{
    il_parity_noise noise = noise_of(dtype, weights ? weights : "");
    il_parity_tolerance t = {.noise = noise,
                             .name = noises[noise].name,
                             .error = noises[noise].error,
                             .factor = tolerance_factor,
                             .n_layer = n_layer ? n_layer : UNKNOWN_LAYERS};
    t.tolerance = t.factor * t.error * sqrt(fmax(1, (double)t.n_layer / NOISE_LAYERS));
    return t;
}

void il_parity_result_init(il_parity_result *out)
{
    *out = (il_parity_result){.max_rel = (double)NAN, .rms_rel = (double)NAN};
}

static void take_error(double rel, double rms, il_parity_result *out)
{
    rel = isnan(rel) ? INFINITY : rel; /* of a reference without a scale: no agreement is shown */
    if (out->n_rows < IL_PARITY_MOST_ROWS) {
        double *of_row = &out->row_rel[out->n_rows];
        *of_row = fmax(*of_row, rel);
    }
    out->max_rel = isnan(out->max_rel) || rel > out->max_rel ? rel : out->max_rel;
    if (!isnan(rms)) {
        out->rms_rel = isnan(out->rms_rel) || rms > out->rms_rel ? rms : out->rms_rel;
    }
}

typedef struct row_facts {
    double largest; /* absolute */
    double log_sum; /* of exponentials */
    double margin;  /* of the best over the second */
    double mean_squares;
    uint32_t best;
} row_facts;

static row_facts facts_of(const float *row, uint32_t n)
{
    row_facts f = {.largest = 0};
    double second = -INFINITY, sum = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        double v = (double)row[i];
        f.largest = fmax(f.largest, fabs(v));
        squares += v * v;
        if (i > 0 && v > (double)row[f.best]) {
            second = (double)row[f.best];
            f.best = i;
        } else if (i > 0 && v > second) {
            second = v;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        sum += exp((double)row[i] - (double)row[f.best]);
    }
    f.margin = (double)row[f.best] - second;
    f.log_sum = (double)row[f.best] + log(sum);
    f.mean_squares = squares / n;
    return f;
}

static void take_choice(const row_facts *f, int32_t chosen, double tolerance, il_parity_result *out)
{
    if (chosen >= 0 && f->margin > 2 * tolerance * f->largest) {
        out->n_top1++;
        out->n_top1_wrong += (uint32_t)chosen != f->best;
    }
}

void il_parity_compare_logits(const float *reference, const float *row, uint32_t n_vocab,
                              double tolerance, il_parity_result *out)
{
    row_facts f = facts_of(reference, n_vocab);
    double most = 0, squares = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < n_vocab; i++) {
        double d = fabs((double)row[i] - (double)reference[i]);
        out->nonfinite = out->nonfinite || !isfinite(row[i]);
        most = fmax(most, d);
        squares += d * d;
        best = row[i] > row[best] ? i : best;
    }
    take_error(most / f.largest, sqrt(squares / n_vocab / f.mean_squares), out);
    out->n_rows++;
    take_choice(&f, (int32_t)best, tolerance, out);
}

void il_parity_compare_choice(const float *reference, int32_t chosen, uint32_t n_vocab,
                              double tolerance, il_parity_result *out)
{
    row_facts f = facts_of(reference, n_vocab);
    take_choice(&f, chosen, tolerance, out);
}

void il_parity_compare_logprobs(const float *reference, const il_logprob_top *top, uint32_t n_vocab,
                                double tolerance, il_parity_result *out)
{
    row_facts f = facts_of(reference, n_vocab);
    uint32_t n = top->n < 20 ? top->n : 20;
    bool any = false;
    for (uint32_t i = 0; i < n; i++) {
        if (top->ids[i] >= 0 && (uint32_t)top->ids[i] < n_vocab) {
            double expected = (double)reference[top->ids[i]] - f.log_sum;
            out->nonfinite = out->nonfinite || !isfinite(top->logprobs[i]);
            take_error(fabs(top->logprobs[i] - expected) / f.largest, (double)NAN, out);
            any = true;
        }
    }
    out->n_rows += any;
    take_choice(&f, top->chosen, tolerance, out);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double il_parity_median(const il_parity_result *r)
{
    double sorted[IL_PARITY_MOST_ROWS];
    uint32_t n = r->n_rows < IL_PARITY_MOST_ROWS ? r->n_rows : IL_PARITY_MOST_ROWS;
    if (n == 0) {
        return (double)NAN;
    }
    memcpy(sorted, r->row_rel, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_size);
    return sorted[n / 2];
}

il_parity_verdict il_parity_judge(const il_parity_result *r, double tolerance, bool by_median)
{
    double error = by_median ? il_parity_median(r) : r->max_rel;
    if (r->n_rows == 0 && r->n_top1 == 0) {
        return IL_PARITY_NOT_CHECKABLE;
    }
    bool wrong = r->nonfinite || (!by_median && r->n_top1_wrong > 0) || error > tolerance;
    return wrong ? IL_PARITY_FAILED : IL_PARITY_PASSED;
}
