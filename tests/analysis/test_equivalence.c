/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * parity.csv and equivalence.csv from a journal of known truth.
 */
#include "table.h"

#include "analysis/analysis.h"
#include "study/journal.h"

#include <jansson.h>

enum { BLOCKS = 12, MODELS = 5 };

/* model i against model 0: the same, 10 % slower, 2 % slower, and one with other weights */
static const char *const names[MODELS] = {"real", "same", "slow", "edge", "wrong"};
static const double ratios[MODELS] = {1, 1.004, 1.1, 1.02, 1};

static json_t *plan(void)
{
    json_t *models = json_array(), *cells = json_array();
    for (int i = 0; i < MODELS; i++) {
        json_t *model =
            json_pack("{s:s,s:s,s:n,s:n,s:n,s:b}", "name", names[i], "kind", "hf", "path",
                      "params_millions_config", "params_millions_measured", "synthetic", 1);
        if (i > 0) {
            (void)json_object_set_new(model, "twin_of", json_string("real"));
        }
        (void)json_array_append_new(models, model);
        (void)json_array_append_new(cells, json_pack("{s:i,s:s,s:s,s:s,s:i,s:i,s:i,s:n}", "cell", i,
                                                     "backend", "x", "model", names[i], "scenario",
                                                     "s", "batch_size", 1, "gen_tokens", 2,
                                                     "seq_len", 4, "skip"));
    }
    return json_pack(
        "{s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:[{s:s,s:n,s:i,s:s}],s:o,s:[{s:s,s:s,s:s,s:s,s:s,"
        "s:i,s:s}],s:o,s:i,s:i}",
        "run_id", "t", "run_name", "t", "study_sha256", "0", "seed", 1, "blocks", BLOCKS,
        "repetitions", 1, "warmup_repetitions", 0, "scenarios", "name", "s", "prompt",
        "prompt_tokens", 4, "prompt_source", "ids", "models", models, "backends", "name", "x",
        "kind", "native", "kind_asked", "native", "device", "cpu", "dtype", "fp32", "batch_size", 1,
        "replication", "process", "cells", cells, "n_calls", MODELS * BLOCKS, "records_expected",
        3 * MODELS * BLOCKS);
}

static json_t *call(int cell, int block, bool flagged)
{
    /* What a block does to all models cancels; what is left differs by some tenths of a percent. */
    double noise = 1 + 0.003 * ((block * 7 + cell * 5) % 11 - 5) / 5.0;
    if (cell == 3) {
        noise = 1 + 0.03 * ((block * 7) % 11 - 5) / 5.0;
    }
    double ms = 10 * (1 + 0.2 * (block % 3)) * ratios[cell] * noise;
    json_int_t t0 = 1000000000LL * (block * MODELS + cell), ns = (json_int_t)(ms * 1e6);
    return json_pack(
        "{s:i,s:i,s:i,s:b,s:n,s:i,s:s,s:s?,s:[],s:f,s:i,s:i,s:i,s:i,s:i,s:i,s:I,s:I,s:["
        "I,I]}",
        "call_idx", cell * BLOCKS + block, "cell", cell, "block", block, "is_warmup", 0,
        "warmup_idx", "rep", block, "status", flagged ? "flagged" : "ok", "reason",
        flagged ? "parity" : NULL, "flags", "started_at_unix", 1.0, "batch_size", 1, "seq_len", 4,
        "prompt_tokens", 4, "prompt_tokens_raw", 4, "gen_tokens_raw", 2, "decode_steps", 2, "t0_ns",
        t0, "t_first_ns", t0 + ns, "t_step_ns", t0 + 2 * ns, t0 + 3 * ns);
}

static json_t *parity(const char *model, const char *verdict, double error)
{
    return json_pack("{s:s,s:s,s:i,s:i,s:i,s:s,s:f,s:i,s:b,s:{s:f,s:s,s:f,s:f,s:i},s:s,s:n}",
                     "backend", "x", "model", model, "block", 0, "probe_tokens", 32, "steps", 9,
                     "compared", "logits", "max_rel_error", error, "top1_checked", 40, "top1_match",
                     1, "tolerance", "value", 8.4e-6, "noise", "fp32", "error", 2.1e-6, "factor",
                     4.0, "layers", 3, "verdict", verdict, "because");
}

static table parities, pairs;

static int make_run(void **state)
{
    (void)state;
    char dir[512], path[600];
    il_error err = {0};
    il_journal *journal = NULL;
    il_analysis_summary summary;
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("equivalence"));
    (void)snprintf(path, sizeof path, "%s/journal.jsonl", dir);
    check_ok(il_journal_create(path, &journal, &err), &err);
    check_ok(il_journal_write(journal, "plan", plan(), &err), &err);
    check_ok(il_journal_write(journal, "parity", parity("wrong", "passed", 1e-6), &err), &err);
    check_ok(il_journal_write(journal, "parity", parity("wrong", "failed", 0.5), &err), &err);
    check_ok(il_journal_write(journal, "parity", parity("real", "passed", 2e-6), &err), &err);
    for (int b = 0; b < BLOCKS; b++) {
        for (int c = 0; c < MODELS; c++) {
            check_ok(il_journal_write(journal, "call", call(c, b, c == 4), &err), &err);
        }
    }
    il_journal_close(journal);
    check_ok(il_analysis_run(dir, &options, &summary, &err), &err);
    (void)snprintf(path, sizeof path, "%s/analysis/parity.csv", dir);
    table_load(path, &parities);
    (void)snprintf(path, sizeof path, "%s/analysis/equivalence.csv", dir);
    table_load(path, &pairs);
    return 0;
}

static int free_run(void **state)
{
    (void)state;
    table_free(&parities);
    table_free(&pairs);
    return 0;
}

static void the_last_verdict_of_a_pair_stands(void **state)
{
    (void)state;
    assert_int_equal(parities.n_rows, 2);
    assert_string_equal(table_at(&parities, 0, "model"), "real"); /* sorted by name */
    assert_string_equal(table_at(&parities, 0, "verdict"), "passed");
    assert_string_equal(table_at(&parities, 1, "model"), "wrong");
    assert_string_equal(table_at(&parities, 1, "verdict"), "failed");
    assert_string_equal(table_at(&parities, 1, "max_rel_error"), "0.5");
    assert_string_equal(table_at(&parities, 1, "top1_match"), "True");
    assert_string_equal(table_at(&parities, 1, "tolerance"), "8.4e-06");
}

static void expect_pair(const char *model, const char *verdict, double ratio)
{
    unsigned n = 0;
    for (size_t i = 0; i < pairs.n_rows; i++) {
        if (strcmp(table_at(&pairs, i, "model_b"), model) == 0) {
            double got = strtod(table_at(&pairs, i, "ratio"), NULL);
            double low = strtod(table_at(&pairs, i, "ci_low"), NULL);
            double high = strtod(table_at(&pairs, i, "ci_high"), NULL);
            assert_string_equal(table_at(&pairs, i, "model_a"), "real");
            assert_string_equal(table_at(&pairs, i, "verdict"), verdict);
            assert_string_equal(table_at(&pairs, i, "n_blocks"), "12");
            check_near(got, ratio, 0.01);
            assert_true(low < got && got < high);
            n++;
        }
    }
    assert_int_equal(n, 3); /* prefill, kv_decode, e2e_kv */
}

static void twins_are_told_apart(void **state)
{
    (void)state;
    expect_pair("same", "equivalent", 1.004);
    expect_pair("slow", "different", 1.1);
    expect_pair("edge", "undecided", 1.02);
}

/* Rows whose parity failed are no times of that model. */
static void flagged_rows_are_compared_with_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < pairs.n_rows; i++) {
        assert_string_not_equal(table_at(&pairs, i, "model_b"), "wrong");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_verdict_of_a_pair_stands),
        cmocka_unit_test(twins_are_told_apart),
        cmocka_unit_test(flagged_rows_are_compared_with_nothing),
    };
    return cmocka_run_group_tests(tests, make_run, free_run);
}
