/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The subcommands of inferlaw-bench that no other header declares. Each gets what follows its name
 * and returns the program's exit code.
 */
#ifndef IL_BENCH_BENCH_H
#define IL_BENCH_BENCH_H

int bench_analyze(int argc, char **argv);
int bench_coverage(int argc, char **argv);
int bench_compare(int argc, char **argv);
int bench_kernels(int argc, char **argv);
int bench_laws(int argc, char **argv);
int bench_sampling(int argc, char **argv);
int bench_parity(int argc, char **argv);
int bench_regimes(int argc, char **argv);
int bench_tokenizer(int argc, char **argv);

#endif
