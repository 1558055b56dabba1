/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The parity gate's arithmetic: answers of a runtime against those of the fp32 reference, and how
 * far apart the number formats alone may put them (docs/parity.md). It runs nothing.
 */
#ifndef IL_STUDY_PARITY_H
#define IL_STUDY_PARITY_H

#include "backend/backend.h"

typedef enum il_parity_verdict {
    IL_PARITY_UNKNOWN, /* not asked yet */
    IL_PARITY_PASSED,
    IL_PARITY_FAILED,
    IL_PARITY_NOT_CHECKABLE, /* no reference, or no answer that could be compared */
    IL_PARITY_EXEMPT,        /* kinds that compute nothing; not_checkable in the journal */
} il_parity_verdict;

/* "passed", "failed", "not_checkable"; "" for UNKNOWN. */
const char *il_parity_verdict_name(il_parity_verdict verdict);

/* The verdict of a journal's line; kind: of the backend. */
il_parity_verdict il_parity_verdict_read(const char *name, const char *kind);
/* Kinds that compute nothing: noop, replay. */
bool il_parity_is_exempt(const char *kind);

/* What a runtime rounds, from the finest to the coarsest. */
typedef enum il_parity_noise {
    IL_PARITY_FP32, /* the order of sums alone */
    IL_PARITY_FP16,
    IL_PARITY_BF16,
    IL_PARITY_Q8, /* weights in blocks, activations quantised to 8 bits against them */
    IL_PARITY_NOISES,
} il_parity_noise;

typedef struct il_parity_tolerance {
    il_parity_noise noise;
    const char *name; /* of the noise: "fp32", "fp16", "bf16", "q8" */
    double error;     /* measured: the largest relative error it made up to 12 layers */
    double factor;    /* times which it is tolerated */
    uint32_t n_layer;
    double tolerance; /* factor · error · √(layers / 12), the root at least 1 */
} il_parity_tolerance;

/* dtype: of the backend entry. weights: its GGUF type, "" when it reads a checkpoint. n_layer 0:
 * unknown, counts as 32. */
il_parity_tolerance il_parity_tolerance_of(const char *dtype, const char *weights,
                                           uint32_t n_layer);

enum { IL_PARITY_MOST_ROWS = 64 };

/* Errors are differences over the largest absolute reference value of their row. */
typedef struct il_parity_result {
    uint32_t n_rows;         /* compared, logits or log-probabilities */
    double max_rel, rms_rel; /* of the worst row, NaN before any; rms over the row's own */
    double row_rel[IL_PARITY_MOST_ROWS]; /* each row's largest */
    uint32_t n_top1, n_top1_wrong; /* rows whose margin allows no other token, and got another */
    bool nonfinite;                /* of the runtime */
} il_parity_result;

void il_parity_result_init(il_parity_result *out);
/* One row of logits each. */
void il_parity_compare_logits(const float *reference, const float *row, uint32_t n_vocab,
                              double tolerance, il_parity_result *out);
/* A runtime's greedy choice after a row. −1 is not compared. The margin counts where it exceeds
 * twice the tolerance: two logits may each be off by one. */
void il_parity_compare_choice(const float *reference, int32_t chosen, uint32_t n_vocab,
                              double tolerance, il_parity_result *out);
/* Log-probabilities of the listed tokens, and the choice. */
void il_parity_compare_logprobs(const float *reference, const il_logprob_top *top, uint32_t n_vocab,
                                double tolerance, il_parity_result *out);
/* NaN before any row. */
double il_parity_median(const il_parity_result *result);
/* NOT_CHECKABLE when nothing was compared. by_median: the median row decides and no choice, for
 * models whose rounding has no bound on single rows: with a router, where two experts nearly tie,
 * and with activations in 8 bits, where one large one makes its whole block coarse. */
il_parity_verdict il_parity_judge(const il_parity_result *result, double tolerance, bool by_median);

#endif
