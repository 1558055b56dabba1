/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The rows of a run as the tables need them: cells with their keys, and one array per measured
 * quantity in which the values of a cell stand together, measured rows before warm-up rows.
 *
 * Life: il_rows_open, il_rows_add for every row (from a journal or a CSV file), il_rows_seal, then
 * reading only.
 */
#ifndef IL_ANALYSIS_ROWS_H
#define IL_ANALYSIS_ROWS_H

#include "analysis/columns.h"
#include "analysis/vector.h"
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

/* What is kept of a row. Those from tokens_per_s_compute to flagged do not stand in metrics.csv
 * under this name. */
/* clang-format off */
#define IL_QUANTITY_MAP(X)                                                                         \
    X(latency)                                                                                     \
    X(tokens_per_s)                                                                                \
    X(tokens_total)                                                                                \
    X(prompt_tokens) X(prompt_tokens_raw) X(gen_tokens) X(gen_tokens_raw) X(gen_tokens_target)     \
        X(cuda_event) X(gpu_peak) X(ollama_load) X(params_config) X(params_measured) X(prefill_ms) \
            X(kv_decode_ms) X(kv_decode_equiv) X(done_reason) X(tokens_per_s_compute)              \
                X(tokens_total_compute) X(prompt_tokens_compute) X(replicate) X(flagged) X(rep)    \
                    X(decode_steps) X(ttft)
/* clang-format on */

typedef enum il_quantity {
#define IL_QUANTITY_ENUM(name) IL_Q_##name,
    IL_QUANTITY_MAP(IL_QUANTITY_ENUM)
#undef IL_QUANTITY_ENUM
        IL_Q_COUNT
} il_quantity;

/* done_reason holds an interned text's number; replicate the block, else the repetition. */

/* Texts as numbers; equal texts have equal numbers. 0 is "". */
typedef uint32_t il_text_id;

typedef struct il_cell {
    il_text_id backend, backend_kind, model, model_kind, scenario, mode;
    double batch_size;
    double params; /* params_millions_effective: measured where > 0, else config; NaN unknown */
    /* facts of the cell, from the first row that has them; NaN unknown */
    double params_total, params_non_embedding, params_active, bytes_read, flops, n_layer, d_model,
        n_head, decode_steps;
    il_text_id replication; /* "" where rows have no block */
    int64_t plan_cell;      /* its number in the plan; −1 in a foreign run */
    bool reference;         /* our own engine: stands beside the contest, not in it */
    bool has_block;
    size_t first;                /* of its values in every quantity's array */
    size_t n_measured, n_warmup; /* ok rows with a latency */
    size_t n_not_ok, n_flagged; /* rows of another status; rows with flag words or status flagged */
} il_cell;

typedef struct il_rows il_rows;
typedef struct il_outcomes il_outcomes;

/* scratch_dir must be writable and hold about 200 bytes a row. */
int il_rows_open(const char *scratch_dir, il_rows **out, il_error *err);
int il_rows_add(il_rows *rows, const il_metric_row *row, il_error *err);
/* Sorts cells by backend, mode, scenario, parameters, batch size, model and gathers the values. */
int il_rows_seal(il_rows *rows, il_error *err);
void il_rows_free(il_rows *rows);

size_t il_rows_count(const il_rows *rows);    /* rows added, of any status */
size_t il_rows_ok_count(const il_rows *rows); /* rows with values */
size_t il_rows_cell_count(const il_rows *rows);
const il_cell *il_rows_cell(const il_rows *rows, size_t index);
const char *il_rows_text(const il_rows *rows, il_text_id id);
/* Values of a quantity in storage order, il_cell.first and on; NULL when no row had it. */
const double *il_rows_values(const il_rows *rows, il_quantity quantity);

/* What became of all rows added (analysis/outcomes.h). */
const il_outcomes *il_rows_outcomes(const il_rows *rows);
/* The number of a text, new or known; NOMEM without detail. */
int il_rows_intern(il_rows *rows, const char *text, size_t len, il_text_id *out);

/* Whether a column is read from a CSV file at all. */
bool il_rows_wants(il_column column);

#endif
