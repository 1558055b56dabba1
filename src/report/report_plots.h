/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The plots inside the report, from the tables of the laws: drawn by svg.c into report.html and as
 * files for report.md. (plots.c draws the original study's plots with gnuplot.) Shared by the files
 * of src/report only.
 */
#ifndef IL_REPORT_REPORT_PLOTS_H
#define IL_REPORT_REPORT_PLOTS_H

#include "report/facts.h"
#include "report/plot.h"

typedef struct il__report_plot {
    il__plot plot, narrow; /* the same for a narrow window */
    const char *caption;   /* what the marks mean, and of which law */
} il__report_plot;

/* The first picture: time of a decode step against bytes read, with the floor, the selected law and
 * its prediction band, and the power law without each model; against parameters where no law was
 * fitted. *there is false when no decode was measured. Memory from the facts' arena. */
int il__plot_step_time(il_facts *facts, il__report_plot *out, bool *there, il_error *err);
/* Residuals of the selected law of the answer's backend, and its leave-one-out errors: what each
 * model is missed by when the law was fitted with and without it. */
int il__plot_residuals(il_facts *facts, il__report_plot *out, bool *there, il_error *err);
/* The exponent in total parameters without each model, against the model's leverage. */
int il__plot_left_out(il_facts *facts, il__report_plot *out, bool *there, il_error *err);

#endif
