/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/findings.h"
#include "report/names.h"
#include "report/report_internal.h"
#include "report/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Tables in a report stay readable: the rest is in the file, and the report says so. */
enum { MOST_ROWS = 60 };

static void put_more(il_buf *to, size_t n_rows, const char *file)
{
    if (n_rows > MOST_ROWS) {
        (void)il_buf_printf(to, "\n%zu further rows are in `analysis/%s`.\n", n_rows - MOST_ROWS,
                            file);
    }
    (void)il_buf_puts(to, "\n");
}

static void put_absent(il_buf *to, const char *what, const char *file)
{
    (void)il_buf_printf(to, "%s (`analysis/%s` is not there).\n\n", what, file);
}

static void put_percent(il_buf *to, double percent)
{
    if (isfinite(percent)) {
        (void)il_buf_printf(to, " %.*f %% |", fabs(percent) < 9.95 ? 1 : 0, percent);
    } else {
        (void)il_buf_puts(to, " - |");
    }
}

void il__report_noise(il_buf *to, const il_facts *f)
{
    const il_artifact *t = &f->noise;
    (void)il_buf_puts(to, "## Noise floor\n\n");
    if (t->n_rows == 0) {
        put_absent(to, "Not measured: no A/A arms ran, so no difference gets a verdict",
                   "noise_floor.csv");
        return;
    }
    (void)il_buf_puts(to,
                      "Two arms of the same cell, in separate fresh processes, should give a ratio "
                      "of 1. Twice the half-width of that ratio's interval is the smallest effect "
                      "this run calls. Closure is an unsplit call over prefill + decode: what the "
                      "stamps cost.\n\n"
                      "| backend | mode | cell | blocks | A/A ratio | smallest effect | closure "
                      "| drift per hour |\n|---|---|---|--:|--:|--:|--:|--:|\n");
    for (size_t i = 0; i < t->n_rows && i < MOST_ROWS; i++) {
        (void)il_buf_puts(to, "|");
        il__md_cell(to, il_artifact_text(t, i, "backend"));
        il__md_cell(to, il_artifact_text(t, i, "mode"));
        il__md_cell(to, il_artifact_text(t, i, "cell"));
        il__md_cell(to, il_artifact_text(t, i, "n_blocks"));
        il__md_number(to, il_artifact_number(t, i, "aa_ratio"), il_artifact_number(t, i, "ci_low"),
                      il_artifact_number(t, i, "ci_high"));
        double mde = il_artifact_number(t, i, "mde_percent");
        double closure = il_artifact_number(t, i, "closure");
        double drift = il_artifact_number(t, i, "drift_percent_per_hour");
        put_percent(to, mde);
        double low = il_artifact_number(t, i, "closure_ci_low");
        if (isfinite(closure) && isfinite(low)) {
            il__md_number(to, closure, low, il_artifact_number(t, i, "closure_ci_high"));
        } else {
            (void)(isfinite(closure) ? il_buf_printf(to, " %.3f |", closure)
                                     : il_buf_puts(to, " - |"));
        }
        put_percent(to, il__drift_told(t, i) ? drift : NAN);
        (void)il_buf_puts(to, "\n");
    }
    put_more(to, t->n_rows, "noise_floor.csv");
}

/* Slope of the law with the left-out model that moves it most. */
static void put_left_out(il_buf *to, const il_facts *f, size_t law)
{
    const il_artifact *a = &f->laws, *t = &f->leave_one_out;
    static const char *const keys[] = {"backend", "batch_size", "mode", "x", "form", "term"};
    double all = il_artifact_number(a, law, "estimate"), worst = NAN;
    size_t row = SIZE_MAX;
    for (size_t i = 0; i < t->n_rows; i++) {
        bool same = true;
        for (size_t k = 0; same && k < sizeof keys / sizeof *keys; k++) {
            same = strcmp(il_artifact_text(t, i, keys[k]), il_artifact_text(a, law, keys[k])) == 0;
        }
        double e = il_artifact_number(t, i, "estimate");
        if (same && isfinite(e) && !(fabs(e - all) <= fabs(worst - all))) {
            worst = e;
            row = i;
        }
    }
    if (row == SIZE_MAX) {
        (void)il_buf_puts(to, " - |");
        return;
    }
    (void)il_buf_printf(to, " %.3f without ", worst);
    il_words_markdown(to, il_facts_model_name(f, il_artifact_text(t, row, "left_out")));
    (void)il_buf_puts(to, il_artifact_flag(t, row, "decisive") ? " (decisive) |" : " |");
}

void il__report_laws(il_buf *to, const il_facts *f)
{
    const il_artifact *t = &f->laws;
    (void)il_buf_puts(to, "## Laws, with each model left out\n\n");
    if (t->n_rows == 0) {
        put_absent(to, "No law was judged", "laws.csv");
        return;
    }
    (void)il_buf_puts(to,
                      "Time as a power of x. A model is decisive when without it the exponent "
                      "changes by more than half, changes sign, or its interval takes in 0: then "
                      "the law is not identifiable. The error is of models that the fit has not "
                      "seen.\n\n"
                      "| backend | batch | mode | x | models | exponent (95 % interval) "
                      "| farthest leave-one-out | held-out error | verdict | because |\n"
                      "|---|--:|---|---|--:|--:|---|--:|---|---|\n");
    size_t n = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (strcmp(il_artifact_text(t, i, "term"), "slope") != 0 || n++ >= MOST_ROWS) {
            continue;
        }
        (void)il_buf_puts(to, "|");
        il__md_cell(to, il_artifact_text(t, i, "backend"));
        il__md_cell(to, il_artifact_text(t, i, "batch_size"));
        il__md_cell(to, il_artifact_text(t, i, "mode"));
        il__md_cell(to, il_findings_x_words(il_artifact_text(t, i, "x")));
        il__md_cell(to, il_artifact_text(t, i, "n_models"));
        bool quotable = il_findings_quotable(il_artifact_text(t, i, "ci_method"));
        il__md_number(to, il_artifact_number(t, i, "estimate"),
                      quotable ? il_artifact_number(t, i, "ci_low") : NAN,
                      quotable ? il_artifact_number(t, i, "ci_high") : NAN);
        put_left_out(to, f, i);
        double error = il_artifact_number(t, i, "loo_mape") * 100.0;
        put_percent(to, error);
        il__md_cell(to, il_artifact_text(t, i, "verdict"));
        char because[1024];
        il_words_sentence(because, sizeof because, il_artifact_text(t, i, "because"), 240);
        (void)il_buf_puts(to, " ");
        il_words_markdown(to, because);
        (void)il_buf_puts(to, " |");
        (void)il_buf_puts(to, "\n");
    }
    put_more(to, n, "laws.csv");
    (void)il_buf_puts(
        to, "The plots `analysis/plots/scaling_*.png` (and .svg) show each fit; grey lines "
            "leave one model out. `analysis/scaling_fits.csv` keeps the percentile "
            "bootstrap of the original study for comparison; it covers too little at "
            "this many models and no sentence here uses it.\n\n");
}

void il__report_tails(il_buf *to, const il_facts *f)
{
    const il_artifact *t = &f->tails;
    (void)il_buf_puts(to, "## Tails\n\n");
    size_t n_known = 0, n_rows = 0;
    double n_calls = 0.0;
    for (size_t i = 0; i < t->n_rows; i++) {
        if (il_artifact_number(t, i, "quantile") > 0.5) {
            n_rows++;
            n_known += isfinite(il_artifact_number(t, i, "estimate_ms")) &&
                       isfinite(il_artifact_number(t, i, "ci_low"));
            n_calls = fmax(n_calls, il_artifact_number(t, i, "n"));
        }
    }
    if (n_rows == 0) {
        put_absent(to, "No quantile beyond the median was judged", "tails.csv");
        return;
    }
    (void)il_buf_printf(to,
                        "A two-sided exact interval needs 36 calls for p90, 72 for p95, 368 for "
                        "p99. Cells here have up to %.0f; %zu of %zu quantiles can be told.\n\n",
                        n_calls, n_known, n_rows);
    if (n_known == 0) {
        return;
    }
    (void)il_buf_puts(to, "| backend | model | scenario | mode | quantile | calls | ms |\n"
                          "|---|---|---|---|--:|--:|--:|\n");
    size_t n = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        double low = il_artifact_number(t, i, "ci_low"), high = il_artifact_number(t, i, "ci_high");
        if (!(il_artifact_number(t, i, "quantile") > 0.5) || !isfinite(low) || n++ >= MOST_ROWS) {
            continue;
        }
        (void)il_buf_puts(to, "|");
        il__md_cell(to, il_artifact_text(t, i, "backend"));
        il__md_cell(to, il_facts_model_name(f, il_artifact_text(t, i, "model")));
        il__md_cell(to, il_artifact_text(t, i, "scenario"));
        il__md_cell(to, il_artifact_text(t, i, "mode"));
        il__md_cell(to, il_artifact_text(t, i, "quantile"));
        il__md_cell(to, il_artifact_text(t, i, "n"));
        il__md_number(to, il_artifact_number(t, i, "estimate_ms"), low, high);
        (void)il_buf_puts(to, "\n");
    }
    put_more(to, n, "tails.csv");
}

/* ---- machine ---- */

static void put_json_value(il_buf *to, const char *key, const json_t *value)
{
    char text[512];
    if (json_is_string(value)) {
        il_words_clean(text, sizeof text, json_string_value(value), 100);
    } else if (json_is_boolean(value)) {
        (void)snprintf(text, sizeof text, "%s", json_is_true(value) ? "yes" : "no");
    } else if (json_is_integer(value)) {
        json_int_t n = json_integer_value(value);
        const char *end = strstr(key, "_bytes");
        (void)snprintf(text, sizeof text, "%lld", (long long)n);
        if (end && n >= 1 << 30) {
            (void)snprintf(text, sizeof text, "%.1f GiB", (double)n / 1073741824.0);
        } else if (end && n >= 1 << 20) {
            (void)snprintf(text, sizeof text, "%.1f MiB", (double)n / 1048576.0);
        }
    } else {
        il_words_plain(text, sizeof text, json_real_value(value));
    }
    il_words_markdown(to, text);
}

/* Least and largest of an array of numbers (a ceiling has one a block). */
static void put_json_range(il_buf *to, const json_t *list)
{
    double low = INFINITY, high = -INFINITY;
    size_t i, n = 0;
    json_t *item;
    json_array_foreach((json_t *)list, i, item)
    {
        if (json_is_number(item)) {
            low = fmin(low, json_number_value(item));
            high = fmax(high, json_number_value(item));
            n++;
        }
    }
    char a[32], b[32];
    il_words_plain(a, sizeof a, low);
    il_words_plain(b, sizeof b, high);
    (void)il_buf_printf(to, "%s to %s (%zu values)", a, b, n);
}

/* Rows "| key | value |" of every scalar and every array of numbers below value. */
static void put_json_rows(il_buf *to, const char *prefix, const json_t *value, int depth)
{
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)value, key, item)
    {
        char name[192];
        (void)snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] ? ", " : "", key);
        for (char *p = name; *p; p++) {
            *p = *p == '_' ? ' ' : *p;
        }
        if (json_is_object(item) && depth < 4) {
            put_json_rows(to, name, item, depth + 1);
        } else if (json_is_array(item) && json_is_number(json_array_get(item, 0))) {
            (void)il_buf_puts(to, "|");
            il__md_cell(to, name);
            (void)il_buf_puts(to, " ");
            put_json_range(to, item);
            (void)il_buf_puts(to, " |\n");
        } else if (!json_is_null(item) && !json_is_object(item) && !json_is_array(item)) {
            (void)il_buf_puts(to, "|");
            il__md_cell(to, name);
            (void)il_buf_puts(to, " ");
            put_json_value(to, key, item);
            (void)il_buf_puts(to, " |\n");
        }
    }
}

/* Of each runtime what may change a number; the rest is in the manifest. */
static void put_runtimes(il_buf *to, const json_t *runtimes)
{
    static const char *const keys[] = {"runtime", "runtime_version", "version",
                                       "isa",     "threads",         "dtype",
                                       "device",  "logits",          "huge_pages"};
    const char *name;
    json_t *runtime;
    json_object_foreach((json_t *)runtimes, name, runtime)
    {
        (void)il_buf_puts(to, "| runtime of ");
        il_words_markdown(to, name);
        (void)il_buf_puts(to, " |");
        if (json_is_string(runtime)) {
            (void)il_buf_puts(to, " ");
            put_json_value(to, "", runtime);
        }
        const char *comma = " ";
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            const json_t *value = json_object_get(runtime, keys[i]);
            value = value ? value : json_object_get(json_object_get(runtime, "worker"), keys[i]);
            if (json_is_string(value) || json_is_integer(value)) {
                (void)il_buf_printf(to, "%s%s ", comma, keys[i]);
                put_json_value(to, keys[i], value);
                comma = ", ";
            }
        }
        (void)il_buf_puts(to, " |\n");
    }
}

/* machine.spoilers: [{what, fix, serious}] or [text]. */
static void put_spoilers(il_buf *to, const json_t *list)
{
    size_t i;
    json_t *item;
    if (json_array_size(list) > 0) {
        (void)il_buf_puts(to, "\nWhat of this machine spoils a measurement:\n\n");
    }
    json_array_foreach(list, i, item)
    {
        const char *what = json_is_string(item) ? json_string_value(item)
                                                : json_string_value(json_object_get(item, "what"));
        const char *fix = json_string_value(json_object_get(item, "fix"));
        if (what) {
            (void)il_buf_puts(to, "- ");
            il_words_markdown(to, what);
            if (fix && fix[0]) {
                (void)il_buf_puts(to, ". To mend it: ");
                il_words_markdown(to, fix);
            }
            (void)il_buf_puts(to, "\n");
        }
    }
}

void il__report_machine(il_buf *to, const il_facts *f)
{
    (void)il_buf_puts(to, "## Machine\n\n");
    const json_t *machine = json_object_get(f->manifest, "machine");
    if (!json_is_object(machine)) {
        (void)il_buf_puts(to, "Not recorded.\n\n");
        return;
    }
    (void)il_buf_puts(to, "| what | value |\n|---|---|\n");
    put_json_rows(to, "", machine, 0);
    const json_t *ceilings = json_object_get(f->manifest, "ceilings");
    put_json_rows(to, "ceiling", ceilings, 0);
    put_runtimes(to, json_object_get(f->manifest, "runtimes"));
    put_spoilers(to, json_object_get(f->manifest, "spoilers"));
    put_spoilers(to, json_object_get(machine, "spoilers"));
    (void)il_buf_puts(to, "\n");
}

void il__report_method(il_buf *to, const il_facts *f)
{
    const il_medians *m = &f->medians;
    (void)il_buf_puts(to, "## Method\n\n");
    if (m->by_block) {
        (void)il_buf_printf(to,
                            "1. %zu blocks: each is a pass over all cells in random order; the "
                            "block is the unit of replication.\n",
                            m->n_blocks);
    } else {
        (void)il_buf_puts(to, "1. One block: the calls of a cell are the replicates.\n");
    }
    (void)il_buf_printf(to, "2. %zu warm-up rows stay out; %zu rows are measured.\n", m->n_warmup,
                        m->n_measured);
    (void)il_buf_puts(
        to,
        "3. Prefill is one forward pass over the prompt; decode is single-token steps on its "
        "cache; "
        "decode times divide by the steps that ran.\n"
        "4. A cell's time is the median over replicates; its interval is exact, from order "
        "statistics, at 95 % or more.\n"
        "5. Over several scenarios: the geometric mean within each replicate, then the median.\n"
        "6. A law is least squares of log time on log x over models; its interval is by resampling "
        "models and blocks, widened until it covers (ci_method nested_bootstrap), or Student's t.\n"
        "7. Every law is fitted again without each model; a law with a decisive model, or with "
        "fewer "
        "than its coefficients + 3 models, is not identifiable.\n"
        "8. Two arms of the same cell give the noise floor; smaller effects get no verdict.\n"
        "9. Rows with a warning flag stay in; rows that failed, were skipped or are wrong do not.\n"
        "10. Every number above is in the artifact that its evidence names.\n\n");
}

static void put_time(il_buf *to, const char *label, double unix_s)
{
    time_t at = isfinite(unix_s) && unix_s > 0.0 && unix_s < 4e10 ? (time_t)unix_s : 0;
    struct tm utc;
    char text[64];
    if (at > 0 && gmtime_r(&at, &utc) &&
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc)) {
        (void)il_buf_printf(to, "- %s: %s\n", label, text);
    }
}

static void put_fact(il_buf *to, const char *label, const char *text)
{
    if (text[0]) {
        (void)il_buf_printf(to, "- %s: ", label);
        il_words_markdown(to, text);
        (void)il_buf_puts(to, "\n");
    }
}

void il__report_reproduce(il_buf *to, const il_facts *f)
{
    (void)il_buf_puts(to, "## How to reproduce\n\n");
    const json_t *argv = json_object_get(f->manifest, "argv");
    if (json_array_size(argv) > 0) {
        (void)il_buf_puts(to, "    ");
        size_t i;
        json_t *word;
        json_array_foreach(argv, i, word)
        {
            char
                clean[1024]; /* an indented block shows text literally; one line is all it may be */
            il_words_clean(clean, sizeof clean,
                           json_is_string(word) ? json_string_value(word) : "?", 200);
            bool plain = clean[0] && !clean[strcspn(clean, " \t'\"\\$`&|;<>()*?[]#~!{}")];
            (void)il_buf_puts(to, i ? " " : "");
            if (plain) {
                (void)il_buf_puts(to, clean);
                continue;
            }
            (void)il_buf_puts(to, "'");
            for (const char *p = clean; *p; p++) {
                (void)(*p == '\'' ? il_buf_puts(to, "'\\''") : il_buf_append(to, p, 1));
            }
            (void)il_buf_puts(to, "'");
        }
        (void)il_buf_puts(to, "\n\n");
    }
    put_fact(to, "study file", il_facts_text(f, NULL, "config_path"));
    put_fact(to, "hash of the study", il_facts_text(f, NULL, "config_sha256"));
    put_fact(to, "hash of the program's source", il_facts_text(f, NULL, "source_hash"));
    put_fact(to, "version", il_facts_text(f, NULL, "version"));
    double seed = il_facts_number(f, NULL, "seed");
    if (isfinite(seed)) {
        (void)il_buf_printf(to, "- seed: %.0f\n", seed);
    }
    put_time(to, "started", il_facts_number(f, NULL, "started_at_unix"));
    put_time(to, "finished", il_facts_number(f, NULL, "finished_at_unix"));
    if (!f->manifest) {
        (void)il_buf_puts(to, "The run has no manifest.\n");
    }
    (void)il_buf_puts(to, "- the tables again from the journal: `inferlaw analyze`, then `inferlaw "
                          "report`, on this directory\n");
}
