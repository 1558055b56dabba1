/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sampling.csv: how many blocks the run was given, why it ended there, and what a fixed design
 * would have taken (docs/sampling.md).
 */
#include "analysis/tables.h"

#include "analysis/sampler.h"
#include "base/arena.h"
#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"question",           "target",      "reached",
                                      "half_width_percent", "stop_reason", "blocks_least",
                                      "blocks_most",        "calls_made",  "calls_fixed_design",
                                      "saved_percent",      "extensions",  "widest"};

/* The sampler's view of the plan's cells: backends and (backend, model) groups numbered in the
 * order in which they come, as the driver does. */
typedef struct view {
    il_arena arena;
    il_sampler_cell *cells;
    il_sampler_group *groups;
    const char **backends;
    uint32_t n_groups, n_backends;
} view;

static uint32_t backend_number(view *v, const char *name)
{
    for (uint32_t i = 0; i < v->n_backends; i++) {
        if (strcmp(v->backends[i], name) == 0) {
            return i;
        }
    }
    v->backends[v->n_backends] = name;
    return v->n_backends++;
}

/* Cells of a group stand together in a plan. */
static int view_build(const il_run_facts *f, view *v, il_error *err)
{
    v->cells = il_arena_array(&v->arena, f->n_cells + 1, sizeof *v->cells);
    v->groups = il_arena_array(&v->arena, f->n_cells + 1, sizeof *v->groups);
    v->backends = il_arena_array(&v->arena, f->n_cells + 1, sizeof *v->backends);
    bool ok = v->cells && v->groups && v->backends;
    for (size_t i = 0; i < f->n_cells && ok; i++) {
        const il_plan_cell *c = &f->cells[i], *before = i > 0 ? c - 1 : NULL;
        if (!before || strcmp(before->backend, c->backend) != 0 ||
            strcmp(before->model, c->model) != 0) {
            v->groups[v->n_groups++] = (il_sampler_group){.backend = backend_number(v, c->backend),
                                                          .size = c->params_total};
        }
        v->cells[i] = (il_sampler_cell){.group = v->n_groups - 1, .runs = !c->skipped};
        v->cells[i].name =
            il_arena_printf(&v->arena, "%s %s %s", c->backend, c->model, c->scenario);
        ok = v->cells[i].name != NULL;
    }
    return ok ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for the cells of the plan");
}

/* Medians of each cell and block, in one pass: the calls come by cell, then block. */
static int observe_all(const il_run_facts *f, il_sampler *sampler, il_error *err)
{
    size_t most = (size_t)f->sampling.repetitions + 1;
    double *prefill = malloc(2 * most * sizeof *prefill);
    if (!prefill) {
        return il_fail(err, IL_E_NOMEM, "no memory for the calls of a block");
    }
    double *decode = prefill + most;
    for (size_t i = 0; i < f->n_calls;) {
        const il_block_call *first = &f->calls[i];
        size_t n = 0;
        for (; i < f->n_calls && f->calls[i].cell == first->cell &&
               f->calls[i].block == first->block && n < most;
             i++) {
            prefill[n] = f->calls[i].prefill_ms;
            decode[n++] = f->calls[i].e2e_ms - f->calls[i].prefill_ms;
        }
        const il_sampler_call call = {first->cell, first->block, 0,
                                      il_quantile_select(prefill, n, 0.5),
                                      il_quantile_select(decode, n, 0.5)};
        sampler->ops->observe(sampler, &call);
    }
    free(prefill);
    return IL_OK;
}

static int judge(const il_run_facts *f, il_sampler_step *step, bool *met, il_error *err)
{
    const il_run_sampling *s = &f->sampling;
    view v = {0};
    il_sampler *sampler = NULL;
    int rc = view_build(f, &v, err);
    const il_sampler_setup setup = {
        .question = s->adaptive ? s->question : "cells",
        .target = s->adaptive ? s->target : INFINITY,
        .n_cells = (uint32_t)f->n_cells,
        .n_groups = v.n_groups,
        .n_backends = v.n_backends,
        .blocks = (uint32_t)s->blocks_most,
        .repetitions = 1,
        .cells = v.cells,
        .groups = v.groups,
        .backends = v.backends,
    };
    rc = rc ? rc : il_sampler_open(&setup, &sampler, err);
    rc = rc ? rc : observe_all(f, sampler, err);
    rc = rc ? rc
            : il_sampler_judge(sampler, (uint32_t)(s->blocks_least + (int64_t)s->extensions), step,
                               met, err);
    if (sampler) {
        sampler->ops->close(sampler);
    }
    il_arena_free(&v.arena);
    return rc;
}

static void write_row(const il_run_sampling *s, const il_sampler_step *step, bool met,
                      il_csv_writer *out)
{
    il_csv_text(out, s->adaptive ? s->question : "cells");
    il_csv_f64(out, s->adaptive ? s->target : NAN);
    if (s->adaptive) {
        il_csv_bool(out, met);
    } else {
        il_csv_text(out, "");
    }
    il_csv_f64(out, 100 * step->half_width);
    il_csv_text(out, s->stop);
    il_csv_i64(out, s->blocks_least);
    il_csv_i64(out, s->blocks_most);
    il_csv_i64(out, (int64_t)s->calls_made);
    il_csv_i64(out, (int64_t)s->calls_fixed);
    il_csv_f64(out, s->adaptive && s->calls_fixed > 0
                        ? 100 * (1 - (double)s->calls_made / (double)s->calls_fixed)
                        : NAN);
    il_csv_i64(out, (int64_t)s->extensions);
    il_csv_text(out, step->widest);
    il_csv_end_row(out);
}

int il__write_sampling(const il__run *run, il_error *err)
{
    const il_run_facts *f = run->facts;
    il_csv_writer out;
    il_sampler_step step = {.half_width = NAN};
    bool met = false;
    int rc = il__table_open(run, "sampling.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc != IL_OK) {
        return rc;
    }
    /* One block is no sample of blocks. */
    if (f->sampling.known && f->sampling.blocks_most > 1) {
        rc = judge(f, &step, &met, err);
        if (rc == IL_OK) {
            write_row(&f->sampling, &step, met, &out);
        }
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    return rc;
}
