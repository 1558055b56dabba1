/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The plots of a run and of a sweep, as PNG and SVG below analysis/plots (a sweep: plots). Names
 * and content are those of the original study's schema, plus step_time_vs_parameters.
 */
#ifndef IL_REPORT_PLOTS_H
#define IL_REPORT_PLOTS_H

#include "report/facts.h"

/* Draws every plot of the run directory with one gnuplot process. Without gnuplot: one sentence on
 * stderr, IL_OK, and no pictures. Errors: CRASHED, TIMEOUT when gnuplot fails. */
int il_plots_write(il_facts *facts, il_error *err);

/* Draws plots/decode_fraction_by_gen_tokens of a sweep directory from decode_fraction_summary.csv
 * (backend, gen_tokens_target, decode_fraction_median, decode_fraction_p25, decode_fraction_p75).
 */
int il_plots_write_sweep(const char *sweep_dir, il_error *err);

#endif
