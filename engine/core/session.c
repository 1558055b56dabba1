/* SPDX-License-Identifier: Apache-2.0
 *
 * A session: one mapping that holds the cache and every row buffer, and the checks before a pass.
 */
#include "engine/core/engine_internal.h"

#include "model/rope.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_ALIGN_FLOATS = 16, SCRATCH_ALIGN_BYTES = 64 };

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static void layout_slots(il_engine_session *s, il__region *region)
{
    const il__graph *graph = &s->model->graph;
    for (int i = 0; i < IL__SLOT_LOGITS; i++) {
        s->stride[i] = round_up(graph->slot_width[i], ROW_ALIGN_FLOATS);
        s->slots[i] = il__region_take(region, s->chunk_rows, s->stride[i] * sizeof(float));
    }
    s->stride[IL__SLOT_LOGITS] = graph->slot_width[IL__SLOT_LOGITS];
    s->slots[IL__SLOT_LOGITS] =
        il__region_take(region, s->max_logits_rows, s->stride[IL__SLOT_LOGITS] * sizeof(float));
    s->linear_scratch = il__region_take(region, il__linear_scratch_bytes(graph, s->chunk_rows), 1);
}

static void layout_attention(il_engine_session *s, il__region *region)
{
    const il_shape *shape = &s->model->graph.shape;
    uint32_t capacity = s->options.max_context_tok;
    s->attention = (il_attention){
        .n_head = shape->n_head,
        .n_kv_head = shape->n_kv_head,
        .d_head = shape->d_head,
        .capacity = capacity,
        .scale = (float)shape->attn_scale,
        .kv_dtype = s->model->graph.dtype,
        .isa = s->model->isa,
    };
    s->head_bytes = (size_t)capacity * shape->d_head * il_dtype_bytes(s->attention.kv_dtype);
    s->sequence_bytes = round_up(s->head_bytes * shape->n_kv_head, SCRATCH_ALIGN_BYTES);
    s->layer_bytes = s->sequence_bytes * s->options.max_batch;
    s->keys = il__region_take(region, shape->n_layer, s->layer_bytes);
    s->values = il__region_take(region, shape->n_layer, s->layer_bytes);
    s->attention_scratch_stride = round_up(
        il_attention_scratch_bytes(&s->attention, IL__QUERY_BLOCK, capacity), SCRATCH_ALIGN_BYTES);
    s->attention_scratch =
        il__region_take(region, s->model->facts.n_threads, s->attention_scratch_stride);
    if (shape->position == IL_POSITION_ROPE) {
        size_t half = shape->rope_dims / 2;
        s->cos_t = il__region_take(region, capacity, half * sizeof(float));
        s->sin_t = il__region_take(region, capacity, half * sizeof(float));
        if (il_rope_has_local(shape)) {
            s->local_cos_t = il__region_take(region, capacity, half * sizeof(float));
            s->local_sin_t = il__region_take(region, capacity, half * sizeof(float));
        }
    }
}

static void layout_tables(il_engine_session *s, il__region *region)
{
    const il_shape *shape = &s->model->graph.shape;
    size_t batch = s->options.max_batch;
    if (shape->n_expert > 0) {
        size_t n_routes = (size_t)s->chunk_rows * shape->n_expert_used;
        s->routes = il__region_take(region, n_routes, sizeof *s->routes);
        s->routed = il__region_take(region, n_routes, sizeof *s->routed);
        s->first_routed =
            il__region_take(region, (size_t)shape->n_expert + 1, sizeof *s->first_routed);
    }
    s->segments = il__region_take(region, s->chunk_rows, sizeof *s->segments);
    s->row_sequence = il__region_take(region, s->chunk_rows, sizeof *s->row_sequence);
    s->row_position = il__region_take(region, s->chunk_rows, sizeof *s->row_position);
    s->selected = il__region_take(region, s->chunk_rows, sizeof *s->selected);
    s->n_past = il__region_take(region, batch, sizeof *s->n_past);
    s->last_row = il__region_take(region, batch, sizeof *s->last_row);
    s->ones = il__region_take(region, batch, sizeof *s->ones);
}

/* Sizes from the options, then every piece. Options have been checked. */
static void layout(il_engine_session *s, il__region *region)
{
    uint64_t prompt_rows = (uint64_t)s->options.max_batch * s->options.max_prompt_tok;
    s->chunk_rows = (uint32_t)(prompt_rows < IL__CHUNK_ROWS ? prompt_rows : IL__CHUNK_ROWS);
    s->max_logits_rows =
        s->options.logits == IL_ENGINE_LOGITS_ALL ? (uint32_t)prompt_rows : s->options.max_batch;
    layout_slots(s, region);
    layout_attention(s, region);
    layout_tables(s, region);
}

static int check_options(const il_engine_model *model, const il_engine_session_options *options,
                         il_error *err)
{
    const il_shape *shape = &model->graph.shape;
    if (options->max_batch < 1 || options->max_context_tok < 1 || options->max_prompt_tok < 1 ||
        options->max_prompt_tok > options->max_context_tok) {
        return il_fail(err, IL_E_INVALID,
                       "a session needs a batch, a context and a prompt of at least 1 and a prompt "
                       "within the context (batch %u, context %u, prompt %u)",
                       options->max_batch, options->max_context_tok, options->max_prompt_tok);
    }
    if (options->max_context_tok > shape->n_positions) {
        (void)il_fail(err, IL_E_RANGE, "a context of %u tokens; the model has %u positions",
                      options->max_context_tok, shape->n_positions);
        il_error_hint(err, "a shorter prompt or fewer decode steps");
        return IL_E_RANGE;
    }
    if ((uint64_t)options->max_batch * options->max_prompt_tok > UINT32_MAX) {
        return il_fail(err, IL_E_RANGE, "%u prompts of %u tokens are more than 2^32 rows",
                       options->max_batch, options->max_prompt_tok);
    }
    return IL_OK;
}

uint64_t il_engine_session_bytes(const il_engine_model *model,
                                 const il_engine_session_options *options)
{
    if (check_options(model, options, NULL) != IL_OK) {
        return UINT64_MAX;
    }
    /* The layout reads the model and writes only the throw-away session. */
    il_engine_session s = {.model = (il_engine_model *)(uintptr_t)model, .options = *options};
    il__region measure = {0};
    layout(&s, &measure);
    return measure.overflow ? UINT64_MAX : measure.used_bytes;
}

int il_engine_session_open(il_engine_model *model, const il_engine_session_options *options,
                           il_engine_session **out, il_error *err)
{
    int rc = check_options(model, options, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_engine_session *s = calloc(1, sizeof *s);
    if (!s) {
        return il_fail(err, IL_E_NOMEM, "no memory for a session handle");
    }
    s->model = model;
    s->options = *options;
    layout(s, &s->region);
    rc = il__region_map(&s->region, model->pages, "cache and buffers of a session", err);
    if (rc != IL_OK) {
        free(s);
        return rc;
    }
    layout(s, &s->region);
    il__region_touch(&s->region);
    if (s->cos_t) {
        il__rope_tables(&model->graph.shape, model->graph.rope_factors, false,
                        options->max_context_tok, s->cos_t, s->sin_t);
    }
    if (s->local_cos_t) {
        il__rope_tables(&model->graph.shape, NULL, true, options->max_context_tok, s->local_cos_t,
                        s->local_sin_t);
    }
    for (uint32_t i = 0; i < options->max_batch; i++) {
        s->ones[i] = 1;
    }
    *out = s;
    return IL_OK;
}

void il_engine_session_close(il_engine_session *session)
{
    if (session) {
        il__region_unmap(&session->region);
        free(session);
    }
}

void il_engine_reset(il_engine_session *session)
{
    memset(session->n_past, 0, session->options.max_batch * sizeof *session->n_past);
    session->batch = 0;
    session->n_logits_rows = 0;
}

static int check_context(const il_engine_session *s, uint32_t sequence, uint32_t length,
                         il_error *err)
{
    if ((uint64_t)s->n_past[sequence] + length <= s->options.max_context_tok) {
        return IL_OK;
    }
    (void)il_fail(err, IL_E_RANGE,
                  "sequence %u: %u tokens after %u are beyond the session's context of %u",
                  sequence, length, s->n_past[sequence], s->options.max_context_tok);
    il_error_hint(err, "open the session with a larger context (the model allows %u)",
                  s->model->graph.shape.n_positions);
    return IL_E_RANGE;
}

static int check_id(const il_engine_session *s, int32_t id, uint32_t sequence, uint64_t index,
                    il_error *err)
{
    uint32_t vocab = s->model->graph.shape.vocab_size;
    if (id >= 0 && (uint32_t)id < vocab) {
        return IL_OK;
    }
    return il_fail(err, IL_E_RANGE,
                   "sequence %u, token %llu: id %d is outside the vocabulary of %u", sequence,
                   (unsigned long long)index, id, vocab);
}

static int check_prompts(const il_engine_session *s, const int32_t *ids, const uint32_t *lengths,
                         uint32_t batch, il_error *err)
{
    if (batch < 1 || batch > s->options.max_batch) {
        return il_fail(err, IL_E_RANGE, "a batch of %u; the session takes 1 to %u", batch,
                       s->options.max_batch);
    }
    const int32_t *at = ids;
    for (uint32_t i = 0; i < batch; i++) {
        if (lengths[i] < 1 || lengths[i] > s->options.max_prompt_tok) {
            return il_fail(err, IL_E_RANGE,
                           "sequence %u: a prompt of %u tokens; the session takes "
                           "1 to %u",
                           i, lengths[i], s->options.max_prompt_tok);
        }
        int rc = check_context(s, i, lengths[i], err);
        for (uint32_t j = 0; j < lengths[i] && rc == IL_OK; j++) {
            rc = check_id(s, at[j], i, j, err);
        }
        if (rc != IL_OK) {
            return rc;
        }
        at += lengths[i];
    }
    return IL_OK;
}

int il_engine_prefill(il_engine_session *session, const int32_t *ids, const uint32_t *lengths,
                      uint32_t batch, il_error *err)
{
    int rc = check_prompts(session, ids, lengths, batch, err);
    if (rc == IL_OK) {
        session->batch = batch;
        il__forward(session, ids, lengths, batch, session->options.logits);
    }
    return rc;
}

int il_engine_decode(il_engine_session *session, const int32_t *ids, il_error *err)
{
    if (session->batch == 0) {
        return il_fail(err, IL_E_INVALID, "decode before any prefill");
    }
    for (uint32_t i = 0; i < session->batch; i++) {
        int rc = check_context(session, i, 1, err);
        if (rc == IL_OK) {
            rc = check_id(session, ids[i], i, session->n_past[i], err);
        }
        if (rc != IL_OK) {
            return rc;
        }
    }
    il__forward(session, ids, session->ones, session->batch, IL_ENGINE_LOGITS_LAST);
    return IL_OK;
}

const float *il_engine_logits(const il_engine_session *session, uint32_t *n_rows)
{
    *n_rows = session->n_logits_rows;
    return session->slots[IL__SLOT_LOGITS];
}

int il_engine_argmax(const il_engine_session *session, int32_t *ids_out, il_error *err)
{
    const il_engine_model *model = session->model;
    uint32_t vocab = model->graph.shape.vocab_size;
    if (session->batch == 0) {
        return il_fail(err, IL_E_INVALID, "argmax before any prefill");
    }
    for (uint32_t i = 0; i < session->batch; i++) {
        const float *row = session->slots[IL__SLOT_LOGITS] + (size_t)session->last_row[i] * vocab;
        bool finite = false;
        ids_out[i] = (int32_t)model->rows->argmax(row, vocab, &finite);
        if (!finite) {
            (void)il_fail(err, IL_E_NONFINITE, "sequence %u, position %u: a logit is not finite", i,
                          session->n_past[i] - 1);
            il_error_hint(err, "look for NaN or infinite weights in the checkpoint");
            return IL_E_NONFINITE;
        }
    }
    return IL_OK;
}
