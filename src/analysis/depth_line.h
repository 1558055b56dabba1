/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Whether models that differ in depth alone can lie on one straight line. A slope is the time of a
 * layer only where every layer costs the same: a sweep that leaves a cache has two slopes.
 */
#ifndef IL_ANALYSIS_DEPTH_LINE_H
#define IL_ANALYSIS_DEPTH_LINE_H

#include "analysis/law_fit.h"

/* Neighbouring depths are of one tier when their floors read at rates no further apart than this
 * factor, or when neither is bound by memory. */
#define IL__ONE_TIER_FACTOR 1.25
/* A curve has to beat the line at this level (F test) to close the gate. */
#define IL__BEND_LEVEL 0.05

/* models ascend in depth. The longest run of them within one tier: its length, *from its start; all
 * of them where ceilings are not known. */
size_t il__depths_in_one_tier(const il__law_model *models, size_t n, size_t *from);

/* line is fitted (affine in n_layer, models ascending in depth). True when it is no straight line,
 * and says why: the read ceiling changes within the sweep, the intercept is below 0 with its whole
 * interval, or a power of depth fits better. */
bool il__depths_bend(const il__law *line, il_buf *why, il_error *err);

#endif
