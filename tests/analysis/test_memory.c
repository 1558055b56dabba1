/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * memory.csv and the memory limit from a journal whose rungs are known: 1000 bytes of cache a
 * token beside 50 MB of weights, a wall between 4000 and 8000 tokens, paging from 2000 on.
 */
#include "run_lines.h"
#include "table.h"

#include "analysis/analysis.h"
#include "base/json.h"
#include "study/journal.h"

#include <math.h>

static void write_rung(il_journal *journal, int cell, const char *axis, double x, bool ok,
                       double weights, double pss, int faults, double step_ms)
{
    char taken[200] = "\"rss_peak_bytes\":null,\"pss_bytes\":null,\"major_faults\":null";
    if (ok) {
        (void)snprintf(taken, sizeof taken,
                       "\"rss_peak_bytes\":%.0f,\"pss_bytes\":%.0f,\"major_faults\":%d",
                       pss + 1000000, pss, faults);
    }
    write_line(journal, "memory",
               "{\"backend\":\"b\",\"model\":\"m%d\",\"group\":%d,\"cell\":%d,\"axis\":\"%s\","
               "\"x\":%.0f,\"batch\":1,\"context_tok\":%.0f,\"decode_steps\":8,"
               "\"limit_by\":\"rlimit_as\",\"limit_bytes\":56000000,\"status\":\"%s\","
               "\"reason\":%s,\"predicted_bytes\":%.0f,\"weight_bytes\":%.0f,"
               "\"kv_bytes_per_token\":1000,%s,\"step_ms\":[%g,%g,%g]}",
               cell, cell, cell, axis, x, x, ok ? "ok" : "error", ok ? "null" : "\"NOMEM\"",
               weights + 1000 * x, weights, taken, step_ms, step_ms, step_ms);
}

static void analyse(void)
{
    il_journal *journal;
    il_error err = {0};
    char cells[1500] = "", models[1500] = "";
    (void)snprintf(run_dir, sizeof run_dir, "%s", check_scratch_dir("memory"));
    check_ok(il_journal_create(in_run("journal.jsonl"), &journal, &err), &err);
    for (int m = 0; m < 3; m++) {
        size_t at = strlen(cells), to = strlen(models);
        (void)snprintf(cells + at, sizeof cells - at,
                       "%s{\"cell\":%d,\"backend\":\"b\",\"model\":\"m%d\",\"scenario\":\"s\","
                       "\"batch_size\":1,\"gen_tokens\":4,\"seq_len\":9,\"skip\":null}",
                       m ? "," : "", m, m);
        (void)snprintf(models + to, sizeof models - to,
                       "%s{\"name\":\"m%d\",\"kind\":\"hf\",\"params_total\":%d}", m ? "," : "", m,
                       10000000 << m);
    }
    write_line(journal, "plan",
               "{\"run_id\":\"r\",\"run_name\":\"r\",\"blocks\":6,\"repetitions\":1,"
               "\"warmup_repetitions\":0,\"n_calls\":18,\"records_expected\":54,"
               "\"slo\":{\"memory_bytes\":1e12},"
               "\"scenarios\":[{\"name\":\"s\",\"prompt_source\":\"ids\"}],\"models\":[%s],"
               "\"backends\":[{\"name\":\"b\",\"kind\":\"hf\",\"dtype\":\"fp32\","
               "\"device\":\"cpu\"}],\"cells\":[%s]}",
               models, cells);
    for (int i = 0; i < 18; i++) {
        write_line(journal, "call",
                   "{\"call_idx\":%d,\"cell\":%d,\"block\":%d,\"is_warmup\":false,\"rep\":%d,"
                   "\"status\":\"ok\",\"flags\":[],\"batch_size\":1,\"seq_len\":9,"
                   "\"prompt_tokens\":9,\"decode_steps\":4,\"t0_ns\":0,\"t_first_ns\":1000000,"
                   "\"t_step_ns\":[2000000],\"state\":{\"rss_bytes\":%d}}",
                   i, i / 6, i % 6, i % 6, 1000000 * (i / 6 + 1) + i % 6);
    }
    /* Rungs of 20, 40 and 80 MB of weights: two hold. A failure that a resume made good. */
    write_rung(journal, 0, "size", 20e6, false, 20e6, 0, 0, 1);
    write_rung(journal, 0, "size", 20e6, true, 20e6, 25e6, 0, 1);
    write_rung(journal, 1, "size", 40e6, true, 40e6, 45e6, 0, 1);
    write_rung(journal, 2, "size", 80e6, false, 80e6, 0, 0, 1);
    static const double tokens[] = {500, 1000, 2000, 4000, 8000};
    for (int i = 0; i < 5; i++) {
        write_rung(journal, 1, "context", tokens[i], i < 4, 50e6, 52e6 + 1500 * tokens[i],
                   i < 2 ? 0 : 9 * i, i < 2 ? 2 : 30);
    }
    il_journal_close(journal);
    const il_analysis_options options = {.n_resamples = 10, .seed = 1};
    il_analysis_summary summary;
    check_ok(il_analysis_run(run_dir, &options, &summary, &err), &err);
}

static size_t row_of(const table *t, const char *what, const char *axis, const char *model)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(table_at(t, i, "what"), what) == 0 &&
            strcmp(table_at(t, i, "axis"), axis) == 0 &&
            strcmp(table_at(t, i, "model"), model) == 0) {
            return i;
        }
    }
    fail_msg("no row %s %s %s", what, axis, model);
    return SIZE_MAX;
}

static double at(const table *t, size_t row, const char *column)
{
    const char *text = table_at(t, row, column);
    return text[0] ? atof(text) : NAN;
}

static void rungs_come_back(void **state)
{
    (void)state;
    table t;
    analyse();
    table_load(in_run("analysis/memory.csv"), &t);
    size_t held = row_of(&t, "rss_after_call", "", "m1");
    check_near(at(&t, held, "estimate"), 2000002.5, 1e-9);
    check_near(at(&t, held, "ci_low"), 2000000, 0);
    check_near(at(&t, held, "ci_high"), 2000005, 0);
    size_t slope = row_of(&t, "growth_per_token", "context", "m1");
    check_near(at(&t, slope, "estimate"), 1500, 1e-9);
    check_near(at(&t, slope, "ci_low"), 1500, 1e-6);
    check_near(at(&t, slope, "predicted"), 1000, 0);
    assert_int_equal(at(&t, slope, "n"), 4);
    size_t wall = row_of(&t, "wall", "context", "m1");
    check_near(at(&t, wall, "estimate"), 4000, 0);
    check_near(at(&t, wall, "ci_low"), 4000, 0);
    check_near(at(&t, wall, "ci_high"), 8000, 0);
    check_near(at(&t, wall, "predicted"), 6000, 1e-9); /* (56 − 50) MB / 1000 */
    size_t size = row_of(&t, "wall", "size", "");
    check_near(at(&t, size, "estimate"), 40e6, 0);
    check_near(at(&t, size, "ci_high"), 80e6, 0);
    assert_string_equal(table_at(&t, size, "note"), "m1 held, m2 failed: NOMEM");
    assert_string_equal(table_at(&t, size, "n"), "3");
    size_t paging = row_of(&t, "paging_starts", "context", "m1");
    check_near(at(&t, paging, "estimate"), 2000, 0);
    check_near(at(&t, paging, "ci_low"), 1000, 0);
    assert_non_null(
        strstr(table_at(&t, paging, "note"), "a step takes 30 ms, 2 ms one rung below"));
    size_t none = row_of(&t, "paging_starts", "size", "");
    assert_string_equal(table_at(&t, none, "estimate"), "");
    size_t peak = row_of(&t, "peak_rss", "size", "m0");
    check_near(at(&t, peak, "estimate"), 26e6, 0);
    table_free(&t);
}

static void the_wall_is_the_limit(void **state)
{
    (void)state;
    table t;
    analyse();
    table_load(in_run("analysis/first_limit.csv"), &t);
    size_t row = table_find(&t, 0, "limit", "memory");
    check_near(at(&t, row, "ci_low"), 20, 1e-9);
    check_near(at(&t, row, "ci_high"), 40, 1e-9);
    check_near(at(&t, row, "size_at_limit"), sqrt(800), 1e-9);
    check_near(at(&t, row, "threshold"), 56e6, 0);
    assert_non_null(strstr(table_at(&t, row, "note"), "met by the memory ladder"));
    table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rungs_come_back),
        cmocka_unit_test(the_wall_is_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
