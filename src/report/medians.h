/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Medians with exact intervals of every cell and mode and the counts of what was lost: the numbers
 * of the first table, of the error bars and of the findings that compare models. They come from
 * analysis/medians.csv and analysis/outcomes.csv (docs/analysis.md), so each number in the report
 * can be looked up.
 *
 * The unit of replication is the block: calls of a cell in one block count as their median. A run
 * with one block (a foreign one, an original study file) has only calls, and says so.
 */
#ifndef IL_REPORT_MEDIANS_H
#define IL_REPORT_MEDIANS_H

#include "report/artifact.h"

#define IL_ALL_SCENARIOS "__all__"

typedef struct il_cell_median {
    const char *backend, *model, *scenario, *mode;
    int64_t batch_size, gen_tokens;
    double params_millions; /* measured, else configured; NaN unknown */
    double prompt_tok;      /* of one sequence; NaN unknown, or over several scenarios */
    double decode_steps;    /* NaN when unknown or not the same in all calls */
    uint64_t scenario_set;  /* equal for aggregates over the same scenarios; 0 for one scenario */
    size_t n_replicates;
    double median_ms, low_ms, high_ms; /* exact 95 % interval of the median; NaN below 6 */
} il_cell_median;

/* Rows that are not ok, by backend, status and reason. */
typedef struct il_loss {
    const char *backend, *status, *reason, *message, *hint;
    size_t n_rows, n_models;
} il_loss;

typedef struct il_flag_count {
    const char *word;
    size_t n_rows;
} il_flag_count;

typedef struct il_medians {
    il_cell_median *rows; /* sorted by backend, mode, batch, scenario, parameters; __all__ first */
    size_t n_rows;
    /* Rows of one backend, model and mode, by hash: slots hold the first row of a chain and next
     * the one after it, both plus one, 0 at the end. n_slots is a power of two. */
    size_t *slots, *next;
    size_t n_slots;
    il_loss *losses;
    size_t n_losses;
    il_flag_count *flags;
    size_t n_flags;
    size_t n_ok, n_error, n_skipped, n_flagged, n_not_run, n_other; /* rows of metrics.csv */
    size_t n_warmup, n_measured;                                    /* ok rows */
    size_t n_rows_with_flags;
    size_t n_blocks;                          /* 1 when the file knows no blocks */
    bool by_block;                            /* replicates are blocks; else calls */
    double prompt_tok_least, prompt_tok_most; /* NaN unknown */
    const char *replication; /* words of the rows, "process, none"; NULL when they have none */
    const char *mapped;      /* "hf on native" where a kind was mapped, else NULL */
} il_medians;

/* Reads the two tables into out; texts stay those of the tables, lists come from the arena. DAMAGED
 * when a column is missing or a number is none. */
int il_medians_read(const il_artifact *medians, const il_artifact *outcomes, il_arena *arena,
                    il_medians *out, il_error *err);

/* The row, or NULL. batch_size 0 takes the first. */
const il_cell_median *il_medians_find(const il_medians *medians, const char *backend,
                                      const char *model, const char *scenario, const char *mode,
                                      int64_t batch_size);

/* Whether rows[i] stands for its (backend, model, batch) in a table of models: the end-to-end row
 * over all scenarios, or the decode or prefill row where no end-to-end time was measured. */
bool il_medians_leads(const il_medians *medians, size_t i);

/* Milliseconds of a decode step: median_ms over decode_steps and the same for the interval. NaN
 * where the steps are unknown. value, low, high. */
void il_median_per_step(const il_cell_median *median, double out[3]);
/* Whether the row is a point of step time against parameters: a decode over all scenarios whose
 * steps and size are known. out as above. */
bool il_median_is_step_of_size(const il_cell_median *median, double out[3]);

#endif
