/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * run --plan: what would run, what would not and why, memory and time. Prints, writes nothing.
 */
#include "base/json.h"
#include "cli/progress.h"
#include "cli/study_run.h"
#include "cli/table.h"
#include "os/machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const il_column columns[] = {
    {"cell", "cell"},         {"backend", "backend"},       {"model", "model"},
    {"scenario", "scenario"}, {"batch", "batch_size"},      {"prompt tok", "prompt_tokens"},
    {"steps", "gen_tokens"},  {"params M", "params_total"}, {"memory MB", "memory_bytes"},
    {"call s", "estimate_s"}, {"calls", "calls"},           {"skipped", "skipped"},
};

static void cell_row(il_table *t, const il_plan *p, uint32_t i)
{
    const il_cell *c = &p->cells[i];
    const il_study *s = p->study;
    const il_study_model *m = &s->models[c->model];
    bool runs = c->skip.code == IL_OK;
    uint64_t bytes = il_plan_group_bytes(p, c->group);
    il_table_int(t, i);
    il_table_text(t, s->backends[c->backend].name);
    il_table_text(t, m->name);
    il_table_text(t, s->scenarios[c->scenario].name);
    il_table_int(t, c->batch);
    if (c->seq_len) {
        il_table_int(t, c->seq_len);
    } else {
        il_table_none(t);
    }
    il_table_int(t, c->gen_tokens);
    il_table_scaled(t, m->has_shape ? (double)m->counts.total : (double)NAN, 1e-6, 3);
    il_table_scaled(t, bytes && runs ? (double)bytes : (double)NAN, 1e-6, 0);
    il_table_real(t, runs ? c->estimate_ms / 1000 : (double)NAN, 2);
    il_table_int(t, (int64_t)p->sampling.least * il_plan_calls_per_block(p));
    il_table_text(t, runs ? NULL : il_code_name(c->skip.code));
}

static bool same_skip(const il_plan *p, uint32_t i, uint32_t k)
{
    const il_cell *a = &p->cells[i], *b = &p->cells[k];
    return a->backend == b->backend && b->skip.code == a->skip.code &&
           strcmp(a->skip.what, b->skip.what) == 0 && strcmp(a->skip.hint, b->skip.hint) == 0;
}

bool il_plan_skip_group(const il_plan *p, uint32_t i, il_buf *to)
{
    const il_cell *c = &p->cells[i];
    uint32_t n = 0;
    size_t last = SIZE_MAX;
    if (c->skip.code == IL_OK) {
        return false;
    }
    for (uint32_t k = 0; k < i; k++) {
        if (same_skip(p, i, k)) {
            return false;
        }
    }
    for (uint32_t k = i; k < p->n_cells; k++) {
        n += same_skip(p, i, k);
    }
    (void)il_buf_printf(to, "%u cell%s of %s (", n, n == 1 ? "" : "s",
                        p->study->backends[c->backend].name);
    for (uint32_t k = i; k < p->n_cells; k++) {
        if (same_skip(p, i, k) && p->cells[k].model != last) {
            (void)il_buf_printf(to, "%s%s", last == SIZE_MAX ? "" : ", ",
                                p->study->models[p->cells[k].model].name);
            last = p->cells[k].model;
        }
    }
    (void)il_buf_printf(to, "): %s%s%s", c->skip.what, c->skip.hint[0] ? "; " : "", c->skip.hint);
    return true;
}

static void print_skips(const il_plan *p)
{
    il_buf text;
    bool first = true;
    il_buf_init(&text, 16 << 20);
    for (uint32_t i = 0; i < p->n_cells; i++) {
        il_buf_clear(&text);
        if (il_plan_skip_group(p, i, &text)) {
            (void)printf("%s  %s\n", first ? "\nskipped cells\n" : "", il_buf_text(&text));
            first = false;
        }
    }
    il_buf_free(&text);
}

void il_plan_blocks_text(const il_plan *p, char *out, size_t out_bytes)
{
    if (p->sampling.adaptive) {
        (void)snprintf(out, out_bytes, "%u to %u blocks", p->sampling.least, p->blocks);
    } else {
        (void)snprintf(out, out_bytes, "%u block%s", p->blocks, p->blocks == 1 ? "" : "s");
    }
}

/* Of what the time is made, where starts are a good part of it. */
static void print_time_parts(const il_plan *p)
{
    char loads[32], cold[32], arms[32];
    double arms_s = il_plan_arms_estimate_s(p) * p->sampling.least;
    double cold_s = il_plan_cold_estimate_s(p);
    double loads_s = il_plan_loads_estimate_s(p) * p->sampling.least;
    il_progress_time(loads_s, loads, sizeof loads);
    il_progress_time(cold_s, cold, sizeof cold);
    il_progress_time(arms_s, arms, sizeof arms);
    if (loads_s > 1) {
        (void)printf("  %s of it loads models and starts servers (what a start takes is known to "
                     "a factor of two)\n",
                     loads);
    }
    if (arms_s > 1) {
        (void)printf("  %s of it are A/A arms, each a fresh start, which tell the noise "
                     "(schedule: {aa: false} leaves them out)\n",
                     arms);
    }
    if (cold_s > 0) {
        const il_param_set *set = &p->study->cold_start;
        (void)printf(
            "  %s of it are cold starts: %lld of each backend and model (samples times "
            "states of the page cache)\n",
            cold,
            (long long)(il_param_i64(set, IL_P_SAMPLES) * (int64_t)set->values[IL_P_PAGE_CACHE].n));
    }
}

static void print_time(const il_plan *p)
{
    char time[32], most[32];
    double once_s = il_plan_cold_estimate_s(p) + il_plan_parity_estimate_s(p);
    double block_s = il_plan_block_estimate_s(p), most_s = block_s * p->blocks + once_s;
    const il_param_set *schedule = &p->study->schedule;
    il_progress_time(block_s * p->sampling.least + once_s, time, sizeof time);
    if (!p->sampling.adaptive) {
        (void)printf("time: about %s, a guess for two cores at 20 GB/s and 80 GFLOP/s\n", time);
        print_time_parts(p);
        return;
    }
    if (il_param_has(schedule, IL_P_TIME_BUDGET_S)) {
        most_s = fmin(most_s, il_param_f64(schedule, IL_P_TIME_BUDGET_S));
    }
    il_progress_time(most_s, most, sizeof most);
    (void)printf("time: from about %s to %s, by when the %s are within %g%s; a guess for two cores "
                 "at 20 GB/s and 80 GFLOP/s\n",
                 time, most, p->sampling.question,
                 p->sampling.target * (strcmp(p->sampling.question, "cells") == 0 ? 100 : 1),
                 strcmp(p->sampling.question, "cells") == 0 ? " %" : "");
}

static void print_totals(const il_plan *p)
{
    uint32_t skipped = 0;
    uint64_t most = 0;
    uint64_t to_make = 0;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        skipped += p->cells[i].skip.code != IL_OK;
        uint64_t bytes =
            p->cells[i].skip.code == IL_OK ? il_plan_group_bytes(p, p->cells[i].group) : 0;
        most = bytes > most ? bytes : most;
    }
    for (size_t i = 0; i < p->study->n_models; i++) {
        to_make += p->study->models[i].to_make;
    }
    char blocks[48];
    uint64_t calls = il_plan_planned_calls(p);
    il_plan_blocks_text(p, blocks, sizeof blocks);
    (void)printf("\n%u cells, %u skipped; %s of %u warm-up and %u measured calls: %llu "
                 "calls, %llu rows%s\n",
                 p->n_cells, skipped, blocks, p->warmups, p->repetitions, (unsigned long long)calls,
                 (unsigned long long)(3 * calls), p->sampling.adaptive ? " at least" : "");
    il_machine machine;
    if (il_machine_probe(&machine, NULL) == IL_OK) {
        (void)printf("memory: %.0f MB for the largest worker, %.0f MB available\n",
                     (double)most / 1e6, (double)machine.available_bytes / 1e6);
    }
    if (to_make > 0) {
        (void)printf("%llu models are made from the seed when the run begins, below %s\n",
                     (unsigned long long)to_make, p->study->cache);
    }
    print_time(p);
}

int il_plan_show(const il_plan *p, bool json)
{
    il_table t;
    il_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    for (uint32_t i = 0; i < p->n_cells; i++) {
        cell_row(&t, p, i);
    }
    int rc = IL_OK;
    if (json) {
        json_t *plan = il_plan_json(p, "plan");
        json_t *out = json_pack("{s:o,s:o?,s:f,s:I}", "cells", il_table_json(&t), "plan", plan,
                                "estimate_s", il_plan_estimate_s(p), "records_expected",
                                (json_int_t)(3 * il_plan_planned_calls(p)));
        char *text = out ? il_json_dump_pretty(out) : NULL;
        rc = text ? IL_OK : IL_E_NOMEM;
        (void)printf("%s\n", text ? text : "");
        free(text);
        json_decref(out);
    } else {
        rc = il_table_print(&t, false, stdout, NULL);
        print_skips(p);
        print_totals(p);
    }
    il_table_free(&t);
    return rc;
}
