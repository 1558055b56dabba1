/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/core/graph.h"

#include "model/rope.h"

void il__rope_tables(const il_shape *shape, const float *factors, bool local, uint32_t n_positions,
                     float *cos_t, float *sin_t)
{
    uint32_t half = shape->rope_dims / 2;
    if (half == 0 || n_positions == 0) {
        return;
    }
    /* The first row holds the frequencies until it is written last. */
    il_rope_frequencies(shape, local, cos_t);
    for (uint32_t i = 0; factors && !local && i < half; i++) {
        cos_t[i] /= factors[i];
    }
    for (uint32_t p = n_positions; p-- > 0;) {
        il_rope_rows(shape, local, cos_t, p, 1, cos_t + (size_t)p * half, sin_t + (size_t)p * half);
    }
}
