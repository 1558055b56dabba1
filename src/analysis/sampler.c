/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/sampler.h"

#include "base/arena.h"
#include "stats/order.h"
#include "stats/sampling.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFILL, KV_DECODE, N_MODES };
static const char *const modes[N_MODES] = {"prefill", "kv_decode"};

/* A group whose interval is at least this share of the widest gets a block in the same round: the
 * sentinel and the ceilings of a round are paid once. */
#define SHARE_OF_WIDEST 0.5

typedef struct sampler {
    il_sampler base;
    il_arena arena;
    il_sampler_setup setup;
    bool laws;
    double *times;   /* [cell][mode][block][rep], ms, NaN where nothing was measured */
    double *scratch; /* [max(blocks, repetitions)] */
    /* Of one judgement, by group. */
    double *wanted; /* how much the group's next block is worth, 0 = nothing */
    double *logs;   /* [n_groups · blocks] */
    double *x, *gain;
    size_t *first, *last, *half;
    uint32_t *members; /* groups of a law, then the order of groups */
} sampler;

static double *times_of(const sampler *s, uint32_t cell, int mode, uint32_t block)
{
    return s->times + (((size_t)cell * N_MODES + (size_t)mode) * s->setup.blocks + block) *
                          s->setup.repetitions;
}

static void observe(il_sampler *base, const il_sampler_call *call)
{
    sampler *s = (sampler *)base;
    if (call->cell < s->setup.n_cells && call->block < s->setup.blocks &&
        call->rep < s->setup.repetitions) {
        times_of(s, call->cell, PREFILL, call->block)[call->rep] = call->prefill_ms;
        times_of(s, call->cell, KV_DECODE, call->block)[call->rep] = call->decode_ms;
    }
}

/* NaN when the block holds no call of the cell. */
static double block_median(const sampler *s, uint32_t cell, int mode, uint32_t block)
{
    const double *times = times_of(s, cell, mode, block);
    size_t n = 0;
    for (uint32_t i = 0; i < s->setup.repetitions; i++) {
        if (times[i] > 0) {
            s->scratch[n++] = times[i];
        }
    }
    return n ? il_quantile_select(s->scratch, n, 0.5) : NAN;
}

/* --- one judgement ---------------------------------------------------------------------------- */

typedef struct judgement {
    il_sampler_step *step;
    size_t n_unmet, n_stuck;
    double widest; /* of those that are not met, stuck ones too; INFINITY while unknown */
    double widest_live;
} judgement;

/* A width that is not known yet is as wide as can be. */
static double comparable(double width)
{
    return isnan(width) ? INFINITY : width;
}

static void note(judgement *j, const il_sampling_view *view, const char *name, const char *mode)
{
    double width = comparable(view->half_width);
    if (j->step->widest[0] == '\0' || width > comparable(j->step->half_width)) {
        j->step->half_width = view->half_width;
        (void)snprintf(j->step->widest, sizeof j->step->widest, "%s %s", name, mode);
    }
    if (!view->met) {
        j->n_unmet++;
        j->n_stuck += view->stuck;
        if (!view->stuck && width > j->widest_live) {
            j->widest_live = width;
        }
    }
}

static int judge_cells(sampler *s, uint32_t blocks, judgement *j, il_error *err)
{
    int rc = IL_OK;
    for (uint32_t c = 0; c < s->setup.n_cells && rc == IL_OK; c++) {
        for (int mode = 0; mode < N_MODES && s->setup.cells[c].runs && rc == IL_OK; mode++) {
            il_sampling_view view;
            size_t n = 0;
            for (uint32_t b = 0; b < blocks; b++) {
                double median = block_median(s, c, mode, b);
                if (!isnan(median)) {
                    s->logs[n++] = median;
                }
            }
            if (n == 0) {
                continue; /* it fails in every block: another one would too */
            }
            rc = il_sampling_median(s->logs, n, s->setup.target, &view, err);
            note(j, &view, s->setup.cells[c].name, modes[mode]);
            double *wanted = &s->wanted[s->setup.cells[c].group];
            if (!view.met && !view.stuck && comparable(view.half_width) > *wanted) {
                *wanted = comparable(view.half_width);
            }
        }
    }
    return rc;
}

/* log10 of the group's time in a block, the mean over its cells; NaN when one of them is missing.
 */
static double group_log(const sampler *s, uint32_t group, int mode, uint32_t block)
{
    double sum = 0;
    size_t n = 0;
    for (uint32_t c = 0; c < s->setup.n_cells; c++) {
        if (s->setup.cells[c].group == group && s->setup.cells[c].runs) {
            sum += log10(block_median(s, c, mode, block));
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

/* Gathers the groups of a backend that have a size and two blocks. */
static size_t gather_law(sampler *s, uint32_t backend, int mode, uint32_t blocks)
{
    size_t n = 0;
    s->first[0] = 0;
    for (uint32_t g = 0; g < s->setup.n_groups; g++) {
        const il_sampler_group *group = &s->setup.groups[g];
        if (group->backend != backend || !(group->size > 0)) {
            continue;
        }
        size_t at = s->first[n];
        s->last[n] = s->half[n] = 0;
        for (uint32_t b = 0; b < blocks; b++) {
            double value = group_log(s, g, mode, b);
            if (!isnan(value)) {
                s->logs[at++] = value;
                s->last[n] += b + 1 < blocks;
                s->half[n] += b < blocks / 2;
            }
        }
        if (at >= s->first[n] + 2) {
            s->x[n] = log10(group->size);
            s->members[n] = g;
            s->first[++n] = at;
        }
    }
    return n;
}

static int judge_law(sampler *s, uint32_t backend, int mode, uint32_t blocks, judgement *j,
                     il_error *err)
{
    size_t n = gather_law(s, backend, mode, blocks);
    if (n < 3) {
        return IL_OK; /* the models that would make it a law failed */
    }
    il_sampling_line line = {n, s->x, s->logs, s->first};
    il_sampling_view view;
    int rc = il_sampling_slope(&line, s->last, s->half, s->setup.target, s->gain, &view, err);
    if (rc != IL_OK || isnan(view.half_width)) {
        return rc;
    }
    note(j, &view, s->setup.backends[backend], modes[mode]);
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        /* The variance that a second buys. */
        s->gain[i] /= s->setup.groups[s->members[i]].overhead_s + 1e-3;
        most = s->gain[i] > most ? s->gain[i] : most;
    }
    for (size_t i = 0; i < n && !view.met && !view.stuck && most > 0; i++) {
        double worth = s->gain[i] / most * view.half_width;
        double *wanted = &s->wanted[s->members[i]];
        *wanted = worth > *wanted ? worth : *wanted;
    }
    return rc;
}

static int judge(sampler *s, uint32_t blocks, judgement *j, il_error *err)
{
    int rc = IL_OK;
    memset(s->wanted, 0, s->setup.n_groups * sizeof *s->wanted);
    j->step->half_width = NAN;
    j->step->widest[0] = '\0';
    if (!s->laws) {
        return judge_cells(s, blocks, j, err);
    }
    for (uint32_t b = 0; b < s->setup.n_backends && rc == IL_OK; b++) {
        for (int mode = 0; mode < N_MODES && rc == IL_OK; mode++) {
            rc = judge_law(s, b, mode, blocks, j, err);
        }
    }
    return rc;
}

int il_sampler_judge(il_sampler *base, uint32_t blocks, il_sampler_step *out, bool *met,
                     il_error *err)
{
    *out = (il_sampler_step){.half_width = NAN};
    judgement j = {.step = out};
    int rc = judge((sampler *)base, blocks, &j, err);
    *met = rc == IL_OK && j.n_unmet == 0 && out->widest[0] != '\0';
    return rc;
}

/* --- where the next block goes ---------------------------------------------------------------- */

/* What one more block of the group takes, by its calls so far. */
static double group_seconds(const sampler *s, uint32_t group, uint32_t blocks)
{
    const il_sampler_group *g = &s->setup.groups[group];
    double ms = 0;
    for (uint32_t c = 0; c < s->setup.n_cells; c++) {
        double sum = 0;
        size_t n = 0;
        for (uint32_t b = 0; s->setup.cells[c].group == group && b < blocks; b++) {
            double both = block_median(s, c, PREFILL, b) + block_median(s, c, KV_DECODE, b);
            if (!isnan(both)) {
                sum += both;
                n++;
            }
        }
        ms += n ? sum / (double)n * g->calls : 0;
    }
    return ms / 1000 + g->overhead_s;
}

static const double *sort_by; /* qsort has no context argument in C17 */

static int by_wanted(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    int order = (sort_by[a] < sort_by[b]) - (sort_by[a] > sort_by[b]);
    return order ? order : (a > b) - (a < b);
}

/* The groups that are worth most, as many as fit; 0 when not even the first does. */
static uint32_t choose(sampler *s, uint32_t blocks, double left_s, bool *groups)
{
    uint32_t n = 0, chosen = 0;
    for (uint32_t g = 0; g < s->setup.n_groups; g++) {
        if (s->wanted[g] > 0) {
            s->members[n++] = g;
        }
    }
    sort_by = s->wanted;
    qsort(s->members, n, sizeof *s->members, by_wanted);
    double seconds = s->setup.block_s;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t g = s->members[i];
        double worth = s->wanted[g], best = s->wanted[s->members[0]];
        seconds += group_seconds(s, g, blocks);
        if (seconds > left_s || (isfinite(best) && worth < SHARE_OF_WIDEST * best)) {
            break;
        }
        groups[g] = true;
        chosen++;
    }
    return chosen;
}

static int next(il_sampler *base, uint32_t blocks, double left_s, bool *groups,
                il_sampler_step *out, il_error *err)
{
    sampler *s = (sampler *)base;
    *out = (il_sampler_step){.half_width = NAN};
    judgement j = {.step = out};
    blocks = blocks < s->setup.blocks ? blocks : s->setup.blocks;
    int rc = judge(s, blocks, &j, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (out->widest[0] == '\0') {
        out->reason = IL_SAMPLER_NOTHING;
    } else if (j.n_unmet == 0) {
        out->reason = IL_SAMPLER_TARGET;
    } else if (j.n_unmet == j.n_stuck) {
        out->reason = IL_SAMPLER_NOISE;
    } else if (blocks >= s->setup.blocks) {
        out->reason = IL_SAMPLER_BLOCKS;
    } else {
        out->reason = choose(s, blocks, left_s, groups) > 0 ? IL_SAMPLER_MORE : IL_SAMPLER_BUDGET;
    }
    return IL_OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void close_sampler(il_sampler *base)
{
    sampler *s = (sampler *)base;
    free(s->times);
    il_arena arena = s->arena;
    il_arena_free(&arena); /* holds s itself */
}

static const il_sampler_ops ops = {.observe = observe, .next = next, .close = close_sampler};

static bool any_law(const il_sampler_setup *setup)
{
    for (uint32_t b = 0; b < setup->n_backends; b++) {
        double sizes[3];
        size_t n = 0;
        for (uint32_t g = 0; g < setup->n_groups && n < 3; g++) {
            double size = setup->groups[g].size;
            bool fresh = setup->groups[g].backend == b && size > 0;
            for (size_t i = 0; i < n; i++) {
                fresh = fresh && sizes[i] != size;
            }
            if (fresh) {
                sizes[n++] = size;
            }
        }
        if (n == 3) {
            return true;
        }
    }
    return false;
}

static int allocate(sampler *s, il_error *err)
{
    const il_sampler_setup *p = &s->setup;
    size_t n_groups = (size_t)p->n_groups + 1, n_times;
    size_t n_scratch = p->blocks > p->repetitions ? p->blocks : p->repetitions;
    if (__builtin_mul_overflow((size_t)p->n_cells * N_MODES * p->blocks, p->repetitions,
                               &n_times) ||
        n_times > SIZE_MAX / 16) {
        return il_fail(err, IL_E_RANGE, "too many calls for a target");
    }
    s->times = malloc((n_times + 1) * sizeof *s->times);
    s->scratch = il_arena_array(&s->arena, n_scratch + 1, sizeof *s->scratch);
    s->wanted = il_arena_array(&s->arena, n_groups, sizeof *s->wanted);
    s->logs = il_arena_array(&s->arena, n_groups * p->blocks, sizeof *s->logs);
    s->x = il_arena_array(&s->arena, n_groups, sizeof *s->x);
    s->gain = il_arena_array(&s->arena, n_groups, sizeof *s->gain);
    s->first = il_arena_array(&s->arena, n_groups, sizeof *s->first);
    s->last = il_arena_array(&s->arena, n_groups, sizeof *s->last);
    s->half = il_arena_array(&s->arena, n_groups, sizeof *s->half);
    s->members = il_arena_array(&s->arena, n_groups, sizeof *s->members);
    if (!s->times || !s->scratch || !s->wanted || !s->logs || !s->x || !s->gain || !s->first ||
        !s->last || !s->half || !s->members) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n_times; i++) {
        s->times[i] = NAN;
    }
    return IL_OK;
}

int il_sampler_open(const il_sampler_setup *setup, il_sampler **out, il_error *err)
{
    bool laws = strcmp(setup->question, "laws") == 0;
    *out = NULL;
    if (laws && !any_law(setup)) {
        int rc = il_fail(err, IL_E_USAGE,
                         "question: laws, but no backend of the study has three "
                         "models of different known sizes");
        il_error_hint(err, "add models, or ask for cells");
        return rc;
    }
    il_arena arena = {0};
    sampler *s = il_arena_alloc(&arena, sizeof *s);
    if (!s) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    *s = (sampler){.base = {&ops}, .arena = arena, .setup = *setup, .laws = laws};
    int rc = allocate(s, err);
    if (rc != IL_OK) {
        close_sampler(&s->base);
        return rc;
    }
    *out = &s->base;
    return IL_OK;
}
