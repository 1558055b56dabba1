/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * regimes.csv, crossovers.csv and steady.csv from a metrics.csv, steps.csv from a journal, all of
 * known truth.
 */
#include "table.h"

#include "analysis/analysis.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "stats/stream.h"
#include "study/journal.h"

static char run_dir[512];
static il_stream noise;

static const char *in_run(const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", run_dir, name);
    return path;
}

static void load(const char *name, table *out)
{
    char file[256];
    (void)snprintf(file, sizeof file, "analysis/%s", name);
    table_load(in_run(file), out);
}

static void analyze(void)
{
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    il_analysis_summary summary;
    il_error err = {0};
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
}

/* The row whose columns hold these texts. */
static size_t row_of(const table *t, const char *c1, const char *v1, const char *c2, const char *v2)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(table_at(t, i, c1), v1) == 0 && strcmp(table_at(t, i, c2), v2) == 0) {
            return i;
        }
    }
    print_error("no row with %s = %s and %s = %s\n", c1, v1, c2, v2);
    fail();
    return 0;
}

static double at(const table *t, size_t row, const char *column)
{
    const char *text = table_at(t, row, column);
    assert_string_not_equal(text, "");
    return strtod(text, NULL);
}

/* --- metrics.csv of known truth --------------------------------------------------------------- */

enum { MODELS = 24, BLOCKS = 8 };

static void put_row(il_buf *out, const char *backend, const char *model, double params, double ms,
                    int block)
{
    char blocks[16] = "";
    if (block >= 0) {
        (void)snprintf(blocks, sizeof blocks, "%d", block);
    }
    (void)il_buf_printf(out, "%s,%s,kv_decode,ok,%.9g,%.9g,%s,s,16,1,4\n", backend, model, ms,
                        params, blocks);
}

/* Backend a has an exponent of 0.05 up to 30 M and of 0.9 beyond; c crosses it at 100 M, a being
 * faster below; s is a straight law; m changes only by one model. */
static void put_laws(il_buf *out)
{
    for (int i = 0; i < MODELS; i++) {
        double x = 3.0 * i / (MODELS - 1);
        double bend = 0.05 * fmin(x - log10(30), 0) + 0.9 * fmax(x - log10(30), 0);
        double a = bend + 0.012 * il_stream_normal(&noise);
        double s = 0.6 * x + 0.004 * il_stream_normal(&noise);
        double once = 0.6 * x + 0.004 * il_stream_normal(&noise) - (i == 0 ? 0.5 : 0);
        for (int b = 0; b < BLOCKS; b++) {
            char model[16];
            (void)snprintf(model, sizeof model, "m%d", i);
            double params = pow(10, x);
            double both = 0.02 * il_stream_normal(&noise); /* of the block: cancels in pairs */
            double e = 0.003 * il_stream_normal(&noise);
            put_row(out, "a", model, params, pow(10, a + both), b);
            put_row(out, "c", model, params, pow(10, a - 0.3 * (x - 2) + both + e), b);
            put_row(out, "s", model, params, pow(10, s + e), b);
            put_row(out, "m", model, params, pow(10, once + e), b);
        }
    }
}

/* Prefill takes 0.1 ms a token, 64 steps take 32 ms: equal at 320 tokens; one step at 5. */
static void put_prompts(il_buf *out)
{
    static const int tokens[] = {16, 64, 256, 1024};
    for (int i = 0; i < 4; i++) {
        for (int b = 0; b < BLOCKS; b++) {
            double e = exp(0.02 * il_stream_normal(&noise));
            double f = exp(0.01 * il_stream_normal(&noise));
            (void)il_buf_printf(out, "p,pm,prefill,ok,%.9g,5,%d,p%d,%d,1,64\n",
                                0.1 * tokens[i] * e * f, b, tokens[i], tokens[i]);
            (void)il_buf_printf(out, "p,pm,kv_decode,ok,%.9g,5,%d,p%d,%d,1,64\n", 32 * e, b,
                                tokens[i], tokens[i]);
        }
    }
}

/* A step takes 2·(1 + batch/8) ms: half of its growth is arithmetic at a batch of 8. */
static void put_batches(il_buf *out)
{
    static const int sizes[] = {64, 1, 16, 4};
    for (int i = 0; i < 4; i++) {
        for (int b = 0; b < BLOCKS; b++) {
            double e = exp(0.01 * il_stream_normal(&noise));
            (void)il_buf_printf(out, "q_bs%d,qm,kv_decode,ok,%.9g,5,%d,s,%d,%d,4\n", sizes[i],
                                8 * (1 + sizes[i] / 8.0) * e, b, 16 * sizes[i], sizes[i]);
        }
    }
}

/* One process: eight slow calls, then 22 at the level that stays. And five blocks of three calls,
 * the first 10 % slower. */
static void put_warmups(il_buf *out)
{
    for (int i = 0; i < 30; i++) {
        double e = exp(0.01 * il_stream_normal(&noise));
        put_row(out, "w", "wm", 5, (i < 8 ? 15 : 10) * e, -1);
    }
    for (int i = 0; i < 15; i++) {
        double e = exp(0.005 * il_stream_normal(&noise));
        put_row(out, "v", "vm", 5, (i % 3 ? 10 : 11) * e, i / 3);
    }
}

static int setup(void **state)
{
    (void)state;
    il_error err = {0};
    noise = il_stream_open(9, "test regimes", "");
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("regimes"));
    il_buf text;
    il_buf_init(&text, 1 << 22);
    (void)il_buf_puts(&text, "backend,model,mode,status,latency_ms,params_millions,block,scenario,"
                             "prompt_tokens,batch_size,decode_steps\n");
    put_laws(&text);
    put_prompts(&text);
    put_batches(&text);
    put_warmups(&text);
    check_ok(text.status, NULL);
    check_ok(il_file_write_atomic(in_run("metrics.csv"), text.data, text.len, &err), &err);
    il_buf_free(&text);
    analyze();
    return 0;
}

static void regimes_are_found_and_excluded(void **state)
{
    (void)state;
    table t;
    load("regimes.csv", &t);
    size_t a = row_of(&t, "backend", "a", "x", "params_total");
    assert_string_equal(table_at(&t, a, "verdict"), "supported");
    assert_string_equal(table_at(&t, a, "n_breaks"), "1");
    assert_true(at(&t, a, "ci_low") < 30 && at(&t, a, "ci_high") > 30);
    assert_true(at(&t, a, "ci_high") < 2 * at(&t, a, "ci_low"));
    assert_true(at(&t, a, "ci_low") <= at(&t, a, "break_at"));
    check_close(at(&t, a, "slope_below"), 0.05, 0.05);
    check_close(at(&t, a, "slope_above"), 0.9, 0.05);
    assert_true(at(&t, a, "davies_p") < 0.01 && at(&t, a, "delta_aicc") > 10);
    assert_string_equal(table_at(&t, a, "n_models"), "24");
    size_t s = row_of(&t, "backend", "s", "x", "params_total");
    assert_string_equal(table_at(&t, s, "verdict"), "supported");
    assert_string_equal(table_at(&t, s, "n_breaks"), "0");
    assert_string_equal(table_at(&t, s, "break_at"), "");
    check_close(at(&t, s, "slope_below"), 0.6, 0.02);
    size_t m = row_of(&t, "backend", "m", "x", "params_total");
    assert_string_equal(table_at(&t, m, "verdict"), "not_identifiable");
    size_t p = row_of(&t, "backend", "p", "x", "params_total");
    assert_string_equal(table_at(&t, p, "verdict"), "not_identifiable");
    assert_non_null(strstr(table_at(&t, p, "because"), "there are 1 in all"));
    assert_string_equal(table_at(&t, p, "n_breaks"), "");
    table_free(&t);
}

static void backends_overtake_where_they_do(void **state)
{
    (void)state;
    table t;
    load("crossovers.csv", &t);
    size_t r = row_of(&t, "a", "a", "b", "c");
    assert_string_equal(table_at(&t, r, "kind"), "backend_overtakes");
    assert_string_equal(table_at(&t, r, "x"), "params_total");
    assert_string_equal(table_at(&t, r, "verdict"), "supported");
    assert_true(at(&t, r, "ci_low") <= 100 && at(&t, r, "ci_high") >= 100);
    check_near(at(&t, r, "estimate"), 100, 0.05);
    assert_true(at(&t, r, "p_inside") > 0.99);
    assert_non_null(strstr(table_at(&t, r, "because"), "a is lower before"));
    /* backends without a model in common have no row */
    assert_int_equal(table_find(&t, 0, "a", "p"), SIZE_MAX);
    table_free(&t);
}

static void prefill_meets_decode(void **state)
{
    (void)state;
    table t;
    load("crossovers.csv", &t);
    size_t r = row_of(&t, "kind", "prefill_equals_decode", "a", "p pm prefill");
    assert_string_equal(table_at(&t, r, "b"), "p pm kv_decode");
    assert_string_equal(table_at(&t, r, "verdict"), "supported");
    check_near(at(&t, r, "estimate"), 320, 0.02);
    assert_true(at(&t, r, "ci_low") <= 320 && at(&t, r, "ci_high") >= 320);
    r = row_of(&t, "kind", "prefill_equals_decode_step", "a", "p pm prefill");
    assert_string_equal(table_at(&t, r, "verdict"), "none_in_range");
    assert_string_equal(table_at(&t, r, "estimate"), "");
    assert_string_equal(table_at(&t, r, "ci_high"), "16"); /* below the shortest prompt */
    assert_string_equal(table_at(&t, r, "ci_low"), "");
    r = row_of(&t, "kind", "decode_compute_bound", "a", "q qm growth of a step");
    assert_string_equal(table_at(&t, r, "x"), "batch_size");
    assert_string_equal(table_at(&t, r, "verdict"), "supported");
    check_near(at(&t, r, "estimate"), 8, 0.05);
    assert_true(at(&t, r, "ci_low") <= 8 && at(&t, r, "ci_high") >= 8);
    table_free(&t);
}

static void warmups_are_judged(void **state)
{
    (void)state;
    table t;
    load("steady.csv", &t);
    size_t w = row_of(&t, "backend", "w", "mode", "kv_decode");
    assert_string_equal(table_at(&t, w, "classification"), "warmup");
    assert_string_equal(table_at(&t, w, "n_calls"), "30");
    assert_string_equal(table_at(&t, w, "change_at"), "9");
    assert_string_equal(table_at(&t, w, "warmup_too_short"), "True");
    size_t v = row_of(&t, "backend", "v", "mode", "kv_decode");
    assert_string_equal(table_at(&t, v, "warmup_too_short"), "True");
    size_t s = row_of(&t, "backend", "s", "model", "m3");
    assert_string_equal(table_at(&t, s, "classification"), "flat");
    assert_string_equal(table_at(&t, s, "change_at"), "");
    assert_string_equal(table_at(&t, s, "warmup_too_short"), ""); /* one call a process */
    table_free(&t);
}

/* --- a journal of known steps ----------------------------------------------------------------- */

static void write_line(il_journal *journal, const char *kind, const il_buf *text)
{
    json_t *value = NULL;
    il_error err = {0};
    check_ok(il_json_parse(text->data, text->len, "test", &value, &err), &err);
    check_ok(il_journal_write(journal, kind, value, &err), &err);
}

enum { CELLS = 6, GEN = 24, STEP_BLOCKS = 8 };
static const char *const cell_models[CELLS] = {"even", "even", "jump", "jump", "chunks", "chunks"};
static const int cell_tokens[CELLS] = {16, 64, 16, 64, 16, 64};

static void write_plan(il_journal *journal)
{
    il_buf text;
    il_buf_init(&text, 1 << 20);
    (void)il_buf_printf(
        &text,
        "{\"run_id\":\"r\",\"run_name\":\"r\",\"blocks\":%d,\"repetitions\":1,"
        "\"warmup_repetitions\":1,\"n_calls\":%d,\"records_expected\":%d,"
        "\"scenarios\":[{\"name\":\"p16\",\"prompt_tokens\":16},"
        "{\"name\":\"p64\",\"prompt_tokens\":64,\"depth_tok\":100}],"
        "\"models\":[{\"name\":\"even\",\"kind\":\"hf\"},{\"name\":\"jump\",\"kind\":\"hf\"},"
        "{\"name\":\"chunks\",\"kind\":\"openai\"}],"
        "\"backends\":[{\"name\":\"n\",\"kind\":\"native\",\"replication\":\"process\"},"
        "{\"name\":\"o\",\"kind\":\"openai\"}],\"cells\":[",
        STEP_BLOCKS, CELLS * STEP_BLOCKS * 2, CELLS * STEP_BLOCKS * 6);
    for (int c = 0; c < CELLS; c++) {
        (void)il_buf_printf(&text,
                            "%s{\"cell\":%d,\"backend\":\"%s\",\"model\":\"%s\",\"scenario\":"
                            "\"p%d\",\"batch_size\":1,\"gen_tokens\":%d,\"skip\":null}",
                            c ? "," : "", c, c < 4 ? "n" : "o", cell_models[c], cell_tokens[c],
                            GEN);
    }
    (void)il_buf_puts(&text, "]}");
    write_line(journal, "plan", &text);
    il_buf_free(&text);
}

/* 2 ms + 10 µs a token in the cache; "jump" 15 % more from step 11 on; one step five times as long
 * in block 3 of cell 0; "chunks" sends two tokens at a time. */
static void write_call(il_journal *journal, int c, int block, int i, double process)
{
    il_buf text;
    il_buf_init(&text, 1 << 20);
    long long t = 1000000000LL * (1 + (c * STEP_BLOCKS + block) * 2 + i);
    (void)il_buf_printf(
        &text,
        "{\"call_idx\":%d,\"cell\":%d,\"block\":%d,\"is_warmup\":%s,\"warmup_idx\":%s,\"rep\":%s,"
        "\"status\":\"ok\",\"batch_size\":1,\"seq_len\":%d,\"prompt_tokens\":%d,"
        "\"decode_steps\":%d,\"t0_ns\":%lld,\"t_first_ns\":%lld,\"t_step_ns\":[",
        (c * STEP_BLOCKS + block) * 2 + i, c, block, i ? "false" : "true", i ? "null" : "0",
        i ? "0" : "null", cell_tokens[c], cell_tokens[c], GEN, t, t + 5000000);
    t += 5000000;
    int depth = cell_tokens[c] == 64 ? 100 : 0;
    for (int k = 1; k <= GEN; k++) {
        double ms = (2 + 0.01 * (depth + cell_tokens[c] + k - 1)) * process *
                    exp(0.002 * il_stream_normal(&noise));
        ms *= strcmp(cell_models[c], "jump") == 0 && k >= 11 ? 1.15 : 1;
        ms *= c == 0 && block == 3 && i == 1 && k == 7 ? 5 : 1;
        t += (long long)(ms * 1e6);
        if (c < 4 || k % 2 == 0) {
            (void)il_buf_printf(&text, "%s%lld", k == 1 || (c >= 4 && k == 2) ? "" : ",", t);
        }
    }
    (void)il_buf_puts(&text, "]}");
    write_line(journal, "call", &text);
    il_buf_free(&text);
}

static int setup_steps(void **state)
{
    (void)state;
    il_error err = {0};
    noise = il_stream_open(10, "test steps", "");
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("steps"));
    il_journal *journal;
    check_ok(il_journal_create(in_run("journal.jsonl"), &journal, &err), &err);
    write_plan(journal);
    for (int block = 0; block < STEP_BLOCKS; block++) {
        for (int c = CELLS - 1; c >= 0; c--) { /* not the order of the plan */
            double process = exp(0.01 * il_stream_normal(&noise));
            write_call(journal, c, block, 0, process);
            write_call(journal, c, block, 1, process);
        }
    }
    il_journal_close(journal);
    analyze();
    return 0;
}

static void steps_have_their_law(void **state)
{
    (void)state;
    table t;
    load("steps.csv", &t);
    assert_int_equal(t.n_rows, 3);
    size_t e = row_of(&t, "backend", "n", "model", "even");
    check_near(at(&t, e, "b_us_per_context_token"), 10, 0.05);
    assert_true(at(&t, e, "ci_low") < 10 && at(&t, e, "ci_high") > 10);
    check_near(at(&t, e, "a_ms"), 2, 0.03);
    assert_string_equal(table_at(&t, e, "n_steps"), "24");
    assert_string_equal(table_at(&t, e, "n_calls"), "16");
    assert_string_equal(table_at(&t, e, "n_replicates"), "8");
    assert_string_equal(table_at(&t, e, "ci_method"), "t_blocks");
    assert_string_equal(table_at(&t, e, "context_low"), "16");
    assert_string_equal(table_at(&t, e, "context_high"), "187");
    assert_string_equal(table_at(&t, e, "change_points"), "");
    assert_string_equal(table_at(&t, e, "n_outliers"), "1");
    assert_non_null(strstr(table_at(&t, e, "outliers"), "block 3 call 7 step 7 (x"));
    size_t j = row_of(&t, "backend", "n", "model", "jump");
    assert_string_equal(table_at(&t, j, "change_points"),
                        "p16: step 11 (+15 %); p64: step 11 (+15 %)");
    check_near(at(&t, j, "b_us_per_context_token"), 10, 0.25);
    assert_non_null(strstr(table_at(&t, j, "note"), "within levels"));
    assert_string_equal(table_at(&t, j, "n_outliers"), "0");
    size_t o = row_of(&t, "backend", "o", "model", "chunks");
    assert_string_equal(table_at(&t, o, "b_us_per_context_token"), "");
    assert_string_equal(table_at(&t, o, "n_outliers"), "");
    assert_non_null(strstr(table_at(&t, o, "note"), "16 calls have fewer stamps than steps"));
    table_free(&t);
}

static void rows_say_whence_and_whether(void **state)
{
    (void)state;
    table t;
    table_load(in_run("metrics.csv"), &t);
    size_t o = table_find(&t, 0, "backend", "o");
    assert_string_equal(table_at(&t, 0, "prefill_source"), "stamps");
    assert_string_equal(table_at(&t, o, "prefill_source"), "client_ttft");
    assert_string_equal(table_at(&t, 0, "steady"), ""); /* a warm-up call */
    assert_string_equal(table_at(&t, 3, "steady"), "True");
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regimes_are_found_and_excluded),
        cmocka_unit_test(backends_overtake_where_they_do),
        cmocka_unit_test(prefill_meets_decode),
        cmocka_unit_test(warmups_are_judged),
    };
    const struct CMUnitTest step_tests[] = {
        cmocka_unit_test(steps_have_their_law),
        cmocka_unit_test(rows_say_whence_and_whether),
    };
    int failed = cmocka_run_group_tests(tests, setup, NULL);
    return failed + cmocka_run_group_tests(step_tests, setup_steps, NULL);
}
