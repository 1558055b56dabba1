/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary frequencies: plain, linear and llama3 scaling.
 *
 * llama3 scaling (Llama 3.1's published rule): with wavelength w = 2π/f and original context C,
 * f stays where w < C/high, becomes f/factor where w > C/low, and between them is blended by
 * s = (C/w − low)/(high − low): (1 − s)·f/factor + s·f.
 */
#include "engine/core/graph.h"

#include <assert.h>
#include <math.h>

static double scaled_frequency(const il_shape *shape, double f)
{
    switch (shape->rope_scaling) {
    case IL_ROPE_LINEAR:
        return f / shape->rope_factor;
    case IL_ROPE_LLAMA3: {
        double wavelength = 2.0 * 3.14159265358979323846 / f;
        double turns = shape->rope_original_positions / wavelength;
        if (turns > shape->rope_high_freq) {
            return f;
        }
        if (turns < shape->rope_low_freq) {
            return f / shape->rope_factor;
        }
        double blend =
            (turns - shape->rope_low_freq) / (shape->rope_high_freq - shape->rope_low_freq);
        return (1.0 - blend) * f / shape->rope_factor + blend * f;
    }
    default:
        return f;
    }
}

void il__rope_frequencies(const il_shape *shape, float *out)
{
    uint32_t half = shape->rope_dims / 2;
    for (uint32_t i = 0; i < half; i++) {
        double f = pow(shape->rope_theta, -2.0 * (double)i / (double)shape->rope_dims);
        out[i] = (float)scaled_frequency(shape, f);
    }
}

void il__rope_tables(const il_shape *shape, uint32_t n_positions, float *cos_t, float *sin_t)
{
    uint32_t half = shape->rope_dims / 2;
    if (half == 0 || n_positions == 0) {
        return;
    }
    /* The first row holds the frequencies until it is written last. */
    il__rope_frequencies(shape, cos_t);
    for (uint32_t p = n_positions; p-- > 0;) {
        for (uint32_t i = 0; i < half; i++) {
            float angle = cos_t[i] * (float)p;
            cos_t[(size_t)p * half + i] = (float)cos((double)angle);
            sin_t[(size_t)p * half + i] = (float)sin((double)angle);
        }
    }
}
