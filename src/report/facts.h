/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Everything the report reads, loaded once: the manifest and the tables of
 * analysis/. Only artifacts: no clock, no machine, no other run.
 */
#ifndef IL_REPORT_FACTS_H
#define IL_REPORT_FACTS_H

#include "report/artifact.h"
#include "report/medians.h"

#include <jansson.h>

typedef struct il_facts {
    il_arena arena;
    const char *run_dir;
    json_t *manifest; /* NULL for a foreign run, which has none */
    il_medians medians;
    il_artifact median_rows, outcomes; /* what medians was read from; always present */
    il_artifact summary, agg, fits;    /* of the original study; always present */
    /* Those below may be absent. */
    il_artifact laws, leave_one_out, law_points, law_curves, baselines, shape_costs;
    il_artifact noise, blocks, sampling, tails, steps, steady, regimes, crossovers;
    il_artifact first_limit, rankings, efficiency, claims;
    il_artifact equivalence, prefix_cache;
    il_artifact policy;
    il_artifact cold_start, cold_law, cold_risk, warmup_policy;
    il_artifact parity, memory, energy, early_stop;
} il_facts;

/* DAMAGED with file and next step when the manifest or a table cannot be read, or when there is no
 * analysis. NOT_FOUND when run_dir is no directory. Free with il_facts_free also after
 * a failure. */
int il_facts_load(const char *run_dir, il_facts *out, il_error *err);
void il_facts_free(il_facts *facts);
/* Whether the study switched the parity gate off; false without a manifest. */
bool il_facts_parity_off(const il_facts *facts);

/* A text or number below the manifest, by keys ("machine", "cpu_model", NULL); "" and NaN when it
 * is not there. */
const char *il_facts_text(const il_facts *facts, const char *section, const char *key);
double il_facts_number(const il_facts *facts, const char *section, const char *key);

/* The smallest effect this run may call for a backend and mode, as a ratio minus one (0.02 = 2 %):
 * the largest MDE over its A/A cells. NaN when no noise floor was measured. *row, if not NULL,
 * receives the row of noise_floor.csv. */
double il_facts_mde(const il_facts *facts, const char *backend, const char *mode, size_t *row);

/* Row of the slope of a law, or SIZE_MAX. */
size_t il_facts_law(const il_facts *facts, const char *backend, const char *mode,
                    int64_t batch_size, const char *x, const char *form);

#endif
