/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of CPUs as people and the kernel write them: "0-3,8".
 */
#ifndef IL_OS_CPULIST_H
#define IL_OS_CPULIST_H

#include "inferlaw/error.h"

#include <sched.h>
#include <stdint.h>

/* Calls visit for every member in the order of the list: decimal numbers and ascending ranges below
 * 65536, separated by commas, no spaces; the list ends with its text or line. IL_E_PARSE or
 * IL_E_RANGE on the first thing that is no such list, after the members before it. */
int il_cpulist_visit(const char *text, void (*visit)(void *context, uint32_t cpu), void *context);
/* The list as a set: members below CPU_SETSIZE. Errors name the text. Whether the machine has these
 * CPUs is not asked. */
int il_cpulist_parse(const char *text, cpu_set_t *out, il_error *err);

#endif
