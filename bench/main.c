/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw-bench: one subcommand a file. Every figure is a ratio of things measured in the same
 * run, with an interval.
 */
#include "bench.h"
#include "engine_bench.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv); /* gets what follows the name */
} commands[] = {
    {"kernels", "each CPU kernel against its own roofline", bench_kernels},
    {"decode", "whole-model decode against the read bandwidth", bench_decode},
    {"prefill", "whole-model prefill against the multiply-add peak", bench_prefill},
    {"analyze", "the tables of a million rows against reading the file", bench_analyze},
    {"laws", "intervals of known laws and the choice of their form, simulated", bench_laws},
    {"sampling", "what intervals cover when the data decide when to stop", bench_sampling},
    {"compare", "error rates and power of compare, simulated", bench_compare},
    {"parity", "what number formats alone do to logits", bench_parity},
    {"regimes", "breaks, crossings and change-points of known truth", bench_regimes},
    {"tokenizer", "text to token ids, MB/s, against copying the text", bench_tokenizer},
    {"coverage", "what intervals and tests cover in simulation", bench_coverage},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 2, argv + 2);
        }
    }
    (void)fprintf(stderr, "usage: inferlaw-bench COMMAND [options]\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        (void)fprintf(stderr, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    return 1;
}
