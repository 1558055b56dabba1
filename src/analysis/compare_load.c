/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/compare_load.h"

#include "analysis/analysis.h"
#include "base/file.h"
#include "stats/noise.h"
#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int il__compare_open(const char *run_dir, il__compare_run *out, il_error *err)
{
    *out = (il__compare_run){0};
    int rc = il_dir_make_scratch("inferlaw-compare", out->scratch, sizeof out->scratch, err);
    rc = rc ? rc : il_rows_open(out->scratch, &out->rows, err);
    rc = rc ? rc
            : il_analysis_load(run_dir, out->scratch, out->rows, &out->facts, &out->foreign, err);
    out->run = (il__run){.run_dir = run_dir, .rows = out->rows, .facts = &out->facts};
    return rc;
}

void il__compare_close(il__compare_run *run)
{
    il_rows_free(run->rows);
    il_run_facts_free(&run->facts);
    if (run->scratch[0]) {
        il_analysis_remove_tree(run->scratch);
    }
    *run = (il__compare_run){0};
}

int il__compare_key(const il__compare_cell *a, const il__compare_cell *b)
{
    int order = strcmp(a->backend, b->backend);
    order = order ? order : strcmp(a->model, b->model);
    order = order ? order : strcmp(a->scenario, b->scenario);
    order = order ? order : strcmp(a->mode, b->mode);
    return order ? order : (a->batch_size > b->batch_size) - (a->batch_size < b->batch_size);
}

static int by_key(const void *pa, const void *pb)
{
    const il__compare_cell *a = pa, *b = pb;
    int order = il__compare_key(a, b);
    return order ? order : (a->cell > b->cell) - (a->cell < b->cell);
}

int il__compare_cells(il__compare_run *run, const char *suffix, il_arena *arena,
                      il__compare_side *out, il_error *err)
{
    size_t n = il_rows_cell_count(run->rows), suffix_len = strlen(suffix);
    *out = (il__compare_side){.run = run};
    out->cells = il_arena_array(arena, n, sizeof *out->cells);
    for (size_t i = 0; out->cells && i < n; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        const char *name = il__text(&run->run, cell->backend);
        size_t len = strlen(name);
        if (len < suffix_len || strcmp(name + len - suffix_len, suffix) != 0) {
            continue;
        }
        il__compare_cell *to = &out->cells[out->n++];
        *to = (il__compare_cell){.backend = il_arena_strndup(arena, name, len - suffix_len),
                                 .name = name,
                                 .model = il__text(&run->run, cell->model),
                                 .scenario = il__text(&run->run, cell->scenario),
                                 .mode = il__text(&run->run, cell->mode),
                                 .batch_size = cell->batch_size,
                                 .params = cell->params,
                                 .cell = i};
        if (!to->backend) {
            return il_fail(err, IL_E_NOMEM, "no memory for %zu cells", n);
        }
    }
    if (!out->cells) {
        return il_fail(err, IL_E_NOMEM, "no memory for %zu cells", n);
    }
    if (out->n > 1) {
        qsort(out->cells, out->n, sizeof *out->cells, by_key);
    }
    return IL_OK;
}

static int by_id(const void *pa, const void *pb)
{
    const il__replicate *a = pa, *b = pb;
    int order = (a->id > b->id) - (a->id < b->id);
    return order ? order : (a->median > b->median) - (a->median < b->median);
}

int il__compare_replicates(const il__compare_side *side, const il__compare_cell *cells, size_t n,
                           il_scratch *out, size_t *n_out, il_error *err)
{
    const il__run *run = &side->run->run;
    size_t most = 1;
    for (size_t i = 0; i < n; i++) {
        most += il_rows_cell(run->rows, cells[i].cell)->n_measured;
    }
    *n_out = 0;
    int rc = il_scratch_take(out, side->run->scratch, most, sizeof(il__replicate), err);
    il__replicate *all = out->data;
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        size_t got;
        rc = il__replicates_of(run, il_rows_cell(run->rows, cells[i].cell), false, all + *n_out,
                               &got, err);
        *n_out += got;
    }
    if (rc == IL_OK && n > 1) {
        il_sort_records(all, *n_out, sizeof *all, by_id);
    }
    return rc;
}

/* --- noise ------------------------------------------------------------------------------------ */

static double arm_ms(const il_aa *arm, const char *mode)
{
    if (strcmp(mode, "prefill") == 0) {
        return arm->prefill_ms;
    }
    return strcmp(mode, "kv_decode") == 0 ? arm->decode_ms : arm->e2e_ms;
}

static bool is_cell(const il_run_facts *facts, const il_aa *arm, const il__compare_cell *cell)
{
    const il_plan_cell *plan = arm->cell < facts->n_cells ? &facts->cells[arm->cell] : NULL;
    return plan && plan->batch_size == cell->batch_size && strcmp(plan->backend, cell->name) == 0 &&
           strcmp(plan->model, cell->model) == 0 && strcmp(plan->scenario, cell->scenario) == 0;
}

int il__compare_arms(const il__compare_side *side, const il__compare_cell *cell, double *out,
                     il_error *err)
{
    const il_run_facts *facts = &side->run->facts;
    il_scratch memory;
    *out = NAN;
    if (facts->n_aas == 0) {
        return IL_OK;
    }
    int rc = il_scratch_take(&memory, side->run->scratch, facts->n_aas, sizeof(double), err);
    if (rc != IL_OK) {
        return rc;
    }
    double *ratios = memory.data;
    size_t n = 0;
    for (size_t i = 0; i + 1 < facts->n_aas; i++) {
        const il_aa *a = &facts->aas[i];
        if (a->arm_b || !is_cell(facts, a, cell)) {
            continue;
        }
        const il_aa *b = a + 1; /* arm b of a pair follows its arm a */
        double ratio = arm_ms(b, cell->mode) / arm_ms(a, cell->mode);
        if (b->arm_b && b->cell == a->cell && b->block == a->block && b->pair == a->pair &&
            ratio > 0 && !isinf(ratio)) {
            ratios[n++] = ratio;
        }
    }
    il_ratio found;
    rc = il_ratio_of(ratios, n, 0.95, &found, err);
    *out = found.half_width;
    il_scratch_free(&memory);
    return rc == IL_E_TOO_FEW ? IL_OK : rc;
}

static size_t sentinel_times(const il_run_facts *facts, bool gemm, double *out)
{
    size_t n = 0;
    for (size_t i = 0; i < facts->n_sentinels; i++) {
        double ms = gemm ? facts->sentinels[i].gemm_ms : facts->sentinels[i].read_ms;
        if (ms > 0) {
            out[n++] = ms;
        }
    }
    return n;
}

int il__compare_sentinel(const il__compare_run *a, const il__compare_run *b, double *out,
                         il_error *err)
{
    *out = 0;
    size_t most = a->facts.n_sentinels + b->facts.n_sentinels + 1;
    double *times = malloc(most * sizeof *times);
    if (!times) {
        return il_fail(err, IL_E_NOMEM, "no memory for the sentinel");
    }
    int rc = IL_OK;
    for (int part = 0; part < 2 && rc == IL_OK; part++) {
        il_log_ratio shift;
        size_t n_a = sentinel_times(&a->facts, part == 0, times);
        size_t n_b = sentinel_times(&b->facts, part == 0, times + n_a);
        rc = il_log_ratio_welch(times, n_a, times + n_a, n_b, &shift, err);
        il_interval ci = il_log_ratio_interval(&shift, 0.95);
        if (rc == IL_OK && (ci.low > 1 || ci.high < 1)) {
            *out = fmax(*out, expm1(fabs(shift.estimate)));
        }
        rc = rc == IL_E_TOO_FEW ? IL_OK : rc;
    }
    free(times);
    return rc;
}
