/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The sections of the report, each a function that adds to the document. Every section is always
 * there or says in a sentence why it is not; those of tables that only some runs have (cold starts,
 * parity, memory, energy) are left out, and "What this run cannot tell" names them.
 */
#ifndef IL_REPORT_REPORT_INTERNAL_H
#define IL_REPORT_REPORT_INTERNAL_H

#include "report/document.h"
#include "report/facts.h"
#include "report/report_plots.h"

/* The pictures, made once: they must outlive the document. */
typedef struct il__pictures {
    il__report_plot step_time, residuals, left_out, cold;
    bool has_step_time, has_residuals, has_left_out, has_cold;
} il__pictures;

/* False when the interval of the row's drift takes in 0. */
bool il__drift_told(const il_artifact *noise, size_t row);
/* The row whose value is farthest from the centre; *row is left alone when none has one. */
double il__worst_of(const il_artifact *t, const char *column, double centre, size_t *row);

void il__report_first_screen(il__doc *doc, const il_facts *facts, const il_findings *found,
                             const il__pictures *pictures);
void il__report_models(il__doc *doc, const il_facts *facts);
void il__report_noise(il__doc *doc, const il_facts *facts);
void il__report_laws(il__doc *doc, const il_facts *facts, const il__pictures *pictures);
void il__report_shapes(il__doc *doc, const il_facts *facts);
void il__report_steps(il__doc *doc, const il_facts *facts);
void il__report_tails(il__doc *doc, const il_facts *facts);
void il__report_regimes(il__doc *doc, const il_facts *facts);
void il__report_crossovers(il__doc *doc, const il_facts *facts);
void il__report_limits(il__doc *doc, const il_facts *facts);
void il__report_rankings(il__doc *doc, const il_facts *facts);
void il__report_efficiency(il__doc *doc, const il_facts *facts);
/* When quantisation, batching, compilation or another runtime becomes necessary. Left out without
 * rows of policy.csv. */
void il__report_policy(il__doc *doc, const il_facts *facts);
void il__report_claims(il__doc *doc, const il_facts *facts);
void il__report_cold(il__doc *doc, const il_facts *facts, const il__pictures *pictures);
void il__report_memory(il__doc *doc, const il_facts *facts);
void il__report_energy(il__doc *doc, const il_facts *facts);
void il__report_optional(il__doc *doc, const il_facts *facts);
void il__report_machine(il__doc *doc, const il_facts *facts);
void il__report_method(il__doc *doc, const il_facts *facts);
void il__report_reproduce(il__doc *doc, const il_facts *facts);
/* The rows that the findings cite, whole and as they stand in their files. */
void il__report_evidence(il__doc *doc, const il_facts *facts, const il_findings *found);

#endif
