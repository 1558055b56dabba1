/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The verdict engine: right on at least 95 % of claims whose truth is known, the claims of the
 * TR121 study on its published values, and the rules one by one.
 *
 *     IL_CLAIMS_N=500 tests/test_analysis_claims      the table of docs/claims.md
 */
#include "claims_world.h"

#include "analysis/analysis.h"
#include "analysis/claims_internal.h"
#include "stats/collinear.h"
#include "stats/published.h"

static char scratch[512];

static int make_scratch(void **state)
{
    (void)state;
    (void)snprintf(scratch, sizeof scratch, "%s", check_scratch_dir("claims"));
    return 0;
}

/* --- seeded claims ------------------------------------------------------------------------------
 */

enum { N_VERDICTS = 4 };
static const char letters[] = "scni";
static size_t confusion[N_VERDICTS][N_VERDICTS];
static bool loud;

static int verdict_of(const char *name)
{
    for (int i = 0; i < N_VERDICTS; i++) {
        if (strcmp(il__verdict_names[i], name) == 0) {
            return i;
        }
    }
    fail();
    return 0;
}

static void count(world *w, const char *name)
{
    table t;
    char path[600];
    il_buf claims;
    il_error err = {0};
    (void)snprintf(path, sizeof path, IL_TEST_SOURCE_DIR "/tests/analysis/data/claims/%s.yaml",
                   name);
    il_buf_init(&claims, 1 << 20);
    check_ok(il_file_read(path, &claims, &err), &err);
    world_judge(w, il_buf_text(&claims), &t);
    il_buf_free(&claims);
    for (size_t i = 0; i < t.n_rows; i++) {
        const char *id = table_at(&t, i, "id");
        int truth = (int)(strchr(letters, id[0]) - letters);
        int said = verdict_of(table_at(&t, i, "verdict"));
        confusion[truth][said]++;
        if (loud && truth != said) {
            print_message("%s: %s, %s [%s, %s]: %s\n", id, table_at(&t, i, "verdict"),
                          table_at(&t, i, "estimate"), table_at(&t, i, "ci_low"),
                          table_at(&t, i, "ci_high"), table_at(&t, i, "because"));
        }
    }
    table_free(&t);
}

static void one_round(uint64_t seed)
{
    world w;
    const grid good = {.depth = 0.8,
                       .width = 1.2,
                       .ratio = 1.3,
                       .cross = 4.5,
                       .tilt = 0.25,
                       .share = 20,
                       .warm = 2,
                       .model_sd = 0.03,
                       .block_sd = 0.02,
                       .blocks = 10};
    world_open(&w, scratch, seed, "grid");
    world_grid(&w, &good);
    count(&w, "grid");
    grid flagged = good;
    flagged.flagged = 0.4;
    world_open(&w, scratch, seed, "flagged");
    world_grid(&w, &flagged);
    count(&w, "flagged");
    grid noisy = good;
    noisy.block_sd = 0.4;
    world_open(&w, scratch, seed, "noisy");
    world_grid(&w, &noisy);
    count(&w, "noisy");
    const ladder bent = {.models = 16,
                         .blocks = 8,
                         .slope = 0.3,
                         .bend = 0.7,
                         .at = 30,
                         .model_sd = 0.04,
                         .block_sd = 0.02};
    world_open(&w, scratch, seed, "bent");
    world_ladder(&w, &bent);
    count(&w, "bent");
    ladder straight = bent;
    straight.slope = 0.8;
    straight.bend = 0;
    world_open(&w, scratch, seed, "straight");
    world_ladder(&w, &straight);
    count(&w, "straight");
    ladder flat = straight;
    flat.slope = 0;
    world_open(&w, scratch, seed, "flat");
    world_ladder(&w, &flat);
    count(&w, "flat");
    straight.blocks = 3;
    world_open(&w, scratch, seed, "blocks");
    world_ladder(&w, &straight);
    count(&w, "blocks");
    flat.models = 7;
    flat.slope = 0.02;
    flat.tiny = 0.001;
    flat.tiny_log = -1;
    world_open(&w, scratch, seed, "tiny");
    world_ladder(&w, &flat);
    count(&w, "tiny");
}

static void seeded_claims_are_judged_right(void **state)
{
    (void)state;
    const char *asked = getenv("IL_CLAIMS_N");
    int n = asked ? (int)strtol(asked, NULL, 10) : 12;
    loud = getenv("IL_CLAIMS_LOUD") != NULL;
    memset(confusion, 0, sizeof confusion);
    for (int seed = 0; seed < n; seed++) {
        one_round((uint64_t)seed + 1);
    }
    print_message("%-18s %12s %12s %18s %10s\n", "truth", "supported", "contradicted",
                  "not_identifiable", "ill_posed");
    for (int t = 0; t < N_VERDICTS; t++) {
        size_t total = 0;
        for (int s = 0; s < N_VERDICTS; s++) {
            total += confusion[t][s];
        }
        print_message("%-18s %12zu %12zu %18zu %10zu   right %.1f %%\n", il__verdict_names[t],
                      confusion[t][0], confusion[t][1], confusion[t][2], confusion[t][3],
                      100.0 * (double)confusion[t][t] / (double)total);
        assert_true((double)confusion[t][t] >= 0.95 * (double)total);
    }
    /* The worst mistake is the opposite verdict. */
    assert_true(confusion[0][1] + confusion[1][0] <= (size_t)(n / 20));
}

/* --- TR121 on its published values ---------------------------------------------------------------
 */

static void write_published(const char *dir)
{
    static const char *const names[] = {"tiny-gpt2", "gpt2-5m",  "gpt2-25m", "gpt2-45m",
                                        "gpt2-50m",  "gpt2-75m", "gpt2-100m"};
    static const double heads[] = {2, 2, 2, 8, 2, 2, 2};
    static const char *const modes[] = {"prefill", "kv_decode", "e2e_kv"};
    char path[600];
    il_csv_writer out;
    il_error err = {0};
    static const char *const columns[] = {"backend", "model",      "mode",
                                          "status",  "latency_ms", "params_millions",
                                          "n_layer", "d_model",    "n_head"};
    (void)snprintf(path, sizeof path, "%s/metrics.csv", dir);
    check_ok(il_csv_create(path, &out, &err), &err);
    il_csv_row(&out, columns, 9);
    for (int m = 0; m < 3; m++) {
        for (int i = 0; i < N_PUBLISHED; i++) {
            il_csv_text(&out, "hf_cpu_fp32");
            il_csv_text(&out, names[i]);
            il_csv_text(&out, modes[m]);
            il_csv_text(&out, "ok");
            il_csv_f64(&out, published_ms[m][i]);
            il_csv_f64(&out, published_params[i]);
            il_csv_f64(&out, published_layers[i]);
            il_csv_f64(&out, published_width[i]);
            il_csv_f64(&out, heads[i]);
            il_csv_end_row(&out);
        }
    }
    check_ok(il_csv_close(&out, &err), &err);
}

static void published_values_get_honest_verdicts(void **state)
{
    (void)state;
    const struct {
        const char *id, *verdict, *because;
    } wanted[] = {
        {"cpu-follows-params", "not_identifiable", "without tiny-gpt2 it goes from 0.291 to 0.123"},
        {"cpu-follows-depth", "not_identifiable", "without tiny-gpt2 it goes from 0.924 to 0.204"},
        {"summary-cpu-params", "not_identifiable", "tiny-gpt2"},
        {"one-exponent-prefill-decode", "not_identifiable", "(Holm)"},
        {"one-exponent", "ill_posed", ""},
        {"shapes-at-10m", "ill_posed", "201M parameters, not 10M; 16 layers of width 512"},
        {"layer-12x-width", "ill_posed", "unlike units"},
        {"regimes-by-depth", "ill_posed", "contradict each other"},
        {"regime-at-50m", "not_identifiable", "a side"},
        {"depth-over-width-at-equal-params", "not_identifiable", "gpt2-45m alone"},
        {"cpu-gpu-crossover", "not_identifiable", "no row"},
        {"gpu-follows-depth", "not_identifiable", "no row"},
    };
    char dir[512], path[1200];
    il_buf text;
    il_error err = {0};
    il_analysis_summary summary;
    const il_analysis_options options = {.n_resamples = 10, .seed = 42};
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("tr121"));
    write_published(dir);
    il_buf_init(&text, 1 << 20);
    check_ok(il_file_read(IL_TEST_SOURCE_DIR "/claims/tr121.yaml", &text, &err), &err);
    (void)snprintf(path, sizeof path, "%s/claims.yaml", dir);
    check_ok(il_file_write_atomic(path, text.data, text.len, &err), &err);
    il_buf_free(&text);
    check_ok(il_analysis_run(dir, &options, &summary, &err), &err);
    table t;
    (void)snprintf(path, sizeof path, "%s/analysis/claims.csv", dir);
    table_load(path, &t);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        size_t row = table_find(&t, 0, "id", wanted[i].id);
        assert_true(row != SIZE_MAX);
        assert_string_equal(table_at(&t, row, "verdict"), wanted[i].verdict);
        assert_non_null(strstr(table_at(&t, row, "because"), wanted[i].because));
    }
    /* Every ill-posed claim has a twin in the file that is not; what is not decided says by what.
     */
    for (size_t i = 0; i < t.n_rows; i++) {
        const char *verdict = table_at(&t, i, "verdict");
        if (strcmp(verdict, "ill_posed") == 0) {
            size_t twin = table_find(&t, 0, "id", table_at(&t, i, "twin"));
            assert_true(twin != SIZE_MAX);
            assert_string_not_equal(table_at(&t, twin, "verdict"), "ill_posed");
        } else if (strcmp(verdict, "not_identifiable") == 0) {
            assert_true(table_at(&t, i, "would_decide")[0] && table_at(&t, i, "gate")[0]);
        }
    }
    size_t share = table_find(&t, 0, "id", "decode-share");
    check_close(strtod(table_at(&t, share, "estimate"), NULL), 0.980, 0.001);
    table_free(&t);
}

/* --- rules
 * ---------------------------------------------------------------------------------------- */

static il__claim_state state_of(il_claim_direction direction, double estimate, double se)
{
    il__effect e = {.null = 1, .margin = 0.1};
    il__effect_judge(&e, direction, estimate, se, 9);
    return e.state;
}

static void intervals_are_held_against_the_margin(void **state)
{
    (void)state;
    /* t(0.975, 9) = 2.262, t(0.95, 9) = 1.833 */
    assert_int_equal(state_of(IL_CLAIM_greater, 1.33, 0.1), IL__PREDICTED);
    assert_int_equal(state_of(IL_CLAIM_greater, 1.32, 0.1), IL__UNDECIDED);
    assert_int_equal(state_of(IL_CLAIM_greater, 0.67, 0.1), IL__OPPOSITE);
    assert_int_equal(state_of(IL_CLAIM_greater, 1.0, 0.05), IL__INSIDE);
    assert_int_equal(state_of(IL_CLAIM_greater, 1.0, 0.06), IL__UNDECIDED);
    assert_int_equal(state_of(IL_CLAIM_less, 0.67, 0.1), IL__PREDICTED);
    assert_int_equal(state_of(IL_CLAIM_less, 1.33, 0.1), IL__OPPOSITE);
    assert_int_equal(state_of(IL_CLAIM_differs, 1.33, 0.1), IL__PREDICTED);
    assert_int_equal(state_of(IL_CLAIM_differs, 0.67, 0.1), IL__PREDICTED);
    assert_int_equal(state_of(IL_CLAIM_differs, 1.0, 0.05), IL__INSIDE);
    assert_int_equal(state_of(IL_CLAIM_equal, 1.0, 0.05), IL__PREDICTED);
    assert_int_equal(state_of(IL_CLAIM_equal, 1.0, 0.06), IL__UNDECIDED);
    assert_int_equal(state_of(IL_CLAIM_equal, 1.33, 0.1), IL__OPPOSITE);
    assert_int_equal(state_of(IL_CLAIM_greater, 1.2, 0), IL__PREDICTED);
    il__effect e = {.null = 0, .margin = 0};
    il__effect_judge(&e, IL_CLAIM_greater, 2.262157, 1, 9);
    check_close(e.p, 0.05, 1e-6);
}

static void holm_counts_the_claims_of_the_file(void **state)
{
    (void)state;
    il_claim c = {.direction = IL_CLAIM_greater, .id = "c"};
    il__effect e = {.null = 0, .margin = 0};
    il__effect_judge(&e, IL_CLAIM_greater, 2.5, 1, 30);
    il__effect other = e;
    assert_int_equal(il__claim_verdict(&c, &e, e.p), IL__SUPPORTED);
    assert_int_equal(il__claim_verdict(&c, &other, 0.06), IL__NOT_IDENTIFIABLE);
    assert_string_equal(other.gate, "holm");
    il__effect fragile = {.null = 0, .margin = 0, .fragile = "block 3"};
    il__effect_judge(&fragile, IL_CLAIM_greater, 2.5, 1, 30);
    assert_int_equal(il__claim_verdict(&c, &fragile, 0), IL__NOT_IDENTIFIABLE);
    assert_non_null(strstr(fragile.because, "block 3"));
}

static void columns_that_move_together_are_found(void **state)
{
    (void)state;
    il_collinear c;
    /* correlation r of two columns: condition √((1 + r)/(1 − r)), VIF 1/(1 − r²) */
    const double x[] = {0, 0, 1, 1, 2, 1, 3, 4};
    double mx = 1.5, my = 1.5, sxy = 0, sxx = 0, syy = 0;
    for (int i = 0; i < 4; i++) {
        sxy += (x[2 * i] - mx) * (x[2 * i + 1] - my);
        sxx += (x[2 * i] - mx) * (x[2 * i] - mx);
        syy += (x[2 * i + 1] - my) * (x[2 * i + 1] - my);
    }
    double r = sxy / sqrt(sxx * syy);
    check_ok(il_collinear_of(x, 4, 2, &c, NULL), NULL);
    check_near(c.condition, sqrt((1 + r) / (1 - r)), 1e-10);
    check_near(c.vif, 1 / (1 - r * r), 1e-10);
    const double same[] = {1, 2, 2, 4, 3, 6};
    check_ok(il_collinear_of(same, 3, 2, &c, NULL), NULL);
    assert_true(isinf(c.condition) && isinf(c.vif));
    const double constant[] = {1, 2, 1, 4};
    assert_int_equal(il_collinear_of(constant, 2, 2, &c, NULL), IL_E_INVALID);
}

static void refused(const char *text, const char *what, const char *where)
{
    il_claims claims;
    il_error err = {0};
    int rc = il_claims_parse(text, strlen(text), "f", &claims, &err);
    il_claims_free(&claims);
    if (rc == IL_OK || !strstr(err.what, what) || strcmp(err.where, where) != 0) {
        print_error("%s: %d \"%s\" at %s\n", text, rc, err.what, err.where);
        fail();
    }
}

static void wrong_files_are_refused_with_their_place(void **state)
{
    (void)state;
    refused("a: 1", "one key, claims", "f:1:1");
    refused("claims: []", "one key, claims", "f:1:1");
    refused("claims:\n- {id: a, statement: s, tset: ratio}", "unknown key \"tset\"", "f:2:25");
    refused("claims:\n- {id: a, statement: s, test: ratio}", "needs mode", "f:2:3");
    refused("claims:\n- {id: a, statement: s, test: ratio, mode: prefill}", "needs than", "f:2:3");
    refused("claims:\n- {id: a, statement: s}", "needs test", "f:2:3");
    refused("claims:\n- {statement: s, test: ratio}", "needs id", "f:2:3");
    refused("claims:\n- {id: a, statement: s, ill_posed: w}", "has no twin", "f:2:3");
    refused("claims:\n- {id: a, statement: s, ill_posed: w, twin: b}", "not in this file", "f:2:3");
    refused("claims:\n- {id: a, statement: s, test: share, mode: prefill, than: 2, "
            "versus: {mode: e2e_kv}}",
            "between 0 and 1", "f:2:3");
    refused("claims:\n- {id: a, statement: s, test: ratio, mode: prefill, than: 1}\n"
            "- {id: a, statement: s, test: ratio, mode: prefill, than: 1}",
            "two claims are called", "f:3:3");
    refused("claims:\n- {id: a, statement: s, test: ratio, mode: decode, than: 1}", "mode",
            "f:2:44");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(seeded_claims_are_judged_right, make_scratch),
        cmocka_unit_test(published_values_get_honest_verdicts),
        cmocka_unit_test(intervals_are_held_against_the_margin),
        cmocka_unit_test(holm_counts_the_claims_of_the_file),
        cmocka_unit_test(columns_that_move_together_are_found),
        cmocka_unit_test(wrong_files_are_refused_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
