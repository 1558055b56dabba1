/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/policy.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void because(il__policy *p, const char *verdict, const char *fmt, ...)
{
    va_list args;
    p->verdict = verdict;
    va_start(args, fmt);
    (void)vsnprintf(p->because, sizeof p->because, fmt, args);
    va_end(args);
}

/* "34 M", "beyond 124 M", "below 0.1 M". */
static const char *size_words(const il__policy *p, double log_size, char out[48])
{
    if (log_size == INFINITY || log_size == -INFINITY) {
        (void)snprintf(out, 48, "%s %.3g M", log_size > 0 ? "beyond" : "below",
                       exp(log_size > 0 ? p->x_high : p->x_low));
    } else {
        (void)snprintf(out, 48, "%.3g M", exp(log_size));
    }
    return out;
}

static const char *gain_words(const il__policy *p, char out[96])
{
    (void)snprintf(out, 96, "%.4g times (%.4g to %.4g)", exp(p->gain.estimate), exp(p->gain.low),
                   exp(p->gain.high));
    return out;
}

/* A remedy of time: does it carry the limit to larger models? */
static void judge_time(const char *base, const char *with, il__policy *p)
{
    char gain[96], from[48], to[48], end[48];
    double floor = log1p(p->mde);
    gain_words(p, gain);
    size_words(p, p->base.estimate, from);
    size_words(p, p->remedy.estimate, to);
    if (p->gain.high < floor) {
        because(p, "does_not_help", "at %s the gain is %s: not above the noise floor of %.2g %%",
                size_words(p, p->at, end), gain, 100 * p->mde);
    } else if (p->gain.low <= floor) {
        because(p, "undecided",
                "at %s the gain is %s: its interval takes in the noise floor of %.2g %%",
                size_words(p, p->at, end), gain, 100 * p->mde);
    } else if (p->remedy.high < p->x_low) {
        because(p, "does_not_help",
                "%s is faster, %s, and exceeds the limit at every size that was run, too", with,
                gain);
    } else if (!(p->base.high <= p->x_high)) {
        because(p, "undecided",
                "whether %s meets the limit up to %s is not known: its interval reaches beyond",
                base, size_words(p, p->x_high, end));
    } else {
        because(p, "needed",
                "%s meets the limit at %s, %s at %s; at %s the gain is %s, above the noise floor "
                "of %.2g %%",
                base, from, with, to, size_words(p, p->at, end), gain, 100 * p->mde);
    }
}

/* A larger batch makes no token come sooner: what counts is up to which size the limit affords it
 * and what it gives in tokens per second. */
static void judge_batch(const char *with, il__policy *p)
{
    char gain[96], to[48], end[48];
    double floor = log1p(p->mde);
    gain_words(p, gain);
    if (p->remedy.high < p->x_low) {
        because(p, "does_not_help", "%s exceeds the limit at every size that was run", with);
    } else if (p->gain.high < floor) {
        because(p, "does_not_help",
                "at %s it gives %s the tokens per second: not above the noise floor of %.2g %%",
                size_words(p, p->at, end), gain, 100 * p->mde);
    } else if (p->gain.low <= floor) {
        because(p, "undecided",
                "at %s it gives %s the tokens per second: the interval takes in the noise floor of "
                "%.2g %%",
                size_words(p, p->at, end), gain, 100 * p->mde);
    } else {
        because(p, "affordable",
                "a batch lowers no latency; the limit affords it up to %s, and at %s it gives %s "
                "the tokens per second",
                size_words(p, p->remedy.estimate, to), size_words(p, p->at, end), gain);
    }
}

static void judge_batch_sizes(const char *with, il__policy *p)
{
    char to[48];
    size_words(p, p->remedy.estimate, to);
    if (p->remedy.high < p->x_low) {
        because(p, "does_not_help", "%s exceeds the limit at every size that was run", with);
    } else if (isnan(p->remedy.estimate)) {
        because(p, "undecided", "where %s meets the limit is not known", with);
    } else {
        because(p, "affordable",
                "a batch lowers neither latency nor memory; the limit affords it up to %s", to);
    }
}

/* From intervals of two backends that were not resampled together: memory and tails. */
static void judge_sizes(const char *base, const char *with, il__policy *p)
{
    char from[48], to[48];
    size_words(p, p->base.estimate, from);
    size_words(p, p->remedy.estimate, to);
    if (isnan(p->ratio.low) || isnan(p->ratio.high)) {
        because(p, "undecided", "%s meets the limit at %s, %s at %s: no interval of the two", base,
                from, with, to);
    } else if (p->ratio.low > 0) {
        because(p, "needed", "%s meets the limit at %s, %s at %s: intervals apart", base, from,
                with, to);
    } else if (p->ratio.high <= 0) {
        because(p, "does_not_help", "%s meets the limit at %s, %s at %s", base, from, with, to);
    } else {
        because(p, "undecided", "%s meets the limit at %s, %s at %s: the intervals overlap", base,
                from, with, to);
    }
}

void il__policy_judge(il__remedy remedy, const char *base, const char *with, il__policy *p)
{
    bool time = strcmp(p->limit, "itl") == 0 || strcmp(p->limit, "ttft") == 0;
    char end[48];
    if (p->verdict[0]) {
        return; /* already said why not */
    }
    if (time && p->n_blocks < IL__LEAST_BLOCKS) {
        because(p, "undecided", "%zu blocks, an interval takes %d", p->n_blocks, IL__LEAST_BLOCKS);
    } else if (time && !(p->mde >= 0)) {
        because(p, "undecided", "no noise floor: the run has no A/A arms of two blocks or more");
    } else if (remedy == IL__REMEDY_BATCHING && time) {
        judge_batch(with, p);
    } else if (remedy == IL__REMEDY_BATCHING) {
        judge_batch_sizes(with, p);
    } else if (p->base.low >= p->x_high) {
        because(p, "not_needed", "%s keeps the limit up to %s, the largest that was run", base,
                size_words(p, p->x_high, end));
    } else if (time) {
        judge_time(base, with, p);
    } else {
        judge_sizes(base, with, p);
    }
}
