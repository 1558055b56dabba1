/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/floor.h"

#include "model/ops.h"
#include "stats/order.h"

#include <stdlib.h>
#include <string.h>

/* Beyond this a larger buffer reads no slower: any two sizes above it are of one tier. */
#define ONE_TIER_BYTES 268435456.0

const il_plan_cell *il__plan_cell_of(const il__run *run, const il_cell *cell)
{
    const il_run_facts *facts = run->facts;
    bool known = cell->plan_cell >= 0 && (uint64_t)cell->plan_cell < facts->n_cells;
    return known ? &facts->cells[cell->plan_cell] : NULL;
}

/* --- ceilings --------------------------------------------------------------------------------- */

/* The most threads that a ceiling of the block was measured on. */
static double most_threads(const il_run_facts *facts, uint32_t block)
{
    double most = 0;
    for (size_t i = 0; i < facts->n_ceilings; i++) {
        most = facts->ceilings[i].block == block ? fmax(most, facts->ceilings[i].threads) : most;
    }
    return most;
}

/* A cell of no given number of threads runs on every core, as does the ceiling on most threads. */
static bool is_of(const il_ceiling *c, uint32_t block, bool is_read, double threads)
{
    return c->block == block && c->is_read == is_read &&
           (isnan(threads) || isnan(c->threads) || c->threads == threads);
}

/* Read bandwidth of a block in bytes per ms: on as many threads, of the working set nearest in
 * size. One twice as large may live in another cache, so NaN when the nearest is that far. */
static double read_rate(const il_run_facts *facts, uint32_t block, const il__work *w)
{
    const il_ceiling *best = NULL;
    double gap = INFINITY;
    double threads = !(w->threads > 0) ? most_threads(facts, block) : w->threads;
    for (size_t i = 0; i < facts->n_ceilings; i++) {
        const il_ceiling *c = &facts->ceilings[i];
        if (!is_of(c, block, true, threads)) {
            continue;
        }
        double its = fabs(log(fmin(c->working_set_bytes, ONE_TIER_BYTES) /
                              fmin(w->working_set_bytes, ONE_TIER_BYTES)));
        if (its < gap) {
            gap = its;
            best = c;
        }
    }
    return best && gap < log(2) ? best->median * 1e6 : NAN;
}

/* Multiply-add peak of a block in FLOP per ms on as many threads, of the dtype. */
static double flop_rate(const il_run_facts *facts, uint32_t block, const il__work *w)
{
    double threads = !(w->threads > 0) ? most_threads(facts, block) : w->threads;
    for (size_t i = 0; i < facts->n_ceilings; i++) {
        const il_ceiling *c = &facts->ceilings[i];
        if (is_of(c, block, false, threads) && strcmp(c->dtype, w->dtype) == 0) {
            return c->median * 1e6;
        }
    }
    return NAN;
}

/* --- work ------------------------------------------------------------------------------------- */

/* The operations of one pass from the shape; a decode step at the middle of the decode, whose bytes
 * and FLOPs are the mean over the steps where no window caps them. */
static int list_ops(const il_run_facts *facts, const il_plan_cell *p, bool prefill, il__work *out,
                    il_error *err)
{
    il_dtype dtype;
    if (p->model_at >= facts->n_models || !facts->models[p->model_at].has_shape ||
        !(p->seq_len >= 1) || !(p->batch_size >= 1) || il_dtype_parse(p->dtype, &dtype) != IL_OK) {
        return IL_OK; /* totals, then */
    }
    double middle = p->depth_tok + p->seq_len + (double)(p->gen_tokens / 2);
    double context = prefill ? p->depth_tok : middle;
    double n_tok = prefill ? p->seq_len : 1;
    il_pass pass = {.batch = (uint32_t)p->batch_size,
                    .n_tok = (uint32_t)n_tok,
                    .context_tok = (uint32_t)context,
                    .n_logits = prefill && p->logits_all ? (uint32_t)n_tok : 1,
                    .dtype = dtype,
                    .kv_dtype = dtype};
    int rc = il_shape_ops(&facts->models[p->model_at].shape, &pass, &out->ops, &out->n_ops, err);
    if (rc == IL_OK) {
        out->bytes = out->flops = 0;
    }
    for (size_t i = 0; i < out->n_ops; i++) {
        out->bytes += out->ops[i].weight_bytes + out->ops[i].kv_bytes;
        out->flops += out->ops[i].flops;
    }
    return rc;
}

int il__work_of(const il__run *run, const il_cell *cell, const char *mode, il__work *out,
                il_error *err)
{
    *out = (il__work){.bytes = NAN, .flops = NAN};
    const il_plan_cell *p = il__plan_cell_of(run, cell);
    bool prefill = strcmp(mode, "prefill") == 0;
    if (!p || (!prefill && strcmp(mode, "kv_decode") != 0)) {
        return IL_E_NOT_FOUND;
    }
    double steps = isnan(cell->decode_steps) ? (double)p->gen_tokens : cell->decode_steps;
    out->working_set_bytes = p->bytes_per_step;
    /* A prefill reads the weights once: without a shape, the bytes of a step are the nearest. */
    out->bytes = p->bytes_per_step;
    out->flops = prefill ? p->flops_prefill : p->flops_decode_step;
    out->n_passes = prefill ? 1 : steps;
    out->dtype = p->dtype;
    out->threads = p->threads;
    int rc = list_ops(run->facts, p, prefill, out, err);
    return rc == IL_OK && !(out->bytes > 0 && out->n_passes > 0) ? IL_E_NOT_FOUND : rc;
}

void il__work_free(il__work *work)
{
    free(work->ops);
    work->ops = NULL;
    work->n_ops = 0;
}

/* --- floor ------------------------------------------------------------------------------------ */

static const il__floor unknown = {NAN, NAN, NAN, NAN, NAN, NAN, 0, false};

/* Adds an operation. Without a peak the floor is that of memory alone. */
static void add_op(il__floor *f, double memory_ms, double compute_ms)
{
    f->floor_ms += fmax(memory_ms, compute_ms);
    f->memory_bound_ms += !(compute_ms > memory_ms) ? memory_ms : 0;
}

bool il__floor_of_block(const il__run *run, const il__work *w, uint32_t block, il__floor *out)
{
    double bytes_rate = read_rate(run->facts, block, w);
    double flops_rate = flop_rate(run->facts, block, w);
    il__floor f = {.memory_ms = w->n_passes * w->bytes / bytes_rate,
                   .compute_ms = w->n_passes * w->flops / flops_rate,
                   .read_gbps = bytes_rate / 1e6,
                   .working_set_bytes = w->working_set_bytes,
                   .n_blocks = 1};
    for (size_t i = 0; i < w->n_ops; i++) {
        const il_op *op = &w->ops[i];
        add_op(&f, w->n_passes * (op->weight_bytes + op->kv_bytes) / bytes_rate,
               w->n_passes * op->flops / flops_rate);
    }
    if (!w->ops) {
        add_op(&f, f.memory_ms, f.compute_ms);
    }
    f.memory_bound = 2 * f.memory_bound_ms >= f.floor_ms;
    bool known = !isnan(f.memory_ms) && f.floor_ms > 0 && isfinite(f.floor_ms);
    *out = known ? f : unknown;
    return known;
}

/* Block by block; parts are summed within each. */
static bool median_floor(const il__run *run, const il__work *works, size_t n_works, il__floor *out)
{
    enum { FLOOR, MEMORY, COMPUTE, BOUND, RATE, N_VALUES };
    const il_run_facts *facts = run->facts;
    double *values = malloc(N_VALUES * (facts->n_ceilings + 1) * sizeof *values);
    size_t stride = facts->n_ceilings + 1;
    size_t n = 0;
    for (size_t i = 0; values && i < facts->n_ceilings; i++) {
        uint32_t block = facts->ceilings[i].block;
        if (i > 0 && facts->ceilings[i - 1].block == block) {
            continue; /* the ceilings of a block stand together */
        }
        double sum[N_VALUES] = {0};
        bool known = true;
        for (size_t k = 0; k < n_works && known; k++) {
            il__floor f;
            known = il__floor_of_block(run, &works[k], block, &f);
            sum[FLOOR] += f.floor_ms;
            sum[MEMORY] += f.memory_ms;
            sum[COMPUTE] += f.compute_ms;
            sum[BOUND] += f.memory_bound_ms;
            sum[RATE] = f.read_gbps; /* both parts of a call live in one tier */
        }
        for (size_t v = 0; v < N_VALUES && known; v++) {
            values[v * stride + n] = sum[v];
        }
        n += known;
    }
    if (n > 0) {
        bool peaks = !isnan(values[COMPUTE * stride]);
        *out = (il__floor){il_median(values, n),
                           il_median(values + MEMORY * stride, n),
                           peaks ? il_median(values + COMPUTE * stride, n) : NAN,
                           il_median(values + BOUND * stride, n),
                           il_median(values + RATE * stride, n),
                           works[0].working_set_bytes,
                           n,
                           false};
        out->memory_bound = 2 * out->memory_bound_ms >= out->floor_ms;
    }
    free(values);
    return n > 0;
}

bool il__floor_of(const il__run *run, const il_cell *cell, il__floor *out)
{
    static const char *const parts[] = {"prefill", "kv_decode"};
    il__work works[2];
    size_t n = 0;
    bool whole = il__is_mode(run, cell, "e2e_kv");
    bool known = true;
    *out = unknown;
    for (size_t i = 0; i < 2 && known; i++) {
        if (whole || il__is_mode(run, cell, parts[i])) {
            known = il__work_of(run, cell, parts[i], &works[n++], NULL) == IL_OK;
        }
    }
    known = known && n > 0 && median_floor(run, works, n, out);
    for (size_t i = 0; i < n; i++) {
        il__work_free(&works[i]);
    }
    return known;
}
