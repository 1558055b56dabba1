/* SPDX-License-Identifier: Apache-2.0
 *
 * The oracle of the row kernels: double precision inside, libm's functions.
 */
#include "engine/cpu/kernels_internal.h"

#include <math.h>

static void layer_norm(const float *x, const float *w, const float *b, double eps, uint32_t n,
                       float *y)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += (double)x[i];
    }
    double mean = sum / n;
    for (uint32_t i = 0; i < n; i++) {
        double d = (double)x[i] - mean;
        squares += d * d;
    }
    double inverse = 1 / sqrt(squares / n + eps);
    for (uint32_t i = 0; i < n; i++) {
        double normal = ((double)x[i] - mean) * inverse;
        y[i] = (float)(normal * (double)w[i] + (b ? (double)b[i] : 0.0));
    }
}

static void rms_norm(const float *x, const float *w, double eps, float plus, uint32_t n, float *y)
{
    double squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        squares += (double)x[i] * (double)x[i];
    }
    double inverse = 1 / sqrt(squares / n + eps);
    for (uint32_t i = 0; i < n; i++) {
        y[i] = (float)((double)x[i] * inverse * ((double)w[i] + (double)plus));
    }
}

static void add(const float *a, const float *b, uint32_t n, float *y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = a[i] + b[i];
    }
}

static void scale(float *x, float s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        x[i] *= s;
    }
}

static double activation_of(double x, il_epilogue activation)
{
    switch (activation) {
    case IL_EPILOGUE_GELU_TANH:
        /* Hendrycks and Gimpel, "Gaussian error linear units": 0.5·x·(1 + tanh u), which is
         * x/(1 + e^(-2u)) without the cancellation */
        return x / (1 + exp(-2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case IL_EPILOGUE_GELU_ERF:
        return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case IL_EPILOGUE_RELU:
        return x < 0 ? 0 : x;
    case IL_EPILOGUE_SILU:
        return x / (1 + exp(-x));
    case IL_EPILOGUE_NONE:
    case IL_EPILOGUE_ADD:
        break;
    }
    return x;
}

static void gate(const float *g, const float *up, il_epilogue activation, uint32_t n, float *y)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = (float)(activation_of((double)g[i], activation) * (double)up[i]);
    }
}

static void activate(float *x, il_epilogue activation, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        x[i] = (float)activation_of((double)x[i], activation);
    }
}

static void rope(float *x, const float *cos_t, const float *sin_t, uint32_t n_heads,
                 uint32_t d_head, uint32_t n_dims)
{
    uint32_t half = n_dims / 2;
    for (uint32_t h = 0; h < n_heads; h++) {
        float *head = x + (size_t)h * d_head;
        for (uint32_t i = 0; i < half; i++) {
            double a = (double)head[i], b = (double)head[i + half];
            double c = (double)cos_t[i], s = (double)sin_t[i];
            head[i] = (float)(a * c - b * s);
            head[i + half] = (float)(b * c + a * s);
        }
    }
}

static void to_bf16(const float *x, uint16_t *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        y[i] = il_bf16_from_f32(x[i]);
    }
}

static uint32_t argmax(const float *x, uint32_t n, bool *finite)
{
    uint32_t best = 0;
    bool all_finite = true;
    for (uint32_t i = 0; i < n; i++) {
        all_finite = all_finite && isfinite(x[i]);
        best = x[i] > x[best] ? i : best;
    }
    *finite = all_finite;
    return best;
}

const il_row_kernels il__row_kernels_reference = {
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .add = add,
    .scale = scale,
    .gate = gate,
    .activate = activate,
    .rope = rope,
    .to_bf16 = to_bf16,
    .argmax = argmax,
};
