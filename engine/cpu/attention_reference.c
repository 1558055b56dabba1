/* SPDX-License-Identifier: Apache-2.0
 *
 * The oracle of attention: scores of all positions of one query at a time, then the softmax, then
 * the weighted sum of the values, in double precision. Scratch: one double a position and a column.
 */
#include "engine/cpu/kernels_internal.h"

#include <math.h>

size_t il__attention_scratch_reference(const il_attention *att, uint32_t n_query,
                                       uint32_t n_context)
{
    (void)n_query;
    return ((size_t)n_context + att->d_head) * sizeof(double);
}

static double element(const void *p, size_t i, il_dtype dtype)
{
    return dtype == IL_DTYPE_F32 ? (double)((const float *)p)[i]
                                 : (double)il_bf16_to_f32(((const uint16_t *)p)[i]);
}

/* One query of one head over positions [begin, end). base: the head's first element in the cache.
 */
static void attend(const il_attention *att, const float *q, const void *keys, const void *values,
                   size_t base, uint32_t begin, uint32_t end, float *out, double *scratch)
{
    double *score = scratch, *sum = scratch + (end - begin);
    double most = -INFINITY, total = 0;
    for (uint32_t p = begin; p < end; p++) {
        double dot = 0;
        for (uint32_t d = 0; d < att->d_head; d++) {
            dot += (double)q[d] * element(keys, base + (size_t)p * att->d_head + d, att->kv_dtype);
        }
        score[p - begin] = dot * (double)att->scale;
        most = fmax(most, score[p - begin]);
    }
    for (uint32_t d = 0; d < att->d_head; d++) {
        sum[d] = 0;
    }
    for (uint32_t p = begin; p < end; p++) {
        double weight = exp(score[p - begin] - most);
        total += weight;
        for (uint32_t d = 0; d < att->d_head; d++) {
            sum[d] += weight * element(values, base + (size_t)p * att->d_head + d, att->kv_dtype);
        }
    }
    for (uint32_t d = 0; d < att->d_head; d++) {
        out[d] = (float)(sum[d] / total);
    }
}

static void forward(const il_attention *att, const float *q, size_t ldq, const void *keys,
                    const void *values, uint32_t past, uint32_t query0, uint32_t n_query,
                    uint32_t head0, uint32_t n_heads, float *out, size_t ldo, void *scratch)
{
    uint32_t group = att->n_head / att->n_kv_head;
    for (uint32_t h = head0; h < head0 + n_heads; h++) {
        size_t base = (size_t)(h / group) * att->capacity * att->d_head;
        size_t column = (size_t)h * att->d_head;
        for (uint32_t i = query0; i < query0 + n_query; i++) {
            uint32_t end = past + i + 1;
            uint32_t begin = att->window != 0 && end > att->window ? end - att->window : 0;
            attend(att, q + i * ldq + column, keys, values, base, begin, end,
                   out + i * ldo + column, scratch);
        }
    }
}

void il__attention_f32_reference(const il_attention *att, const float *q, size_t ldq,
                                 const void *keys, const void *values, uint32_t past,
                                 uint32_t query0, uint32_t n_query, uint32_t head0,
                                 uint32_t n_heads, float *out, size_t ldo, void *scratch)
{
    forward(att, q, ldq, keys, values, past, query0, n_query, head0, n_heads, out, ldo, scratch);
}

void il__attention_bf16_reference(const il_attention *att, const float *q, size_t ldq,
                                  const void *keys, const void *values, uint32_t past,
                                  uint32_t query0, uint32_t n_query, uint32_t head0,
                                  uint32_t n_heads, float *out, size_t ldo, void *scratch)
{
    forward(att, q, ldq, keys, values, past, query0, n_query, head0, n_heads, out, ldo, scratch);
}
