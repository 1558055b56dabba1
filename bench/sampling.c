/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw-bench sampling [TRIALS]: what intervals cover when the data decide when to stop, and
 * what that saves, over kinds of noise and targets; the numbers of docs/sampling.md.
 */
#include "bench.h"

#include "base/text.h"
#include "tests/stats/sampling_noise.h"

#include <stdio.h>

static double percent(size_t part, size_t whole)
{
    return 100.0 * (double)part / (double)whole;
}

static void cells(noise_kind kind, size_t most, double target, int64_t trials)
{
    il_stream stream = il_stream_open(3, "bench sampling", noise_names[kind]);
    noise_count c = {0};
    for (int64_t i = 0; i < trials; i++) {
        noise_trial(kind, &stream, most, target, &c);
    }
    (void)printf("%-12s %4zu %7.2f %9.1f %9.1f %9.1f %7.1f %7.1f %8.1f %8.1f\n", noise_names[kind],
                 most, 100 * target, percent(c.covered, c.trials),
                 percent(c.covered_fixed, c.trials), percent(c.covered_peeking, c.trials),
                 percent(c.met, c.trials), percent(c.stuck, c.trials),
                 (double)c.blocks / (double)c.trials, 100 - percent(c.blocks, c.trials * most));
}

static void law(noise_kind kind, size_t most, double target, int64_t trials)
{
    il_stream stream = il_stream_open(3, "bench sampling law", noise_names[kind]);
    noise_count c = {0};
    for (int64_t i = 0; i < trials; i++) {
        noise_law_trial(kind, &stream, most, target, &c);
    }
    (void)printf("%-12s %4zu %7.3f %9.1f %19s %7.1f %7.1f %8.1f %8.1f\n", noise_names[kind], most,
                 target, percent(c.covered, c.trials), "", percent(c.met, c.trials),
                 percent(c.stuck, c.trials), (double)c.blocks / (double)c.trials / NOISE_MODELS,
                 100 - percent(c.blocks, c.trials * most * NOISE_MODELS));
}

int bench_sampling(int argc, char **argv)
{
    static const double targets[] = {0.007, 0.01, 0.014, 0.02, 0.028};
    static const size_t most[] = {40, 100};
    int64_t trials = 20000;
    if (argc > 1 || (argc == 1 && (il_text_to_i64(argv[0], &trials) != IL_OK || trials < 1))) {
        (void)fprintf(stderr, "usage: inferlaw-bench sampling [TRIALS]\n");
        return 1;
    }
    (void)printf("spread of a block 2 %%; %lld trials a row; %% of trials unless named\n\n"
                 "medians of cells, exact 95 %% interval\n"
                 "noise        most  target  adaptive  fixed    peeking    met   stuck   blocks  "
                 "saved\n",
                 (long long)trials);
    for (int k = 0; k < NOISE_WALK; k++) {
        for (size_t m = 0; m < sizeof most / sizeof most[0]; m++) {
            for (size_t t = 0; t < sizeof targets / sizeof targets[0]; t++) {
                cells((noise_kind)k, most[m], targets[t], trials);
            }
        }
    }
    (void)printf("\nexponent of seven models, its measured part, deciding interval (98 %%)\n");
    for (int k = 0; k <= NOISE_SKEWED; k++) {
        for (size_t t = 0; t < 3; t++) {
            law((noise_kind)k, 40, 0.005 * (double)(1 << t), trials / 10 + 1);
        }
    }
    return 0;
}
