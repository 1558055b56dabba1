/* SPDX-License-Identifier: Apache-2.0
 *
 * The oracle of the linear kernels: sums in double precision, weights row after row.
 */
#include "engine/cpu/kernels_internal.h"

static void store(const il__tile *t, uint32_t r, double sum)
{
    float *y = t->y + r * t->y_stride;
    *y = (float)(sum + (t->bias ? (double)*t->bias : 0.0) + (t->add ? (double)*y : 0.0));
}

void il__linear_f32_reference(const il__tile *t)
{
    const float *w = t->panel;
    for (uint32_t r = 0; r < t->m; r++) {
        const float *x = (const float *)t->x + r * t->x_stride;
        double sum = 0;
        for (uint32_t k = 0; k < t->k; k++) {
            sum += (double)x[k] * (double)w[k];
        }
        store(t, r, sum);
    }
}

void il__linear_bf16_reference(const il__tile *t)
{
    const uint16_t *w = t->panel;
    for (uint32_t r = 0; r < t->m; r++) {
        const float *x = (const float *)t->x + r * t->x_stride;
        double sum = 0;
        for (uint32_t k = 0; k < t->k; k++) {
            sum += (double)x[k] * (double)il_bf16_to_f32(w[k]);
        }
        store(t, r, sum);
    }
}
