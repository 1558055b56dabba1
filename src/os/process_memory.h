/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of a process and all its descendants, from /proc below the root of os/machine.h.
 */
#ifndef IL_OS_PROCESS_MEMORY_H
#define IL_OS_PROCESS_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

typedef struct il_process_memory {
    uint32_t n_processes; /* 0: it is not there */
    /* Sums over the tree, −1: not readable. PSS shares pages among those that map them, so that it
     * may be summed; RSS counts a shared page once a process. The peak is of each process since it
     * began, all summed: an upper bound where there are several. */
    int64_t rss_bytes, rss_peak_bytes, pss_bytes;
    int64_t swap_bytes;
} il_process_memory;

/* Some 100 us a process, more for PSS of large ones; outside any timed window. */
void il_process_memory_read(pid_t pid, il_process_memory *out);

#endif
