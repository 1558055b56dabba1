/* SPDX-License-Identifier: Apache-2.0
 *
 * Layers of experts. The router's softmax chooses n_expert_used experts a row (the lower index wins
 * a tie); the rows of an expert are gathered, pass through its feed-forward together, and are added
 * to the residual with their weights. An expert nobody chose is not read.
 */
#include "engine/core/engine_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Softmax over all experts, then the largest; divided by their sum where the model says so. */
static void choose(const il_shape *shape, const float *logits, il__route *out)
{
    double most = (double)logits[0], total = 0, chosen = 0;
    for (uint32_t e = 1; e < shape->n_expert; e++) {
        most = fmax(most, (double)logits[e]);
    }
    for (uint32_t e = 0; e < shape->n_expert; e++) {
        total += exp((double)logits[e] - most);
    }
    uint32_t n = 0; /* chosen so far, largest first */
    for (uint32_t e = 0; e < shape->n_expert; e++) {
        uint32_t at = n;
        while (at > 0 && logits[out[at - 1].expert] < logits[e]) {
            at--;
        }
        if (at == shape->n_expert_used) {
            continue;
        }
        n += n < shape->n_expert_used;
        memmove(out + at + 1, out + at, (n - 1 - at) * sizeof *out);
        out[at].expert = e;
    }
    for (uint32_t i = 0; i < n; i++) {
        chosen += exp((double)logits[out[i].expert] - most);
    }
    for (uint32_t i = 0; i < n; i++) {
        double share = exp((double)logits[out[i].expert] - most);
        out[i].weight = (float)(share / (shape->norm_topk ? chosen : total));
    }
}

/* Routes of every row, and their indices sorted by expert (a counting sort: rows stay in order). */
static void route_rows(const il__pass *p)
{
    const il_engine_session *s = p->s;
    const il_shape *shape = &s->model->graph.shape;
    uint32_t used = shape->n_expert_used;
    uint32_t *first = s->first_routed;
    memset(first, 0, (shape->n_expert + (size_t)1) * sizeof *first);
    for (uint32_t r = 0; r < p->m; r++) {
        il__route *routes = s->routes + (size_t)r * used;
        choose(shape, il__slot_row(s, IL__SLOT_ROUTER, r), routes);
        for (uint32_t i = 0; i < used; i++) {
            first[routes[i].expert + 1]++;
        }
    }
    for (uint32_t e = 0; e < shape->n_expert; e++) {
        first[e + 1] += first[e];
    }
    /* Filled from the back, after which first[e + 1] is where expert e begins. */
    for (uint32_t i = p->m * used; i-- > 0;) {
        s->routed[--first[s->routes[i].expert + 1]] = i;
    }
    memmove(first, first + 1, shape->n_expert * sizeof *first);
    first[shape->n_expert] = p->m * used;
}

static void gather(const il__pass *p, const uint32_t *routed, uint32_t n)
{
    const il_engine_session *s = p->s;
    const il_shape *shape = &s->model->graph.shape;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(il__slot_row(s, IL__SLOT_EXPERT, i),
               il__slot_row(s, p->op->src, routed[i] / shape->n_expert_used),
               shape->d_model * sizeof(float));
    }
}

static void scatter(const il__pass *p, const uint32_t *routed, uint32_t n)
{
    const il_engine_session *s = p->s;
    const il_row_kernels *k = s->model->rows;
    const il_shape *shape = &s->model->graph.shape;
    for (uint32_t i = 0; i < n; i++) {
        float *y = il__slot_row(s, IL__SLOT_EXPERT, i);
        float *x = il__slot_row(s, p->op->dst, routed[i] / shape->n_expert_used);
        k->scale(y, s->routes[routed[i]].weight, shape->d_model);
        k->add(x, y, shape->d_model, x);
    }
}

static void run_expert(const il__pass *p, uint32_t e, const uint32_t *routed, uint32_t n)
{
    const il__expert *expert = &p->op->experts[e];
    const il__op ops[] = {
        {.kind = IL__OP_LINEAR, .src = IL__SLOT_EXPERT, .dst = IL__SLOT_FF, .matrix = expert->up},
        {.kind = IL__OP_GATE,
         .src = IL__SLOT_FF,
         .dst = IL__SLOT_GATED,
         .epilogue = p->op->epilogue},
        {.kind = IL__OP_LINEAR,
         .src = IL__SLOT_GATED,
         .dst = IL__SLOT_EXPERT,
         .matrix = expert->down},
    };
    il__pass sub = {.s = p->s, .m = n, .pool = p->pool};
    gather(p, routed, n);
    sub.op = &ops[0];
    il__run_linear(&sub);
    sub.op = &ops[1];
    il__run_rows(&sub);
    sub.op = &ops[2];
    il__run_linear(&sub);
    scatter(p, routed, n);
}

void il__run_experts(il__pass *p)
{
    const il_engine_session *s = p->s;
    route_rows(p);
    for (uint32_t e = 0; e < s->model->graph.shape.n_expert; e++) {
        uint32_t from = s->first_routed[e], to = s->first_routed[e + 1];
        assert(from <= to && to - from <= p->m);
        if (to > from) {
            run_expert(p, e, s->routed + from, to - from);
        }
    }
}
