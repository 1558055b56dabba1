/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention with its cache: as GroupQueryAttention of ONNX Runtime, which appends to the cache,
 * masks, and may turn queries and keys, or in the operators of ONNX.
 */
#include "model/onnx_plan.h"

#include "model/rope.h"
#include "model/shape_pass.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { FULL = 0, SLIDING = 1 };

/* --- what all layers share ------------------------------------------------------------------- */

static const char *cast(il__onnx_build *b, const char *x, il__onnx_type type)
{
    return il__onnx_add(
        b->g,
        &(il__onnx_node){.type = "Cast", .in = {x}, .attrs = {{"to", 'i', .i = (int64_t)type}}});
}

static const char *dim_of_ids(il__onnx_build *b, int64_t axis)
{
    return il__onnx_add(
        b->g, &(il__onnx_node){.type = "Shape",
                               .in = {"input_ids"},
                               .attrs = {{"start", 'i', .i = axis}, {"end", 'i', .i = axis + 1}}});
}

static const char *unsqueeze(il__onnx_build *b, const char *x, const char *axes)
{
    return il__onnx_op2(b, "Unsqueeze", x, axes);
}

/* 0 where query position q sees key position k, q − window < k ≤ q, else the least number. */
static void build_mask(il__onnx_build *b, const char *queries, bool sliding)
{
    const char *zero = il__onnx_i64(b->g, "first_key", (int64_t[]){0}, 0);
    const char *one = il__onnx_i64(b->g, "key_step", (int64_t[]){1}, 0);
    const char *keys =
        il__onnx_add(b->g, &(il__onnx_node){.type = "Range", .in = {zero, b->total0, one}});
    const char *seen = il__onnx_op2(b, "LessOrEqual", keys, queries);
    double least = b->dtype == IL_DTYPE_F16 ? -65504 : -3e38;
    const char *no = il__onnx_const(b->g, "unseen", b->dtype, least);
    const char *yes = il__onnx_const(b->g, "seen", b->dtype, 0);
    b->mask[FULL] = il__onnx_add(b->g, &(il__onnx_node){.type = "Where", .in = {seen, yes, no}});
    if (sliding) {
        const char *window = il__onnx_i64(b->g, "window", (int64_t[]){b->s->sliding_window}, 1);
        const char *oldest = il__onnx_op2(b, "Sub", queries, window);
        const char *near = il__onnx_op2(b, "And", seen, il__onnx_op2(b, "Greater", keys, oldest));
        b->mask[SLIDING] =
            il__onnx_add(b->g, &(il__onnx_node){.type = "Where", .in = {near, yes, no}});
    }
}

/* Angles of the new positions: [seq, rope_dims/2]. */
static void build_angles(il__onnx_build *b, const char *positions, int kind)
{
    uint32_t half = b->s->rope_dims / 2;
    float *f = il_arena_array(b->g->arena, half, sizeof *f);
    if (!f) {
        b->g->rc = IL_E_NOMEM;
        return;
    }
    il_rope_frequencies(b->s, kind == SLIDING, f);
    const char *frequencies = il__onnx_add_tensor(
        b->g, &(il__onnx_tensor){.name = il__onnx_name(b->g, "rope_frequencies"),
                                 .type = IL__ONNX_FLOAT,
                                 .n_dims = 2,
                                 .dims = {1, half},
                                 .order = IL__ONNX_BYTES,
                                 .bytes = f});
    const char *angles = il__onnx_op2(b, "Mul", cast(b, positions, IL__ONNX_FLOAT), frequencies);
    const char *both[2] = {
        il__onnx_add(b->g, &(il__onnx_node){.type = "Cos", .in = {angles}}),
        il__onnx_add(b->g, &(il__onnx_node){.type = "Sin", .in = {angles}}),
    };
    double times = il_rope_magnitude(b->s, kind == SLIDING);
    for (int i = 0; i < 2; i++) {
        if (times != 1) {
            both[i] = il__onnx_op2(
                b, "Mul", both[i],
                il__onnx_const(b->g, il__onnx_name(b->g, "rope_magnitude"), IL_DTYPE_F32, times));
        }
        if (b->dtype != IL_DTYPE_F32) {
            both[i] = cast(b, both[i], il__onnx_type_of(b->dtype));
        }
    }
    b->cos[kind] = both[0];
    b->sin[kind] = both[1];
}

/* The same for every position the model knows, as GroupQueryAttention wants it. */
static void add_tables(il__onnx_build *b, int kind)
{
    il__onnx_tensor t = {.type = il__onnx_type_of(b->dtype),
                         .n_dims = 2,
                         .dims = {b->s->n_positions, b->s->rope_dims / 2},
                         .rope_local = kind == SLIDING};
    t.name = kind == SLIDING ? "rope_cos_local" : "rope_cos";
    t.order = IL__ONNX_ROPE_COS;
    b->cos[kind] = il__onnx_add_tensor(b->g, &t);
    t.name = kind == SLIDING ? "rope_sin_local" : "rope_sin";
    t.order = IL__ONNX_ROPE_SIN;
    b->sin[kind] = il__onnx_add_tensor(b->g, &t);
}

bool il__onnx_tables_pay(const il_shape *s)
{
    il_param_counts counts;
    uint64_t half = s->rope_dims / 2;
    uint64_t n = s->n_positions * half * (il_rope_has_local(s) ? 4 : 2);
    /* as GroupQueryAttention wants it; and no file whose tables outweigh its model */
    return s->position == IL_POSITION_ROPE && half % 8 == 0 && half > 0 &&
           il_shape_count(s, &counts, NULL) == IL_OK &&
           (n <= (UINT64_C(1) << 18) || n <= counts.total / 8);
}

static void build_positions(il__onnx_build *b, bool sliding)
{
    bool angles = b->s->position == IL_POSITION_ROPE && !b->rope_tables;
    if (b->contrib && !angles) {
        return;
    }
    const char *past0 = il__onnx_add(b->g, &(il__onnx_node){.type = "Squeeze", .in = {b->past1}});
    const char *one = il__onnx_i64(b->g, "position_step", (int64_t[]){1}, 0);
    const char *range =
        il__onnx_add(b->g, &(il__onnx_node){.type = "Range", .in = {past0, b->total0, one}});
    const char *positions = unsqueeze(b, range, b->axis1);
    if (!b->contrib) {
        build_mask(b, positions, sliding);
    }
    if (angles) {
        build_angles(b, positions, FULL);
        if (il_rope_has_local(b->s)) {
            build_angles(b, positions, SLIDING);
        }
    }
}

void il__onnx_build_shared(il__onnx_build *b)
{
    bool sliding = b->s->sliding_window > 0;
    il__onnx_graph *g = b->g;
    b->zero1 = il__onnx_i64(g, "axis_0", (int64_t[]){0}, 1);
    b->axis1 = il__onnx_i64(g, "axis_1", (int64_t[]){1}, 1);
    b->batch1 = dim_of_ids(b, 0);
    b->seq1 = dim_of_ids(b, 1);
    b->past1 = "past_length";
    b->total1 = il__onnx_op2(b, "Add", b->past1, b->seq1);
    b->total0 = il__onnx_add(g, &(il__onnx_node){.type = "Squeeze", .in = {b->total1}});
    if (b->contrib) {
        const char *last = il__onnx_op2(b, "Sub", b->total1, b->axis1 /* holds a 1 */);
        b->seqlens = cast(b, il__onnx_op2(b, "Expand", last, b->batch1), IL__ONNX_INT32);
        b->total32 = cast(b, b->total0, IL__ONNX_INT32);
    }
    if (b->rope_tables) {
        add_tables(b, FULL);
        if (il_rope_has_local(b->s)) {
            add_tables(b, SLIDING);
        }
    }
    build_positions(b, sliding);
}

/* --- a layer --------------------------------------------------------------------------------- */

static int rope_kind(const il__onnx_build *b)
{
    return il_rope_has_local(b->s) && il__layer_window(b->s, (uint32_t)b->layer) > 0 ? SLIDING
                                                                                     : FULL;
}

static void cache_name(const il__onnx_build *b, char *out, size_t n, const char *what,
                       const char *part)
{
    (void)snprintf(out, n, "%s.%" PRId32 ".%s", what, b->layer, part);
}

/* Values cut along the last axis into widths. */
static void split(il__onnx_build *b, const char *x, const int64_t *widths, uint32_t n,
                  const char **out)
{
    il__onnx_node node = {.type = "Split",
                          .in = {x, il__onnx_i64(b->g, il__onnx_name(b->g, "widths"), widths, n)},
                          .attrs = {{"axis", 'i', .i = -1}}};
    for (uint32_t i = 0; i < n; i++) {
        node.out[i] = out[i] = il__onnx_name(b->g, "part");
    }
    (void)il__onnx_add(b->g, &node);
}

/* [batch, seq, n·e] to [batch, seq, n, e] or back: 0 keeps a dim, −1 is what is left. */
static const char *reshape(il__onnx_build *b, const char *x, const int64_t *dims, uint32_t n)
{
    return il__onnx_op2(b, "Reshape", x, il__onnx_i64(b->g, il__onnx_name(b->g, "dims"), dims, n));
}

static const char *transpose_heads(il__onnx_build *b, const char *x)
{
    return il__onnx_add(b->g,
                        &(il__onnx_node){.type = "Transpose",
                                         .in = {x},
                                         .attrs = {{"perm", 'I', .ints = {0, 2, 1, 3}, .i = 4}}});
}

/* x of [batch, heads, seq, e]: pairs (i, i + half) turned by the angles. */
static const char *turn(il__onnx_build *b, const char *x)
{
    int64_t half = b->s->rope_dims / 2, rest = (int64_t)b->s->d_head - 2 * half;
    int64_t widths[] = {half, half, rest};
    const char *part[3] = {NULL};
    int kind = rope_kind(b);
    const char *c = b->cos[kind], *s = b->sin[kind];
    split(b, x, widths, rest > 0 ? 3 : 2, part);
    const char *low = il__onnx_op2(b, "Sub", il__onnx_op2(b, "Mul", part[0], c),
                                   il__onnx_op2(b, "Mul", part[1], s));
    const char *high = il__onnx_op2(b, "Add", il__onnx_op2(b, "Mul", part[1], c),
                                    il__onnx_op2(b, "Mul", part[0], s));
    return il__onnx_add(b->g, &(il__onnx_node){.type = "Concat",
                                               .in = {low, high, part[2]},
                                               .attrs = {{"axis", 'i', .i = -1}}});
}

/* Norms of the rows of q or k, of each head or of all together. */
static const char *head_norm(il__onnx_build *b, const char *x, const char *stem, uint32_t n_heads)
{
    if (b->s->qk_norm_full_row) {
        return il__onnx_norm(b, x, stem, b->layer);
    }
    const char *rows = reshape(b, x, (int64_t[]){0, 0, n_heads, b->s->d_head}, 4);
    rows = il__onnx_norm(b, rows, stem, b->layer);
    return reshape(b, rows, (int64_t[]){0, 0, (int64_t)n_heads * b->s->d_head}, 3);
}

/* [batch, seq, n·e] to [batch, n, seq, e]. */
static const char *by_head(il__onnx_build *b, const char *x, uint32_t n_heads)
{
    return transpose_heads(b, reshape(b, x, (int64_t[]){0, 0, n_heads, b->s->d_head}, 4));
}

/* As by_head turns it, angles applied, and back. */
static const char *turn_rows(il__onnx_build *b, const char *x, uint32_t n_heads)
{
    x = transpose_heads(b, turn(b, by_head(b, x, n_heads)));
    return reshape(b, x, (int64_t[]){0, 0, (int64_t)n_heads * b->s->d_head}, 3);
}

static const char *group_query(il__onnx_build *b, const char *const qkv[3])
{
    const il_shape *s = b->s;
    char past_k[64], past_v[64], k[64], v[64];
    cache_name(b, past_k, sizeof past_k, "past_key_values", "key");
    cache_name(b, past_v, sizeof past_v, "past_key_values", "value");
    cache_name(b, k, sizeof k, "present", "key");
    cache_name(b, v, sizeof v, "present", "value");
    uint32_t window = il__layer_window(s, (uint32_t)b->layer);
    int kind = rope_kind(b);
    il__onnx_node node = {
        .type = "GroupQueryAttention",
        .contrib = true,
        .in = {qkv[0], qkv[1], qkv[2], past_k, past_v, b->seqlens, b->total32,
               b->rope_tables ? b->cos[kind] : NULL, b->rope_tables ? b->sin[kind] : NULL},
        .out = {il__onnx_name(b->g, "mix"), k, v},
        .attrs = {{"num_heads", 'i', .i = s->n_head},
                  {"kv_num_heads", 'i', .i = s->n_kv_head},
                  {"scale", 'f', .f = s->attn_scale},
                  {"do_rotary", 'i', .i = b->rope_tables},
                  {"local_window_size", 'i', .i = window ? (int64_t)window : -1}}};
    return il__onnx_add(b->g, &node);
}

static const char *append(il__onnx_build *b, const char *new_rows, const char *part)
{
    char past[64], present[64];
    cache_name(b, past, sizeof past, "past_key_values", part);
    cache_name(b, present, sizeof present, "present", part);
    const char *out = il_arena_strdup(b->g->arena, present);
    if (!out) {
        b->g->rc = IL_E_NOMEM;
        return "";
    }
    return il__onnx_add(b->g, &(il__onnx_node){.type = "Concat",
                                               .in = {past, new_rows},
                                               .out = {out},
                                               .attrs = {{"axis", 'i', .i = 2}}});
}

/* Heads that share keys are rows of one matrix: [batch, kv, group·seq, e]. */
static const char *standard(il__onnx_build *b, const char *const qkv[3])
{
    const il_shape *s = b->s;
    int64_t h = s->n_head, n = s->n_kv_head, e = s->d_head;
    bool grouped = h != n;
    const char *q = by_head(b, qkv[0], s->n_head), *k = by_head(b, qkv[1], s->n_kv_head);
    if (s->position == IL_POSITION_ROPE) {
        q = turn(b, q);
        k = turn(b, k);
    }
    const char *keys = append(b, k, "key");
    const char *values = append(b, by_head(b, qkv[2], s->n_kv_head), "value");
    q = il__onnx_op2(b, "Mul", q,
                     il__onnx_const(b->g, il__onnx_name(b->g, "scale"), b->dtype, s->attn_scale));
    q = grouped ? reshape(b, q, (int64_t[]){0, n, -1, e}, 4) : q;
    const char *turned = il__onnx_add(
        b->g, &(il__onnx_node){.type = "Transpose",
                               .in = {keys},
                               .attrs = {{"perm", 'I', .ints = {0, 1, 3, 2}, .i = 4}}});
    const char *scores = il__onnx_op2(b, "MatMul", q, turned);
    if (grouped) {
        const char *dims = il__onnx_add(
            b->g, &(il__onnx_node){
                      .type = "Concat",
                      .in = {b->batch1,
                             il__onnx_i64(b->g, il__onnx_name(b->g, "heads"), (int64_t[]){h}, 1),
                             b->seq1, b->total1},
                      .attrs = {{"axis", 'i', .i = 0}}});
        scores = il__onnx_op2(b, "Reshape", scores, dims);
    }
    int kind = il__layer_window(s, (uint32_t)b->layer) > 0 ? SLIDING : FULL;
    const char *shares =
        il__onnx_add(b->g, &(il__onnx_node){.type = "Softmax",
                                            .in = {il__onnx_op2(b, "Add", scores, b->mask[kind])},
                                            .attrs = {{"axis", 'i', .i = -1}}});
    if (grouped) {
        const char *dims = il__onnx_add(
            b->g, &(il__onnx_node){.type = "Concat",
                                   .in = {b->batch1,
                                          il__onnx_i64(b->g, il__onnx_name(b->g, "groups"),
                                                       (int64_t[]){n, -1}, 2),
                                          b->total1},
                                   .attrs = {{"axis", 'i', .i = 0}}});
        shares = il__onnx_op2(b, "Reshape", shares, dims);
    }
    const char *mix = il__onnx_op2(b, "MatMul", shares, values);
    mix = grouped ? reshape(b, mix, (int64_t[]){0, h, -1, e}, 4) : mix;
    return reshape(b, transpose_heads(b, mix), (int64_t[]){0, 0, h * e}, 3);
}

const char *il__onnx_build_attention(il__onnx_build *b, const char *x)
{
    const il_shape *s = b->s;
    const il__onnx_stems *n = b->stems;
    const char *three[] = {n->q, n->k, n->v}, *qkv[3] = {NULL};
    const char *joined =
        n->qkv ? il__onnx_linear(b, x, &n->qkv, 1) : il__onnx_linear(b, x, three, 3);
    bool rope = s->position == IL_POSITION_ROPE;
    if (b->contrib && !s->qk_norm && (!rope || b->rope_tables)) {
        qkv[0] = joined;
        return group_query(b, qkv);
    }
    int64_t q = (int64_t)s->n_head * s->d_head, kv = (int64_t)s->n_kv_head * s->d_head;
    split(b, joined, (int64_t[]){q, kv, kv}, 3, qkv);
    if (s->qk_norm) {
        qkv[0] = head_norm(b, qkv[0], n->q_norm, s->n_head);
        qkv[1] = head_norm(b, qkv[1], n->k_norm, s->n_kv_head);
    }
    if (b->contrib && rope && !b->rope_tables) {
        qkv[0] = turn_rows(b, qkv[0], s->n_head);
        qkv[1] = turn_rows(b, qkv[1], s->n_kv_head);
    }
    return b->contrib ? group_query(b, qkv) : standard(b, qkv);
}
