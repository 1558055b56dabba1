/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw-bench coverage [SEED [PART]]: what the intervals and tests of src/stats cover in
 * simulation, as CSV; PART is part of a method's or a quantity's name. Exit status 1 when one that
 * the tool uses is out of the range asked of it.
 */
#include "bench.h"

#include "tests/stats/simulate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int bench_coverage(int argc, char **argv)
{
    uint64_t seed = argc > 0 ? strtoull(argv[0], NULL, 10) : 1;
    const char *part = argc > 1 ? argv[1] : "";
    int rc = 0;
    (void)printf("method,quantity,noise,n_models,n_blocks,trials,percent,standard_error,least,most,"
                 "within\n");
    for (size_t i = 0; i < sizeof sim_cases / sizeof sim_cases[0]; i++) {
        const sim_case *c = &sim_cases[i];
        if (!strstr(c->method, part) && !strstr(c->quantity, part)) {
            continue;
        }
        double got = sim_run(c, c->full_trials, seed);
        double se = sqrt(fmax(got * (100 - got), 0) / c->full_trials);
        bool asked = c->ask != SIM_SHOWN;
        /* A true value at the very edge is seen outside it half the time. */
        bool within =
            got >= sim_asked[c->ask].least - 2 * se && got <= sim_asked[c->ask].most + 2 * se;
        (void)printf("\"%s\",\"%s\",%s,", c->method, c->quantity, sim_noise_names[c->noise]);
        if (c->n_models > 0) {
            (void)printf("%zu", c->n_models);
        }
        (void)printf(",%zu,%d,%.3f,%.3f,", c->n_blocks, c->full_trials, got, se);
        if (asked) {
            (void)printf("%g,%g,%s\n", sim_asked[c->ask].least, sim_asked[c->ask].most,
                         within ? "True" : "False");
            rc |= !within;
        } else {
            (void)printf(",,\n");
        }
        (void)fflush(stdout);
    }
    return rc;
}
