/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/study_sampler.h"

#include "analysis/sampler.h"

#include <math.h>

static int fill_cells(const il_plan *p, il_arena *arena, il_sampler_cell *cells,
                      il_sampler_group *groups, il_error *err)
{
    const il_study *s = p->study;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        const il_cell *c = &p->cells[i];
        const il_study_model *m = &s->models[c->model];
        cells[i] = (il_sampler_cell){.group = c->group, .runs = c->skip.code == IL_OK};
        cells[i].name = il_arena_printf(arena, "%s %s %s", s->backends[c->backend].name, m->name,
                                        s->scenarios[c->scenario].name);
        if (!cells[i].name) {
            return il_fail(err, IL_E_NOMEM, "out of memory");
        }
        groups[c->group] = (il_sampler_group){
            .backend = c->backend,
            .size = m->has_shape ? (double)m->counts.total : (double)NAN,
            .overhead_s = il_plan_load_estimate_ms(p, c->group) / 1000,
            .calls = il_plan_calls_per_block(p) + (p->closure ? 1 : 0),
        };
    }
    return IL_OK;
}

int il_study_sampler(const il_plan *p, il_arena *arena, il_sampler **out, il_error *err)
{
    *out = NULL;
    if (!p->sampling.adaptive) {
        return IL_OK;
    }
    const il_study *s = p->study;
    il_sampler_cell *cells = il_arena_array(arena, p->n_cells, sizeof *cells);
    il_sampler_group *groups = il_arena_array(arena, p->n_groups, sizeof *groups);
    const char **backends = il_arena_array(arena, s->n_backends, sizeof *backends);
    if (!cells || !groups || !backends) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < s->n_backends; i++) {
        backends[i] = s->backends[i].name;
    }
    int rc = fill_cells(p, arena, cells, groups, err);
    const il_sampler_setup setup = {
        .question = p->sampling.question,
        .target = p->sampling.target,
        .n_cells = p->n_cells,
        .n_groups = p->n_groups,
        .n_backends = (uint32_t)s->n_backends,
        .blocks = p->blocks,
        .repetitions = p->repetitions,
        .block_s = p->sentinel ? IL_PLAN_BLOCK_OVERHEAD_MS / 1000 : 0,
        .cells = cells,
        .groups = groups,
        .backends = backends,
    };
    return rc == IL_OK ? il_sampler_open(&setup, out, err) : rc;
}
