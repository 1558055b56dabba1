/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A simulated study of a known law, for the bench and the tests of intervals: shapes drawn like
 * those of a depth and width grid, models that scatter around the law, blocks around their model.
 */
#ifndef IL_BENCH_LAW_STUDY_H
#define IL_BENCH_LAW_STUDY_H

#include "stats/form_intervals.h"

#include <math.h>
#include <string.h>

enum { MOST_MODELS = 20, BLOCKS = 10 };
#define MODEL_SD 0.10 /* of ln T, between models of one law */
#define BLOCK_SD 0.03 /* of ln T, between blocks of one model */

static const struct {
    il_form form;
    double coef[IL_FORM_MOST_TERMS];
} truths[] = {
    {IL_FORM_POWER, {1, 0.5}},
    {IL_FORM_AFFINE, {20, 0.7}},
    {IL_FORM_AFFINE_POWER, {10, 0.5, 0.9}},
    {IL_FORM_LINEAR_SHAPE, {5, 2, 0.05, 1}},
    {IL_FORM_DEPTH_WIDTH, {0, 0.8, 0.5, 0.1}},
    {IL_FORM_PHYSICS, {0.2, 0.1, 1.3}},
};
enum { N_TRUTHS = sizeof truths / sizeof truths[0] };

/* A study: shapes drawn like those of a depth and width grid. */
typedef struct study {
    size_t n;
    double shape[MOST_MODELS + 1][3];   /* layers, width, heads; the last is the new model */
    double params[MOST_MODELS + 1];     /* millions */
    double physics[MOST_MODELS + 1][3]; /* 64 passes, 64·L, floor */
    double ms[MOST_MODELS + 1];
    double values[MOST_MODELS * BLOCKS];
    size_t first[MOST_MODELS + 1];
} study;

static inline const double *x_of(const study *s, il_form form)
{
    switch (form) {
    case IL_FORM_LINEAR_SHAPE:
    case IL_FORM_DEPTH_WIDTH:
        return s->shape[0];
    case IL_FORM_PHYSICS:
        return s->physics[0];
    default:
        return s->params;
    }
}

static inline void draw_shape(study *s, size_t i, il_stream *stream)
{
    static const double layers[] = {2, 3, 4, 6, 8, 12, 16, 24};
    static const double widths[] = {64, 128, 256, 384, 512, 768, 1024};
    static const double heads[] = {1, 2, 4, 8, 16};
    double *shape = s->shape[i];
    shape[0] = layers[il_stream_below(stream, 8)];
    shape[1] = widths[il_stream_below(stream, 7)];
    shape[2] = heads[il_stream_below(stream, 5)];
    s->params[i] = (12 * shape[0] * shape[1] * shape[1] + 50257 * shape[1]) / 1e6;
    s->physics[i][0] = 64;
    s->physics[i][1] = 64 * shape[0];
    s->physics[i][2] = 64 * 4 * s->params[i] / 30; /* fp32 at 30 GB/s */
}

static inline void draw_study(study *s, size_t n, size_t truth, il_stream *stream)
{
    s->n = n;
    il_form_fit law = {.form = truths[truth].form};
    law.n_terms = il_form_n_terms(law.form);
    memcpy(law.coef, truths[truth].coef, sizeof law.coef);
    size_t n_x = il_form_n_x(law.form);
    for (size_t i = 0; i <= n; i++) {
        draw_shape(s, i, stream);
        double log_ms = log(il_form_predict(&law, x_of(s, law.form) + i * n_x)) +
                        MODEL_SD * il_stream_normal(stream);
        if (i == n) {
            s->ms[i] = exp(log_ms);
            break;
        }
        s->first[i] = i * BLOCKS;
        for (size_t b = 0; b < BLOCKS; b++) {
            s->values[i * BLOCKS + b] = (log_ms + BLOCK_SD * il_stream_normal(stream)) / log(10);
        }
        s->ms[i] = pow(10, il_median(s->values + i * BLOCKS, BLOCKS));
    }
    s->first[n] = n * BLOCKS;
}

#endif
