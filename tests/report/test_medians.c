/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The two tables that the report takes its numbers from, read back.
 */
#include "run_dir.h"

#include "report/medians.h"

static void published_medians_come_back(void **state)
{
    (void)state;
    il_facts facts;
    il_error err = {0};
    check_ok(il_facts_load(fixture_run(NULL, NULL, 0), &facts, &err), &err);
    const il_medians *m = &facts.medians;
    /* The fixture's noise is symmetric about the published value; scenarios have geomean 1. */
    const il_cell_median *p =
        il_medians_find(m, "hf_cpu_fp32", "models/gpt2-25m", IL_ALL_SCENARIOS, "prefill", 1);
    assert_non_null(p);
    check_near(p->median_ms, 15.75, 1e-4);
    assert_int_equal(p->n_replicates, 6);
    assert_true(p->low_ms < p->median_ms && p->median_ms < p->high_ms);
    assert_true(isnan(p->prompt_tok));
    const il_cell_median *d =
        il_medians_find(m, "hf_cpu_fp32", "models/gpt2-100m", "medium", "kv_decode", 0);
    assert_non_null(d);
    double step[3];
    il_median_per_step(d, step);
    check_near(step[0], 1374.22 / 0.95 / 64.0, 1e-4);
    check_near(step[1], 1374.22 / 0.95 / 64.0 * (1 - 0.019), 1e-6);
    check_near(step[2], 1374.22 / 0.95 / 64.0 * (1 + 0.019), 1e-6);
    check_near(d->prompt_tok, 17, 0);
    assert_int_equal(d->gen_tokens, 64);
    assert_null(il_medians_find(m, "hf_cpu_fp32", "models/gpt2-100m", "medium", "kv_decode", 2));
    il_facts_free(&facts);
}

static void counts_come_back(void **state)
{
    (void)state;
    il_facts facts;
    il_error err = {0};
    check_ok(il_facts_load(fixture_run(NULL, NULL, 0), &facts, &err), &err);
    const il_medians *m = &facts.medians;
    assert_true(m->by_block);
    assert_int_equal(m->n_blocks, 6);
    assert_int_equal(m->n_ok, 1566);
    assert_int_equal(m->n_measured, 810);
    assert_int_equal(m->n_warmup, 756);
    assert_int_equal(m->n_skipped, 6);
    assert_int_equal(m->n_error + m->n_flagged + m->n_not_run + m->n_other, 0);
    assert_int_equal(m->n_rows_with_flags, 6);
    assert_int_equal(m->n_flags, 1);
    assert_string_equal(m->flags[0].word, "steal");
    assert_int_equal(m->flags[0].n_rows, 6);
    assert_int_equal(m->n_losses, 1);
    assert_string_equal(m->losses[0].backend, "hf_gpu_fp16");
    assert_int_equal(m->losses[0].n_rows, 6);
    assert_int_equal(m->losses[0].n_models, 2);
    assert_string_equal(m->losses[0].message, "no CUDA device was found");
    assert_string_equal(m->losses[0].hint, "run on a machine with an NVIDIA GPU");
    check_near(m->prompt_tok_least, 1, 0);
    check_near(m->prompt_tok_most, 17, 0);
    assert_string_equal(m->replication, "process, none");
    assert_null(m->mapped);
    il_facts_free(&facts);
}

static void several_words_are_joined_and_losses_kept_apart(void **state)
{
    (void)state;
    const char *dir = fixture_run(NULL, NULL, 0);
    static const char csv[] = "section,backend,status,reason,key,value\n"
                              "rows,,ok,,n_rows,3\nrows,,untimed,,n_rows,2\n"
                              "ok_rows,,,,n_blocks,1\n"
                              "mapped,,,,hf on native,3\nmapped,,,,onnx on native,1\n"
                              "lost,a,error,,n_rows,4\nlost,a,error,,message,x\n"
                              "lost,a,error,R,n_rows,5\nlost,b,error,R,n_rows,6\n"
                              "another,,,,key,text\n";
    char path[900];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/analysis/outcomes.csv", dir);
    check_ok(il_file_write_atomic(path, csv, sizeof csv - 1, &err), &err);
    il_facts facts;
    check_ok(il_facts_load(dir, &facts, &err), &err);
    const il_medians *m = &facts.medians;
    assert_false(m->by_block);
    assert_int_equal(m->n_other, 2);
    assert_string_equal(m->mapped, "hf on native, onnx on native");
    assert_int_equal(m->n_losses, 3);
    assert_int_equal(m->losses[2].n_rows, 6);
    assert_string_equal(m->losses[1].message, "");
    assert_true(isnan(m->prompt_tok_most));
    il_facts_free(&facts);
}

static void damage_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text;
    } bad[] = {
        {"medians.csv", "backend,model,scenario,mode,batch_size,n_replicates\n"},
        {"medians.csv", "backend,model,scenario,mode,batch_size,n_replicates,median_ms\n"
                        "b,m,s,prefill,1,6,\n"},
        {"medians.csv", "backend,model,scenario,mode,batch_size,n_replicates,median_ms\n"
                        "b,m,s,prefill,1,6,-1\n"},
        {"medians.csv", "backend,model,scenario,mode,batch_size,n_replicates,median_ms\n"
                        "b,m,s,prefill,1,,3\n"},
        {"outcomes.csv", "section,backend,status,reason,key\n"},
        {"outcomes.csv", "section,backend,status,reason,key,value\nrows,,ok,,n_rows,many\n"},
        {"outcomes.csv", "section,backend,status,reason,key,value\nlost,b,error,,n_rows,-3\n"},
        {"outcomes.csv", "section,backend,status,reason,key,value\nflags,,,,steal,\n"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *dir = fixture_run(NULL, NULL, 0);
        char path[900];
        il_error err = {0};
        (void)snprintf(path, sizeof path, "%s/analysis/%s", dir, bad[i].file);
        check_ok(il_file_write_atomic(path, bad[i].text, strlen(bad[i].text), &err), &err);
        il_facts facts;
        assert_int_equal(il_facts_load(dir, &facts, &err), IL_E_DAMAGED);
        assert_non_null(strstr(err.where, bad[i].file));
        assert_non_null(strstr(err.hint, "inferlaw analyze"));
        il_facts_free(&facts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_medians_come_back),
        cmocka_unit_test(counts_come_back),
        cmocka_unit_test(several_words_are_joined_and_losses_kept_apart),
        cmocka_unit_test(damage_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
