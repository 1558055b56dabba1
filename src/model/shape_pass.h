/* SPDX-License-Identifier: Apache-2.0
 *
 * Sliding windows, counted: shared by the totals of a pass and by its list of operations.
 */
#ifndef IL_MODEL_SHAPE_PASS_H
#define IL_MODEL_SHAPE_PASS_H

#include "model/shape.h"

/* Window of a layer in positions; 0 = it attends to all. */
static inline uint32_t il__layer_window(const il_shape *s, uint32_t layer)
{
    bool full = s->sliding_period > 0 && (layer + 1) % s->sliding_period == 0;
    return s->sliding_window > 0 && !full ? s->sliding_window : 0;
}

/* Positions attended to by n_tok tokens that follow context_tok others: token i sees
 * min(context + i + 1, window). */
static inline double il__attended(double context_tok, double n_tok, double window)
{
    double last = context_tok + n_tok;
    if (window <= 0 || last <= window) {
        return n_tok * (context_tok + (n_tok + 1) / 2);
    }
    double below = window > context_tok ? window - context_tok : 0; /* tokens not yet capped */
    return below * (context_tok + (below + 1) / 2) + (n_tok - below) * window;
}

/* Positions of the cache that such tokens read or write, each once. A window counts the token
 * itself. */
static inline double il__cached(double context_tok, double n_tok, double window)
{
    double read = window > 0 && context_tok > window - 1 ? window - 1 : context_tok;
    return read + n_tok;
}

#endif
