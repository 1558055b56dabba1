/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Ratios of two selections of rows, pair by pair of cells and block by block: tests ratio and
 * share.
 */
#include "analysis/claims_internal.h"

#include "stats/dist.h"
#include "stats/order.h"

#include <stdlib.h>
#include <string.h>

/* Pairs beyond this take a test that names fewer of them. */
enum { MOST_PAIRS = 1 << 20, LEAST_MODELS_TO_SPREAD = 3 };

typedef struct pair {
    const il__claim_cell *a, *b; /* b NULL: held against a number */
    size_t first, n;             /* of its effects */
    size_t group;                /* model of a */
} pair;

typedef struct pairs {
    pair *items;
    size_t n;
    il_vector effects; /* il__claim_value: id, log ratio */
    bool summary;
    size_t n_models;
} pairs;

/* --- pairing ------------------------------------------------------------------------------------
 */

static bool is_pair(const il_claim *c, const il_cell *a, const il_cell *b)
{
    return a != NULL && (c->differs.backend || a->backend == b->backend) &&
           (c->differs.model || a->model == b->model) &&
           (c->differs.scenario || a->scenario == b->scenario) &&
           (c->differs.mode || a->mode == b->mode) &&
           (c->differs.batch_size || a->batch_size == b->batch_size) && (a != b || c->differs.rows);
}

static int by_id(const void *pa, const void *pb)
{
    const il__claim_value *a = pa, *b = pb;
    int order = (a->id > b->id) - (a->id < b->id);
    return order ? order : (a->ln > b->ln) - (a->ln < b->ln);
}

/* The effects of one pair: one a common replicate, or one of the medians where none is common. */
static int add_pair(const il__run *run, const il__claim_rows *ra, const il__claim_cell *a,
                    const il__claim_rows *rb, const il__claim_cell *b, pairs *out, il_error *err)
{
    size_t first = out->effects.count;
    const il__claim_value *va = il__claim_values(ra, a);
    const il__claim_value *vb = b ? il__claim_values(rb, b) : NULL;
    int rc = il_vector_resize(&out->effects, run->out_dir, first + a->n, err);
    if (rc != IL_OK) {
        return rc;
    }
    il__claim_value *effects = (il__claim_value *)out->effects.data + first;
    size_t n = 0;
    for (size_t i = 0, k = 0; i < a->n; i++) {
        while (b && k < b->n && vb[k].id < va[i].id) {
            k++;
        }
        if (!b) {
            effects[n++] = va[i];
        } else if (k < b->n && vb[k].id == va[i].id) {
            effects[n++] = (il__claim_value){va[i].id, va[i].ln - vb[k].ln};
        }
    }
    if (n == 0) {
        effects[n++] = (il__claim_value){0, a->ln - (b ? b->ln : 0)};
    }
    out->summary &= n == 1;
    out->items[out->n++] = (pair){a, b, first, n, a->group};
    return il_vector_resize(&out->effects, run->out_dir, first + n, err);
}

static int pair_up(const il__run *run, const il_claim *c, const il__claim_rows *ra,
                   const il__claim_rows *rb, pairs *out, il_error *err)
{
    size_t most = ra->n * (c->has_versus ? rb->n : 1);
    *out = (pairs){.summary = true, .n_models = ra->n_models};
    il_vector_init(&out->effects, sizeof(il__claim_value));
    out->items = malloc(((most < MOST_PAIRS ? most : MOST_PAIRS) + 1) * sizeof *out->items);
    int rc = out->items ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory to pair %zu cells", ra->n);
    for (size_t i = 0; rc == IL_OK && i < ra->n; i++) {
        const il__claim_cell *a = &ra->items[i];
        for (size_t k = 0; rc == IL_OK && c->has_versus && k < rb->n; k++) {
            const il__claim_cell *b = &rb->items[k];
            if (is_pair(c, a->cell, b->cell) && out->n < MOST_PAIRS) {
                rc = add_pair(run, ra, a, rb, b, out, err);
            }
        }
        if (rc == IL_OK && !c->has_versus) {
            rc = add_pair(run, ra, a, NULL, NULL, out, err);
        }
    }
    return rc;
}

static void pairs_free(pairs *p)
{
    free(p->items);
    il_vector_free(&p->effects);
}

/* --- the mean over pairs ------------------------------------------------------------------------
 */

/* What a mean leaves out: nothing, one block or one model. */
typedef struct left_out {
    double block; /* NaN: none */
    size_t model; /* SIZE_MAX: none */
} left_out;

static const left_out nothing = {NAN, SIZE_MAX};

/* Means over the pairs, of each block that every pair has; of each model where nothing was
 * repeated. Returns how many, in `means`, by block in `ids`. */
static size_t means_of(const pairs *p, left_out out, il__claim_value *scratch, double *means,
                       double *ids)
{
    const il__claim_value *effects = p->effects.data;
    size_t n_pairs = 0, n = 0;
    for (size_t i = 0; i < p->n; i++) {
        const pair *one = &p->items[i];
        if (one->group == out.model) {
            continue;
        }
        n_pairs++;
        for (size_t k = 0; k < one->n; k++) {
            if (effects[one->first + k].id != out.block) {
                scratch[n].ln = effects[one->first + k].ln;
                scratch[n++].id = p->summary ? (double)one->group : effects[one->first + k].id;
            }
        }
    }
    if (n > 1) {
        il_sort_records(scratch, n, sizeof *scratch, by_id);
    }
    size_t n_means = 0;
    for (size_t i = 0; i < n;) {
        double sum = 0;
        size_t end = i;
        for (; end < n && scratch[end].id == scratch[i].id; end++) {
            sum += scratch[end].ln;
        }
        if (p->summary || end - i == n_pairs) {
            ids[n_means] = scratch[i].id;
            means[n_means++] = sum / (double)(end - i);
        }
        i = end;
    }
    return n_means;
}

static void judge_means(const il_claim *c, const double *means, size_t n, il__effect *e)
{
    double se = n > 1 ? il_sd(means, n) / sqrt((double)n) : NAN;
    il__effect_judge(e, c->direction, il_mean(means, n), se, n > 1 ? (double)(n - 1) : NAN);
}

/* Whether the effect stands without each block and without each model; says which not. */
static void stress(const il__run *run, const il_claim *c, const pairs *p, const double *ids,
                   size_t n_ids, il__claim_value *scratch, double *means, double *spare,
                   il__effect *e)
{
    for (size_t i = 0; i < n_ids && !p->summary && !e->fragile[0]; i++) {
        il__effect without = *e;
        left_out out = {ids[i], SIZE_MAX};
        judge_means(c, means, means_of(p, out, scratch, means, spare), &without);
        if (without.state != IL__PREDICTED) {
            (void)snprintf(e->fragile, sizeof e->fragile, "block %g", ids[i]);
        }
    }
    for (size_t m = 0; m < p->n_models && p->n_models >= 3 && !e->fragile[0]; m++) {
        il__effect without = *e;
        left_out out = {NAN, m};
        size_t n = means_of(p, out, scratch, means, spare);
        judge_means(c, means, n, &without);
        if (n > 1 && without.state != IL__PREDICTED) {
            for (size_t i = 0; i < p->n; i++) {
                if (p->items[i].group == m) {
                    (void)snprintf(e->fragile, sizeof e->fragile, "%s",
                                   il__text(run, p->items[i].a->cell->model));
                }
            }
        }
    }
}

/* Dropping one of very many blocks cannot move a mean across a margin it is many errors away from:
 * beyond this many only the models are left out in turn. */
enum { MOST_BLOCKS_LEFT_OUT = 512 };

static int judge_mean(const il__run *run, const il_claim *c, const pairs *p, il__effect *e,
                      il_error *err)
{
    size_t n = p->effects.count + 1;
    il_vector values, numbers; /* as many as rows, perhaps: not on the heap */
    il_vector_init(&values, sizeof(il__claim_value));
    il_vector_init(&numbers, sizeof(double));
    int rc = il_vector_resize(&values, run->out_dir, n, err);
    rc = rc ? rc : il_vector_resize(&numbers, run->out_dir, 3 * n, err);
    if (rc != IL_OK) {
        il_vector_free(&values);
        il_vector_free(&numbers);
        return rc;
    }
    il__claim_value *scratch = values.data;
    double *means = numbers.data;
    double *ids = means + n, *spare = ids + n;
    size_t n_means = means_of(p, nothing, scratch, means, ids);
    e->n_blocks = p->summary ? 0 : n_means;
    if (p->summary && n_means < LEAST_MODELS_TO_SPREAD) {
        e->estimate = il_mean(means, n_means);
        il__effect_gate(e, "replicates", "the raw repetitions, or a run of ten blocks",
                        "one value a cell of %zu model%s: nothing says how far it would vary",
                        n_means, n_means == 1 ? "" : "s");
    } else if (!p->summary && n_means < IL__LEAST_BLOCKS) {
        e->estimate = n_means ? il_mean(means, n_means) : NAN;
        il__effect_gate(e, "blocks", "a run of ten blocks",
                        "%zu blocks that hold every pair, fewer than %d", n_means,
                        IL__LEAST_BLOCKS);
    } else {
        judge_means(c, means, n_means, e);
        if (e->state == IL__PREDICTED) {
            stress(run, c, p, ids, n_means > MOST_BLOCKS_LEFT_OUT ? 0 : n_means, scratch, means,
                   spare, e);
        }
    }
    il_vector_free(&values);
    il_vector_free(&numbers);
    return IL_OK;
}

/* --- every pair, any pair -----------------------------------------------------------------------
 */

/* One pair alone, its interval at 1 − 0.05/n_tests. */
static void judge_pair(const il_claim *c, const pairs *p, const pair *one, double skip,
                       size_t n_tests, double *scratch, il__effect *e)
{
    const il__claim_value *effects = (const il__claim_value *)p->effects.data + one->first;
    size_t n = 0;
    for (size_t i = 0; i < one->n; i++) {
        if (effects[i].id != skip) {
            scratch[n++] = effects[i].ln;
        }
    }
    double dof = (double)n - 1;
    double se = n > 1 ? il_sd(scratch, n) / sqrt((double)n) : NAN;
    /* Wider by the ratio of the quantiles: the judge takes 95 %. */
    double wide = n_tests > 1 && n > 1
                      ? il_t_quantile(1 - 0.025 / (double)n_tests, dof) / il_t_quantile(0.975, dof)
                      : 1;
    il__effect_judge(e, c->direction, il_mean(scratch, n), se * wide, dof);
}

/* `every`: predicted when each pair is at 95 %; the other way when one pair is, its interval as
 * wide as so many tests ask for. `any`: the reverse. The pair shown is the one that decides. */
static int judge_each(const il__run *run, const il_claim *c, const pairs *p, il__effect *e,
                      il_error *err)
{
    size_t most = 1;
    for (size_t i = 0; i < p->n; i++) {
        most = p->items[i].n > most ? p->items[i].n : most;
    }
    il_scratch memory;
    size_t n_opposite = 0, n_predicted = 0, least = SIZE_MAX;
    bool every = c->over == IL_CLAIM_every;
    const pair *shown = NULL;
    il__effect best = *e;
    int rc = il_scratch_take(&memory, run->out_dir, most, sizeof(double), err);
    if (rc != IL_OK) {
        return rc;
    }
    double *scratch = memory.data;
    for (size_t i = 0; i < p->n; i++) {
        il__effect one = *e, wide = *e;
        least = p->items[i].n < least ? p->items[i].n : least;
        if (p->items[i].n < 2) {
            continue;
        }
        judge_pair(c, p, &p->items[i], NAN, 1, scratch, &one);
        judge_pair(c, p, &p->items[i], NAN, p->n, scratch, &wide);
        bool predicted = (every ? &one : &wide)->state == IL__PREDICTED;
        il__claim_state s = (every ? &wide : &one)->state;
        n_predicted += predicted;
        n_opposite += s == IL__OPPOSITE || s == IL__INSIDE;
        il__effect *mine = every ? &one : &wide;
        /* every: the pair with the least room; any: the one with the most. */
        if (!shown || (every ? mine->p > best.p : mine->p < best.p)) {
            shown = &p->items[i];
            best = *mine;
        }
    }
    e->n_blocks = least == SIZE_MAX ? 0 : least;
    if (!shown || least < IL__LEAST_BLOCKS) {
        il__effect_gate(e, p->summary ? "replicates" : "blocks", "a run of ten blocks",
                        "a pair has %zu blocks, fewer than %d", e->n_blocks, IL__LEAST_BLOCKS);
        il_scratch_free(&memory);
        return IL_OK;
    }
    size_t n_blocks = e->n_blocks;
    *e = best;
    e->n_blocks = n_blocks;
    e->state = every ? (n_predicted == p->n ? IL__PREDICTED
                        : n_opposite > 0    ? IL__OPPOSITE
                                            : IL__UNDECIDED)
                     : (n_predicted > 0      ? IL__PREDICTED
                        : n_opposite == p->n ? IL__OPPOSITE
                                             : IL__UNDECIDED);
    const il__claim_value *effects = (const il__claim_value *)p->effects.data + shown->first;
    for (size_t k = 0; e->state == IL__PREDICTED && k < shown->n && !e->fragile[0] &&
                       shown->n <= MOST_BLOCKS_LEFT_OUT;
         k++) {
        il__effect without = *e;
        judge_pair(c, p, shown, effects[k].id, every ? 1 : p->n, scratch, &without);
        if (without.state != IL__PREDICTED) {
            (void)snprintf(e->fragile, sizeof e->fragile, "block %g", effects[k].id);
        }
    }
    (void)snprintf(
        e->because, sizeof e->because,
        "%zu of %zu pairs lie beyond the margin as claimed, %zu against it; shown: %s%s%s",
        n_predicted, p->n, n_opposite, il__text(run, shown->a->cell->model),
        shown->b && shown->b->cell->backend != shown->a->cell->backend ? " against " : ", ",
        shown->b && shown->b->cell->backend != shown->a->cell->backend
            ? il__text(run, shown->b->cell->backend)
            : il__text(run, shown->a->cell->scenario));
    if (e->state == IL__UNDECIDED) {
        char words[IL__CLAIM_WORDS];
        (void)snprintf(words, sizeof words, "%s", e->because);
        il__effect_gate(e, "interval", "more blocks, or cells that agree", "%s", words);
    }
    il_scratch_free(&memory);
    return IL_OK;
}

/* --- the claim ----------------------------------------------------------------------------------
 */

static void say_evidence(const il__run *run, const il_claim *c, const pairs *p, il__effect *e)
{
    const il_cell *a = p->items[0].a->cell;
    const il_cell *b = p->items[0].b ? p->items[0].b->cell : NULL;
    bool many_a = false, many_b = false;
    for (size_t i = 1; i < p->n; i++) {
        many_a |= p->items[i].a->cell->backend != a->backend;
        many_b |= b && p->items[i].b->cell->backend != b->backend;
    }
    int len = snprintf(e->evidence, sizeof e->evidence, "%s: backend=%s mode=%s",
                       c->a.warmup ? "warmup_effect.csv" : "medians.csv",
                       many_a ? "*" : il__text(run, a->backend), il__text(run, a->mode));
    if (b && len > 0 && (size_t)len < sizeof e->evidence) {
        (void)snprintf(e->evidence + len, sizeof e->evidence - (size_t)len,
                       " over backend=%s mode=%s; %zu pair%s of cells",
                       many_b ? "*" : il__text(run, b->backend), il__text(run, b->mode), p->n,
                       p->n == 1 ? "" : "s");
    } else if (len > 0 && (size_t)len < sizeof e->evidence) {
        (void)snprintf(e->evidence + len, sizeof e->evidence - (size_t)len, "; %zu cell%s", p->n,
                       p->n == 1 ? "" : "s");
    }
}

/* The margin: what the claim asks for, at least 2 %, at least what this run can tell apart. */
static int set_margin(const il__run *run, const il_claim *c, const il__claim_rows *a,
                      const il__claim_rows *b, il__effect *e, il_error *err)
{
    double na = NAN, nb = NAN;
    int rc = il__claims_noise(run, a, &na, err);
    rc = rc || !c->has_versus ? rc : il__claims_noise(run, b, &nb, err);
    double margin = fmax(0.02, fmax(na, nb));
    e->margin = log(1 + fmax(margin, c->margin)); /* fmax passes NaN over */
    return rc;
}

int il__effect_ratio(const il__run *run, const il_claim *c, il__effect *e, il_error *err)
{
    il__claim_rows a, b;
    pairs p = {0};
    il_vector_init(&p.effects, sizeof(il__claim_value));
    *e = (il__effect){.estimate = NAN, .low = NAN, .high = NAN, .p = NAN, .se = NAN};
    e->scale = c->test == IL_CLAIM_share ? IL__SCALE_SHARE : IL__SCALE_RATIO;
    e->null = c->test == IL_CLAIM_share ? log(c->than / (1 - c->than))
              : isnan(c->than)          ? 0
                                        : log(c->than);
    int rc = il__claim_rows_select(run, &c->a, &a, err);
    int rc_b = il__claim_rows_select(run, &c->b, &b, rc ? NULL : err);
    rc = rc ? rc : rc_b;
    rc = rc ? rc : set_margin(run, c, &a, &b, e, err);
    rc = rc ? rc : pair_up(run, c, &a, &b, &p, err);
    e->n_models = p.n ? a.n_models : 0;
    if (rc == IL_OK && p.n == 0) {
        il__effect_gate(e, "no_data",
                        c->decided_by ? c->decided_by : "a run with rows of both selections",
                        "no pair of cells: %zu of the claim's, %zu of those compared with", a.n,
                        c->has_versus ? b.n : 0);
    } else if (rc == IL_OK) {
        say_evidence(run, c, &p, e);
        rc = il__effect_row_gates(run, &a, e, err);
        rc = rc ? rc : il__effect_row_gates(run, &b, e, err);
        il__effect gated = *e;
        rc = rc                         ? rc
             : c->over == IL_CLAIM_mean ? judge_mean(run, c, &p, e, err)
                                        : judge_each(run, c, &p, e, err);
        if (gated.gate[0]) { /* the words of the gate stand */
            (void)memcpy(e->gate, gated.gate, sizeof e->gate);
            (void)memcpy(e->because, gated.because, sizeof e->because);
            (void)memcpy(e->decide, gated.decide, sizeof e->decide);
        }
    }
    pairs_free(&p);
    il__claim_rows_free(&a);
    il__claim_rows_free(&b);
    return rc;
}
