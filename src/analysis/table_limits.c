/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * first_limit.csv: as the models of a family grow, what gives way first — time per token, time to
 * the first token, the tail of a whole call, memory — and at which size (docs/limits.md).
 */
#include "analysis/limits.h"

#include "base/json.h"
#include "stats/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {
    "backend", "family", "limit",      "threshold", "size_at_limit", "ci_low",   "ci_high",
    "order",   "unit",   "batch_size", "n_models",  "n_blocks",      "scenario", "note"};

static bool same_group(const il_cell *a, const il_cell *b)
{
    return a->backend == b->backend && a->batch_size == b->batch_size;
}

/* The plan's family where all models are of one, else "all". */
static const char *family_of(const il__run *run, const il__family *f)
{
    const char *family = NULL;
    for (size_t i = 0; i < f->n; i++) {
        const il_plan_cell *p = il__plan_cell_of(run, f->cells[i]);
        bool known = p && p->model_at < run->facts->n_models;
        const char *its = known ? run->facts->models[p->model_at].arch : "";
        if (!its[0] || (family && strcmp(family, its) != 0)) {
            return "all";
        }
        family = its;
    }
    return family ? family : "all";
}

/* The smallest size fails first. A limit out of reach above has no place in the order. */
static void put_in_order(il__limit *limits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        limits[i].order = limits[i].at < INFINITY ? 1 : 0;
        for (size_t k = 0; k < n && limits[i].order > 0; k++) {
            limits[i].order += limits[k].at < limits[i].at;
        }
    }
}

/* exp of an end that is known; blank where it is out of reach. */
static double size_of(double log_size)
{
    return isfinite(log_size) ? exp(log_size) : NAN;
}

static void write_row(const il__run *run, const il__family *f, const il__limit *l,
                      il_csv_writer *out)
{
    il_csv_text(out, il__text(run, f->cells[0]->backend));
    il_csv_text(out, family_of(run, f));
    il_csv_text(out, l->name);
    il_csv_f64(out, l->threshold);
    il_csv_f64(out, size_of(l->at));
    il_csv_f64(out, size_of(l->low));
    il_csv_f64(out, size_of(l->high));
    if (l->order > 0) {
        il_csv_i64(out, (int64_t)l->order);
    } else {
        il_csv_empty(out);
    }
    il_csv_text(out, "params_millions");
    il_csv_f64(out, f->cells[0]->batch_size);
    il_csv_i64(out, (int64_t)l->n_models);
    if (l->n_blocks > 0) {
        il_csv_i64(out, (int64_t)l->n_blocks);
    } else {
        il_csv_empty(out);
    }
    il_csv_text(out, l->scenario);
    il_csv_text(out, l->note);
    il_csv_end_row(out);
}

static int write_family(const il__run *run, const il__family *f, il_csv_writer *out, il_error *err)
{
    il__limit limits[IL__MOST_LIMITS];
    size_t n = 0;
    int rc = il__limits_find(run, f, limits, &n, err);
    put_in_order(limits, n);
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        write_row(run, f, &limits[i], out);
    }
    return rc;
}

/* Bytes that a model may take: the study's word, else what the machine had when the run began. */
static double memory_threshold(const il__run *run)
{
    char path[4096];
    json_t *manifest = NULL;
    double least = NAN;
    if (run->facts->slo.memory_bytes > 0) {
        return run->facts->slo.memory_bytes;
    }
    if (il_path_join(path, sizeof path, run->run_dir, "manifest.json") != IL_OK ||
        il_json_load(path, 64 << 20, &manifest, NULL) != IL_OK) {
        return NAN;
    }
    const json_t *memory = json_object_get(json_object_get(manifest, "machine"), "memory");
    static const char *const keys[] = {"available_bytes", "limit_bytes"};
    for (size_t i = 0; i < IL__COUNT_OF(keys); i++) {
        const json_t *value = json_object_get(memory, keys[i]);
        double bytes = json_is_number(value) ? json_number_value(value) : 0;
        least = bytes > 0 ? fmin(least, bytes) : least;
    }
    json_decref(manifest);
    return least;
}

/* Measured cells of the run by backend and batch size. The rows' own order is kept within. */
static size_t sort_cells(const il__run *run, const il_cell **cells)
{
    size_t n = 0;
    for (size_t i = 0; i < il_rows_cell_count(run->rows); i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        if (cell->n_measured > 0) {
            cells[n++] = cell;
        }
    }
    il__sort_families(cells, n);
    return n;
}

int il__write_limits(const il__run *run, il_error *err)
{
    il_csv_writer out;
    const il_cell **cells = malloc((il_rows_cell_count(run->rows) + 1) * sizeof *cells);
    int rc = cells
                 ? il__table_open(run, "first_limit.csv", columns, IL__COUNT_OF(columns), &out, err)
                 : il_fail(err, IL_E_NOMEM, "no memory to group cells");
    if (rc != IL_OK) {
        free(cells);
        return rc;
    }
    double memory_bytes = memory_threshold(run);
    size_t n = sort_cells(run, cells);
    for (size_t from = 0, to; from < n && rc == IL_OK; from = to) {
        for (to = from + 1; to < n && same_group(cells[from], cells[to]); to++) {
        }
        const il__family family = {cells + from, to - from, memory_bytes};
        rc = write_family(run, &family, &out, err);
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    free(cells);
    return rc;
}
