/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The floor of a cell, against sums by hand: a GPT-2 of two layers of width 8 whose plan holds its
 * configuration, two blocks of which the second finds the machine half as fast.
 */
#include "run_lines.h"
#include "table.h"

#include "analysis/analysis.h"
#include "analysis/floor.h"
#include "analysis/rows_journal.h"
#include "base/json.h"
#include "study/journal.h"

/* config: of the model, or null as in journals that hold none. Bandwidth 1 GB/s, peak 4 GFLOP/s. */
static void write_journal(const char *config)
{
    il_journal *journal;
    il_error err = {0};
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("floor"));
    check_ok(il_journal_create(in_run("journal.jsonl"), &journal, &err), &err);
    write_line(journal, "plan",
               "{\"run_id\":\"r\",\"run_name\":\"r\",\"blocks\":2,\"repetitions\":1,"
               "\"warmup_repetitions\":0,\"n_calls\":2,\"records_expected\":6,"
               "\"scenarios\":[{\"name\":\"s\",\"prompt_source\":\"ids\"}],"
               "\"models\":[{\"name\":\"m\",\"kind\":\"hf\",\"arch\":\"gpt2\",\"config\":%s}],"
               "\"backends\":[{\"name\":\"b\",\"kind\":\"native\",\"dtype\":\"fp32\","
               "\"threads\":2,\"logits\":\"last\",\"replication\":\"process\"}],"
               "\"cells\":[{\"cell\":0,\"backend\":\"b\",\"model\":\"m\",\"scenario\":\"s\","
               "\"batch_size\":2,\"gen_tokens\":4,\"seq_len\":9,\"bytes_per_step\":11840,"
               "\"flops_prefill\":60000,\"flops_decode_step\":7000,\"skip\":null}]}",
               config);
    for (int block = 0; block < 2; block++) {
        long long slow = block ? 2 : 1;
        write_line(journal, "ceiling",
                   "{\"block\":%d,\"what\":\"read_gbps\",\"samples\":[%g],\"threads\":2,"
                   "\"working_set_bytes\":10000}",
                   block, 1.0 / (double)slow);
        write_line(journal, "ceiling",
                   "{\"block\":%d,\"what\":\"fma_gflops\",\"dtype\":\"fp32\",\"samples\":[%g],"
                   "\"threads\":2,\"working_set_bytes\":null}",
                   block, 4.0 / (double)slow);
        write_line(journal, "call",
                   "{\"call_idx\":%d,\"cell\":0,\"block\":%d,\"is_warmup\":false,\"rep\":%d,"
                   "\"status\":\"ok\",\"flags\":[],\"batch_size\":2,\"seq_len\":9,"
                   "\"prompt_tokens\":18,\"decode_steps\":4,\"t0_ns\":0,\"t_first_ns\":%lld,"
                   "\"t_step_ns\":[%lld]}",
                   block, block, block, 100000 * slow, 120000 * slow);
    }
    il_journal_close(journal);
}

static void floors(il__floor out[3])
{
    static const char *const modes[] = {"prefill", "kv_decode", "e2e_kv"};
    il_rows *rows;
    il_run_facts facts = {0};
    il_error err = {0};
    check_ok(il_rows_open(run_dir, &rows, &err), &err);
    check_ok(il_rows_from_journal(rows, run_dir, run_dir, &facts, &err), &err);
    check_ok(il_rows_seal(rows, &err), &err);
    const il__run run = {.rows = rows, .facts = &facts};
    assert_int_equal(il_rows_cell_count(rows), 3);
    for (size_t i = 0; i < 3; i++) {
        for (int mode = 0; mode < 3; mode++) {
            if (il__is_mode(&run, il_rows_cell(rows, i), modes[mode])) {
                assert_true(il__floor_of(&run, il_rows_cell(rows, i), &out[mode]));
            }
        }
    }
    il_run_facts_free(&facts);
    il_rows_free(rows);
}

static const char gpt2[] =
    "{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":8,\"n_head\":2,\"vocab_size\":50,"
    "\"n_positions\":32,\"tie_word_embeddings\":true}";

/* In units of bytes / (1e6 bytes a ms), 18 tokens of prompt, and the larger of the two each:
 *               bytes   FLOPs / 4
 *   embedding    1152           0
 *   2 × norm      128           0
 *       qkv       864        1728
 *       attention 1152         720   9 positions of 2 sequences; 45 scores of each
 *       attn_out  288         576
 *       ffn_up   1152        2304
 *       ffn_down 1056        2304
 *   norm           64           0
 *   head         1600         400
 * and of a decode step behind 11 positions: 128 + 64 + 1600 + 2 (128 + 864 + 1536 + 288 + 1152 +
 * 1056), all of them bytes. The second block takes twice as long: medians are 1.5 times these. */
static void the_floor_is_summed_over_operations(void **state)
{
    (void)state;
    il__floor f[3];
    write_journal(gpt2);
    floors(f);
    double prefill = 1152 + 2 * (128 + 1728 + 1152 + 576 + 2304 + 2304) + 64 + 1600; /* 19200 */
    check_near(f[0].floor_ms, 1.5 * prefill / 1e6, 1e-12);
    check_near(f[0].memory_ms, 1.5 * 12096 / 1e6, 1e-12);
    check_near(f[0].compute_ms, 1.5 * 15664 / 1e6, 1e-12);
    check_near(f[0].memory_bound_ms, 1.5 * (1152 + 2 * (128 + 1152) + 64 + 1600) / 1e6, 1e-12);
    assert_false(f[0].memory_bound);
    double step = 128 + 64 + 1600 + 2 * (128 + 864 + 1536 + 288 + 1152 + 1056); /* 11840 */
    check_near(f[1].floor_ms, 1.5 * 4 * step / 1e6, 1e-12);
    assert_true(f[1].memory_bound);
    check_near(f[2].floor_ms, f[0].floor_ms + f[1].floor_ms, 1e-12);
    assert_int_equal(f[2].n_blocks, 2);
}

/* A journal without shapes: the larger of all bytes and all FLOPs. */
static void without_a_shape_totals_stand(void **state)
{
    (void)state;
    il__floor f[3];
    write_journal("null");
    floors(f);
    check_near(f[0].floor_ms, 1.5 * 60000 / 4e6, 1e-12);
    assert_false(f[0].memory_bound);
    check_near(f[1].floor_ms, 1.5 * 4 * 11840 / 1e6, 1e-12);
    check_near(f[1].compute_ms, 1.5 * 4 * 7000 / 4e6, 1e-12);
    check_near(f[2].floor_ms, f[0].floor_ms + f[1].floor_ms, 1e-12);
}

/* Both blocks took as long as their ceilings say: the share is a ratio within each. The decode is
 * faster than anything this machine can read: the ceiling is at fault, and said so. */
static void shares_are_ratios_within_blocks(void **state)
{
    (void)state;
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    il_analysis_summary summary;
    il_error err = {0};
    table t;
    write_journal(gpt2);
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
    table_load(in_run("analysis/efficiency.csv"), &t);
    assert_int_equal(t.n_rows, 2);
    size_t prefill = table_find(&t, 0, "mode", "prefill");
    size_t decode = table_find(&t, 0, "mode", "kv_decode");
    check_near(atof(table_at(&t, prefill, "floor_ms")), 0.0288, 1e-12);
    check_near(atof(table_at(&t, prefill, "share_of_floor")), 0.192, 1e-9);
    check_near(atof(table_at(&t, prefill, "ci_low")), 0.192, 1e-9);
    assert_string_equal(table_at(&t, prefill, "bound_by"), "compute");
    check_near(atof(table_at(&t, prefill, "mbu")), 0.12096, 1e-9);
    check_near(atof(table_at(&t, prefill, "mfu")), 0.15664, 1e-9);
    assert_string_equal(table_at(&t, prefill, "note"), "");
    check_near(atof(table_at(&t, decode, "share_of_floor")), 0.04736 / 0.02, 1e-9);
    assert_string_equal(table_at(&t, decode, "note"), "ceiling_low");
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_floor_is_summed_over_operations),
        cmocka_unit_test(without_a_shape_totals_stand),
        cmocka_unit_test(shares_are_ratios_within_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
