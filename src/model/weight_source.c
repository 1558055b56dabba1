/* SPDX-License-Identifier: Apache-2.0 */
#include "model/weight_source.h"

#include "model/synth.h"

#include <string.h>

static void widen(il_dtype dtype, const void *from, size_t n, float *out)
{
    const uint16_t *half = from;
    for (size_t i = 0; i < n; i++) {
        out[i] = dtype == IL_DTYPE_BF16 ? il_bf16_to_f32(half[i]) : il_f16_to_f32(half[i]);
    }
}

void il__weight_fetch(const il__weight_source *s, const il_tensor_info *info, uint64_t first,
                      size_t n, float *out)
{
    if (s->ckpt) {
        const il_tensor_view *view = il_checkpoint_tensor(s->ckpt, info->name);
        const char *at = (const char *)view->data + first * il_dtype_bytes(view->dtype);
        if (view->dtype == IL_DTYPE_F32) {
            memcpy(out, at, n * sizeof *out);
        } else {
            widen(view->dtype, at, n, out);
        }
        return;
    }
    il_synth synth = il_synth_of(s->shape, info, s->seed);
    if (s->dtype == IL_DTYPE_F32) {
        il_synth_fill(&synth, first, n, s->dtype, out);
        return;
    }
    uint16_t part[4096];
    for (size_t i = 0; i < n; i += sizeof part / sizeof *part) {
        size_t take = n - i < sizeof part / sizeof *part ? n - i : sizeof part / sizeof *part;
        il_synth_fill(&synth, first + i, take, s->dtype, part);
        widen(s->dtype, part, take, out + i);
    }
}
