/* SPDX-License-Identifier: Apache-2.0
 *
 * The processes below a process, as /proc tells: what a server started may have left its process
 * group, and must still end with it.
 */
#ifndef IL_OS_PROCESS_TREE_H
#define IL_OS_PROCESS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A number may be given to another process later; with its start it is one process for good. */
typedef struct il_process_id {
    pid_t pid;
    uint64_t start_ticks; /* since boot */
} il_process_id;

/* All living children of root, their children and so on, root not among them; at most cap of them.
 * 0 where /proc cannot be read. Some 20 µs a process of the machine. */
size_t il_process_descendants(pid_t root, il_process_id *out, size_t cap);
/* Whether a process runs no more; a child that nobody waited for has ended, and is left to its
 * waiter. False for pid <= 0. */
bool il_process_has_ended(pid_t pid);
/* SIGKILL to those of the list that still run. */
void il_process_kill_all(const il_process_id *list, size_t n);

#endif
