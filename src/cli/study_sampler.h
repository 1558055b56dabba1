/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The sampler of a plan with a target: what the plan knows of its cells, handed to the analysis.
 */
#ifndef IL_CLI_STUDY_SAMPLER_H
#define IL_CLI_STUDY_SAMPLER_H

#include "base/arena.h"
#include "study/plan.h"
#include "study/sampler.h"

/* NULL in *out for a plan without a target. The arena must live as long as the sampler. */
int il_study_sampler(const il_plan *plan, il_arena *arena, il_sampler **out, il_error *err);

#endif
