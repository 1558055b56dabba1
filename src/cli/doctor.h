/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The parts of `inferlaw doctor`: measuring fills one JSON document, printing walks it, so that the
 * table for people and --json cannot differ in content.
 */
#ifndef IL_CLI_DOCTOR_H
#define IL_CLI_DOCTOR_H

#include "inferlaw/error.h"
#include "os/machine.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* {"read": [{level, working_set_bytes, threads, median, ci_low, ci_high, n}], "multiply_add":
 * [{dtype, threads, …}]}, GB/s and GFLOP/s: medians with exact 95 % intervals, for 1, 2, 4 … and
 * n_threads threads. The caller owns *out. Some seconds. */
int il__doctor_ceilings(const il_machine *machine, uint32_t n_threads, json_t **out, il_error *err);
/* {directory, line_bytes, median, ci_low, ci_high, n} in ms: append one journal line and fdatasync,
 * in the working directory, by a file without a name. {directory, unreadable: why} when it cannot
 * be written. NULL when memory is out. */
json_t *il__doctor_disk(uint32_t n_samples);
/* Writes the document to stdout as text. */
void il__doctor_print(const json_t *doc);

#endif
