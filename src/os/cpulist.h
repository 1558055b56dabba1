/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of CPUs as people and the kernel write them: "0-3,8".
 */
#ifndef IL_OS_CPULIST_H
#define IL_OS_CPULIST_H

#include "inferlaw/error.h"

#include <sched.h>

/* Parses decimal numbers and ascending ranges below CPU_SETSIZE, separated by commas, no spaces.
 * IL_E_PARSE or IL_E_RANGE name the text. Whether the machine has these CPUs is not asked. */
int il_cpulist_parse(const char *text, cpu_set_t *out, il_error *err);

#endif
