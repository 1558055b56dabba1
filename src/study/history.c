/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/history.h"

#include "base/text.h"
#include "study/ladder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int il_history_init(il_history *h, il_plan *p, uint32_t n_pairs, il_error *err)
{
    *h = (il_history){.plan = p, .n_pairs = n_pairs};
    if (p->n_calls > 200000000) {
        return il_fail(err, IL_E_RANGE, "%llu calls: more than one run can hold",
                       (unsigned long long)p->n_calls);
    }
    size_t n_first = (size_t)p->n_cells * p->repetitions;
    h->calls = il_arena_alloc(&h->arena, p->n_calls);
    h->parity = il_arena_alloc(&h->arena, p->n_groups);
    h->closures = il_arena_array(&h->arena, (size_t)p->n_cells * p->blocks, sizeof(bool));
    h->arms = il_arena_array(&h->arena, (size_t)p->blocks * n_pairs * 2, sizeof(uint32_t));
    h->sentinels = il_arena_array(&h->arena, p->blocks, sizeof(bool));
    h->ceilings = il_arena_array(&h->arena, p->blocks, sizeof(bool));
    h->cold_samples =
        p->study->has_cold_start ? (uint32_t)il_param_i64(&p->study->cold_start, IL_P_SAMPLES) : 0;
    h->colds = il_arena_array(&h->arena, (size_t)p->n_groups * 2 * h->cold_samples + 1, 1);
    h->energy_samples =
        p->study->has_energy ? (uint32_t)il_param_i64(&p->study->energy, IL_P_ENERGY_SAMPLES) : 0;
    h->energies = il_arena_array(&h->arena, (size_t)p->n_groups * h->energy_samples + 1, 1);
    h->first_e2e_ms = il_arena_array(&h->arena, n_first, sizeof(double));
    h->pair_cell = il_arena_array(&h->arena, n_pairs, sizeof(uint32_t));
    if (!h->calls || !h->parity || !h->closures || !h->arms || !h->sentinels || !h->ceilings ||
        !h->colds || !h->energies || !h->first_e2e_ms || !h->pair_cell) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < n_first; i++) {
        h->first_e2e_ms[i] = (double)NAN;
    }
    for (uint32_t i = 0; i < n_pairs; i++) {
        h->pair_cell[i] = UINT32_MAX;
    }
    return IL_OK;
}

void il_history_free(il_history *h)
{
    json_decref(h->plan_line);
    il_arena_free(&h->arena);
    *h = (il_history){0};
}

/* An integer key of a line below `limit`; false when it is not one. */
static bool get_below(const json_t *line, const char *key, uint64_t limit, uint64_t *out)
{
    const json_t *value = json_object_get(line, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) >= limit) {
        return false;
    }
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* The blocks that an earlier process added, and what it last decided. */
static void take_sampling(il_plan *p, const json_t *sampling)
{
    il_plan_sampling *s = &p->sampling;
    const json_t *list = json_object_get(sampling, "extensions");
    const char *stop = json_string_value(json_object_get(sampling, "stop"));
    const char *widest = json_string_value(json_object_get(sampling, "widest"));
    const json_t *width = json_object_get(sampling, "half_width");
    size_t i, k;
    const json_t *extension, *cell;
    if (!s->adaptive) {
        return;
    }
    json_array_foreach(list, i, extension)
    {
        uint64_t block, number;
        if (!get_below(extension, "block", p->blocks, &block) || block < s->least) {
            continue;
        }
        s->rounds = block + 1 > s->rounds ? (uint32_t)block + 1 : s->rounds;
        json_array_foreach(json_object_get(extension, "cells"), k, cell)
        {
            number = (uint64_t)json_integer_value(cell);
            if (number < p->n_cells) {
                s->extra[(size_t)block * p->n_groups + p->cells[number].group] = true;
            }
        }
    }
    (void)snprintf(s->stop, sizeof s->stop, "%s", stop ? stop : "");
    (void)snprintf(s->widest, sizeof s->widest, "%s", widest ? widest : "");
    s->half_width = json_is_number(width) ? json_number_value(width) : (double)NAN;
}

static int take_plan(il_history *h, json_t *line, il_error *err)
{
    const char *sha = json_string_value(json_object_get(line, "study_sha256"));
    if (!sha || strcmp(sha, h->plan->study_sha256) != 0) {
        int rc = il_fail(err, IL_E_USAGE, "this run was begun with another study, or other flags");
        il_error_hint(err, "resume with the study file and flags of its manifest.json (argv, "
                           "config_path), or begin a new run");
        return rc;
    }
    const char *id = json_string_value(json_object_get(line, "run_id"));
    (void)snprintf(h->run_id, sizeof h->run_id, "%s", id ? id : "");
    json_decref(h->plan_line);
    h->plan_line = json_incref(line);
    take_sampling(h->plan, json_object_get(line, "sampling"));
    return IL_OK;
}

static json_int_t stamp(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

static void take_call(il_history *h, const json_t *line, bool failure)
{
    const il_plan *p = h->plan;
    uint64_t idx;
    if (!get_below(line, "call_idx", p->n_calls, &idx)) {
        return;
    }
    const char *status = json_string_value(json_object_get(line, "status"));
    uint8_t state = IL_CALL_ERROR;
    if (status && strcmp(status, "skipped") == 0) {
        state = IL_CALL_SKIPPED;
    } else if (!failure && status) {
        state = strcmp(status, "ok") == 0 ? IL_CALL_OK : IL_CALL_FLAGGED;
    }
    h->calls[idx] = state;
    uint32_t per_block = il_plan_calls_per_block(p);
    uint32_t cell = (uint32_t)(idx / ((uint64_t)per_block * p->blocks));
    uint32_t block = (uint32_t)(idx / per_block % p->blocks), i = (uint32_t)(idx % per_block);
    const json_t *steps = json_object_get(line, "t_step_ns");
    size_t n_steps = json_array_size(steps);
    if (state != IL_CALL_OK || i < p->warmups || n_steps == 0) {
        return;
    }
    json_int_t t0 = stamp(line, "t0_ns"), first = stamp(line, "t_first_ns");
    json_int_t end = json_integer_value(json_array_get(steps, n_steps - 1));
    if (block == 0) {
        h->first_e2e_ms[(size_t)cell * p->repetitions + i - p->warmups] = (double)(end - t0) * 1e-6;
    }
    if (h->observer) {
        h->observer(h->user, cell, block, i - p->warmups, (double)(first - t0) * 1e-6,
                    (double)(end - first) * 1e-6);
    }
}

static void take_arm(il_history *h, const json_t *line)
{
    uint64_t block, pair, cell;
    const char *arm = json_string_value(json_object_get(line, "arm"));
    if (get_below(line, "block", h->plan->blocks, &block) &&
        get_below(line, "pair", h->n_pairs, &pair) &&
        get_below(line, "cell", h->plan->n_cells, &cell) && arm) {
        uint32_t *n = &h->arms[(block * h->n_pairs + pair) * 2 + (arm[0] == 'b')];
        uint64_t rep;
        if (!json_object_get(line, "rep")) {
            *n = h->plan->repetitions; /* the first versions made one call an arm */
        } else if (get_below(line, "rep", h->plan->repetitions, &rep)) {
            *n = (uint32_t)rep + 1;
        }
        h->pair_cell[pair] = (uint32_t)cell;
    }
}

size_t il_history_cold_at(const il_history *h, uint32_t group, bool warm, uint32_t sample)
{
    return ((size_t)group * 2 + warm) * h->cold_samples + sample;
}

/* A staged cold start; one that failed is tried again. */
static void take_cold(il_history *h, const json_t *line)
{
    uint64_t group, sample;
    const char *state = json_string_value(json_object_get(line, "page_cache"));
    const char *status = json_string_value(json_object_get(line, "status"));
    if (state && status && strcmp(status, "error") != 0 &&
        get_below(line, "group", h->plan->n_groups, &group) &&
        get_below(line, "sample", h->cold_samples, &sample)) {
        bool warm = strcmp(state, "warm") == 0;
        h->colds[il_history_cold_at(h, (uint32_t)group, warm, (uint32_t)sample)] = true;
    }
}

/* The verdict of a group: found by its names. */
static void take_parity(il_history *h, const json_t *line)
{
    const il_study *s = h->plan->study;
    const char *backend = json_string_value(json_object_get(line, "backend"));
    const char *model = json_string_value(json_object_get(line, "model"));
    const char *verdict = json_string_value(json_object_get(line, "verdict"));
    for (uint32_t i = 0; backend && model && verdict && i < h->plan->n_cells; i++) {
        const il_cell *c = &h->plan->cells[i];
        if (strcmp(s->backends[c->backend].name, backend) == 0 &&
            strcmp(s->models[c->model].name, model) == 0) {
            h->parity[c->group] =
                (uint8_t)il_parity_verdict_read(verdict, s->backends[c->backend].kind);
        }
    }
}

bool il_history_rung(const il_history *h, uint32_t group, uint8_t axis, uint64_t x, bool *failed)
{
    for (size_t i = 0; i < h->n_rungs; i++) {
        const il_rung *r = &h->rungs[i];
        if (r->group == group && r->axis == axis && r->x == x) {
            *failed = r->failed;
            return true;
        }
    }
    return false;
}

bool il_history_energy(const il_history *h, uint32_t group, uint32_t sample)
{
    return h->energies[(size_t)group * h->energy_samples + sample];
}

static void take_energy(il_history *h, const json_t *line)
{
    uint64_t group, sample;
    const char *status = json_string_value(json_object_get(line, "status"));
    if (status && strcmp(status, "not_readable") == 0) {
        h->energy_unreadable = true;
    } else if (status && strcmp(status, "ok") == 0 &&
               get_below(line, "group", h->plan->n_groups, &group) &&
               get_below(line, "sample", h->energy_samples, &sample)) {
        h->energies[group * h->energy_samples + sample] = true;
    }
}

static int take_rung(il_history *h, const json_t *line, il_error *err)
{
    uint64_t group, x;
    const char *axis = json_string_value(json_object_get(line, "axis"));
    const char *status = json_string_value(json_object_get(line, "status"));
    if (!axis || !status || !get_below(line, "group", h->plan->n_groups, &group) ||
        !get_below(line, "x", INT64_MAX, &x)) {
        return IL_OK;
    }
    if (h->n_rungs == h->cap_rungs) {
        size_t cap = h->cap_rungs ? 2 * h->cap_rungs : 64;
        il_rung *grown = il_arena_array(&h->arena, cap, sizeof *grown);
        if (!grown) {
            return il_fail(err, IL_E_NOMEM, "out of memory");
        }
        if (h->n_rungs > 0) {
            memcpy(grown, h->rungs, h->n_rungs * sizeof *grown);
        }
        h->rungs = grown;
        h->cap_rungs = cap;
    }
    il_rung *r = &h->rungs[h->n_rungs++];
    *r = (il_rung){.group = (uint32_t)group, .failed = strcmp(status, "ok") != 0, .x = x};
    while (r->axis < IL_AXIS_COUNT && strcmp(axis, il_axis_name((il_axis)r->axis)) != 0) {
        r->axis++;
    }
    return IL_OK;
}

static int take_line(json_t *line, uint64_t number, void *user, il_error *err)
{
    il_history *h = user;
    const il_plan *p = h->plan;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    uint64_t block, cell;
    if (number == 1) {
        h->started_at_unix = json_number_value(json_object_get(line, "at_unix"));
        if (strcmp(kind, "plan") != 0) {
            return il_fail(err, IL_E_DAMAGED, "the journal does not begin with a plan");
        }
    }
    if (strcmp(kind, "plan") == 0) {
        return take_plan(h, line, err);
    }
    if (strcmp(kind, "call") == 0 || strcmp(kind, "failure") == 0) {
        take_call(h, line, kind[0] == 'f');
    } else if (strcmp(kind, "parity") == 0) {
        take_parity(h, line);
    } else if (strcmp(kind, "aa") == 0) {
        take_arm(h, line);
    } else if (strcmp(kind, "cold") == 0) {
        take_cold(h, line);
    } else if (strcmp(kind, "memory") == 0) {
        return take_rung(h, line, err);
    } else if (strcmp(kind, "energy") == 0) {
        take_energy(h, line);
    } else if (get_below(line, "block", p->blocks, &block)) {
        if (strcmp(kind, "closure") == 0 && get_below(line, "cell", p->n_cells, &cell)) {
            h->closures[cell * p->blocks + block] = true;
        } else if (strcmp(kind, "sentinel") == 0) {
            h->sentinels[block] = true;
        } else if (strcmp(kind, "ceiling") == 0) {
            /* Peaks come last: a block cut short among its reads measures them all again. */
            const char *what = json_string_value(json_object_get(line, "what"));
            h->ceilings[block] = h->ceilings[block] || (what && strcmp(what, "fma_gflops") == 0);
        }
    }
    return IL_OK;
}

int il_history_read(il_history *h, const char *journal, il_history_observer observer, void *user,
                    il_error *err)
{
    h->observer = observer;
    h->user = user;
    int rc = il_journal_read(journal, take_line, h, &h->info, err);
    if (rc != IL_OK) {
        il_error_where(err, "%s", journal);
    }
    return rc;
}

void il_history_count(const il_history *h, uint64_t counts[IL_CALL_ERROR + 1])
{
    memset(counts, 0, (IL_CALL_ERROR + 1) * sizeof counts[0]);
    const il_plan *p = h->plan;
    for (uint32_t c = 0; c < p->n_cells; c++) {
        for (uint32_t b = 0; b < p->sampling.rounds; b++) {
            for (uint32_t i = 0; il_plan_has(p, c, b) && i < il_plan_calls_per_block(p); i++) {
                counts[h->calls[il_plan_call_idx(p, c, b, i)]]++;
            }
        }
    }
}

bool il_history_arm_done(const il_history *h, size_t at)
{
    return h->arms[at] >= h->plan->repetitions;
}

bool il_history_pending(const il_history *h, uint32_t cell, uint32_t block, uint32_t i)
{
    if (!il_plan_has(h->plan, cell, block)) {
        return false;
    }
    uint8_t state = h->calls[il_plan_call_idx(h->plan, cell, block, i)];
    bool runs_now = h->plan->cells[cell].skip.code == IL_OK;
    return state == IL_CALL_MISSING || state == IL_CALL_ERROR ||
           (state == IL_CALL_SKIPPED && runs_now);
}
