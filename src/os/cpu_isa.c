/* SPDX-License-Identifier: Apache-2.0 */
#include "os/cpu_isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>

/* XCR0: the register states the operating system saves at a context switch. */
static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool has(uint32_t word, unsigned bit)
{
    return (word >> bit & 1u) != 0;
}

il_cpu_isa il_cpu_isa_probe(void)
{
    const uint64_t ymm_state = 0x6, zmm_state = 0xe6;
    il_cpu_isa isa = {0};
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) {
        return isa;
    }
    bool osxsave = has(c, 27), fma = has(c, 12), avx = has(c, 28), f16c = has(c, 29);
    if (!osxsave || !avx || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return isa;
    }
    uint64_t saved = read_xcr0();
    uint32_t n_subleaves = a;
    isa.avx2 = has(b, 5) && fma && f16c && (saved & ymm_state) == ymm_state;
    isa.avx512 = isa.avx2 && has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31) &&
                 (saved & zmm_state) == zmm_state;
    isa.avx512vnni = isa.avx512 && has(c, 11);
    if (isa.avx512 && n_subleaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
        isa.avx512bf16 = has(a, 5);
    }
    return isa;
}

#else

il_cpu_isa il_cpu_isa_probe(void)
{
    return (il_cpu_isa){0};
}

#endif
