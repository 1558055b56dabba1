/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * All laws of one backend, batch size and mode: every form on every x that is known, each fitted,
 * judged and resampled, and one of them chosen.
 */
#ifndef IL_ANALYSIS_LAW_FIT_H
#define IL_ANALYSIS_LAW_FIT_H

#include "analysis/law_data.h"
#include "base/buf.h"
#include "stats/form_intervals.h"
#include "stats/form_select.h"

typedef struct il__law {
    const il__law_data *data;
    il_form form;
    const char *x_name;
    size_t n;                     /* models whose x is known */
    const il__law_model **models; /* [n] */
    double *x, *ms;               /* [n][il_form_n_x], [n] */
    size_t n_unknown, n_blocks;   /* models without x; the least blocks of a model */
    bool fitted;
    il_form_loo loo;
    il_form_judgement judgement;
    il_interval terms[IL_FORM_MOST_TERMS]; /* ends NaN: no interval */
    const char *ci_method;
    double mape, p95;        /* of this form, left out; NaN unknown, infinite */
    double aicc, delta_aicc; /* NaN: too few models */
    double
        unflagged[IL_FORM_MOST_TERMS]; /* without the rows that carry flags; NaN: cannot be had */
    size_t about; /* the term that judgement is on; as many as it has terms: the law */
    bool in_choice, selected;
} il__law;

typedef struct il__laws {
    il__law *items;
    size_t n;
    il_selection choice;
    size_t *candidates; /* items that were compared, in the order of choice */
    size_t n_candidates;
} il__laws;

/* The term that sentences quote: slope, b, s, β of layers, time per layer. */
size_t il__law_main_term(il_form form);
/* One law: fitted, judged and resampled, or with n 0 when no model has its x. x_name must outlive
 * it; x_kind is read for forms of one x. il__law_free also after a failure. */
int il__law_fit(const il__run *run, const il__law_data *data, il_form form, const char *x_name,
                il__law_x x_kind, il__law *out, il_error *err);
void il__law_free(il__law *law);
int il__laws_fit(const il__run *run, const il__law_data *data, il__laws *out, il_error *err);
void il__laws_free(il__laws *laws);
/* From here on judgement, verdict and words are on one term, not on the law. */
void il__law_judge_term(il__law *law, size_t term);
/* The verdict's reason in words, with the number and the model. */
void il__law_say_why(const il__law *law, il_buf *out);
/* supported or not_identifiable. */
const char *il__law_verdict(const il__law *law);
/* backend, batch_size, mode, x, form. */
void il__law_write_key(const il__run *run, const il__law *law, il_csv_writer *out);
/* Rows of law_points.csv and law_curves.csv, whose columns these are. */
extern const char *const il__law_point_columns[];
extern const char *const il__law_curve_columns[];
extern const char *const il__law_baseline_columns[];
enum { IL__LAW_POINT_COLUMNS = 17, IL__LAW_CURVE_COLUMNS = 10, IL__LAW_BASELINE_COLUMNS = 12 };
int il__law_write_points(const il__run *run, const il__law *law, il_csv_writer *out, il_error *err);
void il__law_write_curves(const il__run *run, const il__law *law, il_csv_writer *out);
/* Rows of baselines.csv: what the chosen law is held against; none below three models. */
void il__law_write_baselines(const il__run *run, const il__law_data *data, const il__laws *laws,
                             il_csv_writer *out);

#endif
