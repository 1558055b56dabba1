/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The report of the fixture: the whole text against tests/report/golden
 * (tools/make_report_golden.sh writes it), every number of the findings against the row that their
 * evidence names, and what happens when artifacts are missing.
 */
#include "run_dir.h"

#include "report/facts.h"
#include "report/findings.h"
#include "report/report.h"
#include "report/summary.h"
#include "report/words.h"

static void expect_golden(const char *file, const char *got)
{
    il_buf golden;
    file_text(IL_TEST_SOURCE_DIR "/tests/report/golden", file, &golden);
    const char *want = il_buf_text(&golden);
    size_t i = 0;
    while (want[i] && want[i] == got[i]) {
        i++;
    }
    if (want[i] != got[i]) {
        size_t from = i < 60 ? 0 : i - 60;
        fail_msg("%s differs from byte %zu on\n--- golden\n%.160s\n--- now\n%.160s\n"
                 "if the change is meant: tools/make_report_golden.sh",
                 file, i, want + from, got + from);
    }
    il_buf_free(&golden);
}

static void report_is_the_golden_one(void **state)
{
    (void)state;
    const char *dir = fixture_run(NULL, NULL, 0);
    il_error err = {0};
    il_buf text;
    check_ok(with_facts(dir, il_report_write, &err), &err);
    file_text(dir, "report.md", &text);
    expect_golden("report.md", il_buf_text(&text));
    il_buf_free(&text);
    file_text(dir, "report.html", &text);
    expect_golden("report.html", il_buf_text(&text));
    il_buf_free(&text);
    file_text(dir, "analysis/plots/report_step_time.svg", &text);
    expect_golden("report_step_time.svg", il_buf_text(&text));
    il_buf_free(&text);
}

/* The summary as text with the directory's name replaced by RUN. */
static void summary_text(const char *dir, il_buf *out)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    il_error err = {0};
    il_facts facts;
    check_ok(il_facts_load(dir, &facts, &err), &err);
    check_ok(il_summary_print(&facts, f, &err), &err);
    il_facts_free(&facts);
    rewind(f);
    il_buf_init(out, 1 << 20);
    char line[8192];
    while (fgets(line, sizeof line, f)) {
        char *at = strstr(line, dir);
        if (at) {
            (void)il_buf_printf(out, "%.*sRUN%s", (int)(at - line), line, at + strlen(dir));
        } else {
            (void)il_buf_puts(out, line);
        }
    }
    (void)fclose(f);
}

static size_t width_of(const char *line, size_t n)
{
    size_t width = 0;
    for (size_t i = 0; i < n; i++) {
        width += ((unsigned char)line[i] & 0xC0) != 0x80;
    }
    return width;
}

static void summary_is_the_golden_one_and_narrow(void **state)
{
    (void)state;
    const char *dir = fixture_run(NULL, NULL, 0);
    il_error err = {0};
    check_ok(with_facts(dir, il_report_write, &err), &err);
    il_buf text;
    summary_text(dir, &text);
    expect_golden("summary.txt", il_buf_text(&text));
    assert_null(strchr(il_buf_text(&text), '\033')); /* no colour: the file is no terminal */
    for (const char *line = il_buf_text(&text); *line;) {
        size_t n = strcspn(line, "\n");
        assert_true(width_of(line, n) <= 100);
        line += n + (line[n] == '\n');
    }
    il_buf_free(&text);
}

/* ---- numbers ---- */

/* Every "column=value" of an evidence text, up to the first "; and ", stands in the first row that
 * the finding cites. Values may hold anything but are printed clean and at most 40 characters long.
 */
static void check_keys(const il_finding *f)
{
    const il_artifact *t = f->cites[0].table;
    char text[1024];
    (void)snprintf(text, sizeof text, "%.*s",
                   (int)(strstr(f->evidence, ";") ? strcspn(f->evidence, ";") : 1000), f->evidence);
    assert_non_null(strstr(text, t->file));
    size_t checked = 0;
    for (size_t c = 0; c < t->n_columns; c++) {
        char key[600], field[200];
        il_words_clean(field, sizeof field, t->cells[f->cites[0].row * t->n_columns + c], 40);
        (void)snprintf(key, sizeof key, " %s=", t->columns[c]);
        const char *at = strstr(text, key);
        if (at) {
            (void)snprintf(key, sizeof key, " %s=%s", t->columns[c], field);
            if (!strstr(text, key)) {
                fail_msg("%s is not what row %zu of %s holds (%s)", f->evidence,
                         f->cites[0].row + 2, t->file, field);
            }
            checked++;
        }
    }
    assert_true(checked > 0);
}

/* As it stands, in percent, or in millions (MB, million FLOPs) of a number that is that large. */
static bool rounds_to(double v, double shown, int decimals)
{
    double half = 0.5 * pow(10.0, -decimals) * (1 + 1e-9);
    return fabs(v - shown) <= half || fabs(100.0 * v - shown) <= half ||
           (v >= 1e5 && fabs(v / 1e6 - shown) <= half);
}

/* Whether a field holds the number, alone or inside a text. */
static bool field_holds(const char *field, double shown, int decimals)
{
    for (const char *p = field; *p;) {
        char *end = NULL;
        double v = strtod(p, &end);
        if (end > p && rounds_to(v, shown, decimals)) {
            return true;
        }
        p = end > p ? end : p + 1;
    }
    return false;
}

static bool cites_hold(const il_finding *f, double shown, int decimals)
{
    for (size_t i = 0; i < f->n_cites; i++) {
        const il_artifact *t = f->cites[i].table;
        for (size_t c = 0; c < t->n_columns; c++) {
            if (field_holds(t->cells[f->cites[i].row * t->n_columns + c], shown, decimals)) {
                return true;
            }
        }
    }
    return false;
}

/* Looks up each number of a sentence that stands alone: not part of a name, not the confidence
 * level. */
static size_t check_numbers(const il_finding *f)
{
    const char *sentence = f->sentence;
    size_t checked = 0;
    for (const char *p = sentence; *p;) {
        size_t n = strspn(p, "0123456789.");
        bool starts = p == sentence || strchr(" (", p[-1]);
        bool ends = n > 0 && (p[n] == '\0' || strchr(" ),;:%", p[n]));
        if (n == 0 || !starts || !ends || *p == '.') {
            p += n ? n : 1;
            continue;
        }
        while (n > 1 && p[n - 1] == '.') {
            n--;
        }
        char text[40];
        (void)snprintf(text, sizeof text, "%.*s", (int)n, p);
        const char *dot = strchr(text, '.');
        int decimals = dot ? (int)strlen(dot + 1) : 0;
        bool level = strcmp(text, "95") == 0 && strncmp(p + n, " %", 2) == 0;
        /* Beside a break stands what the machine's cache holds, which is of the manifest. */
        bool cache = p > sentence + 6 && strncmp(p - 6, "holds ", 6) == 0;
        if (!level && !cache && !cites_hold(f, strtod(text, NULL), decimals)) {
            fail_msg("%s is in no row of %s\n%s", text, f->evidence, sentence);
        }
        checked += !level;
        p += n;
    }
    return checked;
}

static void every_number_of_a_finding_is_in_its_evidence(void **state)
{
    (void)state;
    const char *dir = fixture_run(NULL, NULL, 0);
    il_error err = {0};
    il_facts facts;
    il_findings found;
    check_ok(il_facts_load(dir, &facts, &err), &err);
    check_ok(il_findings_make(&facts, &found, &err), &err);
    assert_true(found.n_items >= 20);
    size_t checked = 0;
    for (size_t i = 0; i < found.n_items; i++) {
        assert_true(found.items[i].n_cites > 0);
        check_keys(&found.items[i]);
        checked += check_numbers(&found.items[i]);
    }
    assert_true(checked > 70);
    il_facts_free(&facts);
}

static const il_finding *finding_with(const il_findings *f, const char *a, const char *b)
{
    for (size_t i = 0; i < f->n_items; i++) {
        if (strstr(f->items[i].sentence, a) && strstr(f->items[i].sentence, b)) {
            return &f->items[i];
        }
    }
    return NULL;
}

static bool cannot_has(const il_findings *found, const char *text)
{
    bool has = false;
    for (size_t i = 0; i < found->n_cannot; i++) {
        has = has || strstr(found->cannot[i].sentence, text);
    }
    return has;
}

static void rules_hold_back_what_the_run_cannot_carry(void **state)
{
    (void)state;
    il_error err = {0};
    il_facts facts;
    il_findings found;
    /* The smallest effect becomes 240 %: no inversion and no context slope may be called. */
    static const swap noisy[] = {{"2.4,", "240.0,"}, {"1.8,", "240.0,"}, {"1.6,", "240.0,"}};
    check_ok(il_facts_load(fixture_run(NULL, noisy, 3), &facts, &err), &err);
    check_ok(il_findings_make(&facts, &found, &err), &err);
    assert_null(finding_with(&found, "hf_cpu_fp32", "larger model can be faster"));
    assert_null(finding_with(&found, "hf_cpu_fp32", "of context adds"));
    il_facts_free(&facts);

    /* Intervals by the bootstrap are not quoted. */
    static const swap method[] = {{",t,", ",percentile,"}};
    check_ok(il_facts_load(fixture_run(NULL, method, 1), &facts, &err), &err);
    check_ok(il_findings_make(&facts, &found, &err), &err);
    const il_finding *law = finding_with(&found, "made_up_bf16", "grows as a power");
    assert_non_null(law);
    assert_null(strstr(law->sentence, "interval"));
    il_facts_free(&facts);

    /* Aggregates over different scenarios are not compared. */
    static const swap scenario[] = {
        {"hf_cpu_fp32,models/gpt2-5m,micro,", "hf_cpu_fp32,models/gpt2-5m,x,"}};
    check_ok(il_facts_load(fixture_run(NULL, scenario, 1), &facts, &err), &err);
    check_ok(il_findings_make(&facts, &found, &err), &err);
    assert_null(finding_with(&found, "hf_cpu_fp32 a larger model can be faster", "gpt2-5m"));
    il_facts_free(&facts);

    /* An exponent whose interval takes in 0 is not quoted without saying so. */
    static const swap wide[] = {{"0.837847626,", "-0.1,"}};
    check_ok(il_facts_load(fixture_run(NULL, wide, 1), &facts, &err), &err);
    check_ok(il_findings_make(&facts, &found, &err), &err);
    law = finding_with(&found, "made_up_bf16", "grows as a power");
    assert_non_null(strstr(law->sentence, "takes in 0"));
    il_facts_free(&facts);

    /* Of many raw A/A intervals some leave out 1 by chance; beyond twice the half-width is another
     * matter. */
    static const swap chance[] = {{"1.004,0.992,1.016,", "1.013,1.001,1.025,"}};
    static const swap real[] = {{"1.004,0.992,1.016,", "1.033,1.021,1.045,"}};
    check_ok(il_facts_load(fixture_run(NULL, chance, 1), &facts, &err), &err);
    check_ok(il_findings_make(&facts, &found, &err), &err);
    assert_false(cannot_has(&found, "two arms"));
    il_facts_free(&facts);
    check_ok(il_facts_load(fixture_run(NULL, real, 1), &facts, &err), &err);
    check_ok(il_findings_make(&facts, &found, &err), &err);
    assert_true(cannot_has(&found, "two arms"));
    il_facts_free(&facts);

    check_ok(il_facts_load(fixture_run(NULL, NULL, 0), &facts, &err), &err);
    check_ok(il_findings_make(&facts, &found, &err), &err);
    law = finding_with(&found, "hf_cpu_fp32", "no exponent");
    assert_non_null(law);
    assert_string_equal(law->verdict, "not_identifiable");
    assert_non_null(strstr(law->sentence, "tiny-gpt2"));
    assert_null(finding_with(&found, "ollama", "exponent")); /* three models carry no law */
    assert_non_null(finding_with(&found, "hf_cpu_fp32", "larger model can be faster"));
    assert_non_null(strstr(found.answer, "no exponent in total parameters"));
    il_facts_free(&facts);
}

static void without_block_data_and_noise_floor_little_is_said(void **state)
{
    (void)state;
    const char *dir = fixture_run("hf_cpu_fp32", NULL, 0);
    static const char *const gone[] = {"manifest.json",
                                       "analysis/laws.csv",
                                       "analysis/leave_one_out.csv",
                                       "analysis/noise_floor.csv",
                                       "analysis/tails.csv",
                                       "analysis/steps.csv"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        char path[900];
        (void)snprintf(path, sizeof path, "%s/%s", dir, gone[i]);
        assert_int_equal(remove(path), 0);
    }
    il_error err = {0};
    check_ok(with_facts(dir, il_report_write, &err), &err);
    il_buf text;
    file_text(dir, "report.md", &text);
    assert_non_null(strstr(il_buf_text(&text), "no manifest"));
    assert_non_null(strstr(il_buf_text(&text), "no noise floor"));
    assert_non_null(strstr(il_buf_text(&text), "No law was judged"));
    assert_null(strstr(il_buf_text(&text), "larger model can be faster"));
    assert_null(strstr(il_buf_text(&text), "nan"));
    il_buf_free(&text);
    summary_text(dir, &text);
    assert_null(strstr(il_buf_text(&text), "nan"));
    il_buf_free(&text);
}

static void missing_and_damaged_artifacts_are_said(void **state)
{
    (void)state;
    il_error err = {0};
    assert_int_equal(with_facts("/nonexistent/run", il_report_write, &err), IL_E_NOT_FOUND);
    static const char *const needed[] = {"analysis/medians.csv", "analysis/outcomes.csv",
                                         "analysis/scaling_fits.csv"};
    for (size_t i = 0; i < 3; i++) {
        const char *dir = fixture_run("hf_cpu_fp32", NULL, 0);
        char path[900];
        (void)snprintf(path, sizeof path, "%s/%s", dir, needed[i]);
        assert_int_equal(remove(path), 0);
        err = (il_error){0};
        assert_int_equal(with_facts(dir, il_report_write, &err), IL_E_DAMAGED);
        assert_true(err.what[0] && err.where[0] && strstr(err.hint, "analyze"));
        (void)snprintf(path, sizeof path, "%s/report.md", dir);
        assert_false(il_path_is_file(path)); /* nothing half-written */
    }
    for (size_t i = 0; i < N_FIXTURE_TABLES; i++) {
        const char *dir = fixture_run("hf_cpu_fp32", NULL, 0);
        char path[900];
        (void)snprintf(path, sizeof path, "%s/%s", dir, fixture_tables[i]);
        check_ok(il_file_write_atomic(path, "{\"a,b\n1", 7, &err), &err);
        err = (il_error){0};
        assert_int_equal(with_facts(dir, il_report_write, &err), IL_E_DAMAGED);
        assert_non_null(strstr(err.where, il_path_base(fixture_tables[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_is_the_golden_one),
        cmocka_unit_test(summary_is_the_golden_one_and_narrow),
        cmocka_unit_test(every_number_of_a_finding_is_in_its_evidence),
        cmocka_unit_test(rules_hold_back_what_the_run_cannot_carry),
        cmocka_unit_test(without_block_data_and_noise_floor_little_is_said),
        cmocka_unit_test(missing_and_damaged_artifacts_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
