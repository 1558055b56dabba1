/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * energy.csv: joules per token of prefill and decode and mean power, by meter (docs/energy.md). A
 * machine whose meters cannot be read has one row that says why, and no number.
 */
#include "analysis/energy_data.h"
#include "analysis/tables.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {
    "backend", "model", "batch_size", "scenario", "meter",   "kind",     "what",          "basis",
    "unit",    "n",     "estimate",   "ci_low",   "ci_high", "window_s", "resolution_ms", "note"};

/* What a row tells, and where it stands in a sample. */
static const struct {
    const char *what, *basis, *unit;
    size_t offset;
} facts[] = {
    {"prefill", "gross", "J/token", offsetof(il_energy_sample, prefill_j)},
    {"prefill", "above_idle", "J/token", offsetof(il_energy_sample, prefill_net_j)},
    {"decode", "gross", "J/token", offsetof(il_energy_sample, decode_j)},
    {"decode", "above_idle", "J/token", offsetof(il_energy_sample, decode_net_j)},
    {"idle", "gross", "W", offsetof(il_energy_sample, idle_w)},
    {"short_calls", "gross", "W", offsetof(il_energy_sample, short_w)},
    {"long_calls", "gross", "W", offsetof(il_energy_sample, long_w)},
};

static double field(const il_energy_sample *s, size_t offset)
{
    double value;
    memcpy(&value, (const char *)s + offset, sizeof value);
    return value;
}

/* Median of a field over samples with its exact interval. */
static il_interval over_samples(const il_energy_sample *s, size_t n, size_t offset, double *scratch,
                                size_t *known)
{
    il_interval out = {NAN, NAN, NAN};
    *known = 0;
    for (size_t i = 0; i < n; i++) {
        double value = field(&s[i], offset);
        if (isfinite(value)) {
            scratch[(*known)++] = value;
        }
    }
    if (*known > 0) {
        (void)il_quantile_interval(scratch, *known, 0.5, 0.95, &out, NULL, NULL);
    }
    return out;
}

static void write_group(const il__run *run, const il_energy_sample *s, size_t n, double *scratch,
                        il_csv_writer *out)
{
    const il_plan_cell *cell = &run->facts->cells[s->cell];
    size_t known;
    double window_s =
        over_samples(s, n, offsetof(il_energy_sample, window_s), scratch, &known).estimate;
    double resolution_ms =
        over_samples(s, n, offsetof(il_energy_sample, resolution_ms), scratch, &known).estimate;
    for (size_t i = 0; i < IL__COUNT_OF(facts); i++) {
        il_interval value = over_samples(s, n, facts[i].offset, scratch, &known);
        char note[128] = "";
        if (facts[i].unit[0] == 'J' && value.low <= 0 && value.high >= 0) {
            (void)snprintf(note, sizeof note, "not told from 0");
        } else if (resolution_ms > 0 && window_s * 1e3 < 100 * resolution_ms) {
            (void)snprintf(note, sizeof note,
                           "the window is %.0f readings long: a longer one would tell more",
                           window_s * 1e3 / resolution_ms);
        }
        il_csv_text(out, cell->backend);
        il_csv_text(out, cell->model);
        il_csv_f64(out, cell->batch_size);
        il_csv_text(out, cell->scenario);
        il_csv_text(out, s->meter);
        il_csv_text(out, s->kind);
        il_csv_text(out, facts[i].what);
        il_csv_text(out, facts[i].basis);
        il_csv_text(out, facts[i].unit);
        il_csv_i64(out, (int64_t)known);
        il_csv_f64(out, value.estimate);
        il_csv_f64(out, value.low);
        il_csv_f64(out, value.high);
        il_csv_f64(out, window_s);
        il_csv_f64(out, resolution_ms);
        il_csv_text(out, note);
        il_csv_end_row(out);
    }
}

static void write_unreadable(const char *why, il_csv_writer *out)
{
    for (size_t i = 0; i + 1 < IL__COUNT_OF(columns); i++) {
        if (strcmp(columns[i], "what") == 0) {
            il_csv_text(out, "not_readable");
        } else {
            il_csv_empty(out);
        }
    }
    il_csv_text(out, why);
    il_csv_end_row(out);
}

int il__write_energy(const il__run *run, il_error *err)
{
    const il_run_facts *f = run->facts;
    il_csv_writer out = {.fd = -1};
    double *scratch = malloc((f->n_energies + 1) * sizeof *scratch);
    int rc = scratch ? il__table_open(run, "energy.csv", columns, IL__COUNT_OF(columns), &out, err)
                     : il_fail(err, IL_E_NOMEM, "no memory for energy");
    for (size_t from = 0, to; rc == IL_OK && from < f->n_energies; from = to) {
        const il_energy_sample *s = &f->energies[from];
        for (to = from + 1; to < f->n_energies && f->energies[to].cell == s->cell &&
                            strcmp(f->energies[to].meter, s->meter) == 0;
             to++) {
        }
        write_group(run, s, to - from, scratch, &out);
    }
    if (rc == IL_OK && f->n_energies == 0 && f->energy_unreadable[0] != '\0') {
        write_unreadable(f->energy_unreadable, &out);
    }
    rc = rc ? rc : il_csv_close(&out, err);
    il_csv_abandon(&out);
    free(scratch);
    return rc;
}
