/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Label places of random plots: inside the box, off each other. The letters' width is taken from
 * below here, so that the test does not share the estimate of the code.
 */
#include "check.h"

#include "report/plot.h"
#include "report/words.h"

#include <time.h>

static double px(const il__axis *a, double v, double size)
{
    double low = a->log ? log10(a->low) : a->low, high = a->log ? log10(a->high) : a->high;
    return ((a->log ? log10(v) : v) - low) / (high - low) * size;
}

typedef struct box {
    double x0, y0, x1, y1;
} box;

static box label_box(const il__plot *p, const il__label *l)
{
    double w = 8.0 * (double)il_words_width(l->text);
    double x = px(&p->x, l->x, 1200 * 0.86), y = px(&p->y, l->y, 800 * 0.70);
    x = l->align == 'l' ? x : l->align == 'r' ? x - w : x - w / 2;
    return (box){x, y - 8, x + w, y + 8};
}

static void labels_do_not_overlap(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 60; round++) {
        il_arena arena = {0};
        il_error err = {0};
        il__point points[24];
        il__line lines[3];
        char names[24][24];
        size_t n = 2 + (size_t)rand() % 22;
        for (size_t i = 0; i < n; i++) {
            double x = pow(10.0, -1 + 4.0 * rand() / RAND_MAX);
            double y = 3 * pow(x, 0.5) * (0.7 + 0.6 * rand() / RAND_MAX);
            (void)snprintf(names[i], sizeof names[i], "gpt2-%dm", rand() % 100000);
            points[i] =
                (il__point){.x = x, .y = y, .low = y * 0.97, .high = y * 1.04, .label = names[i]};
        }
        for (size_t i = 0; i < 3; i++) {
            lines[i] = (il__line){.x0 = 0.1,
                                  .y0 = 1,
                                  .x1 = 1000,
                                  .y1 = 60.0 * (double)(i + 1),
                                  .kind = IL__LINE_GHOST};
        }
        lines[0].kind = IL__LINE_MARKED;
        lines[0].label = "without one: slope 0.12";
        il__plot p = {.points = points,
                      .n_points = n,
                      .lines = lines,
                      .n_lines = 3,
                      .x = {.log = true, .low = NAN, .high = NAN},
                      .y = {.log = true, .low = NAN, .high = NAN}};
        check_ok(il__plot_layout(&p, &arena, &err), &err);
        if (n <= 8) {
            assert_true(p.n_labels >= n); /* few points: nothing may be dropped */
        }
        for (size_t i = 0; i < p.n_labels; i++) {
            box a = label_box(&p, &p.labels[i]);
            assert_true(a.x0 > -1 && a.x1 < 1200 * 0.86 + 1 && a.y0 > -1 && a.y1 < 800 * 0.70 + 1);
            for (size_t k = 0; k < i; k++) {
                box b = label_box(&p, &p.labels[k]);
                double w = fmin(a.x1, b.x1) - fmax(a.x0, b.x0);
                double h = fmin(a.y1, b.y1) - fmax(a.y0, b.y0);
                if (w > 2 && h > 2) {
                    fail_msg("%s and %s overlap by %.0f x %.0f pixels", p.labels[i].text,
                             p.labels[k].text, w, h);
                }
            }
        }
        il_arena_free(&arena);
    }
}

static void ticks_are_few_and_inside(void **state)
{
    (void)state;
    il_arena zero = {0};
    il__plot from_zero = {.x = {.low = 0, .high = 75}, .y = {.low = 0, .high = 75}};
    check_ok(il__plot_layout(&from_zero, &zero, NULL), NULL);
    assert_string_equal(from_zero.x.ticks[0].text, "0");
    il_arena_free(&zero);
    static const double ranges[][2] = {{1, 1},       {0.9, 1.1},  {2, 9},    {0.016, 25},
                                       {0.1, 21000}, {1e-6, 1e9}, {5, 5.001}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        for (int log_axis = 0; log_axis < 2; log_axis++) {
            il_arena arena = {0};
            il_error err = {0};
            il__point points[2] = {{.x = ranges[i][0], .y = ranges[i][0], .low = NAN, .high = NAN},
                                   {.x = ranges[i][1], .y = ranges[i][1], .low = NAN, .high = NAN}};
            il__plot p = {.points = points,
                          .n_points = 2,
                          .x = {.log = log_axis == 1, .low = NAN, .high = NAN},
                          .y = {.log = log_axis == 1, .low = NAN, .high = NAN}};
            check_ok(il__plot_layout(&p, &arena, &err), &err);
            assert_true(p.x.low < ranges[i][0] && p.x.high > ranges[i][1]);
            if (p.x.n_ticks < 2 || p.x.n_ticks > 20) {
                fail_msg("%zu ticks from %g to %g, log %d", p.x.n_ticks, p.x.low, p.x.high,
                         log_axis);
            }
            for (size_t k = 0; k < p.x.n_ticks; k++) {
                assert_true(p.x.ticks[k].at >= p.x.low * (log_axis ? 0.99 : 1) - 1e-6 &&
                            p.x.ticks[k].at <= p.x.high * 1.01 + 1e-6);
                assert_true(k == 0 || p.x.ticks[k].at > p.x.ticks[k - 1].at);
                assert_true(k == 0 || strcmp(p.x.ticks[k].text, p.x.ticks[k - 1].text) != 0);
            }
            il_arena_free(&arena);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_do_not_overlap),
        cmocka_unit_test(ticks_are_few_and_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
