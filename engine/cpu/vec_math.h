/* SPDX-License-Identifier: Apache-2.0
 *
 * exp, erfc and the activations on vectors, relative errors below 1e-6
 * (tests/engine_cpu/test_rows.c measures them). Include a vec_*.h first.
 */
#ifndef IL_ENGINE_CPU_VEC_MATH_H
#define IL_ENGINE_CPU_VEC_MATH_H

#include "engine/cpu/kernels.h"

/* e^x: x = n·ln 2 + r with |r| ≤ ln 2 / 2, and the Taylor series of e^r to the seventh power, whose
 * remainder is below 2^-27. Overflows to infinity, underflows to 0, NaN stays NaN (min and max
 * return their second operand when one is NaN). */
static inline vec vec_exp(vec x)
{
    x = vec_max(vec_set(-104.0f), vec_min(vec_set(89.0f), x));
    vec n = vec_round(vec_mul(x, vec_set(1.44269504f)));
    vec r = vec_fnma(n, vec_set(0.693359375f), x); /* exact: the constant has 9 bits */
    r = vec_fnma(n, vec_set(-2.12194440e-4f), r);
    vec p = vec_set(1.0f / 5040);
    p = vec_fma(p, r, vec_set(1.0f / 720));
    p = vec_fma(p, r, vec_set(1.0f / 120));
    p = vec_fma(p, r, vec_set(1.0f / 24));
    p = vec_fma(p, r, vec_set(1.0f / 6));
    p = vec_fma(p, r, vec_set(0.5f));
    p = vec_fma(p, r, vec_set(1.0f));
    p = vec_fma(p, r, vec_set(1.0f));
    return vec_scale2(p, n);
}

/* erfc(z) for z ≥ 0, as t·P(s)·e^(−z²) (coefficients: tools/fit_erfc.py). The rounding error of z²
 * is put back, for e^ would magnify it. */
static inline vec vec_erfc(vec z)
{
    static const float p[] = {
        5.694087225e-01f,  3.271879312e-01f,  1.035209883e-01f, 6.307933236e-03f,
        -6.327286136e-03f, -6.721188154e-04f, 6.249674055e-04f, 3.514622062e-06f,
        -7.088171255e-05f, 1.283827646e-05f,  5.676404399e-06f, -2.285392773e-06f,
    };
    z = vec_min(vec_set(10.5f), z);
    vec t = vec_div(vec_set(1.0f), vec_fma(z, vec_set(0.5f), vec_set(1.0f)));
    /* s = 2 (t − t0)/(1 − t0) − 1 with t0 = 1/6.25 = 0.16 */
    vec s = vec_fma(t, vec_set((float)(2 / 0.84)), vec_set((float)(-2 * 0.16 / 0.84 - 1)));
    vec sum = vec_set(p[11]);
    for (int i = 10; i >= 0; i--) {
        sum = vec_fma(sum, s, vec_set(p[i]));
    }
    vec square = vec_mul(z, z);
    vec lost = vec_fma(z, z, vec_sub(vec_zero(), square));
    vec e = vec_exp(vec_sub(vec_zero(), square));
    return vec_mul(vec_mul(t, sum), vec_fnma(e, lost, e));
}

/* x/(1 + e^(−a)) */
static inline vec vec_times_sigmoid(vec x, vec a)
{
    return vec_div(x, vec_add(vec_set(1.0f), vec_exp(vec_sub(vec_zero(), a))));
}

/* ½·x·(1 + tanh u) is x·sigmoid(2u), which keeps its digits where tanh u is near −1. */
static inline vec vec_gelu_tanh(vec x)
{
    vec cubic = vec_fma(vec_mul(x, x), vec_set(0.044715f), vec_set(1.0f));
    return vec_times_sigmoid(x, vec_mul(vec_mul(x, cubic), vec_set(1.59576912f)));
}

static inline vec vec_gelu_erf(vec x)
{
    vec tail = vec_erfc(vec_mul(vec_abs(x), vec_set(0.70710678f)));
    vec two_sided = vec_select(vec_less(x, vec_zero()), tail, vec_sub(vec_set(2.0f), tail));
    return vec_mul(vec_mul(x, vec_set(0.5f)), two_sided);
}

static inline vec vec_activate(vec x, il_epilogue activation)
{
    switch (activation) {
    case IL_EPILOGUE_GELU_TANH:
        return vec_gelu_tanh(x);
    case IL_EPILOGUE_GELU_ERF:
        return vec_gelu_erf(x);
    case IL_EPILOGUE_RELU:
        return vec_max(vec_zero(), x);
    case IL_EPILOGUE_SILU:
        return vec_times_sigmoid(x, x);
    case IL_EPILOGUE_NONE:
    case IL_EPILOGUE_ADD:
        break;
    }
    return x;
}

#endif
