/* SPDX-License-Identifier: Apache-2.0
 *
 * Fixed work, measured in every block: when its time moves, the machine moved, not the thing under
 * study. One thread, baseline instructions, nothing tuned, so that the same binary does the same
 * work on every machine.
 *
 *   gemm_ms   2^22 steps of 8 independent chains of 4-wide multiply-adds: 2^27 multiply-adds in
 *             registers, no memory
 *   read_ms   one pass over 64 MiB, every byte read once, summed as 32-bit integers
 *
 * Each is the median of 3 repetitions.
 */
#ifndef IL_OS_SENTINEL_H
#define IL_OS_SENTINEL_H

#include "inferlaw/error.h"

#include <stdint.h>

#define IL_SENTINEL_READ_BYTES (UINT64_C(64) << 20)
#define IL_SENTINEL_FMA_STEPS  (UINT32_C(1) << 22)
#define IL_SENTINEL_FMAS       (UINT64_C(32) * IL_SENTINEL_FMA_STEPS)

typedef struct il_sentinel {
    double gemm_ms, read_ms; /* of the last run */
    uint32_t *block;         /* IL_SENTINEL_READ_BYTES, owned */
    uint32_t check; /* sum over the block, known beforehand; a wrong sum is IL_E_INTERNAL */
} il_sentinel;

/* Allocates and writes the 64 MiB once (some 20 ms). *s is ready to close also after a failure. */
int il_sentinel_open(il_sentinel *s, il_error *err);
/* Does the work and stores both times in s. Outside any timed window. */
int il_sentinel_run(il_sentinel *s, il_error *err);
void il_sentinel_close(il_sentinel *s);

#endif
