/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * `inferlaw bench --url`: a server's latencies by named event, with exact intervals over blocks.
 */
#ifndef IL_CLI_BENCH_SERVER_H
#define IL_CLI_BENCH_SERVER_H

#include "cli/table.h"
#include "study/plan.h"

/* The study as JSON; scenarios is taken. NULL when memory is out. */
json_t *il_bench_server_study(const il_param_set *flags, json_t *scenarios, int64_t gen_tokens);
/* Prints the table of a run of it. */
int il_bench_server_print(const il_plan *plan, const char *journal, bool json, il_error *err);

#endif
