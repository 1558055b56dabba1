/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What the table writers of this module share: the run as loaded, medians of cells, groups of
 * points for fits, and the opening of an output file.
 */
#ifndef IL_ANALYSIS_TABLES_H
#define IL_ANALYSIS_TABLES_H

#include "analysis/facts.h"
#include "analysis/rows.h"
#include "analysis/shapes.h"
#include "base/csv.h"

typedef struct il__run {
    const char *run_dir;
    const char *out_dir; /* where the tables are written before they replace analysis/ */
    const il_rows *rows;
    const il_run_facts *facts; /* from the journal; empty for a foreign run */
    const il_shapes *shapes;
    bool include_warmup;
    size_t n_resamples;     /* of the original study's tables */
    size_t n_resamples_own; /* of ours */
    uint64_t seed;
    double *medians; /* [cell][IL_Q_COUNT], NaN where nothing was measured */
} il__run;

int il__medians_compute(il__run *run, il_error *err);
/* Values in the tables of the original: measured, with warm-up when that was asked for. */
size_t il__cell_n(const il__run *run, const il_cell *cell);
/* Values of the largest cell, with warm-up. */
size_t il__most_values(const il__run *run);
double il__cell_median(const il__run *run, size_t cell, il_quantity quantity);
/* Copies the values of a span that were measured into out (at least count long); returns how many.
 */
size_t il__span_values(const il__run *run, size_t first, size_t count, il_quantity quantity,
                       double *out);
/* Whether the row at this position stopped before the length asked for. */
bool il__stopped_early(const il__run *run, size_t position);
bool il__is_kind(const il__run *run, const il_cell *cell, const char *kind);
bool il__is_mode(const il__run *run, const il_cell *cell, const char *mode);
const char *il__text(const il__run *run, il_text_id id);

/* One model in one aggregate: its cells over the scenarios. */
typedef struct il__aggregate {
    il_text_id backend, backend_kind, model, model_kind, mode;
    double batch_size, params;
    size_t first, n; /* into the list of cell numbers */
} il__aggregate;

typedef struct il__aggregates {
    il__aggregate *items; /* sorted by backend, mode, batch size, parameters, model */
    size_t n;
    size_t *cells; /* cell numbers, by aggregate, then scenario */
} il__aggregates;

/* Cells without a value in the tables are left out. */
int il__aggregates_build(const il__run *run, il__aggregates *out, il_error *err);
void il__aggregates_free(il__aggregates *aggregates);
/* Geometric mean over the scenarios of the cells' medians; NaN when there is none > 0. */
double il__aggregate_geomean(const il__run *run, const il__aggregates *all,
                             const il__aggregate *item, il_quantity quantity);
/* How many of the following aggregates, this one included, share backend, kind, mode and batch. */
size_t il__aggregate_run(const il__aggregates *all, size_t from);

/* Opens out_dir/name and writes the header: n_columns names. */
int il__table_open(const il__run *run, const char *name, const char *const *columns,
                   size_t n_columns, il_csv_writer *out, il_error *err);
/* A key of a random stream: the parts joined by '|'. */
void il__stream_row(char *out, size_t out_bytes, const il__run *run, il_text_id backend,
                    double batch_size, il_text_id mode, const char *rest);

/* One function a table or family of tables, in the order they run: a new table is a file and a row
 * here. */
/* clang-format off */
#define IL__TABLE_MAP(X)                                                                           \
    X(il__write_summary)                                                                           \
    X(il__write_scaling)                                                                           \
    X(il__write_overhead)                                                                          \
    X(il__write_warmup)                                                                            \
    X(il__write_servers)                                                                           \
    X(il__write_server_counters)                                                                   \
    X(il__write_events)                                                                            \
    X(il__write_architecture)                                                                      \
    X(il__write_laws)                                                                              \
    X(il__write_shape_costs)                                                                       \
    X(il__write_noise)                                                                             \
    X(il__write_blocks)                                                                            \
    X(il__write_sampling)                                                                          \
    X(il__write_tails)                                                                             \
    X(il__write_efficiency)                                                                        \
    X(il__write_limits)                                                                            \
    X(il__write_rankings)                                                                          \
    X(il__write_policy)                                                                            \
    X(il__write_medians)                                                                           \
    X(il__write_parity)                                                                            \
    X(il__write_equivalence)                                                                       \
    X(il__write_prefix_cache)                                                                      \
    X(il__write_outcomes)                                                                          \
    X(il__write_steps)                                                                             \
    X(il__write_regimes)                                                                           \
    X(il__write_crossovers)                                                                        \
    X(il__write_steady)                                                                            \
    X(il__write_cold)                                                                              \
    X(il__write_cold_law)                                                                          \
    X(il__write_cold_policy)                                                                       \
    X(il__write_memory)                                                                            \
    X(il__write_energy)                                                                            \
    X(il__write_claims)
/* clang-format on */
#define IL__TABLE_DECLARE(writer) int writer(const il__run *run, il_error *err);
IL__TABLE_MAP(IL__TABLE_DECLARE)
#undef IL__TABLE_DECLARE

#define IL__COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
