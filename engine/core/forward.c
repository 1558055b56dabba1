/* SPDX-License-Identifier: Apache-2.0
 *
 * The executor: walks the operation list over chunks of rows. Work too small to share runs on the
 * calling thread alone, since waking or even signalling a helper costs more than it saves.
 */
#include "engine/core/engine_internal.h"

#include <assert.h>
#include <string.h>

enum {
    /* A pass that reads fewer bytes of weights than this, and multiplies less, is the calling
     * thread's alone: a parked helper takes tens of microseconds to come. */
    SHARE_PASS_BYTES = 3 << 20,
    SHARE_PASS_MULTIPLY_ADDS = 8 << 20,
    /* Numbers a row operation must touch before it is shared: about two microseconds of work. */
    SHARE_FLOATS = 32768,
    /* Bytes of weights read once, or multiply-adds, before a linear layer is shared. */
    SHARE_WEIGHT_BYTES = 131072,
    SHARE_MULTIPLY_ADDS = 524288,
    /* Multiply-adds of attention before it is shared. */
    SHARE_ATTENTION = 32768,
};

/* --- row operations -----------------------------------------------------------------------------
 */

static void embed_rows(const il__pass *p, uint32_t from, uint32_t to)
{
    const il_engine_session *s = p->s;
    const il__graph *graph = &s->model->graph;
    const il_row_kernels *k = s->model->rows;
    uint32_t d = graph->shape.d_model;
    for (uint32_t r = from; r < to; r++) {
        float *x = il__slot_row(s, IL__SLOT_X, r);
        il__embedding_row(graph, (uint32_t)p->ids[r], x);
        if (graph->shape.embed_scale != 1.0) {
            k->scale(x, (float)graph->shape.embed_scale, d);
        }
        if (graph->position.data) {
            size_t at = (size_t)s->row_position[r] + graph->position_offset;
            k->add(x, graph->position.data + at * d, d, x);
        }
    }
}

static void norm_rows(const il__pass *p, uint32_t from, uint32_t to)
{
    const il_engine_session *s = p->s;
    const il_row_kernels *k = s->model->rows;
    const il_shape *shape = &s->model->graph.shape;
    const il__op *op = p->op;
    uint32_t n = (uint32_t)op->weight.n;
    bool adds_one = shape->norm == IL_NORM_RMS_PLUS_ONE && !s->model->graph.norms_whole;
    float plus = adds_one ? 1.0F : 0.0F;
    for (uint32_t i = from * op->n_vectors; i < to * op->n_vectors; i++) {
        size_t column = op->offset + (size_t)(i % op->n_vectors) * n;
        const float *x = il__slot_row(s, op->src, i / op->n_vectors) + column;
        float *y = il__slot_row(s, op->dst, i / op->n_vectors) + column;
        if (shape->norm == IL_NORM_LAYER) {
            k->layer_norm(x, op->weight.data, op->bias.data, shape->norm_eps, n, y);
        } else {
            k->rms_norm(x, op->weight.data, shape->norm_eps, plus, n, y);
        }
    }
}

static void rope_rows(const il__pass *p, uint32_t from, uint32_t to)
{
    const il_engine_session *s = p->s;
    const il_row_kernels *k = s->model->rows;
    const il_shape *shape = &s->model->graph.shape;
    size_t half = shape->rope_dims / 2;
    bool local = s->local_cos_t && il__window_of(shape, p->op->layer) > 0;
    const float *cos_t = local ? s->local_cos_t : s->cos_t;
    const float *sin_t = local ? s->local_sin_t : s->sin_t;
    for (uint32_t r = from; r < to; r++) {
        size_t at = s->row_position[r] * half;
        /* Keys follow queries in the row, so one call rotates both. */
        k->rope(il__slot_row(s, p->op->src, r), cos_t + at, sin_t + at,
                shape->n_head + shape->n_kv_head, shape->d_head, shape->rope_dims);
    }
}

static void cache_rows(const il__pass *p, uint32_t from, uint32_t to)
{
    const il_engine_session *s = p->s;
    const il_shape *shape = &s->model->graph.shape;
    uint32_t e = shape->d_head;
    size_t q_width = (size_t)shape->n_head * e;
    size_t kv_width = (size_t)shape->n_kv_head * e;
    for (uint32_t r = from; r < to; r++) {
        const float *key = il__slot_row(s, p->op->src, r) + q_width;
        const float *value = key + kv_width;
        size_t base = p->op->layer * s->layer_bytes + s->row_sequence[r] * s->sequence_bytes;
        for (uint32_t h = 0; h < shape->n_kv_head; h++) {
            size_t at = (size_t)s->row_position[r] * e;
            unsigned char *keys = s->keys + base + h * s->head_bytes;
            unsigned char *values = s->values + base + h * s->head_bytes;
            if (s->attention.kv_dtype == IL_DTYPE_F32) {
                memcpy((float *)(void *)keys + at, key + (size_t)h * e, e * sizeof(float));
                memcpy((float *)(void *)values + at, value + (size_t)h * e, e * sizeof(float));
            } else {
                s->model->rows->to_bf16(key + (size_t)h * e, (uint16_t *)(void *)keys + at, e);
                s->model->rows->to_bf16(value + (size_t)h * e, (uint16_t *)(void *)values + at, e);
            }
        }
    }
}

static void gate_rows(const il__pass *p, uint32_t from, uint32_t to)
{
    const il_engine_session *s = p->s;
    uint32_t f = s->model->graph.shape.d_ff;
    for (uint32_t r = from; r < to; r++) {
        const float *gate = il__slot_row(s, p->op->src, r);
        s->model->rows->gate(gate, gate + f, p->op->epilogue, f, il__slot_row(s, p->op->dst, r));
    }
}

static void add_rows(const il__pass *p, uint32_t from, uint32_t to)
{
    const il_engine_session *s = p->s;
    uint32_t d = s->model->graph.shape.d_model;
    for (uint32_t r = from; r < to; r++) {
        float *x = il__slot_row(s, p->op->dst, r);
        s->model->rows->add(x, il__slot_row(s, p->op->src, r), d, x);
    }
}

/* Which operations map each row by itself, and how. */
typedef void (*row_function)(const il__pass *p, uint32_t from, uint32_t to);

static row_function row_function_of(il__op_kind kind)
{
    switch (kind) {
    case IL__OP_EMBED:
        return embed_rows;
    case IL__OP_NORM:
        return norm_rows;
    case IL__OP_ROPE:
        return rope_rows;
    case IL__OP_CACHE:
        return cache_rows;
    case IL__OP_GATE:
        return gate_rows;
    case IL__OP_ADD:
        return add_rows;
    default:
        return NULL;
    }
}

static void rows_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    const il__pass *p = arg;
    uint32_t from = (uint32_t)((uint64_t)p->m * worker / n_workers);
    uint32_t to = (uint32_t)((uint64_t)p->m * (worker + 1) / n_workers);
    row_function_of(p->op->kind)(p, from, to);
}

void il__run_rows(il__pass *p)
{
    const il_engine_session *s = p->s;
    if (p->m > 1 && p->m * s->model->graph.slot_width[p->op->src] >= SHARE_FLOATS) {
        il_pool_run(p->pool, rows_task, p);
    } else {
        rows_task(p, 0, 1);
    }
}

/* --- linear layers ------------------------------------------------------------------------------
 */

static il_pool *linear_pool(const il__pass *p, const il_linear *linear)
{
    uint64_t weights = (uint64_t)linear->n_in * linear->n_out;
    bool share = il_linear_packed_bytes(linear) >= SHARE_WEIGHT_BYTES ||
                 weights * p->m >= SHARE_MULTIPLY_ADDS;
    return share ? p->pool : p->s->model->solo;
}

void il__run_linear(const il__pass *p)
{
    const il_engine_session *s = p->s;
    const il__op *op = p->op;
    uint32_t row = op->dst == IL__SLOT_LOGITS ? p->logits_row : 0;
    float *y = il__slot_row(s, op->dst, row);
    for (uint32_t i = 0; i < op->matrix->n_parts; i++) {
        const il_linear *part = &op->matrix->parts[i];
        il_linear_forward(part, s->slots[op->src], s->stride[op->src], y, s->stride[op->dst], p->m,
                          op->epilogue, s->linear_scratch, linear_pool(p, part));
        y += part->n_out;
    }
}

/* --- attention ----------------------------------------------------------------------------------
 */

static uint32_t unit_blocks(const il__segment *segment)
{
    return (segment->n_rows + IL__QUERY_BLOCK - 1) / IL__QUERY_BLOCK;
}

/* A unit is one block of queries of one segment for the heads [head0, head0 + heads_per_unit). */
static void attention_unit(const il__pass *p, const il__segment *segment, uint32_t unit,
                           void *scratch)
{
    const il_engine_session *s = p->s;
    uint32_t groups = p->attention.n_head / p->heads_per_unit;
    uint32_t head0 = unit % groups * p->heads_per_unit;
    uint32_t query0 = unit / groups * IL__QUERY_BLOCK;
    uint32_t n_query = segment->n_rows - query0;
    n_query = n_query < IL__QUERY_BLOCK ? n_query : IL__QUERY_BLOCK;
    size_t cache = p->op->layer * s->layer_bytes + segment->sequence * s->sequence_bytes;
    il_attention_forward(&p->attention, il__slot_row(s, p->op->src, segment->row0 + query0),
                         s->stride[p->op->src], s->keys + cache, s->values + cache,
                         segment->past + query0, 0, n_query, head0, p->heads_per_unit,
                         il__slot_row(s, p->op->dst, segment->row0 + query0), s->stride[p->op->dst],
                         scratch);
}

static void attention_task(void *arg, uint32_t worker, uint32_t n_workers)
{
    il__pass *p = arg;
    (void)n_workers;
    const il_engine_session *s = p->s;
    void *scratch = s->attention_scratch + worker * s->attention_scratch_stride;
    uint32_t i = 0;
    for (;;) {
        uint32_t unit = atomic_fetch_add_explicit(&p->next_unit, 1, memory_order_relaxed);
        if (unit >= p->n_units) {
            return;
        }
        while (i + 1 < p->n_segments && unit >= s->segments[i + 1].unit0) {
            i++;
        }
        attention_unit(p, &s->segments[i], unit - s->segments[i].unit0, scratch);
    }
}

static void run_attention(il__pass *p)
{
    il_engine_session *s = p->s;
    const il_shape *shape = &s->model->graph.shape;
    p->attention = s->attention;
    p->attention.window = il__window_of(shape, p->op->layer);
    uint32_t blocks = 0;
    uint64_t pairs = 0;
    for (uint32_t i = 0; i < p->n_segments; i++) {
        blocks += unit_blocks(&s->segments[i]);
        pairs += (uint64_t)s->segments[i].n_rows * (s->segments[i].past + s->segments[i].n_rows);
    }
    /* Query heads of one KV head share its keys, so they stay together unless that leaves too few
     * units to go round. */
    uint32_t per_kv = shape->n_head / shape->n_kv_head;
    bool few = blocks * shape->n_kv_head < 2 * il_pool_size(p->pool);
    p->heads_per_unit = few ? 1 : per_kv;
    uint32_t groups = shape->n_head / p->heads_per_unit;
    uint32_t unit = 0;
    for (uint32_t i = 0; i < p->n_segments; i++) {
        s->segments[i].unit0 = unit;
        unit += unit_blocks(&s->segments[i]) * groups;
    }
    p->n_units = unit;
    atomic_store_explicit(&p->next_unit, 0, memory_order_relaxed);
    if (pairs * shape->n_head * shape->d_head >= SHARE_ATTENTION && unit > 1) {
        il_pool_run(p->pool, attention_task, p);
    } else {
        attention_task(p, 0, 1);
    }
}

/* --- the list -----------------------------------------------------------------------------------
 */

/* Moves the rows whose logits are wanted to the front of the residual. */
static void select_rows(il__pass *p, uint32_t n_selected)
{
    const il_engine_session *s = p->s;
    for (uint32_t i = 0; i < n_selected; i++) {
        uint32_t row = s->selected[i];
        assert(row >= i);
        if (row != i) {
            memcpy(il__slot_row(s, IL__SLOT_X, i), il__slot_row(s, IL__SLOT_X, row),
                   s->stride[IL__SLOT_X] * sizeof(float));
        }
    }
    p->m = n_selected;
}

static void run_chunk(il__pass *p, uint32_t n_selected)
{
    const il__graph *graph = &p->s->model->graph;
    for (uint32_t i = 0; i < graph->n_ops; i++) {
        p->op = &graph->ops[i];
        switch (p->op->kind) {
        case IL__OP_LINEAR:
            il__run_linear(p);
            break;
        case IL__OP_ATTENTION:
            run_attention(p);
            break;
        case IL__OP_EXPERTS:
            il__run_experts(p);
            break;
        case IL__OP_SELECT:
            select_rows(p, n_selected);
            if (n_selected == 0) {
                return;
            }
            break;
        default:
            il__run_rows(p);
        }
    }
    p->logits_row += n_selected;
}

/* Describes rows [row, row + m) of the concatenated prompts: continues in `sequence` after `done`
 * of its rows. Returns how many rows want logits. */
static uint32_t plan_chunk(il__pass *p, uint32_t *sequence, uint32_t *done, const uint32_t *lengths,
                           il_engine_logits_at at)
{
    il_engine_session *s = p->s;
    uint32_t n_selected = 0;
    uint32_t row = 0;
    p->n_segments = 0;
    while (row < p->m) {
        uint32_t left = lengths[*sequence] - *done;
        uint32_t n = left < p->m - row ? left : p->m - row;
        il__segment *segment = &s->segments[p->n_segments++];
        *segment = (il__segment){
            .sequence = *sequence, .row0 = row, .n_rows = n, .past = s->n_past[*sequence]};
        for (uint32_t i = 0; i < n; i++) {
            bool last = i + 1 == left;
            s->row_sequence[row + i] = *sequence;
            s->row_position[row + i] = segment->past + i;
            if (last || at == IL_ENGINE_LOGITS_ALL) {
                s->last_row[*sequence] = p->logits_row + n_selected;
                s->selected[n_selected++] = row + i;
            }
        }
        s->n_past[*sequence] += n;
        *done += n;
        row += n;
        if (n == left) {
            *sequence += 1;
            *done = 0;
        }
    }
    return n_selected;
}

/* Enters a window of the pool that the pass is worth. */
static il_pool *enter_pool(const il_engine_model *model, uint64_t n_rows)
{
    bool share = model->pass_bytes >= SHARE_PASS_BYTES ||
                 model->graph.n_weights * n_rows >= SHARE_PASS_MULTIPLY_ADDS;
    il_pool *pool = share ? model->pool : model->solo;
    il_pool_enter(pool);
    il_pool_wake(pool);
    return pool;
}

void il__forward(il_engine_session *session, const int32_t *ids, const uint32_t *lengths,
                 uint32_t batch, il_engine_logits_at at)
{
    il__pass p = {.s = session, .ids = ids};
    uint64_t n_rows = 0;
    for (uint32_t i = 0; i < batch; i++) {
        n_rows += lengths[i];
    }
    uint32_t saved = il__flush_denormals();
    p.pool = enter_pool(session->model, n_rows);
    uint32_t sequence = 0;
    uint32_t done = 0;
    for (uint64_t row = 0; row < n_rows; row += p.m) {
        uint32_t n =
            n_rows - row < session->chunk_rows ? (uint32_t)(n_rows - row) : session->chunk_rows;
        p.m = n;
        p.ids = ids + row;
        uint32_t n_selected = plan_chunk(&p, &sequence, &done, lengths, at);
        run_chunk(&p, n_selected);
        p.m = n;
    }
    il_pool_leave(p.pool);
    il__restore_denormals(saved);
    session->n_logits_rows = p.logits_row;
}
