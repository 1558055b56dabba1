/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw compare: two stored runs, or two sides interleaved in one run, cell by cell.
 */
#include "analysis/compare.h"
#include "base/buf.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/compare_live.h"
#include "cli/derive.h"
#include "cli/verbs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

static const char *const columns[] = {
    "backend", "model", "scenario", "mode",    "batch_size",     "n_a",    "n_b", "ratio", "ci_low",
    "ci_high", "p",     "q",        "verdict", "margin_percent", "because"};
enum { N_COLUMNS = sizeof columns / sizeof columns[0], FIRST_NUMBER = 4, FIRST_REAL = 7 };

/* The fields of a row as numbers, by column; the texts are NaN. */
static void numbers_of(const il_compare_row *r, double out[N_COLUMNS])
{
    const double all[N_COLUMNS] = {NAN,
                                   NAN,
                                   NAN,
                                   NAN,
                                   r->batch_size,
                                   (double)r->n_a,
                                   (double)r->n_b,
                                   r->ratio,
                                   r->ci_low,
                                   r->ci_high,
                                   r->p,
                                   r->q,
                                   NAN,
                                   100 * r->margin,
                                   NAN};
    memcpy(out, all, sizeof all);
}

static void texts_of(const il_compare_row *r, const char *out[N_COLUMNS])
{
    const char *const all[N_COLUMNS] = {
        r->backend,       r->model, r->scenario, r->mode, [12] = il_change_name(r->verdict),
        [14] = r->because};
    memcpy(out, all, sizeof all);
}

/* --- the three formats ------------------------------------------------------------------------ */

static void put_csv_text(il_buf *to, const char *text)
{
    bool formula = text[0] && strchr("=+-@\t\r", text[0]);
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;
    (void)il_buf_puts(to, quoted ? "\"" : "");
    (void)il_buf_puts(to, formula ? "'" : "");
    for (const char *p = text; *p; p++) {
        (void)il_buf_append(to, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1);
    }
    (void)il_buf_puts(to, quoted ? "\"" : "");
}

static void put_csv(il_buf *to, const il_comparison *all)
{
    for (size_t k = 0; k < N_COLUMNS; k++) {
        (void)il_buf_printf(to, "%s%s", k ? "," : "", columns[k]);
    }
    (void)il_buf_puts(to, "\n");
    for (size_t i = 0; i < all->n_rows; i++) {
        double numbers[N_COLUMNS];
        const char *texts[N_COLUMNS];
        numbers_of(&all->rows[i], numbers);
        texts_of(&all->rows[i], texts);
        for (size_t k = 0; k < N_COLUMNS; k++) {
            char number[IL_NUMBER_BYTES];
            (void)il_number_print(numbers[k], number);
            (void)il_buf_puts(to, k ? "," : "");
            if (texts[k]) {
                put_csv_text(to, texts[k]);
            } else {
                (void)il_buf_puts(to, number);
            }
        }
        (void)il_buf_puts(to, "\n");
    }
}

/* A number for people: p values and ratios keep what matters of them. */
static void put_md_number(il_buf *to, size_t column, double x)
{
    if (!isfinite(x)) {
        (void)il_buf_puts(to, " |");
    } else if (column < FIRST_REAL) {
        (void)il_buf_printf(to, " %.0f |", x);
    } else if (strcmp(columns[column], "p") == 0 || strcmp(columns[column], "q") == 0) {
        (void)il_buf_printf(to, x < 0.0001 ? " %.1e |" : " %.4f |", x);
    } else {
        (void)il_buf_printf(to, " %.4g |", x);
    }
}

static void put_md_text(il_buf *to, const char *text)
{
    (void)il_buf_puts(to, " ");
    for (const char *p = text; *p; p++) {
        (void)il_buf_printf(to, *p == '|' ? "\\%c" : "%c", *p == '\n' ? ' ' : *p);
    }
    (void)il_buf_puts(to, " |");
}

static void put_md(il_buf *to, const il_comparison *all)
{
    (void)il_buf_puts(to, "|");
    for (size_t k = 0; k < N_COLUMNS; k++) {
        (void)il_buf_printf(to, " %s |", columns[k]);
    }
    (void)il_buf_puts(to, "\n|");
    for (size_t k = 0; k < N_COLUMNS; k++) {
        bool text = k < FIRST_NUMBER || k == 12 || k == 14;
        (void)il_buf_puts(to, text ? "---|" : "--:|");
    }
    (void)il_buf_puts(to, "\n");
    for (size_t i = 0; i < all->n_rows; i++) {
        double numbers[N_COLUMNS];
        const char *texts[N_COLUMNS];
        numbers_of(&all->rows[i], numbers);
        texts_of(&all->rows[i], texts);
        (void)il_buf_puts(to, "|");
        for (size_t k = 0; k < N_COLUMNS; k++) {
            if (texts[k]) {
                put_md_text(to, texts[k]);
            } else {
                put_md_number(to, k, numbers[k]);
            }
        }
        (void)il_buf_puts(to, "\n");
    }
}

static void put_json(il_buf *to, const il_comparison *all)
{
    json_t *list = json_array();
    for (size_t i = 0; i < all->n_rows; i++) {
        double numbers[N_COLUMNS];
        const char *texts[N_COLUMNS];
        json_t *row = json_object();
        numbers_of(&all->rows[i], numbers);
        texts_of(&all->rows[i], texts);
        for (size_t k = 0; k < N_COLUMNS; k++) {
            bool whole = k >= FIRST_NUMBER && k < FIRST_REAL;
            json_t *value = texts[k] ? json_string(texts[k])
                            : whole && numbers[k] == floor(numbers[k])
                                ? json_integer((json_int_t)numbers[k])
                                : il_json_real(numbers[k]);
            (void)json_object_set_new(row, columns[k], value);
        }
        (void)json_array_append_new(list, row);
    }
    char *text = il_json_dump_pretty(list);
    (void)il_buf_puts(to, text ? text : "");
    (void)il_buf_puts(to, "\n");
    to->status = text ? to->status : IL_E_NOMEM;
    free(text);
    json_decref(list);
}

static int print_table(const il_comparison *all, const il_param_set *flags, il_error *err)
{
    const char *format = il_param_flag(flags, IL_P_COMPARE_JSON)
                             ? "json"
                             : il_param_text(flags, IL_P_COMPARE_FORMAT);
    il_buf text;
    il_buf_init(&text, (size_t)1 << 32);
    if (strcmp(format, "csv") == 0) {
        put_csv(&text, all);
    } else if (strcmp(format, "json") == 0) {
        put_json(&text, all);
    } else {
        put_md(&text, all);
    }
    int rc = text.status;
    if (rc != IL_OK) {
        (void)il_fail(err, rc, "cannot hold the table");
    } else if (fwrite(il_buf_text(&text), 1, text.len, stdout) != text.len || fflush(stdout)) {
        rc = il_fail(err, IL_E_IO, "cannot write the table to stdout");
    }
    il_buf_free(&text);
    return rc;
}

/* --- talk ------------------------------------------------------------------------------------- */

static size_t count_of(const il_comparison *all, il_change change)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n_rows; i++) {
        n += all->rows[i].verdict == change;
    }
    return n;
}

static void say_result(const il_comparison *all)
{
    for (size_t i = 0; i < all->n_notes; i++) {
        il_log(IL_LOG_WARN, "%s", all->notes[i]);
    }
    if (all->n_only_a + all->n_only_b > 0) {
        il_log(IL_LOG_WARN, "not compared: %zu cells that A has alone, %zu that B has alone",
               all->n_only_a, all->n_only_b);
    }
    il_log(IL_LOG_INFO, "%zu cells: %zu SAME, %zu FASTER, %zu SLOWER, %zu AMBIGUOUS (B against A)",
           all->n_rows, count_of(all, IL_CHANGE_SAME), count_of(all, IL_CHANGE_FASTER),
           count_of(all, IL_CHANGE_SLOWER), count_of(all, IL_CHANGE_AMBIGUOUS));
}

/* --- what is asked ---------------------------------------------------------------------------- */

static int check_words(const il_param_set *flags, unsigned n_words, il_error *err)
{
    static const il_param_id live_only[] = {
        IL_P_SIDE_A,         IL_P_SIDE_B,           IL_P_SET_A,           IL_P_SET_B,
        IL_P_BUILD_A,        IL_P_BUILD_B,          IL_P_COMPARE_OUT_DIR, IL_P_COMPARE_RESUME,
        IL_P_COMPARE_BLOCKS, IL_P_COMPARE_BACKENDS, IL_P_COMPARE_MODELS,  IL_P_COMPARE_SCENARIOS};
    bool live = il_param_flag(flags, IL_P_LIVE);
    if (live && n_words != 1) {
        return il_fail(err, IL_E_USAGE, "compare --live needs one STUDY, not %u words", n_words);
    }
    for (size_t i = 0; !live && i < sizeof live_only / sizeof live_only[0]; i++) {
        if (il_param_is_set(flags, live_only[i])) {
            int rc = il_fail(err, IL_E_USAGE, "a flag that belongs to --live");
            il_error_hint(err, "inferlaw compare --live STUDY runs both sides; compare A B reads "
                               "stored runs");
            return rc;
        }
    }
    if (il_param_is_set(flags, IL_P_SITTINGS) && (live || n_words != 2)) {
        return il_fail(err, IL_E_USAGE,
                       "--sittings is for two stored runs: the sides of one run "
                       "share their sitting");
    }
    return IL_OK;
}

static int compare_live(const char *study, const il_param_set *flags,
                        const il_compare_options *options, il_comparison *out, int *exit_code,
                        il_error *err)
{
    char dir[PATH_BYTES];
    il_analysis_summary summary;
    int rc = il_compare_live(study, flags, dir, sizeof dir, exit_code, err);
    if (rc != IL_OK || *exit_code == IL_EXIT_NO_OK_ROW) {
        return rc;
    }
    rc = il_derive_tables(dir, flags, &summary, err);
    rc = rc ? rc : il_compare_sides(dir, options, out, err);
    if (rc == IL_OK) {
        il_log(IL_LOG_INFO, "the run is kept: inferlaw compare %s shows this again", dir);
    }
    return rc;
}

static int compare(const il_param_set *flags, char *const *words, unsigned n_words)
{
    il_error err = {0};
    il_comparison all = {0};
    const il_param_value *sittings = &flags->values[IL_P_SITTINGS];
    const il_compare_options options = {.least_margin = il_param_f64(flags, IL_P_COMPARE_MARGIN),
                                        .force = il_param_flag(flags, IL_P_COMPARE_FORCE),
                                        .sittings = sittings->texts,
                                        .n_sittings = sittings->n};
    int exit_code = IL_EXIT_DONE;
    int rc = check_words(flags, n_words, &err);
    if (rc == IL_OK && il_param_flag(flags, IL_P_LIVE)) {
        rc = compare_live(words[0], flags, &options, &all, &exit_code, &err);
    } else if (rc == IL_OK && n_words == 1) {
        rc = il_compare_sides(words[0], &options, &all, &err);
    } else if (rc == IL_OK) {
        rc = il_compare_runs(words[0], words[1], &options, &all, &err);
    }
    if (rc == IL_OK && exit_code != IL_EXIT_NO_OK_ROW) {
        say_result(&all);
        rc = print_table(&all, flags, &err);
    }
    bool met =
        rc == IL_OK && il_param_is_set(flags, IL_P_FAIL_ON) && count_of(&all, IL_CHANGE_SLOWER) > 0;
    il_comparison_free(&all);
    if (rc != IL_OK) {
        il_log_error(&err);
        return il_exit_from_code(rc);
    }
    return met ? IL_EXIT_CONDITION_MET : exit_code;
}

const il_verb il_verb_compare = {
    .name = "compare",
    .arguments = "A B | --live STUDY",
    .summary = "which cells of run B are slower than in run A; --live interleaves both in one run",
    .details =
        "ratio is the time of B over that of A: SLOWER means that B is slower. A verdict needs "
        "the\n"
        "difference beyond the margin (twice the noise floor, at least --margin), p <= 0.001 and\n"
        "q <= 0.05 over all cells; else it is SAME (equivalent within the margin) or AMBIGUOUS.\n"
        "Stored runs know the noise between sittings from --sittings alone.\n"
        "--live runs STUDY with its backend entries twice, as NAME@a and NAME@b, side by side:\n"
        "  two entries of the study   --a native_fp32 --b native_bf16\n"
        "  two settings               --set-a threads=1 --set-b threads=2\n"
        "  two builds                 --build-a build --build-b ../old/build\n"
        "A run made that way is shown again by \"inferlaw compare RUN\".",
    .scope = IL_SCOPE_COMPARE,
    .least_words = 1,
    .most_words = 2,
    .run = compare,
};
