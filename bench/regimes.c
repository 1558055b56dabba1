/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw-bench regimes [TRIALS]: breaks, crossings and change-points of known truth, and how
 * often the intervals hold it. No clock: the same numbers on every machine.
 */
#include "bench.h"

#include "base/log.h"
#include "base/text.h"
#include "stats/changepoint.h"
#include "stats/crossing.h"
#include "stats/segmented.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_MODELS = 40, BLOCKS = 10, SIDE = IL_SEGMENTED_LEAST_SIDE };

/* n sizes over `decades`, evenly with a jitter of a third of the step; a slope of `below` up to the
 * break and `above` beyond; scatter is the standard deviation of ln of a model around the law. */
typedef struct law {
    size_t n;
    double decades, at, below, above, scatter;
} law;

static void draw_law(const law *l, il_stream *stream, double *x, double *y)
{
    double step = l->decades / (double)(l->n - 1);
    for (size_t i = 0; i < l->n; i++) {
        x[i] = step * ((double)i + (il_stream_uniform(stream) - 0.5) / 1.5);
        y[i] = l->below * fmin(x[i] - l->at, 0) + l->above * fmax(x[i] - l->at, 0) +
               l->scatter / log(10) * il_stream_normal(stream);
    }
}

typedef struct score {
    int trials, found, profile, wild, hull, slopes, octave;
    double width; /* octaves, sum over trials */
} score;

static void score_one(const law *l, il_stream *stream, score *s)
{
    double x[MOST_MODELS], y[MOST_MODELS];
    il_segmented line, broken;
    il_davies davies;
    draw_law(l, stream, x, y);
    double low, high;
    if (il_segmented_fit(x, y, l->n, 0, SIDE, &line, NULL) != IL_OK ||
        il_segmented_fit(x, y, l->n, 1, SIDE, &broken, NULL) != IL_OK ||
        il_davies_test(x, y, l->n, SIDE, &davies, NULL) != IL_OK ||
        il_segmented_bootstrap(x, y, &broken, SIDE, 400, stream, &low, &high, NULL) != IL_OK) {
        return;
    }
    const il_break *b = &broken.breaks[0];
    bool in_profile = b->low <= l->at && l->at <= b->high;
    bool in_wild = low <= l->at && l->at <= high;
    s->trials++;
    s->found += davies.p < 0.01 && line.aicc - broken.aicc > 10;
    s->profile += in_profile;
    s->wild += in_wild;
    s->hull += fmin(low, b->low) <= l->at && l->at <= fmax(high, b->high);
    s->slopes += (broken.slope_low[0] <= l->below && l->below <= broken.slope_high[0]) +
                 (broken.slope_low[1] <= l->above && l->above <= broken.slope_high[1]);
    s->octave += fabs(b->at - l->at) < log10(2);
    s->width += (fmax(high, b->high) - fmin(low, b->low)) / log10(2);
}

static void breaks(int trials)
{
    (void)printf("breaks: found = Davies p < 0.01 and dAICc > 10; shares of trials\n"
                 "models scatter slopes      found  within-octave  profile  wild   hull   slopes  "
                 "octaves-wide\n");
    const size_t sizes[] = {14, 20, 30};
    const double scatters[] = {0.03, 0.06, 0.10};
    const double slopes[][2] = {{0.1, 0.9}, {0.3, 0.8}};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 3; i++) {
            for (size_t j = 0; j < 3; j++) {
                law l = {sizes[i], 3.3, 1.7, slopes[k][0], slopes[k][1], scatters[j]};
                char row[64];
                (void)snprintf(row, sizeof row, "%zu %zu %zu", k, i, j);
                il_stream stream = il_stream_open(5, "bench regimes", row);
                score s = {0};
                for (int t = 0; t < trials; t++) {
                    score_one(&l, &stream, &s);
                }
                double n = s.trials;
                (void)printf("%6zu %5.0f %%  %.1f to %.1f  %.3f  %.3f          %.3f    %.3f  "
                             "%.3f  %.3f   %.2f\n",
                             l.n, 100 * l.scatter, l.below, l.above, s.found / n, s.octave / n,
                             s.profile / n, s.wild / n, s.hull / n, s.slopes / n / 2, s.width / n);
            }
        }
    }
}

static void no_break(int trials)
{
    (void)printf("no break: how often Davies' test finds one; and with the whole rule\n"
                 "models  p<0.05  p<0.01  p<0.01 and dAICc>10\n");
    const size_t sizes[] = {10, 14, 20, 30};
    for (size_t i = 0; i < 4; i++) {
        law l = {sizes[i], 3.3, 1.7, 0.6, 0.6, 0.06};
        il_stream stream = il_stream_open(6, "bench davies", sizes[i] == 10 ? "ten" : "more");
        int n05 = 0, n01 = 0, rule = 0;
        for (int t = 0; t < trials; t++) {
            double x[MOST_MODELS], y[MOST_MODELS];
            il_davies davies = {1, 0, 0};
            il_segmented line, broken;
            draw_law(&l, &stream, x, y);
            (void)il_davies_test(x, y, l.n, SIDE, &davies, NULL);
            n05 += davies.p < 0.05;
            n01 += davies.p < 0.01;
            if (davies.p < 0.01 && il_segmented_fit(x, y, l.n, 0, SIDE, &line, NULL) == IL_OK &&
                il_segmented_fit(x, y, l.n, 1, SIDE, &broken, NULL) == IL_OK) {
                rule += line.aicc - broken.aicc > 10;
            }
        }
        (void)printf("%6zu  %.4f  %.4f  %.4f\n", l.n, (double)n05 / trials, (double)n01 / trials,
                     (double)rule / trials);
    }
}

/* Two curves that cross at x = 1.1 with the given slope of their difference; noise of a block and
 * model. Coverage counts against the crossing of the interpolated true curves. */
static void crossings(int trials)
{
    (void)printf("crossings: eight models, 4,000 resamples; noise is of one block's ratio\n"
                 "blocks noise  slope  at     supported  covered  none  p_inside<0.95\n");
    static const struct {
        size_t blocks;
        double noise, slope, at;
    } rows[] = {{5, 0.03, 0.3, 1.1},  {10, 0.03, 0.3, 1.1},  {20, 0.03, 0.3, 1.1},
                {10, 0.10, 0.3, 1.1}, {10, 0.03, 0.05, 1.1}, {10, 0.03, 0.3, 9.0},
                {10, 0.03, 0.3, 2.7}};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        il_stream stream = il_stream_open(7, "bench crossings", r % 2 ? "odd" : "even");
        int supported = 0, covered = 0, none = 0, unsure = 0;
        for (int t = 0; t < trials; t++) {
            double x[8], d[8 * 20];
            size_t first[9] = {0};
            for (size_t i = 0; i < 8; i++) {
                x[i] = 0.4 * (double)i;
                for (size_t b = 0; b < rows[r].blocks; b++) {
                    d[first[i] + b] = rows[r].slope * (x[i] - rows[r].at) +
                                      rows[r].noise * il_stream_normal(&stream);
                }
                first[i + 1] = first[i] + rows[r].blocks;
            }
            const il_curve_gap gap = {8, x, d, first};
            il_stream resample = il_stream_open((uint64_t)t, "resample", "");
            il_crossing c;
            if (il_crossing_find(&gap, 4000, &resample, &c, NULL) != IL_OK) {
                continue;
            }
            bool sure = c.p_inside >= 0.95;
            supported += sure;
            covered += sure && !(c.low > rows[r].at) && !(c.high < rows[r].at);
            none += c.p_all_below >= 0.95 || c.p_all_above >= 0.95;
            unsure += !sure;
        }
        (void)printf("%6zu  %.2f  %5.2f  %4.1f   %.3f      %s%.3f    %.3f  %.3f\n", rows[r].blocks,
                     rows[r].noise, rows[r].slope, rows[r].at, (double)supported / trials,
                     supported ? "" : "n/a ", supported ? (double)covered / supported : 0.0,
                     (double)none / trials, (double)unsure / trials);
    }
}

static void changes(int trials)
{
    (void)printf(
        "change-points: a shift at the 40th %% of a series; noise 2 %%, every 20th value a "
        "spike of 50 %%\n"
        "values  correlation  shift  found  within-2-places  with-more\n");
    const size_t sizes[] = {10, 30, 100, 256};
    const double shifts[] = {0, 0.05, 0.12};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < 4; i++) {
            for (size_t j = 0; j < 3; j++) {
                il_stream stream = il_stream_open(8, "bench changes", k ? "ar" : "white");
                size_t n = sizes[i];
                int found = 0, near = 0, more = 0;
                for (int t = 0; t < trials; t++) {
                    double v[256];
                    double rho = k ? 0.4 : 0;
                    double state = il_stream_normal(&stream);
                    for (size_t s = 0; s < n; s++) {
                        state = rho * state + sqrt(1 - rho * rho) * il_stream_normal(&stream);
                        v[s] = 0.02 * state + (s >= n * 2 / 5 ? shifts[j] : 0) +
                               (il_stream_below(&stream, 20) == 0 ? 0.5 : 0);
                    }
                    il_changes c;
                    if (il_changes_find(v, n, 0.01, &c, NULL) == IL_OK) {
                        found += c.n > 0;
                        more += c.n > 1;
                        for (size_t s = 0; s < c.n; s++) {
                            if (fabs((double)c.at[s] - (double)(n * 2 / 5)) <= 2) {
                                near++;
                                break;
                            }
                        }
                        il_changes_free(&c);
                    }
                }
                (void)printf("%6zu  %.1f          %.2f   %.3f  %.3f            %.3f\n", n,
                             k ? 0.4 : 0.0, shifts[j], (double)found / trials,
                             (double)near / trials, (double)more / trials);
            }
        }
    }
}

int bench_regimes(int argc, char **argv)
{
    int64_t trials = 1000;
    if (argc > 0 && (il_text_to_i64(argv[0], &trials) != IL_OK || trials < 1 || trials > 1000000)) {
        (void)fprintf(stderr, "usage: inferlaw-bench regimes [TRIALS]\n");
        return 1;
    }
    breaks((int)trials);
    no_break((int)trials);
    crossings((int)trials);
    changes((int)trials);
    return 0;
}
