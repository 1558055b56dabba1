/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * first_limit.csv and rankings.csv from a journal whose times are known: models of 1, 2, 4 and 8
 * million parameters, three backends, eight blocks.
 */
#include "run_lines.h"
#include "table.h"

#include "analysis/analysis.h"
#include "base/json.h"
#include "study/journal.h"

enum { BLOCKS = 8, MODELS = 4, BACKENDS = 3 };

static const int millions[MODELS] = {1, 2, 4, 8};

static void write_plan(il_journal *journal, const char *extra)
{
    char cells[6000] = "";
    for (int b = 0; b < BACKENDS; b++) {
        for (int m = 0; m < MODELS; m++) {
            size_t len = strlen(cells);
            (void)snprintf(cells + len, sizeof cells - len,
                           "%s{\"cell\":%d,\"backend\":\"%s\",\"model\":\"m%d\","
                           "\"scenario\":\"s\",\"batch_size\":1,\"gen_tokens\":10,\"seq_len\":9,"
                           "\"skip\":null}",
                           len ? "," : "", b * MODELS + m,
                           b == 0   ? "slow"
                           : b == 1 ? "fast"
                                    : "ours",
                           millions[m]);
        }
    }
    write_line(journal, "plan",
               "{\"run_id\":\"r\",\"run_name\":\"r\",\"blocks\":%d,\"repetitions\":1,%s"
               "\"warmup_repetitions\":0,\"n_calls\":%d,\"records_expected\":%d,"
               "\"scenarios\":[{\"name\":\"s\",\"prompt_source\":\"ids\"}],"
               "\"models\":[{\"name\":\"m1\",\"kind\":\"hf\",\"arch\":\"gpt2\","
               "\"params_total\":1000000},{\"name\":\"m2\",\"kind\":\"hf\",\"arch\":\"gpt2\","
               "\"params_total\":2000000},{\"name\":\"m4\",\"kind\":\"hf\",\"arch\":\"gpt2\","
               "\"params_total\":4000000},{\"name\":\"m8\",\"kind\":\"hf\",\"arch\":\"gpt2\","
               "\"params_total\":8000000}],"
               "\"backends\":[{\"name\":\"slow\",\"kind\":\"hf\",\"dtype\":\"fp32\","
               "\"device\":\"cpu\",\"reference\":false},{\"name\":\"fast\",\"kind\":\"hf\","
               "\"dtype\":\"fp32\",\"device\":\"cuda\",\"reference\":false},{\"name\":\"ours\","
               "\"kind\":\"native\",\"dtype\":\"fp32\",\"device\":\"cpu\",\"reference\":true}],"
               "\"cells\":[%s]}",
               BLOCKS, extra, BLOCKS * BACKENDS * MODELS, 3 * BLOCKS * BACKENDS * MODELS, cells);
}

/* A step of a model of N million takes N ms on the slow backend, the prefill 2 N ms. The fast one
 * takes half of that, ours a quarter. A block shifts all alike, by up to a percent. */
static void write_journal(const char *extra)
{
    il_journal *journal;
    il_error err = {0};
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("limits"));
    check_ok(il_journal_create(in_run("journal.jsonl"), &journal, &err), &err);
    write_plan(journal, extra);
    for (int cell = 0; cell < BACKENDS * MODELS; cell++) {
        for (int block = 0; block < BLOCKS; block++) {
            double shift = 1 + 0.0025 * (block % 4 - 1.5) * (1 + cell % 2);
            double step = 1e6 * millions[cell % MODELS] * shift / (1 << cell / MODELS);
            write_line(journal, "call",
                       "{\"call_idx\":%d,\"cell\":%d,\"block\":%d,\"is_warmup\":false,\"rep\":%d,"
                       "\"status\":\"ok\",\"flags\":[],\"batch_size\":1,\"seq_len\":9,"
                       "\"prompt_tokens\":9,\"decode_steps\":10,\"t0_ns\":0,\"t_first_ns\":%lld,"
                       "\"t_step_ns\":[%lld],\"state\":{\"rss_bytes\":%d}}",
                       cell * BLOCKS + block, cell, block, block, (long long)(2 * step),
                       (long long)(12 * step), 1000000 * (millions[cell % MODELS] + block % 2));
        }
    }
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

static size_t row_of(const table *t, const char *backend, const char *limit)
{
    size_t row = table_find(t, 0, "backend", backend);
    return table_find(t, row, "limit", limit);
}

static void limits_of_a_family(void **state)
{
    (void)state;
    table t;
    write_journal("\"slo\":{\"itl_ms\":3,\"ttft_ms\":12,\"tail_ms\":24,\"tail_quantile\":0.5,"
                  "\"memory_bytes\":5000000},");
    table_load(in_run("analysis/first_limit.csv"), &t);
    /* Memory of the fast backend is not the machine's. */
    assert_int_equal(t.n_rows, 11);
    size_t itl = row_of(&t, "slow", "itl");
    assert_string_equal(table_at(&t, itl, "family"), "gpt2");
    check_near(at(&t, itl, "size_at_limit"), 3, 0.01);
    assert_true(at(&t, itl, "ci_low") < at(&t, itl, "size_at_limit"));
    assert_true(at(&t, itl, "ci_high") > at(&t, itl, "size_at_limit"));
    check_near(at(&t, itl, "ci_low"), 3, 0.02);
    check_near(at(&t, itl, "threshold"), 3, 0);
    assert_int_equal(at(&t, itl, "n_blocks"), BLOCKS);
    size_t ttft = row_of(&t, "slow", "ttft");
    check_near(at(&t, ttft, "size_at_limit"), 6, 0.01);
    assert_string_equal(table_at(&t, ttft, "note"), "prefill stands for it: no client's clock");
    /* A call of N million takes 12 N ms; eight calls bound a median. */
    size_t tail = row_of(&t, "slow", "tail");
    check_near(at(&t, tail, "size_at_limit"), 2, 0.02);
    /* 4 or 5 MB at 4 million, 8 or 9 at 8: the most counts, so 5 MB is reached at 4 million. */
    size_t memory = row_of(&t, "slow", "memory");
    check_near(at(&t, memory, "size_at_limit"), 4, 1e-9);
    assert_true(at(&t, memory, "ci_high") > 4.5);
    assert_string_equal(table_at(&t, tail, "order"), "1");
    assert_string_equal(table_at(&t, itl, "order"), "2");
    assert_string_equal(table_at(&t, memory, "order"), "3");
    assert_string_equal(table_at(&t, ttft, "order"), "4");
    table_free(&t);
}

/* Ours needs 0.75 ms a step for 3 million and 3 ms for 12: an octave beyond 8 million is 16. */
static void what_lies_beyond_the_models(void **state)
{
    (void)state;
    table t;
    write_journal("\"slo\":{\"itl_ms\":3,\"ttft_ms\":20,\"tail_ms\":1,\"tail_quantile\":0.95},");
    table_load(in_run("analysis/first_limit.csv"), &t);
    size_t itl = row_of(&t, "ours", "itl");
    check_near(at(&t, itl, "size_at_limit"), 12, 0.02);
    assert_non_null(strstr(table_at(&t, itl, "note"), "extrapolated"));
    size_t ttft = row_of(&t, "ours", "ttft"); /* 40 million */
    assert_string_equal(table_at(&t, ttft, "size_at_limit"), "");
    check_near(at(&t, ttft, "ci_low"), 8, 1e-9);
    assert_string_equal(table_at(&t, ttft, "ci_high"), "");
    assert_string_equal(table_at(&t, ttft, "order"), "");
    assert_non_null(strstr(table_at(&t, ttft, "note"), "beyond range"));
    size_t tail = row_of(&t, "slow", "tail");
    assert_string_equal(table_at(&t, tail, "size_at_limit"), "");
    assert_string_equal(table_at(&t, tail, "note"),
                        "n too small: 8 calls, the 0.95 quantile takes 72");
    assert_int_equal(table_find(&t, 0, "limit", "memory"), SIZE_MAX); /* nobody said how much */
    table_free(&t);
}

static void the_reference_stands_beside(void **state)
{
    (void)state;
    table t;
    write_journal("");
    table_load(in_run("analysis/first_limit.csv"), &t);
    assert_int_equal(t.n_rows, 0);
    table_free(&t);
    table_load(in_run("analysis/rankings.csv"), &t);
    assert_int_equal(t.n_rows, 3 * 3); /* one decade, three modes */
    size_t row = table_find(&t, 0, "mode", "kv_decode");
    static const char *const order[] = {"fast", "slow", "ours"};
    static const double ratios[] = {1, 2, 0.5};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(table_at(&t, row + i, "size_bin"), "1M-10M");
        assert_string_equal(table_at(&t, row + i, "backend"), order[i]);
        check_near(at(&t, row + i, "ratio_to_best"), ratios[i], 1e-3);
        assert_string_equal(table_at(&t, row + i, "n_models"), "4");
    }
    assert_string_equal(table_at(&t, row, "rank"), "1");
    assert_string_equal(table_at(&t, row, "p_best"), "1");
    assert_string_equal(table_at(&t, row + 1, "rank"), "2");
    assert_string_equal(table_at(&t, row + 1, "p_best"), "0");
    /* Blocks shift all alike: paired, the ratio hardly moves. */
    assert_true(at(&t, row + 1, "ci_high") / at(&t, row + 1, "ci_low") < 1.001);
    assert_string_equal(table_at(&t, row + 2, "rank"), "");
    assert_string_equal(table_at(&t, row + 2, "p_best"), "");
    assert_string_equal(table_at(&t, row + 2, "reference"), "True");
    table_free(&t);
}

static void the_reference_is_ranked_when_asked(void **state)
{
    (void)state;
    table t;
    write_journal("\"rank_reference\":true,");
    table_load(in_run("analysis/rankings.csv"), &t);
    size_t row = table_find(&t, 0, "mode", "prefill");
    assert_string_equal(table_at(&t, row, "backend"), "ours");
    assert_string_equal(table_at(&t, row, "rank"), "1");
    check_near(at(&t, row + 2, "ratio_to_best"), 4, 1e-3);
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_of_a_family),
        cmocka_unit_test(what_lies_beyond_the_models),
        cmocka_unit_test(the_reference_stands_beside),
        cmocka_unit_test(the_reference_is_ranked_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
