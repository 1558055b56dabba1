/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * laws.csv, leave_one_out.csv, law_points.csv, law_curves.csv and shape_costs.csv of foreign runs
 * whose truth is known.
 */
#include "stats/published.h"
#include "table.h"

#include "analysis/analysis.h"
#include "base/file.h"
#include "stats/stream.h"

static char run_dir[512];
static char csv[1 << 20];
static size_t csv_len;

static int setup(void **state)
{
    (void)state;
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("laws"));
    return 0;
}

static void begin(void)
{
    csv_len = (size_t)snprintf(csv, sizeof csv,
                               "backend,model,mode,status,latency_ms,params_millions,n_layer,"
                               "d_model,n_head,decode_steps,rep\n");
}

static void add(const char *model, const char *mode, double ms, double params, const double *shape,
                int steps, int rep)
{
    csv_len += (size_t)snprintf(csv + csv_len, sizeof csv - csv_len,
                                "b,%s,%s,ok,%.17g,%.17g,%g,%g,%g,%d,%d\n", model, mode, ms, params,
                                shape[0], shape[1], shape[2], steps, rep);
    assert_true(csv_len < sizeof csv);
}

static void analyze(void)
{
    char path[1024];
    il_error err = {0};
    check_ok(il_path_join(path, sizeof path, run_dir, "metrics.csv"), NULL);
    check_ok(il_file_write_atomic(path, csv, csv_len, &err), &err);
    const il_analysis_options options = {.n_resamples = 200, .seed = 42};
    il_analysis_summary summary;
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
}

static void load(const char *name, table *out)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/analysis/%s", run_dir, name);
    table_load(path, out);
}

/* The row with these texts; fails when there is none. */
static size_t row_of(const table *t, const char *mode, const char *x, const char *form,
                     const char *term)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(table_at(t, i, "mode"), mode) == 0 && strcmp(table_at(t, i, "x"), x) == 0 &&
            strcmp(table_at(t, i, "form"), form) == 0 &&
            (!term || strcmp(table_at(t, i, "term"), term) == 0)) {
            return i;
        }
    }
    print_error("no row %s %s %s %s\n", mode, x, form, term ? term : "");
    fail();
    return 0;
}

static double number(const table *t, size_t row, const char *column)
{
    const char *text = table_at(t, row, column);
    return *text ? strtod(text, NULL) : NAN;
}

static void published(void)
{
    static const char *const names[] = {"tiny-gpt2", "gpt2-5m",  "gpt2-25m", "gpt2-45m",
                                        "gpt2-50m",  "gpt2-75m", "gpt2-100m"};
    static const char *const modes[] = {"prefill", "kv_decode", "e2e_kv"};
    static const double heads[] = {2, 2, 2, 8, 2, 2, 2};
    begin();
    for (int m = 0; m < 3; m++) {
        for (int i = 0; i < N_PUBLISHED; i++) {
            const double shape[] = {published_layers[i], published_width[i], heads[i]};
            add(names[i], modes[m], published_ms[m][i], published_params[i], shape, 64, 0);
        }
    }
    analyze();
}

/* Both famous laws of the original study hang on one model, and the table says which. */
static void published_laws_name_tiny_gpt2(void **state)
{
    (void)state;
    published();
    table t;
    load("laws.csv", &t);
    const struct {
        const char *mode, *x;
        double slope, without;
    } want[] = {{"e2e_kv", "params_total", 0.291, 0.123},
                {"kv_decode", "params_total", 0.291, 0.123},
                {"kv_decode", "n_layer", 0.924, 0.205},
                {"prefill", "params_total", 0.281, 0.109},
                {"prefill", "n_layer", 0.907, 0.218}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        size_t row = row_of(&t, want[i].mode, want[i].x, "power", "slope");
        char words[128];
        (void)snprintf(words, sizeof words, "without tiny-gpt2 the slope goes from %.3f to %.3f",
                       want[i].slope, want[i].without);
        check_close(number(&t, row, "estimate"), want[i].slope, 0.0005);
        assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
        assert_non_null(strstr(table_at(&t, row, "because"), words));
        assert_string_equal(table_at(&t, row, "ci_method"), "nested_bootstrap");
        row = row_of(&t, want[i].mode, want[i].x, "affine", "b");
        assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
        assert_non_null(strstr(table_at(&t, row, "because"), "without tiny-gpt2"));
    }
    /* one model alone has another head count */
    size_t row = row_of(&t, "e2e_kv", "n_layer*d_model*n_head", "depth_width", "beta_n_layer");
    assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
    assert_non_null(strstr(table_at(&t, row, "because"), "gpt2-45m alone"));
    table_free(&t);
}

/* Exactly one law of a mode is chosen; it publishes the nested error, its own stands beside it. */
static void one_law_is_chosen(void **state)
{
    (void)state;
    published();
    table t;
    load("laws.csv", &t);
    static const char *const modes[] = {"prefill", "kv_decode", "e2e_kv"};
    for (int m = 0; m < 3; m++) {
        size_t selected = 0;
        double least = INFINITY;
        for (size_t i = 0; i < t.n_rows; i++) {
            if (strcmp(table_at(&t, i, "mode"), modes[m]) != 0) {
                continue;
            }
            bool its = strcmp(table_at(&t, i, "selected"), "True") == 0;
            bool first = strcmp(table_at(&t, i, "term"), "intercept") == 0 ||
                         strcmp(table_at(&t, i, "term"), "a") == 0;
            selected += its && first;
            if (its) {
                assert_true(number(&t, i, "loo_mape") >= number(&t, i, "form_loo_mape"));
            } else {
                assert_string_equal(table_at(&t, i, "loo_mape"), table_at(&t, i, "form_loo_mape"));
            }
            least = fmin(least, number(&t, i, "delta_aicc"));
        }
        assert_int_equal(selected, 1);
        check_close(least, 0, 1e-12);
    }
    table_free(&t);
}

static void points_and_curves_follow_the_fit(void **state)
{
    (void)state;
    published();
    table t;
    load("law_points.csv", &t);
    size_t row = row_of(&t, "e2e_kv", "params_total", "power", NULL);
    assert_string_equal(table_at(&t, row, "model"), "tiny-gpt2");
    double fitted = pow(10, 2.5879768949143247) * pow(0.103, 0.29119331378986435);
    check_near(number(&t, row, "fitted_ms"), fitted, 1e-9);
    check_near(number(&t, row, "observed_ms"), 169.76, 1e-12);
    check_near(number(&t, row, "residual_percent"), 100 * (169.76 / fitted - 1), 1e-9);
    check_near(number(&t, row, "loo_error_percent"),
               100 * (number(&t, row, "loo_predicted_ms") / 169.76 - 1), 1e-9);
    assert_true(number(&t, row, "leverage") > 0.8);
    assert_string_equal(table_at(&t, row, "ci_low_ms"), ""); /* one value has no interval */
    table_free(&t);
    load("law_curves.csv", &t);
    row = row_of(&t, "e2e_kv", "params_total", "power", NULL);
    check_near(number(&t, row, "x_value"), 0.103, 0);
    check_near(number(&t, row, "estimate_ms"), fitted, 1e-9);
    assert_true(number(&t, row, "pi_low_ms") < 169.76 && 169.76 < number(&t, row, "pi_high_ms"));
    check_near(number(&t, row + 32, "x_value"), 96.088, 0);
    assert_string_equal(table_at(&t, row + 32, "left_out"), "");
    assert_string_equal(table_at(&t, row + 33, "left_out"), "tiny-gpt2");
    assert_string_equal(table_at(&t, row + 33, "pi_low_ms"), "");
    check_near(number(&t, row + 65, "x_value"), 96.088, 0);
    table_free(&t);
}

static const double depths[] = {1, 2, 4, 8, 16};
static const double widths[] = {64, 256, 512};

/* Depth crossed with width; heads as told. Times in ms per step by the given function. */
static void grid(const char *mode, int steps, bool heads_follow, double sd,
                 double (*time)(const double *shape))
{
    il_stream stream = il_stream_open(9, "laws", mode);
    begin();
    for (int w = 0; w < 3; w++) {
        for (int l = 0; l < 5; l++) {
            double heads = heads_follow ? widths[w] / 64 : (l + w) % 2 ? 4 : 1;
            double shape[] = {depths[l], widths[w], heads_follow ? heads : 4};
            if (!heads_follow && w == 2) {
                shape[2] = heads; /* the widest come with two head counts */
            }
            char name[32];
            (void)snprintf(name, sizeof name, "m%d-%d", l, w);
            for (int rep = 0; rep < 6; rep++) {
                double ms = time(shape) * steps * exp(sd * il_stream_normal(&stream));
                add(name, mode, ms, depths[l] * widths[w] * widths[w] / 1e5, shape, steps, rep);
            }
        }
    }
    analyze();
}

static double linear_time(const double *shape)
{
    return 0.5 + 0.2 * shape[0] + 0.005 * shape[1] + 0.1 * shape[2];
}

static size_t cost_row(const table *t, const char *quantity)
{
    size_t row = table_find(t, 0, "quantity", quantity);
    if (row >= t->n_rows) {
        print_error("no %s\n", quantity);
        fail();
    }
    return row;
}

static void shape_costs_of_a_linear_truth(void **state)
{
    (void)state;
    grid("kv_decode", 32, false, 1e-4, linear_time);
    table t;
    load("shape_costs.csv", &t);
    const struct {
        const char *quantity, *unit;
        double want;
    } want[] = {{"per_layer_ms", "ms/layer/step", 0.2},
                {"per_width_unit_ms", "ms/unit of width/step", 0.005},
                {"per_head_ms", "ms/head/step", 0.1},
                {"layer_over_width", "units of width/layer", 40},
                {"layer_sweep_slope_ms@d=64", "ms/layer/step", 0.2},
                {"layer_sweep_intercept_ms@d=64", "ms/step", 0.5 + 0.32 + 0.4}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        size_t row = cost_row(&t, want[i].quantity);
        assert_string_equal(table_at(&t, row, "unit"), want[i].unit);
        assert_string_equal(table_at(&t, row, "verdict"), "supported");
        check_near(number(&t, row, "estimate"), want[i].want, 2e-3);
        assert_true(number(&t, row, "ci_low") < want[i].want * 1.001);
        assert_true(number(&t, row, "ci_high") > want[i].want * 0.999);
        assert_true(number(&t, row, "ci_low") < number(&t, row, "ci_high"));
    }
    assert_string_equal(table_at(&t, cost_row(&t, "layer_over_width"), "ci_method"), "fieller");
    assert_string_equal(table_at(&t, cost_row(&t, "layer_sweep_slope_ms@d=64"), "n_models"), "5");
    /* without ceilings nothing is known of what a layer's time is spent on */
    size_t share = cost_row(&t, "depth_share_overhead@d=64");
    assert_string_equal(table_at(&t, share, "estimate"), "");
    assert_string_equal(table_at(&t, share, "verdict"), "not_identifiable");
    /* two head counts at the widest: three depths of one, two of the other, no sweep */
    assert_true(table_find(&t, 0, "quantity", "layer_sweep_slope_ms@d=512") >= t.n_rows);
    table_free(&t);
    load("laws.csv", &t);
    size_t row = row_of(&t, "kv_decode", "n_layer*d_model*n_head", "linear_shape", "beta_n_layer");
    assert_string_equal(table_at(&t, row, "selected"), "True");
    check_near(number(&t, row, "estimate"), 0.2 * 32, 2e-3);
    assert_string_equal(table_at(&t, row, "n_models"), "15");
    table_free(&t);
}

static double exponents(const double *shape)
{
    return 0.01 * pow(shape[0], 0.9) * pow(shape[1], 0.6) * pow(shape[2], 0.15);
}

static void exponents_of_a_power_truth(void **state)
{
    (void)state;
    grid("prefill", 1, false, 0.02, exponents);
    table t;
    load("shape_costs.csv", &t);
    const char *const names[] = {"exponent_n_layer", "exponent_d_model", "exponent_n_head"};
    const double want[] = {0.9, 0.6, 0.15};
    for (int i = 0; i < 3; i++) {
        size_t row = cost_row(&t, names[i]);
        check_close(number(&t, row, "estimate"), want[i], 0.02);
        assert_true(number(&t, row, "ci_low") < want[i] && want[i] < number(&t, row, "ci_high"));
        assert_string_equal(table_at(&t, row, "verdict"), "supported");
    }
    table_free(&t);
}

/* Heads of 64 each: width and heads are one thing, and the table says so. */
static void confounded_shapes_are_named(void **state)
{
    (void)state;
    grid("prefill", 1, true, 0.02, linear_time);
    table t;
    load("shape_costs.csv", &t);
    size_t row = cost_row(&t, "per_head_ms");
    assert_string_equal(table_at(&t, row, "estimate"), "");
    assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
    assert_non_null(strstr(table_at(&t, row, "because"), "cannot be told apart"));
    row = cost_row(&t, "layer_sweep_slope_ms@d=256"); /* a sweep does not need the heads */
    check_close(number(&t, row, "estimate"), 0.2, 0.01);
    assert_string_equal(table_at(&t, row, "verdict"), "supported");
    table_free(&t);
}

/* Nearly the same: d and h correlated beyond the gate. */
static double nearly_heads;
static void the_gate_closes_on_near_dependence(void **state)
{
    (void)state;
    il_stream stream = il_stream_open(10, "laws", "gate");
    begin();
    for (int i = 0; i < 12; i++) {
        nearly_heads = i + 1 + (i % 3 == 0);
        const double shape[] = {depths[i % 5], 64 * (i + 1), nearly_heads};
        char name[32];
        (void)snprintf(name, sizeof name, "m%d", i);
        add(name, "prefill", linear_time(shape) * exp(0.01 * il_stream_normal(&stream)), i + 1,
            shape, 1, 0);
    }
    analyze();
    table t;
    load("laws.csv", &t);
    size_t row = row_of(&t, "prefill", "n_layer*d_model*n_head", "linear_shape", "beta_d_model");
    assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
    const char *because = table_at(&t, row, "because");
    assert_non_null(strstr(because, "move together"));
    assert_non_null(strstr(because, "variance inflation of"));
    assert_true(number(&t, row, "estimate") > 0); /* fitted all the same */
    table_free(&t);
}

/* What the chosen law is held against, worked out here from the published times. */
static void baselines_stand_beside_the_law(void **state)
{
    (void)state;
    published();
    double sum = 0;
    double near = 0;
    for (int i = 0; i < N_PUBLISHED; i++) {
        double others = 0;
        double gap = INFINITY;
        double ms = NAN;
        for (int j = 0; j < N_PUBLISHED; j++) {
            double its = fabs(log(published_params[j] / published_params[i]));
            others += j == i ? 0 : log(published_ms[1][j]) / (N_PUBLISHED - 1);
            ms = j != i && its < gap ? published_ms[1][j] : ms;
            gap = j != i && its < gap ? its : gap;
        }
        sum += fabs(exp(others) / published_ms[1][i] - 1) / N_PUBLISHED;
        near += fabs(ms / published_ms[1][i] - 1) / N_PUBLISHED;
    }
    table t;
    load("laws.csv", &t);
    size_t power = row_of(&t, "kv_decode", "params_total", "power", "slope");
    double power_error = number(&t, power, "form_loo_mape");
    table_free(&t);
    load("baselines.csv", &t);
    size_t n = 0;
    size_t best = 0;
    for (size_t i = 0; i < t.n_rows; i++) {
        if (strcmp(table_at(&t, i, "mode"), "kv_decode") != 0) {
            continue;
        }
        const char *name = table_at(&t, i, "baseline");
        double error = number(&t, i, "loo_mape");
        double want = strcmp(name, "mean") == 0                ? sum
                      : strcmp(name, "nearest_neighbour") == 0 ? near
                                                               : power_error;
        check_near(error, want, 1e-9);
        double skill = number(&t, i, "skill");
        assert_true(isnan(skill) ||
                    fabs(skill - (1 - number(&t, i, "law_loo_mape") / error)) < 1e-12);
        best += strcmp(table_at(&t, i, "best"), "True") == 0;
        n++;
    }
    /* no bytes, no FLOPs and no floor are known of a foreign run */
    assert_int_equal(n, 3);
    assert_int_equal(best, 1);
    table_free(&t);
}

/* Fewer models than the form needs. */
static void few_models_are_said(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 5; i++) {
        const double shape[] = {depths[i], 64, 4};
        char name[32];
        (void)snprintf(name, sizeof name, "m%d", i);
        add(name, "prefill", 1 + 0.1 * depths[i], i + 1, shape, 1, 0);
    }
    analyze();
    table t;
    load("laws.csv", &t);
    size_t row = row_of(&t, "prefill", "n_layer", "affine", "b");
    assert_string_equal(table_at(&t, row, "verdict"), "supported");
    assert_string_equal(table_at(&t, row, "ci_method"), "profile");
    row = row_of(&t, "prefill", "n_layer", "affine_power", "s");
    assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
    assert_non_null(strstr(table_at(&t, row, "because"), "needs 6 models, there are 5"));
    table_free(&t);
    load("shape_costs.csv", &t);
    check_near(number(&t, cost_row(&t, "layer_sweep_slope_ms@d=64"), "estimate"), 0.1, 1e-6);
    table_free(&t);
}

/* Heads cost nothing: that hangs on single models, the exponents of depth and width do not. */
static double without_heads(const double *shape)
{
    return 0.01 * pow(shape[0], 0.9) * pow(shape[1], 0.6);
}

static void each_cost_is_judged_by_its_own_term(void **state)
{
    (void)state;
    grid("prefill", 1, false, 0.05, without_heads);
    table t;
    load("laws.csv", &t);
    size_t row = row_of(&t, "prefill", "n_layer*d_model*n_head", "depth_width", "beta_n_layer");
    assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
    assert_non_null(strstr(table_at(&t, row, "because"), "beta_n_head"));
    table_free(&t);
    load("shape_costs.csv", &t);
    row = cost_row(&t, "exponent_n_head");
    assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
    for (int i = 0; i < 2; i++) {
        row = cost_row(&t, i == 0 ? "exponent_n_layer" : "exponent_d_model");
        assert_string_equal(table_at(&t, row, "verdict"), "supported");
        assert_null(strstr(table_at(&t, row, "because"), "beta_n_head"));
        assert_non_null(
            strstr(table_at(&t, row, "because"), i == 0 ? "beta_n_layer" : "beta_d_model"));
    }
    table_free(&t);
}

/* A sweep that is no line has no time per layer; nor has a sum that foresees a time below 0. */
static double bent(const double *shape)
{
    return 1e-6 * pow(shape[0], 1.4) * pow(shape[1], 2);
}

static void a_bent_sweep_has_no_slope(void **state)
{
    (void)state;
    grid("prefill", 1, false, 0.005, bent);
    table t;
    load("shape_costs.csv", &t);
    static const char *const names[] = {"layer_sweep_slope_ms@d=64",
                                        "layer_sweep_intercept_ms@d=64"};
    for (int i = 0; i < 2; i++) {
        size_t row = cost_row(&t, names[i]);
        assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
        assert_non_null(strstr(table_at(&t, row, "because"), "no straight line"));
    }
    size_t row = cost_row(&t, "per_layer_ms");
    assert_string_equal(table_at(&t, row, "verdict"), "not_identifiable");
    assert_non_null(strstr(table_at(&t, row, "because"), "the sum does not hold"));
    row = cost_row(&t, "exponent_n_layer");
    assert_string_equal(table_at(&t, row, "verdict"), "supported");
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_laws_name_tiny_gpt2),
        cmocka_unit_test(one_law_is_chosen),
        cmocka_unit_test(points_and_curves_follow_the_fit),
        cmocka_unit_test(shape_costs_of_a_linear_truth),
        cmocka_unit_test(exponents_of_a_power_truth),
        cmocka_unit_test(confounded_shapes_are_named),
        cmocka_unit_test(the_gate_closes_on_near_dependence),
        cmocka_unit_test(few_models_are_said),
        cmocka_unit_test(baselines_stand_beside_the_law),
        cmocka_unit_test(each_cost_is_judged_by_its_own_term),
        cmocka_unit_test(a_bent_sweep_has_no_slope),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
