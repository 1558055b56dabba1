/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * prefix_cache.csv: whether a server answers a prompt faster that it has just answered, by the
 * probes of the journal (docs/openai.md): one prompt twice, between two new ones, in each block.
 */
#include "analysis/tables.h"
#include "stats/order.h"

#include <math.h>
#include <stdlib.h>

static const char *const columns[] = {
    "backend", "model",  "scenario", "batch_size", "n",       "ratio",   "ci_low",  "ci_high",
    "n_told",  "n_hits", "fresh_ms", "repeat_ms",  "verdict", "because", "n_failed"};

typedef struct cell_probes {
    double *ratio, *fresh, *repeat; /* n each */
    size_t n, told, hits, faster, same, failed;
} cell_probes;

/* As bench judges them: the server's word first; times alone only where all of three or more blocks
 * agree, against the faster of the two new prompts. */
static const char *verdict_of(const cell_probes *c, const char **because)
{
    if (c->hits > 0) {
        *because = "the server counted prompt tokens from its cache";
        return "on";
    }
    if (c->n > 0 && c->told == c->n) {
        *because = "the server counted no prompt token from a cache";
        return "off";
    }
    if (c->n < 3) {
        *because = "fewer than three blocks were probed, and the server does not count hits";
        return "unknown";
    }
    *because =
        c->faster == c->n ? "the repetition took less than 0.7 of a new prompt in every block"
        : c->same == c->n ? "the repetition took more than 0.9 of a new prompt in every block"
                          : "the times of new and repeated prompts overlap";
    return c->faster == c->n ? "on" : c->same == c->n ? "off" : "unknown";
}

static void take(cell_probes *c, const il_cache_probe *p)
{
    double least = fmin(p->fresh_ms[0], p->fresh_ms[1]);
    if (!p->ok || !(least > 0) || !(p->repeat_ms > 0)) {
        c->failed++;
        return;
    }
    c->fresh[c->n] = sqrt(p->fresh_ms[0] * p->fresh_ms[1]);
    c->repeat[c->n] = p->repeat_ms;
    c->ratio[c->n] = c->fresh[c->n] / p->repeat_ms;
    c->told += isnan(p->repeat_cached_tok) ? 0 : 1;
    c->hits += p->repeat_cached_tok > 1 ? 1 : 0;
    c->faster += p->repeat_ms < 0.7 * least ? 1 : 0;
    c->same += p->repeat_ms > 0.9 * least ? 1 : 0;
    c->n++;
}

static void write_cell(const il_plan_cell *cell, const cell_probes *c, il_csv_writer *out)
{
    il_interval ratio = {NAN, NAN, NAN};
    const char *because;
    const char *verdict = verdict_of(c, &because);
    (void)il_log_mean_interval(c->ratio, c->n, 0.95, &ratio, NULL);
    il_csv_text(out, cell->backend);
    il_csv_text(out, cell->model);
    il_csv_text(out, cell->scenario);
    il_csv_f64(out, cell->batch_size);
    il_csv_i64(out, (int64_t)c->n);
    il_csv_f64(out, ratio.estimate);
    il_csv_f64(out, ratio.low);
    il_csv_f64(out, ratio.high);
    il_csv_i64(out, (int64_t)c->told);
    il_csv_i64(out, (int64_t)c->hits);
    il_csv_f64(out, c->n ? il_median(c->fresh, c->n) : (double)NAN);
    il_csv_f64(out, c->n ? il_median(c->repeat, c->n) : (double)NAN);
    il_csv_text(out, verdict);
    il_csv_text(out, because);
    il_csv_i64(out, (int64_t)c->failed);
    il_csv_end_row(out);
}

int il__write_prefix_cache(const il__run *run, il_error *err)
{
    const il_run_facts *f = run->facts;
    il_csv_writer out = {.fd = -1};
    double *values = calloc(3 * f->n_probes + 1, sizeof *values);
    int rc =
        values ? il__table_open(run, "prefix_cache.csv", columns, IL__COUNT_OF(columns), &out, err)
               : il_fail(err, IL_E_NOMEM, "no memory for prefix_cache.csv");
    for (size_t cell = 0; cell < f->n_cells && rc == IL_OK; cell++) {
        cell_probes c = {values, values + f->n_probes, values + 2 * f->n_probes, 0, 0, 0, 0, 0, 0};
        for (size_t i = 0; i < f->n_probes; i++) {
            if (f->probes[i].cell == cell) {
                take(&c, &f->probes[i]);
            }
        }
        if (c.n + c.failed > 0) {
            write_cell(&f->cells[cell], &c, &out);
        }
    }
    rc = rc == IL_OK ? il_csv_close(&out, err) : rc;
    il_csv_abandon(&out);
    free(values);
    return rc;
}
