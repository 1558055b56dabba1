/* SPDX-License-Identifier: Apache-2.0
 *
 * Which vector instruction sets may be used here: the CPU has them and the operating system saves
 * their registers (XCR0, read by xgetbv), both checked. All false on other architectures.
 */
#ifndef IL_OS_CPU_ISA_H
#define IL_OS_CPU_ISA_H

#include <stdbool.h>

typedef struct il_cpu_isa {
    bool avx2;       /* AVX2, FMA and F16C */
    bool avx512;     /* AVX-512 F, BW, DQ and VL, with the above */
    bool avx512vnni; /* the int8 dot product vpdpbusd on 512 bits, with avx512 */
    bool avx512bf16; /* the bf16 dot product vdpbf16ps, with avx512 */
} il_cpu_isa;

il_cpu_isa il_cpu_isa_probe(void);

#endif
