/* SPDX-License-Identifier: Apache-2.0 */
#include "model/native_families.h"

#include <assert.h>
#include <stdio.h>

static const il_arch families[] = {
#define FAMILY(id) IL_ARCH_##id,
    IL_NATIVE_FAMILY_MAP(FAMILY)
#undef FAMILY
};
enum { N_FAMILIES = sizeof families / sizeof *families };

bool il_native_family(il_arch arch)
{
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (families[i] == arch) {
            return true;
        }
    }
    return false;
}

const char *il_native_family_at(size_t i)
{
    return i < N_FAMILIES ? il_arch_hf_name(families[i]) : NULL;
}

void il_native_families_text(char *out)
{
    int n = 0;
    for (size_t i = 0; i < N_FAMILIES; i++) {
        n += snprintf(out + n, (size_t)(IL_NATIVE_FAMILIES_BYTES - n), "%s%s", i ? ", " : "",
                      il_native_family_at(i));
        assert(n < IL_NATIVE_FAMILIES_BYTES);
    }
}

const char *il_native_family_nearest(il_arch arch)
{
    if (il_native_family(arch)) {
        return il_arch_hf_name(arch);
    }
    /* gpt-oss: experts behind a router, as Mixtral. */
    return il_arch_hf_name(arch == IL_ARCH_GPT_OSS ? IL_ARCH_MIXTRAL : IL_ARCH_LLAMA);
}
