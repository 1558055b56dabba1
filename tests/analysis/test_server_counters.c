/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Rows of Ollama from a journal: the server's clock for prefill, what it says of its model, the
 * original's projection; and server_counters.csv, for counters of N, of N − 1 steps, and of noise.
 */
#include "table.h"

#include "analysis/analysis.h"
#include "base/file.h"
#include "base/json.h"
#include "study/journal.h"

static char run_dir[1024];

static const char *in_run(const char *name)
{
    static char path[2048];
    (void)snprintf(path, sizeof path, "%s/%s", run_dir, name);
    return path;
}

static void write_line(il_journal *journal, const char *kind, const char *text)
{
    json_t *value = NULL;
    il_error err = {0};
    check_ok(il_json_parse(text, strlen(text), "test", &value, &err), &err);
    check_ok(il_journal_write(journal, kind, value, &err), &err);
}

/* A load whose counter covers n − offset steps of 10 ms, `share` of each, and is off by `noise_ms`
 * up and down. */
static void write_load(il_journal *journal, const char *model, int n_lengths, double offset,
                       double share, double noise_ms)
{
    static const int lengths[] = {5, 9, 14};
    json_t *points = json_array();
    for (int i = 0; i < 12; i++) {
        int n = lengths[i % n_lengths];
        double ms = (n - offset) * 10 * share + ((i * 7) % 5 - 2) * noise_ms;
        (void)json_array_append_new(
            points, json_pack("{s:i,s:I,s:i,s:I}", "n", n, "eval_ns", (json_int_t)(ms * 1e6),
                              "steps", n - 3, "client_ns", (json_int_t)((n - 3) * 10000000)));
    }
    json_t *line =
        json_pack("{s:s,s:s,s:i,s:{s:{s:s},s:f,s:i,s:i,s:s,s:{s:s,s:o}}}", "backend", "o", "model",
                  model, "block", 0, "facts", "worker", "runtime", "ollama", "params_millions",
                  134.52, "params_total", 134515008, "n_layer", 30, "quantization", "Q4_1",
                  "counters", "counter", "eval_duration", "points", points);
    il_error err = {0};
    check_ok(il_journal_write(journal, "cold", line, &err), &err);
}

/* A call that stopped after 3 of 6 steps of 10 ms; the client saw the first token after 50 ms, of
 * which the server computed 20. */
static void write_call(il_journal *journal, int cell)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{\"call_idx\":%d,\"cell\":%d,\"block\":0,\"is_warmup\":false,\"rep\":0,"
                   "\"status\":\"ok\",\"flags\":[\"early_stop\"],\"started_at_unix\":1,"
                   "\"batch_size\":1,\"seq_len\":9,\"prompt_tokens\":9,\"prompt_tokens_raw\":9,"
                   "\"gen_tokens_raw\":3,\"decode_steps\":3,\"t0_ns\":0,\"t_first_ns\":50000000,"
                   "\"t_step_ns\":[60000000,70000000,80000000],\"state\":{},"
                   "\"server\":{\"prefill_ms\":20.5,\"ttft_ms\":50,\"load_ms\":25,\"wall_ms\":81,"
                   "\"total_duration_ms\":80,\"done_reason\":\"stop\"}}",
                   cell, cell);
    write_line(journal, "call", text);
}

static const char *const models[] = {"covers_less", "covers_all", "noisy", "short", "old"};
enum { N_MODELS = 5 };

static int setup(void **state)
{
    (void)state;
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("counters"));
    il_journal *journal;
    il_error err = {0};
    check_ok(il_journal_create(in_run("journal.jsonl"), &journal, &err), &err);
    json_t *cells = json_array(), *list = json_array();
    for (int i = 0; i < N_MODELS; i++) {
        (void)json_array_append_new(list, json_pack("{s:s,s:s,s:i}", "name", models[i], "kind",
                                                    "ollama", "params_millions_config", 135));
        (void)json_array_append_new(
            cells, json_pack("{s:i,s:s,s:s,s:s,s:i,s:i,s:n}", "cell", i, "backend", "o", "model",
                             models[i], "scenario", "s", "batch_size", 1, "gen_tokens", 6, "skip"));
    }
    json_t *plan =
        json_pack("{s:s,s:s,s:i,s:i,s:i,s:i,s:i,s:[{s:s,s:s}],s:o,s:[{s:s,s:s,s:s,s:s}],s:o}",
                  "run_id", "r", "run_name", "r", "blocks", 1, "repetitions", 1,
                  "warmup_repetitions", 0, "n_calls", N_MODELS, "records_expected", 3 * N_MODELS,
                  "scenarios", "name", "s", "prompt", "x", "models", list, "backends", "name", "o",
                  "kind", "ollama", "dtype", "fp32", "device", "cpu", "cells", cells);
    check_ok(il_journal_write(journal, "plan", plan, &err), &err);
    write_load(journal, models[0], 3, 1, 0.85, 0.2);
    write_load(journal, models[0], 3, 0, 1, 0); /* a later load of the same model changes nothing */
    write_load(journal, models[1], 3, 0, 1, 0.2);
    write_load(journal, models[2], 3, 1, 1, 40);
    write_load(journal, models[3], 2, 1, 1, 0.2);
    for (int i = 0; i < N_MODELS; i++) {
        write_call(journal, i);
    }
    il_journal_close(journal);
    il_analysis_options options = {.n_resamples = 10, .seed = 1};
    il_analysis_summary summary;
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    il_analysis_remove_tree(run_dir);
    return 0;
}

static const char *cell_of(const table *t, const char *model, const char *mode, const char *column)
{
    size_t at_model = table_column(t, "model"), at_mode = table_column(t, "mode");
    for (size_t r = 1; r <= t->n_rows; r++) {
        const char **row = t->cells + r * t->n_columns;
        if (strcmp(row[at_model], model) == 0 && (!mode || strcmp(row[at_mode], mode) == 0)) {
            return row[table_column(t, column)];
        }
    }
    return "no such row";
}

static void test_verdicts(void **state)
{
    (void)state;
    table t;
    table_load(in_run("analysis/server_counters.csv"), &t);
    assert_int_equal(t.n_rows, N_MODELS);
    assert_string_equal(cell_of(&t, models[0], NULL, "verdict"), "N-1");
    check_close(atof(cell_of(&t, models[0], NULL, "slope_per_token")), 0.85, 0.02);
    check_close(atof(cell_of(&t, models[0], NULL, "offset_steps")), 1, 0.1);
    assert_string_equal(cell_of(&t, models[1], NULL, "verdict"), "N");
    check_close(atof(cell_of(&t, models[1], NULL, "offset_steps")), 0, 0.1);
    assert_string_equal(cell_of(&t, models[2], NULL, "verdict"), "undecided");
    assert_string_equal(cell_of(&t, models[3], NULL, "verdict"), "not_measured");
    assert_non_null(strstr(cell_of(&t, models[3], NULL, "because"), "2 lengths"));
    assert_string_equal(cell_of(&t, models[4], NULL, "verdict"), "not_measured");
    assert_string_equal(cell_of(&t, models[4], NULL, "offset_steps"), "");
    table_free(&t);
}

static void test_rows(void **state)
{
    (void)state;
    table t;
    table_load(in_run("metrics.csv"), &t);
    check_near(atof(cell_of(&t, models[0], "prefill", "latency_ms")), 20.5, 1e-12);
    assert_string_equal(cell_of(&t, models[0], "prefill", "prefill_source"), "server");
    check_near(atof(cell_of(&t, models[0], "prefill", "ttft_ms")), 50, 1e-12);
    check_near(atof(cell_of(&t, models[0], "kv_decode", "latency_ms")), 30, 1e-12);
    check_near(atof(cell_of(&t, models[0], "kv_decode", "kv_decode_ms_equiv")), 60, 1e-12);
    assert_string_equal(cell_of(&t, models[0], "kv_decode", "gen_tokens_equiv"), "6");
    check_near(atof(cell_of(&t, models[0], "e2e_kv", "latency_ms")), 80, 1e-12);
    check_near(atof(cell_of(&t, models[0], "e2e_kv", "params_millions_measured")), 134.52, 1e-12);
    assert_string_equal(cell_of(&t, models[0], "e2e_kv", "params_total"), "134515008");
    assert_string_equal(cell_of(&t, models[0], "e2e_kv", "n_layer"), "30");
    assert_string_equal(cell_of(&t, models[0], "e2e_kv", "dtype"), "Q4_1");
    assert_string_equal(cell_of(&t, models[4], "e2e_kv", "params_millions_measured"), "");
    assert_string_equal(cell_of(&t, models[4], "e2e_kv", "dtype"), "fp32");
    table_free(&t);
    table_load(in_run("resolved_model_params.csv"), &t);
    assert_string_equal(cell_of(&t, models[0], NULL, "source"), "ollama");
    assert_string_equal(cell_of(&t, models[4], NULL, "source"), "config");
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
