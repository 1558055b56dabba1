/* SPDX-License-Identifier: Apache-2.0
 *
 * A limit on the memory of a child process: a control group of its own below this process's, where
 * one can be made, else RLIMIT_AS, which counts address space and so fails earlier than memory
 * would run out. What is over the limit is killed or refused in the child; this process and the
 * machine go on.
 */
#ifndef IL_OS_MEMORY_LIMIT_H
#define IL_OS_MEMORY_LIMIT_H

#include "inferlaw/error.h"

#include <stdint.h>

typedef enum il_limit_by {
    IL_LIMIT_CGROUP_V1,
    IL_LIMIT_CGROUP_V2,
    IL_LIMIT_RLIMIT_AS,
} il_limit_by;

typedef struct il_memory_limit {
    uint64_t bytes;
    il_limit_by by;
    char group[2200]; /* directory of the group, "" with RLIMIT_AS */
} il_memory_limit;

const char *il_limit_by_name(il_limit_by by); /* "cgroup_v1", "cgroup_v2", "rlimit_as" */

/* use_cgroup false: RLIMIT_AS alone. Never fails: what cannot be a group is an RLIMIT_AS. Close it
 * when its processes have ended. */
void il_memory_limit_open(uint64_t bytes, int use_cgroup, il_memory_limit *out);
void il_memory_limit_close(il_memory_limit *limit);

/* In a child between fork and exec: puts the calling process under the limit. Allocates nothing.
 * 0, or an errno. */
int il_memory_limit_enter(const il_memory_limit *limit);

#endif
