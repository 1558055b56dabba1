/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The plots as files: which there are, that they are whole, that no name from a study can leave the
 * folder, run a command or break the markup. Without gnuplot only the last part runs.
 */
#include "run_dir.h"

#include "base/log.h"
#include "report/plots.h"
#include "report/report.h"
#include "report/summary.h"

#include <time.h>
#include <unistd.h>

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void check_png(const char *dir, const char *file)
{
    static const unsigned char magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    il_buf text;
    file_text(dir, file, &text);
    const unsigned char *p = (const unsigned char *)il_buf_text(&text);
    assert_true(text.len > 3000);
    assert_memory_equal(p, magic, 8);
    assert_int_equal(big_endian(p + 16), 1200);
    assert_int_equal(big_endian(p + 20), 800);
    assert_memory_equal(p + text.len - 8, "IEND", 4); /* not cut off */
    il_buf_free(&text);
}

/* Elements nest and close, attributes do not end the tag early, '&' begins an entity. */
static void check_svg(const char *dir, const char *file)
{
    il_buf text;
    file_text(dir, file, &text);
    char stack[64][32];
    size_t depth = 0, n_elements = 0;
    for (const char *p = il_buf_text(&text); *p;) {
        if (*p == '&') {
            size_t n = strcspn(p, ";< ");
            assert_true(p[n] == ';' && n > 1 && n < 10);
        }
        assert_true((unsigned char)*p >= 0x20 || strchr("\n\t\r", *p));
        if (*p != '<') {
            p++;
            continue;
        }
        const char *end = strncmp(p, "<!--", 4) == 0        ? strstr(p, "-->")
                          : strncmp(p, "<![CDATA[", 9) == 0 ? strstr(p, "]]>")
                                                            : strchr(p, '>');
        assert_non_null(end);
        if (p[1] == '/') {
            assert_true(depth > 0);
            size_t n = strcspn(p + 2, " >");
            depth--;
            if (strlen(stack[depth]) != n || strncmp(stack[depth], p + 2, n) != 0) {
                fail_msg("%s: <%s> closed by %.*s", file, stack[depth], (int)n, p + 2);
            }
        } else if (p[1] != '!' && p[1] != '?') {
            n_elements++;
            if (end[-1] != '/') {
                assert_true(depth < 64);
                (void)snprintf(stack[depth++], 32, "%.*s", (int)strcspn(p + 1, " \n\t>"), p + 1);
            }
        }
        p = end + 1;
    }
    assert_int_equal(depth, 0);
    assert_true(n_elements > 20);
    il_buf_free(&text);
}

/* Checks every picture in dir; returns how many PNGs there are. */
static size_t check_pictures(const char *dir)
{
    size_t n_png = 0, n_svg = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        const char *dot = strrchr(e->d_name, '.');
        assert_int_equal(strspn(e->d_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789_.-"),
                         strlen(e->d_name));
        if (dot && strcmp(dot, ".png") == 0) {
            check_png(dir, e->d_name);
            n_png++;
        } else if (dot && strcmp(dot, ".svg") == 0) {
            check_svg(dir, e->d_name);
            n_svg += strncmp(e->d_name, "report_", 7) != 0; /* those have no PNG */
        }
    }
    (void)closedir(d);
    assert_int_equal(n_png, n_svg);
    return n_png;
}

static const char *plots_of(const char *dir)
{
    static char path[900];
    (void)snprintf(path, sizeof path, "%s/analysis/plots", dir);
    return path;
}

static void every_plot_of_the_schema_is_drawn(void **state)
{
    (void)state;
    if (!gnuplot_is_here()) {
        skip();
    }
    const char *dir = fixture_run("hf_cpu_fp32", NULL, 0);
    il_error err = {0};
    check_ok(with_facts(dir, il_plots_write, &err), &err);
    /* one backend: three modes over three scenarios and their aggregate, the first picture, Ollama
     */
    assert_int_equal(check_pictures(plots_of(dir)), 14);
    static const char *const names[] = {
        "scaling_hf_cpu_fp32_prefill_micro.png", "scaling_hf_cpu_fp32_kv_decode_medium.png",
        "scaling_hf_cpu_fp32_e2e_kv__all__bs1.png", "ollama_early_stop_sanity.png",
        "step_time_vs_parameters.svg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[1200];
        (void)snprintf(path, sizeof path, "%s/%s", plots_of(dir), names[i]);
        if (!il_path_is_file(path)) {
            fail_msg("%s was not drawn", names[i]);
        }
    }
    il_buf svg;
    file_text(plots_of(dir), "scaling_hf_cpu_fp32_kv_decode__all__bs1.svg", &svg);
    /* published slope and R², the verdict, the decisive model's line */
    assert_non_null(strstr(il_buf_text(&svg), "slope 0.291, R² 0.848"));
    assert_non_null(strstr(il_buf_text(&svg), "not identifiable"));
    assert_non_null(strstr(il_buf_text(&svg), "without tiny-gpt2: slope 0.12"));
    il_buf_free(&svg);
    file_text(plots_of(dir), "data/scaling_hf_cpu_fp32_kv_decode__all__bs1.lines.dat", &svg);
    size_t n_lines = 0;
    for (const char *p = il_buf_text(&svg); (p = strstr(p, "\n\n\n")); p += 3) {
        n_lines++;
    }
    assert_int_equal(n_lines, 8); /* the fit and seven without a model */
    il_buf_free(&svg);
}

static void sweep_plot_is_drawn(void **state)
{
    (void)state;
    char dir[700], path[900];
    (void)snprintf(dir, sizeof dir, "%s", check_scratch_dir("sweep"));
    il_error err = {0};
    assert_int_equal(il_plots_write_sweep(dir, &err), IL_E_DAMAGED);
    assert_non_null(strstr(err.what, "decode_fraction_summary.csv"));
    il_buf csv;
    file_text(FIXTURE_DIR "/sweep", "decode_fraction_summary.csv", &csv);
    (void)snprintf(path, sizeof path, "%s/decode_fraction_summary.csv", dir);
    check_ok(il_file_write_atomic(path, il_buf_text(&csv), csv.len, &err), &err);
    il_buf_free(&csv);
    check_ok(il_plots_write_sweep(dir, &err), &err);
    if (gnuplot_is_here()) {
        (void)snprintf(path, sizeof path, "%s/plots", dir);
        check_png(path, "decode_fraction_by_gen_tokens.png");
        check_svg(path, "decode_fraction_by_gen_tokens.svg");
    }
}

/* As a quoted CSV field. */
static const char *quoted(const char *text)
{
    static char out[4][1024];
    static unsigned turn;
    char *o = out[turn++ % 4];
    size_t n = 0;
    o[n++] = '"';
    for (const char *p = text; *p; p++) {
        if (*p == '"') {
            o[n++] = '"';
        }
        o[n++] = *p;
    }
    o[n++] = '"';
    o[n] = '\0';
    return o;
}

/* No table row may gain or lose a cell, no markup of a name may come through. */
static void check_markdown(const char *text)
{
    static const char *const bad[] = {"<script", "](javascript", "<img", "\033", "| evil |"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *at = strstr(text, bad[i]);
        if (at && (at == text || at[-1] != '\\')) {
            fail_msg("the report holds %s", bad[i]);
        }
    }
    size_t cells = 0;
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n"), bars = 0;
        for (size_t i = 0; i < n; i++) {
            bars += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
        }
        if (line[0] == '|') {
            assert_true(cells == 0 || cells == bars);
            cells = bars;
        } else {
            cells = 0;
        }
        line += n + (line[n] == '\n');
    }
}

/* Tags are ours alone, no attribute gains a handler, and the page names no address. */
static void check_html(const char *text)
{
    static const char *const bad[] = {"<img",     "<script>alert",  "onerror=\"", "http://",
                                      "https://", "javascript:1\"", "\033",       "<link",
                                      "<iframe",  "url(h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (strstr(text, bad[i])) {
            fail_msg("the page holds %s", bad[i]);
        }
    }
    size_t n_scripts = 0;
    for (const char *p = text; (p = strstr(p, "<script")); p++) {
        n_scripts++;
    }
    assert_int_equal(n_scripts, 1);
    assert_non_null(strstr(text, "default-src 'none'"));
}

/* Names inside longer texts, as crossovers.csv and claims.csv have them. */
static void hostile_sentences(const char *dir, const char *name)
{
    char path[900], text[4096];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/analysis/crossovers.csv", dir);
    int n = snprintf(text, sizeof text,
                     "kind,mode,a,b,x,estimate,ci_low,ci_high,p_inside,verdict\n"
                     "backend_overtakes,kv_decode,%s,b,params_total,4,3,5,1,supported\n",
                     quoted(name));
    check_ok(il_file_write_atomic(path, text, (size_t)n, &err), &err);
    (void)snprintf(path, sizeof path, "%s/analysis/claims.csv", dir);
    n = snprintf(text, sizeof text,
                 "id,statement,verdict,estimate,ci_low,ci_high,margin,evidence,would_decide\n"
                 "%s,%s,contradicted,,,,,%s,%s\n",
                 quoted(name), quoted(name), quoted(name), quoted(name));
    check_ok(il_file_write_atomic(path, text, (size_t)n, &err), &err);
}

static void hostile_names_stay_names(void **state)
{
    (void)state;
    char marker[300], command[400], ticks[900], longest[256];
    (void)snprintf(marker, sizeof marker, "%.200s/pwned", check_scratch_dir("hostile"));
    (void)snprintf(command, sizeof command, "$(touch %s)", marker);
    (void)snprintf(ticks, sizeof ticks, "`touch %s`'.system('touch %s').'", marker, marker);
    memset(longest, 'N', 255);
    longest[255] = '\0';
    const struct {
        const char *model, *backend, *scenario;
    } cases[] = {
        {command, "../../../../tmp/evil", "<script>alert(1)</script>"},
        {"'=cmd|' /C calc'!A0", ticks, longest},
        {longest, "a\"b\\'c\td %s%n @x #y", "模型 🚀 ünï"},
        {"[x](javascript:1)\n| evil |\n# h", "\xff\xfe\033[31m", "..."},
        {"<img src=x onerror=1>&amp;", "x'; system 'touch /tmp'; '", "kv_decode__all__bs1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const swap swaps[] = {{"models/gpt2-50m", quoted(cases[i].model)},
                              {"made_up_bf16", quoted(cases[i].backend)},
                              {"micro", quoted(cases[i].scenario)}};
        const char *dir = fixture_run("made_up_bf16", swaps, 3);
        il_error err = {0};
        /* fewer fits, so that the test stays quick: decode of made_up_bf16 alone */
        fixture_file(dir, "analysis/scaling_fits.csv", "made_up_bf16,hf,1,kv_decode", swaps, 3);
        hostile_sentences(dir, cases[i].model);
        check_ok(with_facts(dir, il_plots_write, &err), &err);
        check_ok(with_facts(dir, il_report_write, &err), &err);
        if (gnuplot_is_here()) {
            assert_int_equal(check_pictures(plots_of(dir)), 6);
        }
        assert_int_not_equal(access(marker, F_OK), 0);
        il_buf report;
        file_text(dir, "report.md", &report);
        check_markdown(il_buf_text(&report));
        il_buf_free(&report);
        file_text(dir, "report.html", &report);
        check_html(il_buf_text(&report));
        il_buf_free(&report);
        FILE *f = tmpfile();
        assert_non_null(f);
        il_facts facts;
        check_ok(il_facts_load(dir, &facts, &err), &err);
        check_ok(il_summary_print(&facts, f, &err), &err);
        il_facts_free(&facts);
        rewind(f);
        for (int c; (c = fgetc(f)) != EOF;) {
            assert_true(c >= 0x20 || c == '\n');
        }
        (void)fclose(f);
    }
}

/* PATH while a test runs, put back by restore_path. */
static char *saved_path;

static int restore_path(void **state)
{
    (void)state;
    if (saved_path) {
        (void)setenv("PATH", saved_path, 1);
        free(saved_path);
        saved_path = NULL;
    }
    return 0;
}

static void use_path(const char *path)
{
    saved_path = strdup(getenv("PATH"));
    assert_non_null(saved_path);
    assert_int_equal(setenv("PATH", path, 1), 0);
}

static void without_gnuplot_there_is_a_report(void **state)
{
    (void)state;
    const char *dir = fixture_run("made_up_bf16", NULL, 0);
    il_error err = {0};
    il_log_set_level(IL_LOG_WARN);
    use_path("/nonexistent");
    check_ok(with_facts(dir, il_plots_write, &err), &err);
    check_ok(with_facts(dir, il_report_write, &err), &err);
    il_buf report;
    file_text(dir, "report.md", &report);
    assert_non_null(strstr(il_buf_text(&report), "grows as a power"));
    size_t n = 0;
    for (const char *p = il_buf_text(&report); (p = strstr(p, "](analysis/")); n++) {
        char path[1200];
        p += 2;
        (void)snprintf(path, sizeof path, "%s/%.*s", dir, (int)strcspn(p, ")"), p);
        if (!il_path_is_file(path)) {
            fail_msg("the report shows %s, which is not there", path);
        }
    }
    assert_int_equal(n, 3);
    il_buf_free(&report);
}

static void words_of_a_failing_gnuplot_come_through(void **state)
{
    (void)state;
    char fake[700], path[800];
    (void)snprintf(fake, sizeof fake, "%s", check_scratch_dir("gnuplot"));
    (void)snprintf(path, sizeof path, "%s/gnuplot", fake);
    static const char script[] = "#!/bin/sh\n"
                                 "echo 'set terminal nonsense' >&2\n"
                                 "echo '\"plots.gp\", line 7: unknown terminal' >&2\nexit 1\n";
    il_error err = {0};
    check_ok(il_file_write_atomic(path, script, sizeof script - 1, &err), &err);
    assert_int_equal(chmod(path, 0755), 0);
    const char *dir = fixture_run("made_up_bf16", NULL, 0);
    use_path(fake);
    assert_int_equal(with_facts(dir, il_plots_write, &err), IL_E_CRASHED);
    assert_non_null(strstr(err.what, "line 7: unknown terminal"));
    assert_non_null(strstr(err.where, "plots.gp"));
    assert_true(err.hint[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_plot_of_the_schema_is_drawn),
        cmocka_unit_test(sweep_plot_is_drawn),
        cmocka_unit_test(hostile_names_stay_names),
        cmocka_unit_test_teardown(without_gnuplot_there_is_a_report, restore_path),
        cmocka_unit_test_teardown(words_of_a_failing_gnuplot_come_through, restore_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
