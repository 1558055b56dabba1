/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * blocks.csv: what each block found the machine to be: the sentinel, its distance from the run's
 * median, the ceilings; and which blocks a rule fixed before the run sets apart (docs/noise.md).
 */
#include "analysis/blocks.h"
#include "analysis/tables.h"

#include "base/file.h"
#include "base/json.h"
#include "stats/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of runs from before the gate stood in the manifest; the same number as os/state_gates.c. */
#define DRIFT_PERCENT_DEFAULT 5.0
#define MANIFEST_MOST_BYTES   ((size_t)64 << 20)

static const char *const columns[] = {
    "block",   "at_unix", "sentinel_gemm_ms", "sentinel_read_ms", "drift_percent",
    "flagged", "because", "read_gbps",        "fma_gflops"};

/* The gate as the manifest of the run states it. */
static double drift_gate(const il__run *run)
{
    char path[4096];
    json_t *manifest = NULL;
    double gate = DRIFT_PERCENT_DEFAULT;
    if (il_path_join(path, sizeof path, run->run_dir, "manifest.json") == IL_OK &&
        il_path_is_file(path) &&
        il_json_load(path, MANIFEST_MOST_BYTES, &manifest, NULL) == IL_OK) {
        const json_t *value = json_object_get(json_object_get(manifest, "gates"), "drift_percent");
        gate = json_is_number(value) ? json_number_value(value) : gate;
    }
    json_decref(manifest);
    return gate;
}

/* One number for both parts of the sentinel: they move together when the machine does. */
static double together(const il_sentinel *s)
{
    return s->gemm_ms > 0 && s->read_ms > 0 ? sqrt(s->gemm_ms * s->read_ms) : NAN;
}

int il__blocks_build(const il__run *run, il__blocks *out, il_error *err)
{
    const il_run_facts *f = run->facts;
    size_t n = 0;
    *out = (il__blocks){.gate_percent = drift_gate(run)};
    out->items = calloc(f->n_sentinels + 1, sizeof *out->items);
    double *values = malloc((3 * f->n_sentinels + 1) * sizeof *values);
    if (!out->items || !values) {
        free(values);
        il__blocks_free(out);
        return il_fail(err, IL_E_NOMEM, "no memory for %zu blocks", f->n_sentinels);
    }
    double *gemm = values + f->n_sentinels, *read = gemm + f->n_sentinels;
    for (size_t i = 0; i < f->n_sentinels; i++) {
        out->items[i].sentinel = &f->sentinels[i];
        if (!isnan(together(&f->sentinels[i]))) {
            gemm[n] = f->sentinels[i].gemm_ms;
            read[n] = f->sentinels[i].read_ms;
            values[n++] = together(&f->sentinels[i]);
        }
    }
    out->n = f->n_sentinels;
    out->gemm_ms = il_median(gemm, n);
    out->read_ms = il_median(read, n);
    double median = il_median(values, n);
    for (size_t i = 0; i < out->n; i++) {
        il__block *b = &out->items[i];
        b->drift_percent = 100 * (together(b->sentinel) / median - 1);
        b->flagged = fabs(b->drift_percent) > out->gate_percent;
    }
    free(values);
    return IL_OK;
}

void il__blocks_free(il__blocks *blocks)
{
    free(blocks->items);
    *blocks = (il__blocks){0};
}

/* The read of the largest working set, the highest peak: what the other ceilings stay below. */
static double ceiling_of(const il_run_facts *f, uint32_t block, bool is_read)
{
    double best = NAN, size = 0;
    for (size_t i = 0; i < f->n_ceilings; i++) {
        const il_ceiling *c = &f->ceilings[i];
        if (c->block != block || c->is_read != is_read) {
            continue;
        }
        double key = is_read ? c->working_set_bytes : c->median;
        if (key > size || (key == size && c->median > best)) {
            size = key;
            best = c->median;
        }
    }
    return best;
}

static void say_because(const il__blocks *all, const il__block *b, char *out, size_t out_bytes)
{
    out[0] = '\0';
    if (b->flagged) {
        (void)snprintf(out, out_bytes,
                       "drift: fixed work took %+.1f %% of the run's median (multiply-adds %+.1f "
                       "%%, reading %+.1f %%); the gate is %g %%",
                       b->drift_percent, 100 * (b->sentinel->gemm_ms / all->gemm_ms - 1),
                       100 * (b->sentinel->read_ms / all->read_ms - 1), all->gate_percent);
    }
}

int il__write_blocks(const il__run *run, il_error *err)
{
    il__blocks all;
    il_csv_writer out;
    int rc = il__table_open(run, "blocks.csv", columns, IL__COUNT_OF(columns), &out, err);
    if (rc != IL_OK) {
        return rc;
    }
    rc = il__blocks_build(run, &all, err);
    for (size_t i = 0; rc == IL_OK && i < all.n; i++) {
        const il__block *b = &all.items[i];
        char because[256];
        say_because(&all, b, because, sizeof because);
        il_csv_i64(&out, b->sentinel->block);
        il_csv_f64(&out, b->sentinel->at_unix);
        il_csv_f64(&out, b->sentinel->gemm_ms);
        il_csv_f64(&out, b->sentinel->read_ms);
        il_csv_f64(&out, b->drift_percent);
        il_csv_bool(&out, b->flagged);
        il_csv_text(&out, because);
        il_csv_f64(&out, ceiling_of(run->facts, b->sentinel->block, true));
        il_csv_f64(&out, ceiling_of(run->facts, b->sentinel->block, false));
        il_csv_end_row(&out);
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    il__blocks_free(&all);
    return rc;
}
