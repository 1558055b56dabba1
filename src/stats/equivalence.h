/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Two one-sided tests (Schuirmann 1987): whether an effect is shown to be smaller than a margin.
 */
#ifndef IL_STATS_EQUIVALENCE_H
#define IL_STATS_EQUIVALENCE_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct il_equivalence {
    double estimate;  /* mean of the effects */
    double low, high; /* the 1 − 2α interval, which decides: 90 % at level 0.05 */
    double p;         /* the larger of the two one-sided p values */
    bool equivalent;  /* p < level: the interval lies inside ±margin */
} il_equivalence;

/* Effects on an additive scale (log ratios for times), margin > 0 on that scale. n ≥ 2, else
 * IL_E_TOO_FEW; a margin that is not positive or a level outside (0, 0.5) is IL_E_INVALID. Effects
 * all the same are equivalent when they lie inside the margin. */
int il_equivalence_test(const double *effects, size_t n, double margin, double level,
                        il_equivalence *out, il_error *err);

#endif
