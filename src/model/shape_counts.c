/* SPDX-License-Identifier: Apache-2.0
 *
 * What a shape costs: parameters counted four ways, bytes of a decode step, FLOPs of a pass. All of
 * it is summed over the list of stored tensors, so that counts and checkpoints cannot disagree.
 */
#include "model/shape.h"

#include "base/checked.h"
#include "model/shape_pass.h"

typedef struct tally {
    const il_shape *shape;
    uint64_t total, embedding, position, head; /* elements */
    uint64_t idle;                             /* of experts a token is not routed to */
    uint64_t multiply; /* elements of matrices one token multiplies with, without the head */
    bool overflow;
} tally;

static int add(const il_tensor_info *info, void *user)
{
    tally *t = user;
    const il_shape *s = t->shape;
    uint64_t n = 1, idle = 0;
    for (uint32_t i = 0; i < info->n_dims; i++) {
        if (!il_mul_u64(n, info->dims[i], &n)) {
            t->overflow = true;
            return 1;
        }
    }
    if (!il_add_u64(t->total, n, &t->total)) {
        t->overflow = true;
        return 1;
    }
    bool fused = (info->role == IL_ROLE_LINEAR && info->n_dims == 3) ||
                 (info->role == IL_ROLE_LINEAR_BIAS && info->n_dims == 2);
    if (fused) {
        idle = n / s->n_expert * (s->n_expert - s->n_expert_used);
    } else if (info->expert >= 0 && (uint32_t)info->expert >= s->n_expert_used) {
        idle = n;
    }
    t->idle += idle;
    switch (info->role) {
    case IL_ROLE_EMBEDDING:
        t->embedding += n;
        break;
    case IL_ROLE_POSITION:
        t->position += n;
        break;
    case IL_ROLE_HEAD:
        t->head += n;
        break;
    case IL_ROLE_LINEAR:
        t->multiply += n - idle;
        break;
    default:
        break;
    }
    return 0;
}

static tally count(const il_shape *shape)
{
    tally t = {.shape = shape};
    (void)il_shape_each_tensor(shape, add, &t);
    return t;
}

int il_shape_count(const il_shape *shape, il_param_counts *out, il_error *err)
{
    tally t = count(shape);
    /* Bytes and FLOPs are multiples of the count: leave them room. */
    if (t.overflow || t.total > UINT64_MAX >> 8) {
        return il_fail(err, IL_E_RANGE, "the shape has more parameters than can be counted");
    }
    uint64_t d = shape->d_model;
    out->total = t.total;
    out->non_embedding = t.total - t.embedding - t.position - t.head;
    out->active = t.total - t.idle;
    out->read_per_step =
        out->non_embedding - t.idle + (uint64_t)shape->vocab_size * d + d + (t.position ? d : 0);
    return IL_OK;
}

uint64_t il_shape_kv_bytes_per_token(const il_shape *shape, il_dtype kv_dtype)
{
    return 2ull * shape->n_layer * shape->n_kv_head * shape->d_head * il_dtype_bytes(kv_dtype);
}

uint64_t il_shape_bytes_per_step(const il_shape *shape, il_dtype dtype, il_dtype kv_dtype,
                                 uint32_t batch, uint32_t context_tok)
{
    il_param_counts counts;
    if (il_shape_count(shape, &counts, NULL) != IL_OK) {
        return 0;
    }
    double positions = 0; /* of the cache, read or written, summed over layers */
    for (uint32_t i = 0; i < shape->n_layer; i++) {
        positions += il__cached(context_tok, 1, il__layer_window(shape, i));
    }
    uint64_t position_bytes = 2ull * shape->n_kv_head * shape->d_head * il_dtype_bytes(kv_dtype);
    /* The count holds one token's rows of the tables; every further sequence feeds its own. */
    uint64_t tables = shape->position == IL_POSITION_ROPE ? 1 : 2;
    uint64_t rows = (batch ? batch - 1 : 0) * tables * shape->d_model;
    return (counts.read_per_step + rows) * il_dtype_bytes(dtype) +
           batch * (uint64_t)positions * position_bytes;
}

double il_shape_flops(const il_shape *shape, uint32_t batch, uint32_t n_tok, uint32_t context_tok,
                      uint32_t n_logits)
{
    tally t = count(shape);
    double attention = 0;
    for (uint32_t i = 0; i < shape->n_layer; i++) {
        attention += il__attended(context_tok, n_tok, il__layer_window(shape, i));
    }
    attention *= 4.0 * shape->n_head * shape->d_head;
    double weights = 2.0 * (double)t.multiply * n_tok;
    double head = 2.0 * shape->vocab_size * (double)shape->d_model * n_logits;
    return batch * (weights + head + attention);
}
