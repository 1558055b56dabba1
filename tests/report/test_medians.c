/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "check.h"

#include "base/buf.h"
#include "base/file.h"
#include "report/artifact.h"
#include "report/medians.h"

#define FIXTURE IL_TEST_SOURCE_DIR "/tests/report/fixture/run/metrics.csv"

static int read_text(const char *text, il_arena *arena, il_medians *out, il_error *err)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/metrics.csv", check_scratch_dir("medians"));
    check_ok(il_file_write_atomic(path, text, strlen(text), err), err);
    return il_medians_read(path, arena, out, err);
}

static void published_medians_come_back(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_medians m;
    il_error err = {0};
    check_ok(il_medians_read(FIXTURE, &arena, &m, &err), &err);
    /* The fixture's noise is symmetric about the published value; scenarios have geomean 1. */
    const il_cell_median *p =
        il_medians_find(&m, "hf_cpu_fp32", "models/gpt2-25m", IL_ALL_SCENARIOS, "prefill", 1);
    assert_non_null(p);
    check_near(p->median_ms, 15.75, 1e-4);
    assert_int_equal(p->n_replicates, 6);
    assert_true(p->low_ms < p->median_ms && p->median_ms < p->high_ms);
    const il_cell_median *d =
        il_medians_find(&m, "hf_cpu_fp32", "models/gpt2-100m", "medium", "kv_decode", 1);
    assert_non_null(d);
    double step[3];
    il_median_per_step(d, step);
    check_near(step[0], 1374.22 / 0.95 / 64.0, 1e-4);
    /* With six replicates the exact interval is from the least to the largest. */
    check_near(d->low_ms, 1374.22 / 0.95 * (1 - 0.019), 1e-6);
    check_near(d->high_ms, 1374.22 / 0.95 * (1 + 0.019), 1e-6);
    assert_true(m.by_block);
    assert_int_equal(m.n_blocks, 6);
    assert_int_equal(m.n_skipped, 6);
    assert_int_equal(m.n_rows_with_flags, 6);
    assert_string_equal(m.flags[0].word, "steal");
    assert_int_equal(m.n_losses, 1);
    assert_int_equal(m.losses[0].n_models, 2);
    assert_null(m.mapped);
    il_arena_free(&arena);
}

static void warmups_stay_out_and_blocks_count_once(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_medians m;
    il_error err = {0};
    il_buf text;
    il_buf_init(&text, 1 << 20);
    (void)il_buf_puts(&text, "backend,model,mode,status,latency_ms,is_warmup,block,rep,scenario\n");
    for (int block = 0; block < 10; block++) {
        (void)il_buf_printf(&text, "b,m,prefill,ok,1000,True,%d,,s\n", block);
        /* the block's own median is block + 1; its third call is far off */
        (void)il_buf_printf(&text, "b,m,prefill,ok,%d,False,%d,%d,s\n", block + 1, block,
                            block * 3);
        (void)il_buf_printf(&text, "b,m,prefill,ok,%d,False,%d,%d,s\n", block, block,
                            block * 3 + 1);
        (void)il_buf_printf(&text, "b,m,prefill,ok,500,False,%d,%d,s\n", block, block * 3 + 2);
    }
    check_ok(read_text(il_buf_text(&text), &arena, &m, &err), &err);
    const il_cell_median *p = il_medians_find(&m, "b", "m", "s", "prefill", 0);
    assert_non_null(p);
    assert_int_equal(p->n_replicates, 10);
    assert_int_equal(p->n_calls, 30);
    check_near(p->median_ms, 5.5, 1e-12);
    check_near(p->low_ms, 2.0, 1e-12); /* ranks (2, 9) of ten */
    check_near(p->high_ms, 9.0, 1e-12);
    assert_true(isnan(p->params_millions));
    il_buf_free(&text);
    il_arena_free(&arena);
}

static void few_calls_have_a_median_and_no_interval(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_medians m;
    il_error err = {0};
    check_ok(read_text("backend,backend_kind,model,mode,status,latency_ms,rep,gen_tokens_target\n"
                       "o,ollama,m,kv_decode,ok,30,0,10\no,ollama,m,kv_decode,ok,10,1,10\n"
                       "h,hf,m,kv_decode,ok,20,0,10\nh,hf,m,kv_decode,error,,1,10\n",
                       &arena, &m, &err),
             &err);
    const il_cell_median *p = il_medians_find(&m, "o", "m", "__none__", "kv_decode", 1);
    assert_non_null(p);
    check_near(p->median_ms, 20.0, 1e-12);
    assert_true(isnan(p->low_ms) && isnan(p->high_ms));
    assert_false(m.by_block);
    /* the original's own loop ran gen_tokens steps; what a server ran is not known */
    double step[3];
    il_median_per_step(p, step);
    assert_true(isnan(step[0]));
    il_median_per_step(il_medians_find(&m, "h", "m", "__none__", "kv_decode", 1), step);
    check_near(step[0], 2.0, 1e-12);
    assert_int_equal(m.n_error, 1);
    il_arena_free(&arena);
}

static void damage_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "backend,model,mode,status\nb,m,prefill,ok\n",              /* column missing */
        "backend,model,mode,status,latency_ms\nb,m,prefill,ok,\n",  /* ok without a time */
        "backend,model,mode,status,latency_ms\nb,m,prefill,ok,x\n", /* no number */
        "backend,model,mode,status,latency_ms\nb,m,prefill,ok,-1\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        il_arena arena = {0};
        il_medians m;
        il_error err = {0};
        assert_int_equal(read_text(bad[i], &arena, &m, &err), IL_E_DAMAGED);
        assert_true(err.hint[0] && strstr(err.where, "metrics.csv"));
        il_arena_free(&arena);
    }
}

static void many_cells_keep_apart(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_medians m;
    il_error err = {0};
    il_buf text;
    il_buf_init(&text, 1 << 22);
    (void)il_buf_puts(&text, "backend,model,mode,status,latency_ms,batch_size,scenario\n");
    for (int i = 0; i < 3000; i++) { /* rehashes several times */
        (void)il_buf_printf(&text, "b%d,m%d,prefill,ok,%d,%d,s\n", i % 7, i / 14, i + 1,
                            1 + i / 7 % 2);
    }
    check_ok(read_text(il_buf_text(&text), &arena, &m, &err), &err);
    for (int i = 0; i < 3000; i += 97) {
        char backend[16], model[16];
        (void)snprintf(backend, sizeof backend, "b%d", i % 7);
        (void)snprintf(model, sizeof model, "m%d", i / 14);
        const il_cell_median *p =
            il_medians_find(&m, backend, model, "s", "prefill", 1 + i / 7 % 2);
        assert_non_null(p);
        check_near(p->median_ms, i + 1, 0);
        assert_int_equal(p->n_calls, 1);
    }
    il_buf_free(&text);
    il_arena_free(&arena);
}

static void the_table_of_medians_reads_back(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_medians m;
    il_error err = {0};
    check_ok(
        read_text("backend,model,mode,status,latency_ms\n\"b,\"\"1\",\"m\nx\",prefill,ok,3.25\n",
                  &arena, &m, &err),
        &err);
    char path[600];
    (void)snprintf(path, sizeof path, "%s/medians.csv", check_scratch_dir("medians"));
    check_ok(il_medians_write(&m, path, &err), &err);
    il_artifact t;
    check_ok(il_artifact_load(path, "medians.csv", &arena, &t, &err), &err);
    assert_int_equal(t.n_rows, 2); /* the scenario and the aggregate */
    assert_string_equal(il_artifact_text(&t, 0, "backend"), "b,\"1");
    assert_string_equal(il_artifact_text(&t, 0, "model"), "m\nx");
    check_near(il_artifact_number(&t, 0, "median_ms"), 3.25, 0);
    assert_string_equal(il_artifact_text(&t, 0, "ci_low_ms"), "");
    assert_string_equal(il_artifact_text(&t, 0, "step_ms"), "");
    il_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_medians_come_back),
        cmocka_unit_test(warmups_stay_out_and_blocks_count_once),
        cmocka_unit_test(few_calls_have_a_median_and_no_interval),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(many_cells_keep_apart),
        cmocka_unit_test(the_table_of_medians_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
