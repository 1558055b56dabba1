/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary frequencies: plain, linear, llama3 and yarn scaling.
 *
 * llama3 scaling (Llama 3.1's published rule): with wavelength w = 2π/f and original context C,
 * f stays where w < C/high, becomes f/factor where w > C/low, and between them is blended by
 * s = (C/w − low)/(high − low): (1 − s)·f/factor + s·f.
 *
 * yarn (Peng et al., "YaRN", 2023): dimension i of n turns β times within C at
 * i(β) = n·ln(C/(2πβ))/(2·ln θ). Between i(fast) and i(slow), rounded outwards unless the shape
 * says otherwise, the share of f/factor rises from 0 to 1; cos and sin are multiplied with
 * 0.1·ln(factor) + 1.
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

/* The dimension pair that turns `beta` times within the original context. */
static double yarn_pair(const il_shape *shape, double beta)
{
    double turns = shape->rope_original_positions / (beta * 2.0 * 3.14159265358979323846);
    return shape->rope_dims * log(turns) / (2.0 * log(shape->rope_theta));
}

static double yarn_frequency(const il_shape *shape, uint32_t pair, double f)
{
    double low = yarn_pair(shape, shape->rope_beta_fast);
    double high = yarn_pair(shape, shape->rope_beta_slow);
    low = fmax(shape->rope_truncate ? floor(low) : low, 0);
    high = fmin(shape->rope_truncate ? ceil(high) : high, (double)shape->rope_dims - 1);
    high = low == high ? high + 0.001 : high; /* as published: no division by zero */
    double share = fmin(fmax((pair - low) / (high - low), 0), 1);
    return share * f / shape->rope_factor + (1 - share) * f;
}

bool il__rope_has_local(const il_shape *shape)
{
    return shape->sliding_window > 0 && shape->rope_theta_local > 0;
}

void il__rope_frequencies(const il_shape *shape, bool local, float *out)
{
    uint32_t half = shape->rope_dims / 2;
    double theta = local ? shape->rope_theta_local : shape->rope_theta;
    for (uint32_t i = 0; i < half; i++) {
        double f = pow(theta, -2.0 * (double)i / (double)shape->rope_dims);
        if (!local && shape->rope_scaling == IL_ROPE_YARN) {
            f = yarn_frequency(shape, i, f);
        } else if (!local) {
            f = scaled_frequency(shape, f);
        }
        out[i] = (float)f;
    }
}

void il__rope_tables(const il_shape *shape, const float *factors, bool local, uint32_t n_positions,
                     float *cos_t, float *sin_t)
{
    uint32_t half = shape->rope_dims / 2;
    if (half == 0 || n_positions == 0) {
        return;
    }
    bool yarn = !local && shape->rope_scaling == IL_ROPE_YARN && shape->rope_factor > 1;
    double times = yarn ? 0.1 * log(shape->rope_factor) + 1.0 : 1.0;
    /* The first row holds the frequencies until it is written last. */
    il__rope_frequencies(shape, local, cos_t);
    for (uint32_t i = 0; factors && !local && i < half; i++) {
        cos_t[i] /= factors[i];
    }
    for (uint32_t p = n_positions; p-- > 0;) {
        for (uint32_t i = 0; i < half; i++) {
            float angle = cos_t[i] * (float)p;
            cos_t[(size_t)p * half + i] = (float)(times * cos((double)angle));
            sin_t[(size_t)p * half + i] = (float)(times * sin((double)angle));
        }
    }
}
