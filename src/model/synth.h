/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights out of nothing: every element is a pure function of (seed, tensor name, index), so any
 * part of a checkpoint can be made by any thread in any order with the same bytes.
 *
 * - key: k = FNV-1a-64(canonical Hugging Face name) XOR mix(seed), k0 = low 32 bits, k1 = high;
 *   mix is SplitMix64 at the seed
 * - counter: (low 32 bits of i, high 32 bits of i, 0, 0), i the row-major index as stored
 * - words: w0..w3 = Philox4x32-10(counter, key) of Salmon et al., SC 2011
 * - sum: t = 2·(⌊w0/2¹⁰⌋ + ⌊w1/2¹⁰⌋ + ⌊w2/2¹⁰⌋ + ⌊w3/2¹⁰⌋) − (2²⁴ − 5)
 * - value: float(t)·c, or 1 + t·c for the weights of norms
 *
 * t is an odd integer, |t| < 2²⁴: exact in fp32 and never 0. Its standard deviation is 2²³/√3, so
 * c = float(√(3·variance)/2²³). 16-bit values are the fp32 value rounded to nearest even; an fp16
 * value below the least normal, 2⁻¹⁴, becomes ±2⁻¹⁴. docs/models.md holds test vectors.
 */
#ifndef IL_MODEL_SYNTH_H
#define IL_MODEL_SYNTH_H

#include "inferlaw/dtype.h"
#include "model/shape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Changes whenever the same (seed, name, index) would give another value. */
#define IL_SYNTH_VERSION "philox4x32-10/1"

/* A tensor ready to be filled. */
typedef struct il_synth {
    uint32_t key[2];
    float scale;     /* c */
    bool around_one; /* 1 + t·c */
} il_synth;

/* How the tensor `info` of `shape` is filled: linear weights have standard deviation 1/√fan_in;
 * embedding, positions and head 2/√d_model, which makes logits of a normalised state have a
 * standard deviation near 2 at every width, tied or not; norm weights lie in 1 ± 0.1 (stored as
 * ± 0.1 where the model adds the 1), biases and sinks in ± 0.1. */
il_synth il_synth_of(const il_shape *shape, const il_tensor_info *info, uint64_t seed);

/* Elements [first, first + n) in dtype to out. Bit-identical on every machine. */
void il_synth_fill(const il_synth *synth, uint64_t first, size_t n, il_dtype dtype, void *out);

/* --- shared with tests --------------------------------------------------------------------------
 */

/* One block of Philox4x32-10. */
void il__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

enum { IL__SYNTH_BLOCK = 1024 };
typedef struct il__synth_isa {
    const char *name;
    /* t of IL__SYNTH_BLOCK elements from first on, as floats; first + block stays within 2³². */
    void (*sums)(const uint32_t key[2], uint32_t first, uint32_t high, float *out);
    /* fp32 → fp16 as above; NULL: the portable one. */
    void (*to_f16)(const float *in, uint16_t *out);
} il__synth_isa;

/* The variants this CPU runs, best first, the portable one last; NULL past the end. */
const il__synth_isa *il__synth_isa_at(size_t i);
void il__synth_fill_with(const il__synth_isa *isa, const il_synth *synth, uint64_t first, size_t n,
                         il_dtype dtype, void *out);

#endif
