/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cpu/kernels.h"

#include "os/cpu_isa.h"

#include <string.h>

static const char *const isa_names[IL_ISA_COUNT] = {"reference", "avx2", "avx512", "avx512vnni",
                                                    "avx512bf16"};

const char *il_isa_name(il_isa isa)
{
    return (unsigned)isa < IL_ISA_COUNT ? isa_names[isa] : "?";
}

static il_isa isa_best(il_cpu_isa cpu)
{
    return cpu.avx512bf16 && cpu.avx512vnni ? IL_ISA_AVX512BF16
           : cpu.avx512vnni                 ? IL_ISA_AVX512VNNI
           : cpu.avx512                     ? IL_ISA_AVX512
           : cpu.avx2                       ? IL_ISA_AVX2
                                            : IL_ISA_REFERENCE;
}

int il_isa_choose(const char *name, il_isa *out, il_error *err)
{
    il_isa best = isa_best(il_cpu_isa_probe());
    if (name == NULL || strcmp(name, "auto") == 0) {
        *out = best;
        return IL_OK;
    }
    il_isa wanted = IL_ISA_COUNT;
    for (unsigned i = 0; i < IL_ISA_COUNT; i++) {
        if (strcmp(name, isa_names[i]) == 0) {
            wanted = (il_isa)i;
        }
    }
    if (wanted == IL_ISA_COUNT) {
        int rc = il_fail(err, IL_E_UNSUPPORTED, "there is no instruction set \"%s\"", name);
        il_error_hint(err, "use auto, reference, avx2 or avx512");
        return rc;
    }
    if (wanted > best) {
        int rc = il_fail(err, IL_E_UNSUPPORTED, "this machine cannot run the %s kernels", name);
        il_error_hint(err, "the best it can run is %s; \"auto\" takes that", il_isa_name(best));
        return rc;
    }
    *out = wanted == IL_ISA_AVX512 ? best : wanted;
    return IL_OK;
}
