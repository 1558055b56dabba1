/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The plan line, and the blocks that a plan with a target is given as it runs (docs/sampling.md).
 */
#include "study/driver_parts.h"

#include "os/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* As the plan line and sampling.csv say it. */
static const char *const reasons[IL_SAMPLER_REASONS] = {
    [IL_SAMPLER_MORE] = "",
    [IL_SAMPLER_TARGET] = "target",
    [IL_SAMPLER_BUDGET] = "budget",
    [IL_SAMPLER_NOISE] = "noise_floor_reached",
    [IL_SAMPLER_BLOCKS] = "blocks_most",
    [IL_SAMPLER_NOTHING] = "nothing_measured",
};

void il__driver_observe(il__driver *d, uint32_t cell, uint32_t block, uint32_t rep,
                        double prefill_ms, double decode_ms)
{
    il_sampler *s = d->options->sampler;
    if (s && d->plan->sampling.adaptive) {
        const il_sampler_call call = {cell, block, rep, prefill_ms, decode_ms};
        s->ops->observe(s, &call);
    }
}

int il__driver_write_plan(il__driver *d, il_error *err)
{
    json_t *body = il_plan_json(d->plan, d->history.run_id);
    const json_t *last = d->history.plan_line;
    bool same = body && last;
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value)
    {
        same = same && json_equal(value, json_object_get(last, key));
    }
    if (same) {
        json_decref(body);
        return IL_OK;
    }
    json_decref(d->history.plan_line);
    d->history.plan_line = json_deep_copy(body);
    return il_journal_write(d->journal, "plan", body, err);
}

static uint32_t count_groups(const il__driver *d, const bool *groups)
{
    uint32_t n = 0;
    for (uint32_t g = 0; g < d->plan->n_groups; g++) {
        n += groups[g];
    }
    return n;
}

static void say_step(const il__driver *d, const il_sampler_step *step, uint32_t n_groups)
{
    const il_plan_sampling *s = &d->plan->sampling;
    char width[64] = "its width is not known yet";
    if (isfinite(step->half_width)) {
        bool percent = strcmp(s->question, "cells") == 0;
        (void)snprintf(width, sizeof width, percent ? "+-%.3g %%" : "+-%.3g",
                       step->half_width * (percent ? 100 : 1));
    }
    if (step->reason == IL_SAMPLER_MORE) {
        il__driver_say(d, "widest interval: %s (%s); block %u goes to %u of %u processes",
                       step->widest, width, s->rounds, n_groups, d->plan->n_groups);
    } else {
        static const char *const why[IL_SAMPLER_REASONS] = {
            [IL_SAMPLER_TARGET] = "every interval is as narrow as asked",
            [IL_SAMPLER_BUDGET] = "no further block fits into time_budget_s",
            [IL_SAMPLER_NOISE] = "further blocks no longer narrow the widest intervals",
            [IL_SAMPLER_BLOCKS] = "all blocks that the schedule allows are done",
            [IL_SAMPLER_NOTHING] = "no call was ok",
        };
        il__driver_say(d, "%u blocks, %s; widest interval: %s (%s)", s->rounds, why[step->reason],
                       step->widest, width);
    }
}

static double left_s(const il__driver *d)
{
    return d->budget_s > 0 ? d->budget_s - (double)(il_clock_ns() - d->started_ns) * 1e-9
                           : (double)INFINITY;
}

int il__driver_extend(il__driver *d, uint32_t block, bool *more, il_error *err)
{
    il_plan *p = d->plan;
    il_plan_sampling *s = &p->sampling;
    il_sampler_step step = {.reason = IL_SAMPLER_BLOCKS, .half_width = (double)NAN};
    il_sampler *sampler = d->options->sampler;
    *more = false;
    if (!s->adaptive) {
        return IL_OK;
    }
    bool none = false; /* what a full plan marks goes nowhere */
    bool *groups = block < p->blocks ? s->extra + (size_t)block * p->n_groups
                                     : il_arena_array(&d->arena, p->n_groups, sizeof none);
    if (!groups) {
        return il_fail(err, IL_E_NOMEM, "out of memory");
    }
    int rc = sampler->ops->next(sampler, block, left_s(d), groups, &step, err);
    if (rc != IL_OK) {
        return rc;
    }
    uint32_t n = count_groups(d, groups);
    *more = step.reason == IL_SAMPLER_MORE && n > 0 && block < p->blocks;
    if (step.reason == IL_SAMPLER_MORE && !*more) {
        step.reason = IL_SAMPLER_BLOCKS;
    }
    s->rounds += *more;
    s->half_width = step.half_width;
    (void)snprintf(s->widest, sizeof s->widest, "%s", step.widest);
    (void)snprintf(s->stop, sizeof s->stop, "%s", reasons[step.reason]);
    d->result->stop = step.reason;
    say_step(d, &step, n);
    return il__driver_write_plan(d, err);
}
