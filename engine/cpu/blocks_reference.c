/* SPDX-License-Identifier: Apache-2.0
 *
 * The oracle of the kernels of blocks: weights as the model's own reader makes them, activations as
 * they are, sums in double precision.
 */
#include "engine/cpu/kernels_internal.h"

static void store(const il__block_tile *t, uint32_t r, double sum)
{
    float *y = t->y + r * t->y_stride;
    *y = (float)(sum + (t->bias ? (double)*t->bias : 0.0) + (t->add ? (double)*y : 0.0));
}

static void tile(const il__block_tile *t)
{
    enum { MOST_ROWS = 16, MOST_BLOCK = 256 };
    const il_ggml_layout *layout = il_ggml_layout_of((uint32_t)t->type);
    uint32_t n = layout->block_values;
    const uint8_t *block = t->levels;
    double sums[MOST_ROWS] = {0};
    float w[MOST_BLOCK];
    for (uint32_t k = 0; k < t->n_blocks * 32; k += n, block += layout->block_bytes) {
        il_quant_read(t->type, block, n, w);
        for (uint32_t r = 0; r < t->m; r++) {
            const float *x = (const float *)t->x + r * t->x_stride + k;
            for (uint32_t i = 0; i < n; i++) {
                sums[r] += (double)x[i] * (double)w[i];
            }
        }
    }
    for (uint32_t r = 0; r < t->m; r++) {
        store(t, r, sums[r]);
    }
}

#define IL__REFERENCE(name)                                                                        \
    void name(const il__block_tile *t)                                                             \
    {                                                                                              \
        tile(t);                                                                                   \
    }
IL__REFERENCE(il__blocks_q8_0_reference)
IL__REFERENCE(il__blocks_q4_0_reference)
IL__REFERENCE(il__blocks_q4_1_reference)
IL__REFERENCE(il__blocks_q5_0_reference)
IL__REFERENCE(il__blocks_q5_1_reference)
IL__REFERENCE(il__blocks_q4_k_reference)
IL__REFERENCE(il__blocks_q5_k_reference)
IL__REFERENCE(il__blocks_q6_k_reference)
