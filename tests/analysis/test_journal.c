/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * From journal.jsonl to metrics.csv, runs.jsonl and the noise floor; the sweep's combined tables.
 */
#include "table.h"

#include "analysis/analysis.h"
#include "base/file.h"
#include "base/json.h"
#include "study/journal.h"

#include <unistd.h>

static char run_dir[1024];

static const char *in_run(const char *name)
{
    static char path[2048];
    (void)snprintf(path, sizeof path, "%s/%s", run_dir, name);
    return path;
}

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    il_error err = {0};
    check_ok(il_json_parse(text, strlen(text), "test", &value, &err), &err);
    return value;
}

static void write_line(il_journal *journal, const char *kind, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    il_error err = {0};
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    check_ok(il_journal_write(journal, kind, parse(text), &err), &err);
}

static void write_arm(il_journal *journal, int block, int arm, const char *rep, const char *status,
                      int e2e_us)
{
    write_line(journal, "aa",
               "{\"cell\":0,\"block\":%d,\"arm\":\"%s\",\"pair\":0%s,\"status\":\"%s\","
               "\"t0_ns\":5,\"t_first_ns\":2000005,\"t_end_ns\":%d,\"decode_steps\":4}",
               block, arm ? "b" : "a", rep, status, e2e_us * 1000 + 5);
}

static void write_call(il_journal *journal, int index, int block, bool warmup, const char *flags,
                       int prefill_us)
{
    long long t0 = 1000000000LL * (index + 1);
    write_line(journal, "call",
               "{\"call_idx\":%d,\"cell\":0,\"block\":%d,\"is_warmup\":%s,\"warmup_idx\":%s,"
               "\"rep\":%s,\"status\":\"ok\",\"reason\":null,\"message\":null,\"flags\":%s,"
               "\"started_at_unix\":1700000000.5,\"batch_size\":2,\"seq_len\":9,"
               "\"prompt_tokens\":18,\"prompt_tokens_raw\":18,\"gen_tokens_raw\":4,"
               "\"decode_steps\":4,\"t0_ns\":%lld,\"t_first_ns\":%lld,\"t_step_ns\":[%lld,%lld],"
               "\"load_ms\":%s,\"pid\":1,\"state\":{\"steal_ms\":1.5,\"load1\":0.25}}",
               index, block, warmup ? "true" : "false", warmup ? "0" : "null",
               warmup ? "null" : (block ? "1" : "0"), flags, t0, t0 + prefill_us * 1000LL,
               t0 + prefill_us * 1000LL + 1000000, t0 + prefill_us * 1000LL + 8000000,
               warmup ? "12.5" : "null");
}

/* One cell that runs in two blocks, one that is skipped; the last measured call is missing. */
static int setup(void **state)
{
    (void)state;
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("journal"));
    il_journal *journal;
    il_error err = {0};
    check_ok(il_journal_create(in_run("journal.jsonl"), &journal, &err), &err);
    write_line(
        journal, "plan",
        "{\"run_id\":\"r\",\"run_name\":\"r\",\"blocks\":2,\"repetitions\":1,"
        "\"warmup_repetitions\":1,\"n_calls\":8,\"records_expected\":24,"
        "\"scenarios\":[{\"name\":\"s\",\"prompt\":\"h\\u00e9 =x\",\"prompt_source\":\"count\"}],"
        "\"models\":[{\"name\":\"m\",\"kind\":\"hf\",\"params_millions_config\":5,"
        "\"params_millions_measured\":5.25,\"params_total\":5250000,\"n_layer\":3,\"d_model\":8}],"
        "\"backends\":[{\"name\":\"b\",\"kind\":\"native\",\"kind_asked\":\"hf\","
        "\"dtype\":\"fp32\",\"isa\":\"auto\",\"threads\":0,\"replication\":\"process\","
        "\"reference\":true},{\"name\":\"idle\",\"kind\":\"native\",\"isa\":\"auto\","
        "\"threads\":0}],"
        "\"cells\":[{\"cell\":0,\"backend\":\"b\",\"model\":\"m\",\"scenario\":\"s\","
        "\"batch_size\":2,\"gen_tokens\":4,\"bytes_per_step\":100,\"flops_prefill\":7,"
        "\"flops_decode_step\":3,\"skip\":null},"
        "{\"cell\":1,\"backend\":\"idle\",\"model\":\"none\",\"scenario\":\"s\",\"batch_size\":2,"
        "\"gen_tokens\":4,\"skip\":{\"reason\":\"NOT_FOUND\",\"message\":\"no such model\","
        "\"hint\":\"make it\"}}]}");
    write_line(journal, "cold",
               "{\"backend\":\"b\",\"model\":\"m\",\"block\":0,"
               "\"facts\":{\"isa\":\"avx2\",\"threads\":2}}");
    write_call(journal, 0, 0, true, "[]", 50000);
    write_call(journal, 1, 0, false, "[\"steal\",\"load\"]", 9000);
    write_line(journal, "failure",
               "{\"call_idx\":2,\"cell\":0,\"block\":1,\"is_warmup\":true,\"warmup_idx\":0,"
               "\"rep\":null,\"status\":\"error\",\"reason\":\"TIMEOUT\",\"message\":\"=late\"}");
    write_call(journal, 2, 1, true, "[]", 40000); /* a resume: the last line counts */
    /* The median of an arm's calls; what an attempt cut short left counts no more, a failed call
     * has no time; the line of an earlier version has no rep. */
    for (int block = 0; block < 3; block++) {
        for (int arm = 0; arm < 2; arm++) {
            int e2e_us = arm ? 11000 : 10000;
            if (block == 0) {
                write_arm(journal, block, arm, ",\"rep\":0", "ok", 3 * e2e_us);
                write_arm(journal, block, arm, ",\"rep\":1", "ok", 4 * e2e_us);
                write_arm(journal, block, arm, ",\"rep\":0", "ok", e2e_us);
                write_arm(journal, block, arm, ",\"rep\":1", "ok", e2e_us + (arm ? 900 : 0));
                write_arm(journal, block, arm, ",\"rep\":2", "ok", e2e_us - 900);
            } else if (block == 1) {
                write_arm(journal, block, arm, ",\"rep\":0", "error", 0);
                write_arm(journal, block, arm, ",\"rep\":1", "ok", e2e_us);
            } else {
                write_arm(journal, block, arm, "", "ok", e2e_us);
            }
        }
    }
    write_line(journal, "closure",
               "{\"cell\":0,\"block\":0,\"status\":\"ok\",\"t0_ns\":0,\"t_end_ns\":17850000}");
    write_line(journal, "closure",
               "{\"cell\":0,\"block\":0,\"status\":\"ok\",\"t0_ns\":0,\"t_end_ns\":16150000}");
    /* A step reads 100 bytes: of two sizes the nearest, not the one that holds it; and the cell has
     * every core, so the ceiling on most threads. */
    write_line(journal, "ceiling",
               "{\"block\":0,\"what\":\"read_gbps\",\"samples\":[7],\"threads\":1,"
               "\"working_set_bytes\":100}");
    write_line(journal, "ceiling",
               "{\"block\":0,\"what\":\"read_gbps\",\"samples\":[0.5],\"threads\":2,"
               "\"working_set_bytes\":150}");
    write_line(journal, "ceiling",
               "{\"block\":0,\"what\":\"read_gbps\",\"samples\":[1],\"threads\":2,"
               "\"working_set_bytes\":98}");
    il_journal_close(journal);
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    il_analysis_summary summary;
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
    assert_false(summary.foreign);
    assert_int_equal(summary.n_rows, 24);
    assert_int_equal(summary.n_ok, 9);
    return 0;
}

static void metrics_are_three_rows_a_planned_call(void **state)
{
    (void)state;
    table t;
    table_load(in_run("metrics.csv"), &t);
    assert_int_equal(t.n_rows, 24);
    /* call 1, measured, of 9 ms and 8 ms */
    assert_string_equal(table_at(&t, 3, "mode"), "prefill");
    assert_string_equal(table_at(&t, 3, "latency_ms"), "9");
    assert_string_equal(table_at(&t, 4, "latency_ms"), "8");
    assert_string_equal(table_at(&t, 5, "latency_ms"), "17");
    assert_string_equal(table_at(&t, 4, "kv_decode_ms_per_token"), "2");
    assert_string_equal(table_at(&t, 4, "tokens_total"), "8"); /* over the batch */
    assert_string_equal(table_at(&t, 4, "tokens_per_s"), "1000");
    assert_string_equal(table_at(&t, 5, "tokens_total"), "26");
    assert_string_equal(table_at(&t, 4, "bytes_read"), "400");
    assert_string_equal(table_at(&t, 5, "flops"), "19");
    assert_string_equal(table_at(&t, 3, "flags"), "steal load");
    assert_string_equal(table_at(&t, 3, "is_warmup"), "False");
    assert_string_equal(table_at(&t, 3, "rep"), "0");
    assert_string_equal(table_at(&t, 3, "warmup_idx"), "");
    assert_string_equal(table_at(&t, 3, "prompt_chars"), "5"); /* characters */
    assert_string_equal(table_at(&t, 3, "backend_kind_asked"), "hf");
    assert_string_equal(table_at(&t, 3, "params_millions_measured"), "5.25");
    assert_string_equal(table_at(&t, 3, "steal_ms"), "1.5");
    assert_string_equal(table_at(&t, 3, "mhz"), "");
    assert_string_equal(table_at(&t, 3, "isa"), "avx2"); /* what ran, not "auto" */
    assert_string_equal(table_at(&t, 3, "threads"), "2");
    assert_string_equal(table_at(&t, 12, "isa"), ""); /* never loaded */
    assert_string_equal(table_at(&t, 12, "threads"), "");
    /* call 2 failed once and was repeated */
    assert_string_equal(table_at(&t, 6, "status"), "ok");
    assert_string_equal(table_at(&t, 6, "latency_ms"), "40");
    /* call 3 has no line; calls 4 to 7 belong to the skipped cell */
    assert_string_equal(table_at(&t, 9, "status"), "not_run");
    assert_string_equal(table_at(&t, 9, "rep"), "1");
    assert_string_equal(table_at(&t, 9, "latency_ms"), "");
    for (size_t i = 12; i < 24; i++) {
        assert_string_equal(table_at(&t, i, "status"), "skipped");
        assert_string_equal(table_at(&t, i, "reason"), "NOT_FOUND");
        assert_string_equal(table_at(&t, i, "hint"), "make it");
    }
    assert_string_equal(table_at(&t, 23, "sample_idx"), "23");
    table_free(&t);
    table_load(in_run("load_ms.csv"), &t);
    assert_int_equal(t.n_rows, 2);
    assert_string_equal(table_at(&t, 0, "load_ms"), "12.5");
    table_free(&t);
    table_load(in_run("resolved_model_params.csv"), &t);
    assert_string_equal(table_at(&t, 0, "source"), "checkpoint");
    table_free(&t);
}

static void json_rows_say_the_same(void **state)
{
    (void)state;
    il_buf text;
    il_buf_init(&text, 1 << 20);
    il_error err = {0};
    check_ok(il_file_read(in_run("runs.jsonl"), &text, &err), &err);
    size_t n = 0;
    const char *line = il_buf_text(&text);
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1, n++) {
        json_t *row = NULL;
        check_ok(il_json_parse(line, (size_t)(end - line), "runs.jsonl", &row, &err), &err);
        assert_int_equal(json_integer_value(json_object_get(row, "sample_idx")), n);
        if (n == 4) {
            check_near(json_number_value(json_object_get(row, "latency_ms")), 8, 0);
            assert_true(json_is_false(json_object_get(row, "is_warmup")));
            assert_true(json_is_null(json_object_get(row, "error")));
            assert_string_equal(json_string_value(json_object_get(row, "prompt")), "h\u00e9 =x");
        }
        json_decref(row);
    }
    assert_int_equal(n, 24);
    il_buf_free(&text);
}

static void noise_floor_is_paired_by_block(void **state)
{
    (void)state;
    table t;
    table_load(in_run("analysis/noise_floor.csv"), &t);
    assert_int_equal(t.n_rows, 3);
    assert_string_equal(table_at(&t, 0, "mode"), "prefill");
    check_near(atof(table_at(&t, 0, "aa_ratio")), 1, 1e-12);
    check_near(atof(table_at(&t, 1, "aa_ratio")), 9.0 / 8.0, 1e-12); /* decode: 9 over 8 ms */
    check_near(atof(table_at(&t, 2, "aa_ratio")), 1.1, 1e-12);
    assert_string_equal(table_at(&t, 2, "n_blocks"), "3");
    assert_string_equal(table_at(&t, 2, "flagged_rows"), "1");
    check_near(atof(table_at(&t, 2, "closure")), sqrt(1.05 * 0.95), 1e-12); /* over 17 ms */
    assert_string_equal(table_at(&t, 0, "closure"), "");
    table_free(&t);
}

/* 1 GB/s against 400 bytes in 8 ms, and against 100 bytes in a prefill of 9 ms. */
static void shares_are_of_the_block_s_ceiling(void **state)
{
    (void)state;
    table t;
    table_load(in_run("analysis/efficiency.csv"), &t);
    assert_int_equal(t.n_rows, 2);
    assert_string_equal(table_at(&t, 0, "mode"), "kv_decode");
    check_near(atof(table_at(&t, 0, "floor_ms")), 400 / 1e6, 1e-12);
    check_near(atof(table_at(&t, 0, "share_of_floor")), 400 / 1e6 / 8, 1e-12);
    check_near(atof(table_at(&t, 1, "share_of_floor")), 100 / 1e6 / 9, 1e-12);
    assert_string_equal(table_at(&t, 0, "bound_by"), "memory");
    assert_string_equal(table_at(&t, 0, "mfu"), "");
    assert_string_equal(table_at(&t, 0, "ci_low"), ""); /* one block */
    assert_string_equal(table_at(&t, 0, "launch_ms"), "");
    table_free(&t);
}

static void damage_in_the_middle_is_refused(void **state)
{
    (void)state;
    il_buf text;
    il_buf_init(&text, 1 << 20);
    il_error err = {0};
    check_ok(il_file_read(in_run("journal.jsonl"), &text, &err), &err);
    char *digit = strstr(text.data, "\"t0_ns\":");
    digit[8] ^= 1;
    check_ok(il_file_write_atomic(in_run("journal.jsonl"), text.data, text.len, &err), &err);
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    il_analysis_summary summary;
    assert_int_equal(il_analysis_run(run_dir, &options, &summary, &err), IL_E_DAMAGED);
    assert_non_null(strstr(err.where, "journal.jsonl:3"));
    digit[8] ^= 1;
    /* a torn last line is left out */
    check_ok(il_file_write_atomic(in_run("journal.jsonl"), text.data, text.len - 5, &err), &err);
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
    il_buf_free(&text);
    assert_int_equal(access(in_run("analysis/laws.csv"), R_OK), 0);
}

static void sweep_tables_are_combined(void **state)
{
    (void)state;
    static const int lengths[] = {8, 32};
    char sweep_dir[512];
    (void)snprintf(sweep_dir, sizeof sweep_dir, "%s", check_scratch_dir("sweep"));
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    il_error err = {0};
    for (int i = 0; i < 2; i++) {
        char csv[4096] = "backend,model,mode,status,latency_ms,params_millions\n";
        for (int m = 1; m <= 3; m++) {
            size_t len = strlen(csv);
            (void)snprintf(csv + len, sizeof csv - len,
                           "b,m%d,kv_decode,ok,%d,%d\nb,m%d,e2e_kv,ok,%d,%d\n", m, lengths[i], m, m,
                           lengths[i] + m, m);
        }
        (void)snprintf(run_dir, sizeof run_dir, "%s/gen_%d/run", sweep_dir, lengths[i]);
        check_ok(il_dir_make(run_dir, &err), &err);
        check_ok(il_file_write_atomic(in_run("metrics.csv"), csv, strlen(csv), &err), &err);
        il_analysis_summary summary;
        check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
    }
    check_ok(il_analysis_combine_sweep(sweep_dir, &err), &err);
    (void)snprintf(run_dir, sizeof run_dir, "%s", sweep_dir);
    table t;
    table_load(in_run("decode_fraction_summary.csv"), &t);
    assert_int_equal(t.n_rows, 2);
    assert_string_equal(table_at(&t, 0, "gen_tokens_target"), "8");
    check_near(atof(table_at(&t, 0, "decode_fraction_median")), 0.8, 1e-12); /* 8 of 10 */
    check_near(atof(table_at(&t, 1, "decode_fraction_p75")), (32 / 33.0 + 32 / 34.0) / 2, 1e-12);
    table_free(&t);
    table_load(in_run("decode_fraction_by_model.csv"), &t);
    assert_int_equal(t.n_rows, 6);
    table_free(&t);
    table_load(in_run("decode_sweep_summary.csv"), &t);
    assert_int_equal(t.n_rows, 4); /* two modes at two lengths, aggregates alone */
    assert_string_equal(t.cells[0], "gen_tokens_target");
    assert_string_equal(t.cells[1], "backend");
    assert_string_equal(table_at(&t, 3, "scenario"), "__all__");
    table_free(&t);
    assert_int_equal(il_analysis_combine_sweep(check_scratch_dir("empty"), &err), IL_E_NOT_FOUND);
}

/* A run with a target: cell 0 has blocks 0, 1 and 3, cell 1 has 0 to 2; one planned call is
 * missing. Four sentinels, one of them 20 % slow. */
static void runs_with_a_target(void **state)
{
    (void)state;
    static const char plan[] =
        "{\"run_id\":\"r\",\"run_name\":\"r\",\"blocks\":5,\"repetitions\":1,"
        "\"warmup_repetitions\":0,\"n_calls\":10,\"records_expected\":%d,"
        "\"scenarios\":[{\"name\":\"s\"}],\"models\":[{\"name\":\"m\",\"kind\":\"hf\"},"
        "{\"name\":\"k\",\"kind\":\"hf\"}],\"backends\":[{\"name\":\"b\",\"kind\":\"native\"}],"
        "\"cells\":[{\"cell\":0,\"backend\":\"b\",\"model\":\"m\",\"scenario\":\"s\","
        "\"batch_size\":1,\"gen_tokens\":2,\"skip\":null},{\"cell\":1,\"backend\":\"b\","
        "\"model\":\"k\",\"scenario\":\"s\",\"batch_size\":1,\"gen_tokens\":2,\"skip\":null}],"
        "\"sampling\":{\"question\":\"cells\",\"target\":0.02,\"blocks_least\":2,"
        "\"blocks_most\":5,\"extensions\":[%s],\"stop\":%s,\"half_width\":0.5,"
        "\"widest\":\"w\"}}";
    static const int made[][2] = {{0, 0}, {1, 0}, {0, 1}, {1, 1}, {1, 2}};
    char whole[1024];
    il_journal *journal;
    il_error err = {0};
    (void)snprintf(whole, sizeof whole, "%s", run_dir);
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("target"));
    check_ok(il_journal_create(in_run("journal.jsonl"), &journal, &err), &err);
    write_line(journal, "plan", plan, 12, "", "null");
    write_line(journal, "plan", plan, 15, "{\"block\":2,\"cells\":[1]}", "null");
    for (int block = 0; block < 4; block++) {
        write_line(journal, "sentinel", "{\"block\":%d,\"gemm_ms\":%g,\"read_ms\":%g}", block,
                   block == 2 ? 12.0 : 10.0, block == 2 ? 6.0 : 5.0);
    }
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        long long t0 = 1000000LL * (long long)(i + 1);
        write_line(journal, "call",
                   "{\"call_idx\":%d,\"cell\":%d,\"block\":%d,\"is_warmup\":false,\"rep\":%d,"
                   "\"status\":\"ok\",\"flags\":[],\"decode_steps\":2,\"t0_ns\":%lld,"
                   "\"t_first_ns\":%lld,\"t_step_ns\":[%lld,%lld]}",
                   made[i][0] * 5 + made[i][1], made[i][0], made[i][1], made[i][1], t0,
                   t0 + 1000000, t0 + 2000000, t0 + 3000000);
    }
    write_line(journal, "plan", plan, 18, "{\"block\":2,\"cells\":[1]},{\"block\":3,\"cells\":[0]}",
               "\"budget\"");
    il_journal_close(journal);
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    il_analysis_summary summary;
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
    assert_int_equal(summary.n_rows, 18); /* planned rows alone */
    table t;
    table_load(in_run("metrics.csv"), &t);
    assert_int_equal(t.n_rows, 18);
    assert_string_equal(table_at(&t, 6, "status"), "not_run");
    assert_string_equal(table_at(&t, 6, "call_idx"), "3");
    assert_string_equal(table_at(&t, 6, "block"), "3");
    assert_string_equal(table_at(&t, 9, "call_idx"), "5");
    table_free(&t);
    table_load(in_run("analysis/sampling.csv"), &t);
    assert_int_equal(t.n_rows, 1);
    assert_string_equal(table_at(&t, 0, "question"), "cells");
    assert_string_equal(table_at(&t, 0, "reached"), "False");
    assert_string_equal(table_at(&t, 0, "half_width_percent"), ""); /* too few blocks for one */
    assert_string_equal(table_at(&t, 0, "stop_reason"), "budget");
    assert_string_equal(table_at(&t, 0, "blocks_least"), "2");
    assert_string_equal(table_at(&t, 0, "blocks_most"), "5");
    assert_string_equal(table_at(&t, 0, "calls_made"), "5");
    assert_string_equal(table_at(&t, 0, "calls_fixed_design"), "10");
    assert_string_equal(table_at(&t, 0, "saved_percent"), "50");
    assert_string_equal(table_at(&t, 0, "extensions"), "2");
    table_free(&t);
    table_load(in_run("analysis/blocks.csv"), &t);
    assert_int_equal(t.n_rows, 4);
    assert_string_equal(table_at(&t, 1, "drift_percent"), "0");
    assert_string_equal(table_at(&t, 1, "flagged"), "False");
    assert_string_equal(table_at(&t, 1, "because"), "");
    check_near(strtod(table_at(&t, 2, "drift_percent"), NULL), 20, 1e-9);
    assert_string_equal(table_at(&t, 2, "flagged"), "True");
    assert_non_null(strstr(table_at(&t, 2, "because"), "+20.0 %"));
    table_free(&t);
    (void)snprintf(run_dir, sizeof run_dir, "%s", whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_are_three_rows_a_planned_call),
        cmocka_unit_test(runs_with_a_target),
        cmocka_unit_test(json_rows_say_the_same),
        cmocka_unit_test(noise_floor_is_paired_by_block),
        cmocka_unit_test(shares_are_of_the_block_s_ceiling),
        cmocka_unit_test(damage_in_the_middle_is_refused),
        cmocka_unit_test(sweep_tables_are_combined),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
