/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * medians.csv and outcomes.csv from a metrics.csv.
 */
#include "table.h"

#include "analysis/analysis.h"
#include "base/buf.h"
#include "base/file.h"

static char run_dir[512];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("medians"));
    return 0;
}

static void analyzed(const char *csv, table *medians, table *outcomes)
{
    char path[600];
    il_error err = {0};
    il_analysis_summary summary;
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    (void)snprintf(path, sizeof path, "%s/metrics.csv", run_dir);
    check_ok(il_file_write_atomic(path, csv, strlen(csv), &err), &err);
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
    (void)snprintf(path, sizeof path, "%s/analysis/medians.csv", run_dir);
    table_load(path, medians);
    (void)snprintf(path, sizeof path, "%s/analysis/outcomes.csv", run_dir);
    table_load(path, outcomes);
}

static void free_both(table *medians, table *outcomes)
{
    table_free(medians);
    table_free(outcomes);
}

static double number_at(const table *t, size_t row, const char *column)
{
    const char *text = table_at(t, row, column);
    return text[0] ? strtod(text, NULL) : NAN;
}

static size_t row_of(const table *t, const char *backend, const char *model, const char *scenario)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(table_at(t, i, "backend"), backend) == 0 &&
            strcmp(table_at(t, i, "model"), model) == 0 &&
            strcmp(table_at(t, i, "scenario"), scenario) == 0) {
            return i;
        }
    }
    print_error("no row %s, %s, %s\n", backend, model, scenario);
    fail();
    return 0;
}

/* The line "section,backend,status,reason,key" of outcomes.csv; NULL when there is none. */
static const char *outcome(const table *t, const char *keys)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        char line[512];
        (void)snprintf(line, sizeof line, "%s,%s,%s,%s,%s", table_at(t, i, "section"),
                       table_at(t, i, "backend"), table_at(t, i, "status"),
                       table_at(t, i, "reason"), table_at(t, i, "key"));
        if (strcmp(line, keys) == 0) {
            return table_at(t, i, "value");
        }
    }
    return NULL;
}

static void expect_outcome(const table *t, const char *keys, const char *want)
{
    const char *got = outcome(t, keys);
    if (!got || strcmp(got, want) != 0) {
        fail_msg("%s is %s, wanted %s", keys, got ? got : "not there", want);
    }
}

static void warmups_stay_out_and_blocks_count_once(void **state)
{
    (void)state;
    il_buf text;
    il_buf_init(&text, 1 << 20);
    (void)il_buf_puts(&text, "backend,model,mode,status,latency_ms,is_warmup,block,rep,scenario\n");
    for (int block = 9; block >= 0; block--) { /* not in the order of the blocks */
        (void)il_buf_printf(&text, "b,m,prefill,ok,1000,True,%d,,s\n", block);
        /* the block's own median is block + 1; its third call is far off */
        (void)il_buf_printf(&text, "b,m,prefill,ok,%d,False,%d,%d,s\n", block + 1, block,
                            block * 3);
        (void)il_buf_printf(&text, "b,m,prefill,ok,%d,False,%d,%d,s\n", block, block,
                            block * 3 + 1);
        (void)il_buf_printf(&text, "b,m,prefill,ok,500,False,%d,%d,s\n", block, block * 3 + 2);
    }
    table m, o;
    analyzed(il_buf_text(&text), &m, &o);
    size_t row = row_of(&m, "b", "m", "s");
    assert_string_equal(table_at(&m, row, "replicate"), "block");
    assert_string_equal(table_at(&m, row, "n_replicates"), "10");
    assert_string_equal(table_at(&m, row, "n_calls"), "30");
    check_near(number_at(&m, row, "median_ms"), 5.5, 1e-12);
    check_near(number_at(&m, row, "ci_low_ms"), 2.0, 1e-12); /* ranks (2, 9) of ten */
    check_near(number_at(&m, row, "ci_high_ms"), 9.0, 1e-12);
    assert_string_equal(table_at(&m, row, "params_millions"), "");
    expect_outcome(&o, "ok_rows,,,,n_measured", "30");
    expect_outcome(&o, "ok_rows,,,,n_warmup", "10");
    expect_outcome(&o, "ok_rows,,,,n_blocks", "10");
    free_both(&m, &o);
    il_buf_free(&text);
}

/* One block is no replicate: the calls are. Their steps are known for the original's own loop, not
 * for a server. */
static void few_calls_have_a_median_and_no_interval(void **state)
{
    (void)state;
    table m, o;
    analyzed("backend,backend_kind,model,mode,status,latency_ms,block,rep,gen_tokens_target\n"
             "o,ollama,m,kv_decode,ok,30,0,0,10\no,ollama,m,kv_decode,ok,10,0,1,10\n"
             "h,hf,m,kv_decode,ok,20,0,0,10\nh,hf,m,kv_decode,error,,0,1,10\n",
             &m, &o);
    size_t row = row_of(&m, "o", "m", "__none__");
    check_near(number_at(&m, row, "median_ms"), 20.0, 1e-12);
    assert_string_equal(table_at(&m, row, "n_replicates"), "2");
    assert_string_equal(table_at(&m, row, "replicate"), "call");
    assert_string_equal(table_at(&m, row, "ci_low_ms"), "");
    assert_string_equal(table_at(&m, row, "step_ms"), "");
    check_near(number_at(&m, row_of(&m, "h", "m", "__none__"), "step_ms"), 2.0, 1e-12);
    free_both(&m, &o);
}

/* The geometric mean is taken inside a replicate; one that lacks a scenario is left out. Lengths of
 * decode stand apart, and steps that differ between calls are no step time. */
static void aggregates_stand_on_whole_replicates(void **state)
{
    (void)state;
    table m, o;
    analyzed("backend,model,mode,status,latency_ms,block,scenario,decode_steps,gen_tokens_target\n"
             "b,m,kv_decode,ok,1,0,s,8,8\nb,m,kv_decode,ok,2,1,s,8,8\nb,m,kv_decode,ok,9,2,s,8,8\n"
             "b,m,kv_decode,ok,16,1,t,8,8\nb,m,kv_decode,ok,4,0,t,8,8\n"
             "b,n,kv_decode,ok,4,0,s,8,8\nb,n,kv_decode,ok,6,1,s,7,8\n"
             "b,m,kv_decode,ok,100,0,s,80,80\n",
             &m, &o);
    size_t row = row_of(&m, "b", "m", "__all__");
    assert_string_equal(table_at(&m, row, "gen_tokens"), "8");
    assert_string_equal(table_at(&m, row, "n_replicates"), "2");
    assert_string_equal(table_at(&m, row, "n_calls"), "5");
    check_near(number_at(&m, row, "median_ms"), (2.0 + sqrt(32.0)) / 2, 1e-12);
    check_near(number_at(&m, row, "step_ms"), (2.0 + sqrt(32.0)) / 16, 1e-12);
    assert_string_equal(table_at(&m, row + 1, "gen_tokens"), "80");
    check_near(number_at(&m, row + 1, "median_ms"), 100, 1e-9);
    row = row_of(&m, "b", "n", "s");
    assert_string_equal(table_at(&m, row, "decode_steps"), "");
    assert_string_equal(table_at(&m, row, "step_ms"), "");
    free_both(&m, &o);
}

/* A file may give the kind or the parameters on some rows only: still one row of the table. */
static void split_cells_come_together(void **state)
{
    (void)state;
    table m, o;
    analyzed("backend,backend_kind,model,mode,status,latency_ms,params_millions\n"
             "b,hf,m,prefill,ok,1,\nb,,m,prefill,ok,3,5.5\nb,hf,m,prefill,ok,8,\n",
             &m, &o);
    assert_int_equal(m.n_rows, 2);
    assert_string_equal(table_at(&m, 0, "scenario"), "__all__");
    check_near(number_at(&m, 1, "median_ms"), 3, 0);
    assert_string_equal(table_at(&m, 1, "n_calls"), "3");
    check_near(number_at(&m, 1, "params_millions"), 5.5, 0);
    free_both(&m, &o);
}

static void losses_are_counted_by_reason(void **state)
{
    (void)state;
    table m, o;
    analyzed("backend,backend_kind,backend_kind_asked,model,mode,status,latency_ms,reason,error,"
             "hint,flags,replication,seq_len\n"
             "b,native,hf,m,prefill,ok,1,,,,steal;mhz,process,7\n"
             "b,native,hf,m,prefill,ok,2,,,,\"[\"\"steal\"\"]\",process,300\n"
             "b,native,hf,m,prefill,ok,,,,,,,\n"
             "b,native,,m,prefill,error,,R,first,mend,,,\nb,native,,n,prefill,error,,R,second,,,,\n"
             "b,native,,m,prefill,error,,R,third,,,,\nc,native,,m,prefill,error,,R,,,steal,,\n"
             "b,native,,m,prefill,odd,,,,,,,\n",
             &m, &o);
    expect_outcome(&o, "rows,,ok,,n_rows", "2");
    expect_outcome(&o, "rows,,error,,n_rows", "4");
    expect_outcome(&o, "rows,,odd,,n_rows", "1");
    expect_outcome(&o, "rows,,untimed,,n_rows", "1");
    expect_outcome(&o, "ok_rows,,,,n_with_flags", "2");
    expect_outcome(&o, "flags,,,,steal", "2");
    expect_outcome(&o, "flags,,,,mhz", "1");
    expect_outcome(&o, "replication,,,,process", "2");
    expect_outcome(&o, "mapped,,,,hf on native", "2");
    expect_outcome(&o, "prompt_tokens,,,,least", "7");
    expect_outcome(&o, "prompt_tokens,,,,most", "300");
    expect_outcome(&o, "lost,b,error,R,n_rows", "3");
    expect_outcome(&o, "lost,b,error,R,n_models", "2");
    expect_outcome(&o, "lost,b,error,R,message", "first");
    expect_outcome(&o, "lost,b,error,R,hint", "mend");
    expect_outcome(&o, "lost,c,error,R,n_rows", "1");
    expect_outcome(&o, "lost,b,untimed,,n_models", "1");
    free_both(&m, &o);
}

static void many_keys_keep_apart(void **state)
{
    (void)state;
    il_buf text;
    il_buf_init(&text, 1 << 22);
    (void)il_buf_puts(&text, "backend,model,mode,status,latency_ms,reason\n");
    for (int i = 0; i < 3000; i++) { /* grows the counts several times */
        (void)il_buf_printf(&text, "b,m%d,prefill,ok,%d,\nb,m%d,prefill,error,,R%d\n", i, i + 1,
                            i % 10, i % 1000);
    }
    table m, o;
    analyzed(il_buf_text(&text), &m, &o);
    assert_int_equal(m.n_rows, 6000);
    for (int i = 0; i < 3000; i += 97) {
        char model[16], key[64];
        (void)snprintf(model, sizeof model, "m%d", i);
        check_near(number_at(&m, row_of(&m, "b", model, "__none__"), "median_ms"), i + 1, 0);
        (void)snprintf(key, sizeof key, "lost,b,error,R%d,n_rows", i % 1000);
        expect_outcome(&o, key, "3");
    }
    free_both(&m, &o);
    il_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warmups_stay_out_and_blocks_count_once),
        cmocka_unit_test(few_calls_have_a_median_and_no_interval),
        cmocka_unit_test(aggregates_stand_on_whole_replicates),
        cmocka_unit_test(split_cells_come_together),
        cmocka_unit_test(losses_are_counted_by_reason),
        cmocka_unit_test(many_keys_keep_apart),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
