/* SPDX-License-Identifier: Apache-2.0
 *
 * The transformer engine of inferlaw, for another C program: load a checkpoint directory or a GGUF
 * file, open a session, prefill, decode, read logits. Handles are opaque; a model may serve several
 * sessions, one at a time; none of it is thread-safe.
 *
 * Nothing between il_engine_prefill and the end of a decode allocates, prints or touches a file.
 */
#ifndef INFERLAW_ENGINE_H
#define INFERLAW_ENGINE_H

#include "inferlaw/dtype.h"
#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_engine_model il_engine_model;
typedef struct il_engine_session il_engine_session;

typedef enum il_engine_logits_at {
    IL_ENGINE_LOGITS_LAST,
    IL_ENGINE_LOGITS_ALL
} il_engine_logits_at;

typedef enum il_engine_pages {
    IL_ENGINE_PAGES_DEFAULT, /* what the system does by itself */
    IL_ENGINE_PAGES_HUGE,    /* madvise(MADV_HUGEPAGE) on weights and cache */
    IL_ENGINE_PAGES_SMALL,   /* madvise(MADV_NOHUGEPAGE) */
} il_engine_pages;

typedef struct il_engine_options {
    il_dtype dtype;     /* of weights as computed with: F32 or BF16. Activations, accumulation and
                           norms are fp32; the KV cache is fp32 for F32 and bf16 for BF16. Of a GGUF
                           file the cache's alone: weights stay as the file has them */
    uint32_t n_threads; /* 0 = one per physical core this process may run on */
    const char *isa;    /* NULL or "auto", "reference", "avx2", "avx512" */
    il_engine_pages pages;
    bool expand; /* the blocks of a GGUF file become dtype, instead of staying as they are */
} il_engine_options;

typedef struct il_engine_stage {
    const char *name;     /* "open", "convert" */
    int64_t t0_ns, t1_ns; /* CLOCK_MONOTONIC */
    uint64_t major_faults;
} il_engine_stage;

/* What was chosen and what it is made of; for hello messages, manifests and reports. */
typedef struct il_engine_facts {
    const char *isa;     /* the kernels in use: "reference", "avx2", "avx512", "avx512bf16", … */
    const char *weights; /* number format: "fp32", "bf16", or a GGUF file's type ("Q4_K_M") */
    uint32_t n_threads;
    uint64_t weight_bytes; /* resident, in the engine's layout */
    uint64_t params_total;
    uint32_t n_layer, d_model, n_head, vocab_size, n_positions;
    bool denormals_flushed; /* to zero, inputs and results, within a pass */
    const il_engine_stage *stages;
    size_t n_stages;
} il_engine_facts;

typedef struct il_engine_session_options {
    uint32_t max_batch;         /* sequences; ≥ 1 */
    uint32_t max_context_tok;   /* prompt + decode steps of the longest sequence */
    uint32_t max_prompt_tok;    /* longest prompt; bounds the scratch memory of prefill */
    il_engine_logits_at logits; /* prompt positions the head is computed at */
} il_engine_session_options;

/* Opens and converts the checkpoint in the directory, or the GGUF file, at path. IL_E_NOT_FOUND,
 * IL_E_INVALID (wrong shapes, truncated files), IL_E_UNSUPPORTED (family or isa), IL_E_NOMEM. NaN
 * weights are not searched for here. */
int il_engine_model_open(const char *path, const il_engine_options *options, il_engine_model **out,
                         il_error *err);
void il_engine_model_close(il_engine_model *model);
const il_engine_facts *il_engine_model_facts(const il_engine_model *model);

/* Bytes a session with these options would need, so that a caller can refuse before allocating. */
uint64_t il_engine_session_bytes(const il_engine_model *model,
                                 const il_engine_session_options *options);
int il_engine_session_open(il_engine_model *model, const il_engine_session_options *options,
                           il_engine_session **out, il_error *err);
void il_engine_session_close(il_engine_session *session);

/* Forgets all sequences (the cache is kept, its content is dead). */
void il_engine_reset(il_engine_session *session);

/* One forward pass over `batch` prompts, appended to whatever each sequence's cache holds (nothing
 * after a reset). ids: the prompts one after the other, lengths[batch] each ≥ 1; ragged is fine.
 * Fills the cache and computes logits: rows in prompt order, one row a sequence (LAST) or one a
 * prompt position (ALL). IL_E_RANGE: id outside the vocabulary, context beyond the session. */
int il_engine_prefill(il_engine_session *session, const int32_t *ids, const uint32_t *lengths,
                      uint32_t batch, il_error *err);
/* One token for each of the sequences of the last prefill; logits: one row a sequence. */
int il_engine_decode(il_engine_session *session, const int32_t *ids, il_error *err);

/* Logits of the last prefill or decode: *n_rows rows of vocab_size floats, owned by the session,
 * valid until the next call. */
const float *il_engine_logits(const il_engine_session *session, uint32_t *n_rows);
/* Greedy choice of each sequence's last row: ids_out[batch]; lowest id wins a tie. IL_E_NONFINITE
 * when the winning logit or any logit of the row is not finite (names sequence and position). */
int il_engine_argmax(const il_engine_session *session, int32_t *ids_out, il_error *err);

#endif
