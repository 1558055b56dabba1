/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner loops of the ceilings, one set an instruction set. Internal to src/os.
 */
#ifndef IL_OS_CEILING_LOOPS_H
#define IL_OS_CEILING_LOOPS_H

#include <stddef.h>
#include <stdint.h>

/* Reads n_bytes (a multiple of 4096) at p, 64-byte aligned, and returns something that depends on
 * all of them. */
typedef uint64_t (*il__read_loop)(const void *p, size_t n_bytes);
/* Does n_rounds rounds of independent multiply-adds from registers; *n_flops is set to two
 * operations for each. Returns something that depends on all of them. */
typedef float (*il__fma_loop)(uint64_t n_rounds, double *n_flops);

uint64_t il__read_loop_avx2(const void *p, size_t n_bytes);
uint64_t il__read_loop_avx512(const void *p, size_t n_bytes);
float il__fma_loop_avx2(uint64_t n_rounds, double *n_flops);
float il__fma_loop_avx512(uint64_t n_rounds, double *n_flops);
float il__fma_loop_avx512bf16(uint64_t n_rounds, double *n_flops);

#endif
