/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * compare --live: a study whose backend entries stand twice, as NAME@a and NAME@b, run with both
 * sides of a pair next to each other.
 */
#ifndef IL_CLI_COMPARE_LIVE_H
#define IL_CLI_COMPARE_LIVE_H

#include "param/param.h"

/* Runs STUDY by the flags of compare; dir receives the run directory. *exit_code is that of the
 * run: 0, 2 or 3. IL_E_USAGE when the flags do not name two sides. */
int il_compare_live(const char *study, const il_param_set *flags, char *dir, size_t dir_bytes,
                    int *exit_code, il_error *err);

#endif
