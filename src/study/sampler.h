/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The seam between the driver, which computes no statistic, and whoever decides where the next
 * block goes. The driver reports every measured call that is ok, those of an earlier process of the
 * same run too, and asks after each block. Answers depend on what was observed and on the time left
 * alone, so that a resumed run decides as an undisturbed one.
 */
#ifndef IL_STUDY_SAMPLER_H
#define IL_STUDY_SAMPLER_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct il_sampler_call {
    uint32_t cell, block;
    uint32_t rep; /* of the block, from 0 */
    double prefill_ms, decode_ms;
} il_sampler_call;

/* Why no further block is needed, or IL_SAMPLER_MORE. */
typedef enum il_sampler_reason {
    IL_SAMPLER_MORE,
    IL_SAMPLER_TARGET,  /* every interval of the question is narrow enough */
    IL_SAMPLER_BUDGET,  /* no further block fits into the time left */
    IL_SAMPLER_NOISE,   /* further blocks no longer narrow those that are too wide */
    IL_SAMPLER_BLOCKS,  /* every block that may be planned is */
    IL_SAMPLER_NOTHING, /* no call was ok: another block would bring none either */
    IL_SAMPLER_REASONS
} il_sampler_reason;

typedef struct il_sampler_step {
    il_sampler_reason reason;
    double half_width; /* of the widest interval of the question, in its unit; NaN unknown */
    char widest[320];  /* whose it is */
} il_sampler_step;

typedef struct il_sampler il_sampler;

typedef struct il_sampler_ops {
    /* The same cell, block and rep again replaces what was there. */
    void (*observe)(il_sampler *sampler, const il_sampler_call *call);
    /* After `blocks` blocks, with left_s seconds left (INFINITY without a budget): marks in groups,
     * which come all false, those that get the next block. At least one when reason is MORE. */
    int (*next)(il_sampler *sampler, uint32_t blocks, double left_s, bool *groups,
                il_sampler_step *out, il_error *err);
    void (*close)(il_sampler *sampler);
} il_sampler_ops;

/* Begins every sampler. */
struct il_sampler {
    const il_sampler_ops *ops;
};

#endif
