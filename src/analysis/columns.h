/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The columns of metrics.csv, once: the writer, the reader and the tests all go by this list. First
 * those of the TR121 study in its order, then ours.
 */
#ifndef IL_ANALYSIS_COLUMNS_H
#define IL_ANALYSIS_COLUMNS_H

#include <math.h>
#include <stddef.h>

/* id, type: T text, I integer, R real, B boolean */
/* clang-format off */
#define IL_COLUMN_MAP_TR121(X)                                                                     \
    X(task_idx, I) X(call_idx, I) X(sample_idx, I) X(scenario, T) X(prompt, T) X(prompt_chars, I)  \
    X(backend, T) X(backend_kind, T) X(model, T) X(model_kind, T) X(params_millions, R)            \
    X(params_millions_config, R) X(params_millions_measured, R) X(gen_tokens_target, I)            \
    X(batch_size_config, I) X(is_warmup, B) X(warmup_idx, I) X(rep, I) X(mode, T) X(status, T)     \
    X(error, T) X(started_at_unix, R) X(batch_size, I) X(seq_len, I) X(prompt_tokens, I)           \
    X(prompt_tokens_raw, I) X(gen_tokens_raw, I) X(gen_tokens_equiv, R) X(prefill_ms, R)           \
    X(kv_decode_ms, R) X(kv_decode_ms_equiv, R) X(kv_decode_ms_per_token, R)                       \
    X(prefill_cuda_event_ms, R) X(kv_decode_cuda_event_ms, R) X(gpu_peak_mb, R) X(hf_load_ms, R)   \
    X(ollama_wall_ms, R) X(ollama_total_duration_ms, R) X(ollama_load_ms, R)                       \
    X(ollama_done_reason, T) X(latency_ms, R) X(cuda_event_ms, R) X(tokens_total, R)               \
    X(tokens_per_s, R) X(gen_tokens, R)
#define IL_COLUMN_MAP_OURS(X)                                                                      \
    X(block, I) X(reason, T) X(flags, T) X(hint, T) X(backend_kind_asked, T) X(dtype, T)           \
    X(device, T) X(threads, I) X(isa, T) X(logits, T) X(replication, T) X(reference, B)            \
    X(prompt_source, T) X(prefill_source, T) X(ttft_ms, R) X(decode_steps, I) X(steady, B)         \
    X(params_total, I) X(params_non_embedding, I) X(params_active, I) X(bytes_read, R)             \
    X(flops, R) X(n_layer, I) X(d_model, I) X(n_head, I) X(steal_ms, R) X(busy_other_ms, R)        \
    X(ctx_involuntary, I) X(major_faults, I) X(minor_faults, I) X(mhz, R) X(psi_cpu_ms, R)         \
    X(load1, R) X(first_byte_ms, R) X(first_visible_ms, R) X(response_ms, R) X(cached_tok, I)
#define IL_COLUMN_MAP(X) IL_COLUMN_MAP_TR121(X) IL_COLUMN_MAP_OURS(X)
/* clang-format on */

typedef enum il_column_type {
    IL_COLUMN_T,
    IL_COLUMN_I,
    IL_COLUMN_R,
    IL_COLUMN_B,
} il_column_type;

typedef enum il_column {
#define IL_COLUMN_ENUM(name, type) IL_C_##name,
    IL_COLUMN_MAP(IL_COLUMN_ENUM)
#undef IL_COLUMN_ENUM
        IL_COLUMN_COUNT
} il_column;

typedef struct il_column_row {
    const char *name;
    il_column_type type;
} il_column_row;

extern const il_column_row il_columns[IL_COLUMN_COUNT];
/* The column of that name, or IL_COLUMN_COUNT. */
il_column il_column_find(const char *name, size_t len);

/* One field of a row: text for T, num for the others (booleans 0 and 1). Blank is len 0, NaN. */
typedef struct il_value {
    const char *text;
    size_t len;
    double num;
} il_value;

/* One row of metrics.csv. */
typedef struct il_metric_row {
    il_value v[IL_COLUMN_COUNT];
} il_metric_row;

void il_metric_row_clear(il_metric_row *row);

#endif
