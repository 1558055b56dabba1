/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The tables of cold starts from a journal whose truth is known: seven models, a start of 10 ms
 * plus 2000 ms per GB of files cold and 500 warm, six samples each, a steady call of 4 ms.
 */
#include "run_lines.h"
#include "table.h"

#include "analysis/analysis.h"
#include "base/json.h"
#include "study/journal.h"

#include <math.h>

enum { MODELS = 7, SAMPLES = 6 };

static void write_plan(il_journal *journal, const char *slo)
{
    static char cells[8000], models[8000];
    cells[0] = models[0] = '\0';
    for (int m = 0; m < MODELS; m++) {
        size_t at = strlen(cells), to = strlen(models);
        (void)snprintf(cells + at, sizeof cells - at,
                       "%s{\"cell\":%d,\"backend\":\"b\",\"model\":\"m%d\",\"scenario\":\"s\","
                       "\"batch_size\":1,\"gen_tokens\":4,\"seq_len\":9,\"skip\":null}",
                       m ? "," : "", m, m);
        (void)snprintf(models + to, sizeof models - to,
                       "%s{\"name\":\"m%d\",\"kind\":\"hf\",\"params_total\":%d}", m ? "," : "", m,
                       1000000 << m);
    }
    write_line(journal, "plan",
               "{\"run_id\":\"r\",\"run_name\":\"r\",\"blocks\":1,\"repetitions\":1,"
               "\"warmup_repetitions\":0,\"n_calls\":%d,\"records_expected\":%d,%s"
               "\"cold_start\":{\"samples\":6,\"keep_alive_s\":300},"
               "\"scenarios\":[{\"name\":\"s\",\"prompt_source\":\"ids\"}],\"models\":[%s],"
               "\"backends\":[{\"name\":\"b\",\"kind\":\"hf\",\"dtype\":\"fp32\","
               "\"device\":\"cpu\"}],\"cells\":[%s]}",
               MODELS, 3 * MODELS, slo, models, cells);
}

/* Bytes of model m, and how many ms its start takes before the first call. */
static double bytes_of(int m)
{
    return 5e6 * (1 << m);
}

static double start_ms(int m, bool warm)
{
    return 10 + (warm ? 500 : 2000) * bytes_of(m) * 1e-9;
}

/* Spawn takes 3 ms, the runtime 1, prepare 1, the rest is the load. The first call takes a steady
 * one's time. `shift_ms` moves the load. */
static void write_start(il_journal *journal, int m, bool warm, int sample, const char *status,
                        double shift_ms)
{
    long long t0 = 4000000, load = (long long)((start_ms(m, warm) - 5 + shift_ms) * 1e6);
    long long t1 = t0 + load, call = t1 + 1000000;
    char calls[2000] = "";
    for (int i = 0; i < 6; i++) {
        size_t at = strlen(calls);
        long long from = call + 5000000LL * i;
        (void)snprintf(calls + at, sizeof calls - at,
                       "%s{\"t0_ns\":%lld,\"t_first_ns\":%lld,\"t_step1_ns\":%lld,"
                       "\"t_end_ns\":%lld,\"major_faults\":%d}",
                       i ? "," : "", from, from + 1000000, from + 1750000, from + 4000000,
                       i ? 0 : 7);
    }
    write_line(
        journal, "cold",
        "{\"backend\":\"b\",\"model\":\"m%d\",\"block\":0,\"t_spawn_ns\":0,\"t_hello_ns\":%lld,"
        "\"t0_ns\":%lld,\"t1_ns\":%lld,\"page_cache\":\"%s\",\"sample\":%d,\"group\":%d,"
        "\"cell\":%d,\"status\":\"%s\",\"stages\":[{\"name\":\"spawn\",\"t0_ns\":0,"
        "\"t1_ns\":3000000,\"major_faults\":null},{\"name\":\"hello\",\"t0_ns\":3000000,"
        "\"t1_ns\":4000000,\"major_faults\":null},{\"name\":\"read\",\"t0_ns\":%lld,"
        "\"t1_ns\":%lld,\"major_faults\":11}],\"facts\":{},\"file_bytes\":%.0f,"
        "\"resident_before\":%.0f,\"faults_load\":13,\"faults_prepare\":15,"
        "\"prepare_t0_ns\":%lld,\"prepare_t1_ns\":%lld,\"calls\":[%s],\"server\":null}",
        m, t0, t0, t1, warm ? "warm" : "cold", sample, m, m, status, t0, t1, bytes_of(m),
        warm ? bytes_of(m) : 0.0, t1, call, calls);
}

static void analyse(const char *slo)
{
    il_journal *journal;
    il_error err = {0};
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("cold"));
    check_ok(il_journal_create(in_run("journal.jsonl"), &journal, &err), &err);
    write_plan(journal, slo);
    for (int m = 0; m < MODELS; m++) {
        for (int sample = SAMPLES - 1; sample >= 0; sample--) {
            write_start(journal, m, false, sample, "ok", 0.1 * sample - 0.25);
            write_start(journal, m, true, sample, "ok", 0);
        }
    }
    write_start(journal, 0, false, 6, "flagged", 1e6); /* not cold: in no number */
    write_start(journal, 1, true, 0, "error", 1e6);    /* a failure and the start after it */
    write_start(journal, 1, true, 0, "ok", 0);
    il_journal_close(journal);
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    il_analysis_summary summary;
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
}

static double at(const table *t, size_t row, const char *column)
{
    const char *text = table_at(t, row, column);
    return text[0] ? atof(text) : NAN;
}

static size_t row_of(const table *t, const char *model, const char *state, const char *stage)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(table_at(t, i, "model"), model) == 0 &&
            strcmp(table_at(t, i, "page_cache"), state) == 0 &&
            strcmp(table_at(t, i, "stage"), stage) == 0) {
            return i;
        }
    }
    fail_msg("no row %s %s %s", model, state, stage);
    return SIZE_MAX;
}

static void check_stage(const table *t, const char *stage, double ms)
{
    size_t row = row_of(t, "m2", "cold", stage);
    check_near(at(t, row, "median_ms"), ms, 1e-6);
    assert_int_equal(at(t, row, "n"), SAMPLES);
}

static void stages_come_back(void **state)
{
    (void)state;
    table t;
    analyse("");
    table_load(in_run("analysis/cold_start.csv"), &t);
    double whole = start_ms(2, false) + 4; /* 54 ms */
    check_stage(&t, "spawn", 3);
    check_stage(&t, "runtime_init", 1);
    check_stage(&t, "read", whole - 9);
    check_stage(&t, "load", whole - 9);
    check_stage(&t, "prepare", 1);
    check_stage(&t, "first_prefill", 1);
    check_stage(&t, "first_decode_step", 0.75);
    check_stage(&t, "first_call", 4);
    check_stage(&t, "to_first_token", whole - 3);
    check_stage(&t, "total", whole);
    check_stage(&t, "cold_cost", whole - 4);
    check_stage(&t, "steady_call", 4);
    size_t total = row_of(&t, "m2", "cold", "total");
    check_near(at(&t, total, "ci_low"), whole - 0.25, 1e-6);
    check_near(at(&t, total, "ci_high"), whole + 0.25, 1e-6);
    /* cold / (n × 4 ms) ≤ 5 %: 50 / 0.2 = 250; the ends are 0.25 ms off. */
    assert_int_equal(at(&t, total, "requests_to_amortise"), 250);
    assert_int_equal(at(&t, total, "amortise_low"), 249);
    assert_int_equal(at(&t, total, "amortise_high"), 252);
    assert_int_equal(at(&t, total, "calls_to_steady"), 1);
    assert_int_equal(at(&t, total, "major_faults"), 15 + 7);
    assert_int_equal(at(&t, row_of(&t, "m2", "cold", "read"), "major_faults"), 11);
    assert_int_equal(at(&t, row_of(&t, "m2", "cold", "runtime_init"), "major_faults"), 2);
    assert_int_equal(at(&t, row_of(&t, "m2", "cold", "prepare"), "major_faults"), 2);
    assert_int_equal(at(&t, row_of(&t, "m2", "warm", "total"), "resident_percent"), 100);
    /* What is flagged counts for nothing, what failed and was made good counts once. */
    size_t flagged = row_of(&t, "m0", "cold", "total");
    assert_int_equal(at(&t, flagged, "n_flagged"), 1);
    assert_int_equal(at(&t, flagged, "n"), SAMPLES);
    size_t again = row_of(&t, "m1", "warm", "total");
    assert_int_equal(at(&t, again, "n_failed"), 0);
    check_near(at(&t, again, "median_ms"), start_ms(1, true) + 4, 1e-6);
    table_free(&t);
}

static void law_comes_back(void **state)
{
    (void)state;
    table t;
    analyse("");
    table_load(in_run("analysis/cold_law.csv"), &t);
    assert_int_equal(t.n_rows, 4);
    for (size_t i = 0; i < 4; i++) {
        bool warm = strcmp(table_at(&t, i, "page_cache"), "warm") == 0;
        bool fixed = strcmp(table_at(&t, i, "term"), "fixed") == 0;
        check_near(at(&t, i, "estimate"), fixed ? 10 : warm ? 500 : 2000, 1e-4);
        assert_int_equal(at(&t, i, "n_models"), MODELS);
        assert_string_equal(table_at(&t, i, "verdict"), "supported");
        assert_true(at(&t, i, "ci_low") <= at(&t, i, "estimate") * 1.0001);
        assert_true(at(&t, i, "loo_mape") < 1e-4);
    }
    table_free(&t);
}

static size_t policy_row(const table *t, const char *model, const char *objective)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(table_at(t, i, "model"), model) == 0 &&
            strcmp(table_at(t, i, "page_cache"), "cold") == 0 &&
            strcmp(table_at(t, i, "objective"), objective) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void policy(void **state)
{
    (void)state;
    table t;
    analyse("\"slo\":{\"ttft_ms\":60,\"tail_quantile\":0.9},");
    table_load(in_run("analysis/warmup_policy.csv"), &t);
    size_t mean = policy_row(&t, "m2", "mean");
    /* exp(−r·K)·50 ms = 5 % of 4 ms. */
    check_near(at(&t, mean, "requests_per_hour"), 12 * log(250), 1e-6);
    check_near(at(&t, mean, "ci_low"), 12 * log(248.75), 1e-6);
    check_near(at(&t, mean, "ci_high"), 12 * log(251.25), 1e-6);
    assert_string_equal(table_at(&t, mean, "verdict"), "keep_warm_below");
    /* First tokens after 51 and 91 ms: the smaller keeps 60 ms from a cold start. */
    size_t small = policy_row(&t, "m2", "ttft"), large = policy_row(&t, "m3", "ttft");
    assert_string_equal(table_at(&t, small, "verdict"), "not_needed");
    assert_string_equal(table_at(&t, large, "verdict"), "keep_warm_below");
    check_near(at(&t, large, "requests_per_hour"), 12 * log(10), 1e-6);
    table_free(&t);
    table_load(in_run("analysis/cold_risk.csv"), &t);
    for (size_t i = 0; i < t.n_rows; i++) {
        double share = exp(-at(&t, i, "requests_per_hour") / 12);
        check_near(at(&t, i, "share_cold"), share, 1e-9);
        if (strcmp(table_at(&t, i, "model"), "m2") == 0 &&
            strcmp(table_at(&t, i, "page_cache"), "cold") == 0) {
            check_near(at(&t, i, "added_ms"), 50 * share, 1e-6);
            check_near(at(&t, i, "added_percent"), 1250 * share, 1e-6);
        }
    }
    table_free(&t);
    /* An objective that is missed even when loaded: keeping warm is no cure. */
    analyse("\"slo\":{\"ttft_ms\":0.5},");
    table_load(in_run("analysis/warmup_policy.csv"), &t);
    assert_string_equal(table_at(&t, policy_row(&t, "m2", "ttft"), "verdict"), "missed_warm_too");
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_come_back),
        cmocka_unit_test(law_comes_back),
        cmocka_unit_test(policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
