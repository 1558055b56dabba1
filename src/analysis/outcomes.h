/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What became of the rows of a run, of every status: counted while they are read, because rows that
 * are not ok are not kept.
 */
#ifndef IL_ANALYSIS_OUTCOMES_H
#define IL_ANALYSIS_OUTCOMES_H

#include "analysis/rows.h"

typedef enum il_outcome_kind {
    IL_OUTCOME_STATUS,      /* rows of a status other than ok */
    IL_OUTCOME_LOST,        /* the same by backend, status and reason */
    IL_OUTCOME_LOST_MODEL,  /* the same by model as well: counts the models of the above */
    IL_OUTCOME_FLAG,        /* ok rows with this flag word as key */
    IL_OUTCOME_REPLICATION, /* ok rows; key: what a block renewed */
    IL_OUTCOME_MAPPED,      /* ok rows; key: "hf on native", the kind asked for and the one used */
} il_outcome_kind;

typedef struct il_outcome {
    il_outcome_kind kind;
    il_text_id backend, status, reason, key;
    il_text_id message, hint; /* of the first row lost so */
    size_t n_rows, n_models;
} il_outcome;

typedef struct il_outcomes {
    il_outcome *items; /* in the order of their first rows */
    size_t n, cap;
    uint32_t *slots; /* index + 1; 0 free */
    size_t n_slots;
    size_t n_measured, n_warmup, n_with_flags; /* ok rows */
    size_t n_blocks; /* the largest block of a measured ok row plus one; 1 without blocks */
    double prompt_tok_least, prompt_tok_most; /* of one sequence, over ok rows; NaN unknown */
} il_outcomes;

void il_outcomes_init(il_outcomes *o);
void il_outcomes_free(il_outcomes *o);
/* Counts a row. cell has its backend, model and batch size; ok says whether the row counts as such:
 * one of status ok without a time is lost with the status "untimed". Only NOMEM can happen. */
int il_outcomes_add(il_outcomes *o, il_rows *rows, const il_metric_row *row, const il_cell *cell,
                    bool ok);

#endif
