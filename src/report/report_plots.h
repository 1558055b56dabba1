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
/* What a cold start adds against the bytes of the files, with the fitted lines. */
int il__plot_cold(il_facts *facts, il__report_plot *out, bool *there, il_error *err);

/* An empty plot of log axes with room for so many points; and the places of its labels, wide and
 * narrow, once it is filled. */
int il__report_plot_start(il_facts *f, il__plot *p, const char *name, size_t most, il_error *err);
int il__report_plot_layout(il_facts *f, il__report_plot *out, il_error *err);

#endif
