/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Many tests at once: adjusted p values. An adjusted value is compared with the level as a single p
 * value would be.
 */
#ifndef IL_STATS_MULTIPLE_H
#define IL_STATS_MULTIPLE_H

#include "inferlaw/error.h"

#include <stddef.h>

/* Holm 1979: controls the probability of one false rejection, whatever the tests have in common.
 * p and out are n long and may be the same array. A NaN p stays NaN and counts as no test. NOMEM.
 */
int il_holm_adjust(const double *p, size_t n, double *out, il_error *err);
/* Benjamini & Hochberg 1995: controls the expected share of false rejections among the rejections,
 * for independent or positively dependent tests. As above. */
int il_fdr_adjust(const double *p, size_t n, double *out, il_error *err);

#endif
