/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The values TR121 published for its seven GPT-2 shapes, CPU fp32: medians, geometric mean over
 * scenarios, 64 tokens.
 */
#ifndef IL_TESTS_STATS_PUBLISHED_H
#define IL_TESTS_STATS_PUBLISHED_H

enum { N_PUBLISHED = 7, TINY = 0 };

static const double published_params[N_PUBLISHED] = {0.103,  5.037,  25.016, 45.171,
                                                     51.476, 74.825, 96.088};
static const double published_layers[N_PUBLISHED] = {2, 12, 3, 6, 8, 5, 8};
static const double published_width[N_PUBLISHED] = {2, 80, 384, 512, 512, 768, 768};
static const double published_ms[3][N_PUBLISHED] = {
    {3.49, 20.71, 15.75, 18.08, 25.35, 27.80, 26.98},
    {166.32, 1042.44, 783.67, 799.82, 1267.69, 1600.77, 1374.22},
    {169.76, 1063.47, 799.73, 818.73, 1289.54, 1634.74, 1402.22}};
enum { PREFILL, KV_DECODE, E2E_KV };

#endif
