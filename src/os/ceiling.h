/* SPDX-License-Identifier: Apache-2.0
 *
 * Measured ceilings of this machine: how fast memory of a given size can be read and how many
 * multiply-adds a second its cores do, by dtype. A call yields samples in the order taken; medians
 * and intervals are the caller's.
 *
 * The probe keeps its threads (parked between samples) and its buffer, so that samples can be taken
 * in turn with the work they are compared to. Threads are pinned to different physical cores where
 * there are enough: woken together, two threads often start on the same one. Each thread first
 * touches and then reads a share of its own; the buffer asks for huge pages, so that page walks do
 * not lower the ceiling.
 */
#ifndef IL_OS_CEILING_H
#define IL_OS_CEILING_H

#include "inferlaw/dtype.h"
#include "inferlaw/error.h"

#include <stdint.h>

typedef struct il_ceiling il_ceiling;

/* Starts n_threads ≥ 1 threads (the caller is none of them) around a buffer of working_set_bytes,
 * rounded up to 4 KiB a thread; 0 = multiply-adds only. IL_E_RANGE, IL_E_NOMEM. */
int il_ceiling_open(uint64_t working_set_bytes, uint32_t n_threads, il_ceiling **out,
                    il_error *err);
void il_ceiling_close(il_ceiling *ceiling);

/* One sample of the read bandwidth in GB/s (1e9 bytes a second, all threads together, first start
 * to last end): the whole buffer as often as takes some 4 ms, at least once. */
double il_ceiling_read_sample_gbps(il_ceiling *ceiling);
/* One sample of the multiply-add peak in GFLOP/s (two operations a multiply-add, all threads, some
 * 3 ms), with the widest vectors this CPU has. F32: fused multiply-add. BF16: the bf16 dot product
 * with fp32 sums where the CPU has it, else the fp32 peak, for there bf16 is multiplied as fp32.
 * F16 likewise the fp32 peak. */
double il_ceiling_fma_sample_gflops(il_ceiling *ceiling, il_dtype dtype);

/* n_samples samples into samples[], after one that is thrown away. */
int il_ceiling_read_gbps(uint64_t working_set_bytes, uint32_t n_threads, uint32_t n_samples,
                         double *samples, il_error *err);
int il_ceiling_fma_gflops(il_dtype dtype, uint32_t n_threads, uint32_t n_samples, double *samples,
                          il_error *err);

#endif
