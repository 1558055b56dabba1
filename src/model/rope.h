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
#ifndef IL_MODEL_ROPE_H
#define IL_MODEL_ROPE_H

#include "model/shape.h"

/* Sliding layers turn by angles of their own. */
bool il_rope_has_local(const il_shape *shape);
/* Radians a position, of the rope_dims/2 pairs; local: of sliding layers. */
void il_rope_frequencies(const il_shape *shape, bool local, float *out);
/* What cos and sin are multiplied with. */
double il_rope_magnitude(const il_shape *shape, bool local);
/* Rows [first, first + n) of the tables, rope_dims/2 numbers each, from those frequencies. */
void il_rope_rows(const il_shape *shape, bool local, const float *frequencies, uint64_t first,
                  uint64_t n, float *cos_t, float *sin_t);

#endif
