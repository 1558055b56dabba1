/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * 95 % intervals of the coefficients of a law, by the method that covers what it says at the number
 * of models there is (inferlaw-bench laws, docs/laws.md):
 *
 *   t                 estimate ± t·se from the Jacobian
 *   profile           every value whose best fit has a sum of squares of at most
 *                     SSE·(1 + t²/(n − k)) (Bates & Watts 1988, section 6.1.2); for affine and
 *                     affine_power, where one large model weighs more than resampling shows and
 *                     coefficients trade against each other along a curve
 *   nested_bootstrap  il_boot_nested: models, then blocks within a model
 */
#ifndef IL_STATS_FORM_INTERVALS_H
#define IL_STATS_FORM_INTERVALS_H

#include "stats/boot.h"
#include "stats/form_loo.h"

typedef enum il_form_method {
    IL_FORM_BY_NOTHING, /* no degree of freedom */
    IL_FORM_BY_T,
    IL_FORM_BY_PROFILE,
    IL_FORM_BY_NESTED,
} il_form_method;

/* "", "t", "profile", "nested_bootstrap". */
const char *il_form_method_name(il_form_method method);
/* The method for so many models. Resamples of few models hold too few different ones for a form of
 * many terms, so the bootstrap begins at 7 models for power and physics, at 15 for affine_power, at
 * 20 for the shape forms (t below), and affine always takes its profile, as affine_power below 15.
 */
il_form_method il_form_method_of(il_form form, size_t n_models);

/* out is [n_terms]. A term on its bound has no t interval (NaN ends); a profile that does not end
 * has none on that side. data->values are log10 ms of the models of points, and data->x is not
 * read. Forms that are searched take at most 1,000 resamples. */
int il_form_intervals(const il_form_points *points, const il_form_fit *fit, const il_nested *data,
                      il_form_method method, size_t n_resamples, il_stream *stream,
                      il_interval *out, il_error *err);

#endif
