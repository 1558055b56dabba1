/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cold_start.csv: what each stage of a cold start takes, and over how many requests it is made
 * good (docs/cold-start.md).
 */
#include "analysis/cold_data.h"
#include "analysis/tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"backend",
                                      "model",
                                      "page_cache",
                                      "stage",
                                      "n",
                                      "median_ms",
                                      "ci_low",
                                      "ci_high",
                                      "requests_to_amortise",
                                      "amortise_low",
                                      "amortise_high",
                                      "major_faults",
                                      "calls_to_steady",
                                      "calls_low",
                                      "calls_high",
                                      "scenario",
                                      "batch_size",
                                      "file_bytes",
                                      "resident_percent",
                                      "n_flagged",
                                      "n_failed"};

static double faults_of(const il_cold_start *s, const void *name)
{
    for (uint32_t i = 0; i < s->n_stages; i++) {
        if (strcmp(s->stages[i].name, name) == 0) {
            return s->stages[i].major_faults;
        }
    }
    return NAN;
}

static double calls_of(const il_cold_start *s, const void *unused)
{
    (void)unused;
    return s->calls_to_steady;
}

static double bytes_of(const il_cold_start *s, const void *unused)
{
    (void)unused;
    return s->file_bytes;
}

static double resident_of(const il_cold_start *s, const void *unused)
{
    (void)unused;
    return s->file_bytes > 0 ? 100.0 * s->resident_before / s->file_bytes : NAN;
}

/* Counts are whole: a median between two takes the larger. */
static void put_counts(il_csv_writer *out, il_interval i)
{
    il_csv_f64(out, ceil(i.estimate));
    il_csv_f64(out, ceil(i.low));
    il_csv_f64(out, ceil(i.high));
}

static void put_empty(il_csv_writer *out, int n)
{
    for (int i = 0; i < n; i++) {
        il_csv_empty(out);
    }
}

static void write_stage(const il__run *run, const il_cold_group *g, const char *stage,
                        il_csv_writer *out)
{
    const il_plan_cell *cell = &run->facts->cells[g->starts[0].cell];
    bool whole = strcmp(stage, IL_COLD_TOTAL) == 0;
    size_t n, unused;
    il_interval ms = il__cold_interval(g, il__cold_stage_ms, stage, &n);
    il_csv_text(out, cell->backend);
    il_csv_text(out, cell->model);
    il_csv_text(out, g->starts[0].warm ? "warm" : "cold");
    il_csv_text(out, stage);
    il_csv_i64(out, (int64_t)n);
    il_csv_f64(out, ms.estimate);
    il_csv_f64(out, ms.low);
    il_csv_f64(out, ms.high);
    if (whole) {
        il_interval requests = il__cold_interval(g, il__cold_requests, NULL, &unused);
        requests.estimate = fmax(requests.estimate, 1);
        requests.low = isnan(requests.low) ? NAN : fmax(requests.low, 1);
        requests.high = isnan(requests.high) ? NAN : fmax(requests.high, 1);
        put_counts(out, requests);
    } else {
        put_empty(out, 3);
    }
    il_csv_f64(out, il__cold_interval(g, faults_of, stage, &unused).estimate);
    if (whole) {
        put_counts(out, il__cold_interval(g, calls_of, NULL, &unused));
    } else {
        put_empty(out, 3);
    }
    il_csv_text(out, cell->scenario);
    il_csv_f64(out, cell->batch_size);
    il_csv_f64(out, il__cold_interval(g, bytes_of, NULL, &unused).estimate);
    il_csv_f64(out, il__cold_interval(g, resident_of, NULL, &unused).estimate);
    il_csv_i64(out, (int64_t)g->n_flagged);
    il_csv_i64(out, (int64_t)g->n_failed);
    il_csv_end_row(out);
}

/* Stages in the order of the first sample that has the most of them. A group without an ok sample
 * has the row of the whole start, blank. */
static void write_group(const il__run *run, const il_cold_group *g, il_csv_writer *out)
{
    const il_cold_start *longest = NULL;
    for (size_t i = 0; i < g->n; i++) {
        const il_cold_start *s = &g->starts[i];
        if (s->status == IL_COLD_OK && (!longest || s->n_stages > longest->n_stages)) {
            longest = s;
        }
    }
    for (uint32_t i = 0; longest && i < longest->n_stages; i++) {
        write_stage(run, g, longest->stages[i].name, out);
    }
    if (!longest) {
        write_stage(run, g, IL_COLD_TOTAL, out);
    }
}

int il__write_cold(const il__run *run, il_error *err)
{
    const il_run_facts *f = run->facts;
    il_csv_writer out = {.fd = -1};
    int rc = il__table_open(run, "cold_start.csv", columns, IL__COUNT_OF(columns), &out, err);
    for (size_t at = 0; rc == IL_OK && at < f->n_colds;) {
        il_cold_group g = il__cold_group_at(f->colds, f->n_colds, at);
        write_group(run, &g, &out);
        at += g.n;
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    return rc;
}
