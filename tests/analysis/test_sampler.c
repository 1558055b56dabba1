/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Where the next block goes: to the widest interval, within the time left, and nowhere when there
 * is nothing to gain.
 */
#include "check.h"

#include "analysis/sampler.h"
#include "stats/stream.h"

#include <math.h>

enum { MODELS = 5, BLOCKS = 40, MOST_CELLS = 2 * MODELS };

static il_sampler_cell cells[MOST_CELLS];
static il_sampler_group groups[MODELS];
static const char *const backends[] = {"native"};

/* One backend of five models, each with two scenarios in one process; sizes 1, 10 … 10^4. */
static il_sampler *open_sampler(const char *question, double target)
{
    il_sampler *s;
    il_error err = {0};
    for (uint32_t c = 0; c < MOST_CELLS; c++) {
        cells[c] = (il_sampler_cell){.group = c / 2, .runs = true, .name = "cell"};
    }
    for (uint32_t g = 0; g < MODELS; g++) {
        groups[g] = (il_sampler_group){.size = pow(10, g), .overhead_s = 1, .calls = 3};
    }
    cells[3].name = "noisy";
    const il_sampler_setup setup = {.question = question,
                                    .target = target,
                                    .n_cells = MOST_CELLS,
                                    .n_groups = MODELS,
                                    .n_backends = 1,
                                    .blocks = BLOCKS,
                                    .repetitions = 3,
                                    .block_s = 0.5,
                                    .cells = cells,
                                    .groups = groups,
                                    .backends = backends};
    check_ok(il_sampler_open(&setup, &s, &err), &err);
    return s;
}

/* Blocks from … to − 1 of a cell: ms times noise of this spread, three calls each, one of them off:
 * the block's median does not see it. */
static void feed(il_sampler *s, il_stream *stream, uint32_t cell, uint32_t from, uint32_t to,
                 double ms, double spread)
{
    for (uint32_t b = from; b < to; b++) {
        double value = ms * exp(spread * il_stream_normal(stream));
        for (uint32_t r = 0; r < 3; r++) {
            const il_sampler_call call = {cell, b, r, r == 1 ? 100 * value : value, 5 * value};
            s->ops->observe(s, &call);
        }
    }
}

static unsigned next(il_sampler *s, uint32_t blocks, double left_s, il_sampler_step *step)
{
    bool chosen[MODELS] = {false};
    unsigned bits = 0;
    il_error err = {0};
    check_ok(s->ops->next(s, blocks, left_s, chosen, step, &err), &err);
    for (unsigned g = 0; g < MODELS; g++) {
        bits |= (unsigned)chosen[g] << g;
    }
    return bits;
}

/* Spreads of 0.1 %; cell 3 (group 1) of 10 %, cell 8 (group 4) of `second`. */
static il_sampler *cells_with(double second, uint32_t blocks)
{
    il_sampler *s = open_sampler("cells", 0.02);
    il_stream stream = il_stream_open(5, "sampler", "cells");
    for (uint32_t c = 0; c < MOST_CELLS; c++) {
        feed(s, &stream, c, 0, blocks, c + 1, c == 3 ? 0.1 : c == 8 ? second : 0.001);
    }
    return s;
}

static void widest_first(void **state)
{
    (void)state;
    il_sampler_step step;
    il_sampler *s = cells_with(0.02, 8);
    /* The second one is wide too, but less than half as wide. */
    assert_int_equal(next(s, 8, INFINITY, &step), 1u << 1);
    assert_int_equal(step.reason, IL_SAMPLER_MORE);
    assert_true(strncmp(step.widest, "noisy ", 6) == 0);
    assert_true(step.half_width > 0.05 && step.half_width < 0.4);
    s->ops->close(s);
    s = cells_with(0.09, 8);
    assert_int_equal(next(s, 8, INFINITY, &step), 1u << 1 | 1u << 4);
    /* A block takes 0.5 s, a group another second and its calls: one fits, then none. */
    assert_int_equal(__builtin_popcount(next(s, 8, 2, &step)), 1);
    assert_int_equal(next(s, 8, 1.4, &step), 0);
    assert_int_equal(step.reason, IL_SAMPLER_BUDGET);
    assert_true(step.half_width > 0.05);
    s->ops->close(s);
}

static void stops(void **state)
{
    (void)state;
    il_sampler_step step;
    il_sampler *s = cells_with(0.09, BLOCKS);
    assert_int_equal(next(s, BLOCKS, INFINITY, &step), 0);
    assert_int_equal(step.reason, IL_SAMPLER_BLOCKS);
    s->ops->close(s);
    s = open_sampler("cells", 0.02);
    il_stream stream = il_stream_open(5, "sampler", "quiet");
    for (uint32_t c = 0; c < MOST_CELLS; c++) {
        feed(s, &stream, c, 0, 8, c + 1, 0.001);
    }
    assert_int_equal(next(s, 8, INFINITY, &step), 0);
    assert_int_equal(step.reason, IL_SAMPLER_TARGET);
    assert_true(step.half_width < 0.01);
    /* Seven blocks are narrow enough once, and once is not enough. */
    assert_int_equal(next(s, 7, INFINITY, &step), (1u << MODELS) - 1);
    s->ops->close(s);
    /* A cell that never works asks for nothing; when none does, nothing is asked. */
    s = open_sampler("cells", 0.02);
    assert_int_equal(next(s, 8, INFINITY, &step), 0);
    assert_int_equal(step.reason, IL_SAMPLER_NOTHING);
    for (uint32_t c = 1; c < MOST_CELLS; c++) {
        feed(s, &stream, c, 0, 8, c + 1, 0.001);
    }
    (void)next(s, 8, INFINITY, &step);
    assert_int_equal(step.reason, IL_SAMPLER_TARGET);
    s->ops->close(s);
}

/* Times that wander off: more blocks widen the interval. */
static void noise_floor(void **state)
{
    (void)state;
    il_sampler_step step;
    il_sampler *s = open_sampler("cells", 0.001);
    for (uint32_t c = 0; c < MOST_CELLS; c++) {
        for (uint32_t b = 0; b < 30; b++) {
            const il_sampler_call call = {c, b, 0, 1 + 0.01 * b * b, 1 + 0.01 * b * b};
            s->ops->observe(s, &call);
        }
    }
    assert_int_equal(next(s, 30, INFINITY, &step), 0);
    assert_int_equal(step.reason, IL_SAMPLER_NOISE);
    s->ops->close(s);
}

/* The order of observations and repeats of them change nothing: a resume decides the same. */
static void replayed(void **state)
{
    (void)state;
    il_sampler_step a, b;
    il_sampler *s = cells_with(0.09, 8), *again = open_sampler("cells", 0.02);
    for (int twice = 0; twice < 2; twice++) {
        il_stream stream = il_stream_open(5, "sampler", "cells");
        for (uint32_t c = 0; c < MOST_CELLS; c++) {
            feed(again, &stream, c, 0, 8, c + 1, c == 3 ? 0.1 : c == 8 ? 0.09 : 0.001);
        }
    }
    assert_int_equal(next(s, 8, 100, &a), next(again, 8, 100, &b));
    assert_true(a.half_width == b.half_width);
    assert_string_equal(a.widest, b.widest);
    s->ops->close(s);
    again->ops->close(again);
}

/* The ends of a line bear on its slope, its middle does not. */
static void laws_ask_the_ends(void **state)
{
    (void)state;
    il_sampler_step step;
    il_sampler *s = open_sampler("laws", 0.001);
    il_stream stream = il_stream_open(5, "sampler", "laws");
    for (uint32_t c = 0; c < MOST_CELLS; c++) {
        feed(s, &stream, c, 0, 8, 1 + c / 2, 0.02);
    }
    unsigned chosen = next(s, 8, INFINITY, &step);
    assert_int_equal(step.reason, IL_SAMPLER_MORE);
    assert_true(chosen & (1u << 0 | 1u << 4));
    assert_false(chosen & 1u << 2);
    assert_true(strncmp(step.widest, "native ", 7) == 0);
    s->ops->close(s);
    /* Target reached: half-widths of the exponent are about 0.004 here. */
    s = open_sampler("laws", 0.05);
    for (uint32_t c = 0; c < MOST_CELLS; c++) {
        feed(s, &stream, c, 0, 8, 1 + c / 2, 0.02);
    }
    assert_int_equal(next(s, 8, INFINITY, &step), 0);
    assert_int_equal(step.reason, IL_SAMPLER_TARGET);
    assert_true(step.half_width > 0.001 && step.half_width < 0.05);
    s->ops->close(s);
}

static void laws_need_models(void **state)
{
    (void)state;
    il_sampler *s;
    il_error err = {0};
    groups[0] = groups[1] = (il_sampler_group){.size = 5};
    groups[2] = (il_sampler_group){.size = NAN};
    const il_sampler_setup setup = {.question = "laws",
                                    .target = 0.02,
                                    .n_cells = 3,
                                    .n_groups = 3,
                                    .n_backends = 1,
                                    .blocks = 4,
                                    .repetitions = 1,
                                    .cells = cells,
                                    .groups = groups,
                                    .backends = backends};
    assert_int_equal(il_sampler_open(&setup, &s, &err), IL_E_USAGE);
    assert_null(s);
    assert_non_null(strstr(err.what, "three models"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {

        cmocka_unit_test(widest_first),      cmocka_unit_test(stops),
        cmocka_unit_test(noise_floor),       cmocka_unit_test(replayed),
        cmocka_unit_test(laws_ask_the_ends), cmocka_unit_test(laws_need_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
