/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A/A arms from the calls of the journal: an arm's time is the median of its calls, as that of a
 * block is.
 */
#ifndef IL_ANALYSIS_ARMS_H
#define IL_ANALYSIS_ARMS_H

#include "analysis/facts.h"

typedef struct il__arm_call {
    uint32_t cell, block, pair, rep;
    bool arm_b;
    double prefill_ms, decode_ms, e2e_ms; /* NaN: the call failed */
    size_t at;                            /* place in the journal */
} il__arm_call;

/* The arms of the calls, by cell, block, pair and arm: il_aa, for the caller to free in every case.
 * A call whose rep does not follow begins its arm anew, and what stood before is left out (a resume
 * runs an arm that was cut short from its start). Arms without a call that worked are left out.
 * Sorts the calls. */
int il__arms_of(il__arm_call *calls, size_t n, const char *dir, il_vector *out, il_error *err);

#endif
