/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/summary.h"

#include "base/buf.h"
#include "base/file.h"
#include "report/facts.h"
#include "report/findings.h"
#include "report/names.h"
#include "report/words.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MOST_COLUMNS = 98,
    MOST_TABLE_ROWS = 40,
    NAMES_COLUMNS = 32,
    MOST_FINDINGS = 8,
    MOST_CANNOT = 8
};

static void put_padded(il_buf *to, const char *clean, size_t width, bool right)
{
    size_t n = il_words_width(clean), pad = n < width ? width - n : 0;
    if (!right) {
        (void)il_buf_puts(to, clean);
    }
    (void)il_buf_printf(to, "%*s", (int)pad, "");
    if (right) {
        (void)il_buf_puts(to, clean);
    }
}

static void put_heading(il_buf *to, const char *text, bool bold)
{
    (void)il_buf_printf(to, bold ? "\n\033[1m%s\033[0m\n" : "\n%s\n", text);
}

/* Wraps clean text at blanks; the first line begins with lead, the others with as many blanks. */
static void put_wrapped(il_buf *to, const char *lead, const char *text)
{
    char clean[4096];
    il_words_clean(clean, sizeof clean, text, 1000);
    size_t indent = il_words_width(lead), column = indent;
    (void)il_buf_puts(to, lead);
    for (const char *p = clean; *p;) {
        size_t n = strcspn(p, " ");
        char word[4096];
        memcpy(word, p, n);
        word[n] = '\0';
        size_t width = il_words_width(word);
        if (column + width + (column > indent) > MOST_COLUMNS && column > indent) {
            (void)il_buf_printf(to, "\n%*s", (int)indent, "");
            column = indent;
        }
        if (column > indent) {
            (void)il_buf_puts(to, " ");
            column++;
        }
        (void)il_buf_puts(to, word);
        column += width;
        p += n;
        p += strspn(p, " ");
    }
    (void)il_buf_puts(to, "\n");
}

/* Columns for the backend and for the model, blanks between them and before the next one in it: the
 * backend takes what its widest name needs, the model the rest. */
typedef struct widths {
    size_t backend, model;
} widths;

static widths widths_of(const il_facts *f)
{
    size_t most = sizeof "backend" - 1;
    for (size_t i = 0; i < f->medians.n_rows; i++) {
        char text[96];
        il_words_clean(text, sizeof text, f->medians.rows[i].backend, 14);
        most = il_words_width(text) > most ? il_words_width(text) : most;
    }
    return (widths){.backend = most + 1, .model = NAMES_COLUMNS - most - 1};
}

static void put_row(il_buf *to, const il_facts *f, const il_cell_median *e, widths w)
{
    const il_medians *all = &f->medians;
    const il_cell_median *p =
        il_medians_find(all, e->backend, e->model, e->scenario, "prefill", e->batch_size);
    const il_cell_median *d =
        il_medians_find(all, e->backend, e->model, e->scenario, "kv_decode", e->batch_size);
    double step[3];
    il_median_per_step(d, step);
    char text[96];
    il_words_clean(text, sizeof text, e->backend, 14);
    put_padded(to, text, w.backend, false);
    il_words_clean(text, sizeof text, il_facts_model_name(f, e->model), w.model - 1);
    put_padded(to, text, w.model, false);
    il_words_plain(text, sizeof text, e->params_millions);
    put_padded(to, text, 9, true);
    il_words_number(text, sizeof text, p ? p->median_ms : NAN, p ? p->low_ms : NAN,
                    p ? p->high_ms : NAN);
    put_padded(to, text, 11, true);
    il_words_interval(text, sizeof text, step[0], step[1], step[2]);
    put_padded(to, text, 29, true);
    double rate = 1000.0 * (double)e->batch_size;
    il_words_number(text, sizeof text, rate / step[0], rate / step[2], rate / step[1]);
    put_padded(to, text, 9, true);
    bool whole = strcmp(e->mode, "e2e_kv") == 0;
    il_words_number(text, sizeof text, whole ? e->median_ms : NAN, whole ? e->low_ms : NAN,
                    whole ? e->high_ms : NAN);
    put_padded(to, text, 8, true);
    (void)il_buf_puts(to, "\n");
}

static void put_table(il_buf *to, const il_facts *f, bool bold)
{
    widths w = widths_of(f);
    const struct {
        const char *name;
        size_t width;
        bool right;
    } columns[] = {{"backend", w.backend, false},
                   {"model", w.model, false},
                   {"params M", 9, true},
                   {"prefill ms", 11, true},
                   {"decode ms/step (95 %)", 29, true},
                   {"tokens/s", 9, true},
                   {"e2e ms", 8, true}};
    (void)il_buf_puts(to, bold ? "\033[1m" : "");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        put_padded(to, columns[i].name, columns[i].width, columns[i].right);
    }
    (void)il_buf_puts(to, bold ? "\033[0m\n" : "\n");
    size_t n = 0;
    for (size_t i = 0; i < f->medians.n_rows; i++) {
        if (il_medians_leads(&f->medians, i) && n++ < MOST_TABLE_ROWS) {
            put_row(to, f, &f->medians.rows[i], w);
        }
    }
    if (n > MOST_TABLE_ROWS) {
        (void)il_buf_printf(to, "… and %zu more rows in the report\n", n - MOST_TABLE_ROWS);
    }
    if (n == 0) {
        (void)il_buf_puts(to, "no measured row is ok\n");
    }
    char tail[96];
    il_words_clean(tail, sizeof tail, il_facts_shared_tail(f), 60);
    if (tail[0]) {
        (void)il_buf_printf(to, "names:  every model's name ends in %s, left out here\n", tail);
    }
}

/* The smallest effect that gets a verdict, by the worst of the A/A cells. */
static void put_noise(il_buf *to, const il_facts *f)
{
    const il_artifact *t = &f->noise;
    size_t worst = SIZE_MAX;
    double mde = -1;
    for (size_t i = 0; i < t->n_rows; i++) {
        double one = il_artifact_number(t, i, "mde_percent");
        if (one > mde) {
            mde = one;
            worst = i;
        }
    }
    if (worst != SIZE_MAX) {
        char mode[64], backend[64];
        il_words_clean(mode, sizeof mode, il_artifact_text(t, worst, "mode"), 24);
        il_words_clean(backend, sizeof backend, il_artifact_text(t, worst, "backend"), 24);
        (void)il_buf_printf(to,
                            "noise:  differences below %.*f %% get no verdict (A/A arms; the worst "
                            "is %s of %s)\n",
                            mde < 9.95 ? 1 : 0, mde, mode, backend);
    }
}

/* Sentence, verdict and the file that holds the evidence; the report names its row. */
static void put_findings(il_buf *to, const il_finding *items, size_t n, size_t most,
                         const char *none)
{
    for (size_t i = 0; i < n && i < most; i++) {
        char text[4096];
        (void)snprintf(text, sizeof text, "%s [%s, %.*s]", items[i].sentence, items[i].verdict,
                       (int)strcspn(items[i].evidence, ":"), items[i].evidence);
        put_wrapped(to, "  - ", text);
    }
    if (n > most) {
        (void)il_buf_printf(to, "  … and %zu more in the report\n", n - most);
    }
    if (n == 0) {
        (void)il_buf_printf(to, "  %s\n", none);
    }
}

/* The step that would teach most: what is missing first, then blocks, then another question. */
static void put_next(il_buf *to, const il_facts *f)
{
    const il_medians *m = &f->medians;
    const char *study = il_facts_text(f, NULL, "config_path");
    char path[200];
    il_words_clean(path, sizeof path, study, 48);
    bool named = path[0] && strcmp(path, study) == 0 && !path[strcspn(path, " '\"\\$`&|;<>()*?")] &&
                 strlen(f->run_dir) < 48;
    (void)il_buf_puts(to, "next:   ");
    if (m->n_ok == 0) {
        (void)il_buf_puts(to, "inferlaw doctor");
    } else if (m->n_not_run > 0 && f->manifest) {
        (void)il_buf_printf(to, "inferlaw run %s --resume --out-dir %s", named ? path : "STUDY",
                            named ? f->run_dir : "RUN");
    } else if (!m->by_block && !study[0]) {
        (void)il_buf_puts(to, "run the benchmark a few times more and import all files: each is a "
                              "block, and intervals widen to what is true");
    } else if (!m->by_block || m->n_blocks < 6) {
        (void)il_buf_puts(to, "inferlaw run configs/first_study.yaml   (ten blocks: intervals, a "
                              "noise floor)");
    } else if (m->prompt_tok_most <= 64.0) {
        (void)il_buf_puts(to,
                          "inferlaw bench -m MODEL -p 128,512,2048   (prompts as long as people "
                          "send)");
    } else {
        (void)il_buf_puts(to,
                          "inferlaw sweep configs/decode_sweep.yaml   (how decode length shares a "
                          "call)");
    }
    (void)il_buf_puts(to, "\n");
}

/* Where the report lies, the page for a browser first. */
static void put_reports(il_buf *to, const char *run_dir)
{
    static const char *const files[] = {"report.html", "report.md"};
    const char *lead = "\nreport: ";
    for (size_t i = 0; i < 2; i++) {
        char path[4096];
        if (il_path_join(path, sizeof path, run_dir, files[i]) == IL_OK && il_path_is_file(path)) {
            (void)il_buf_printf(to, "%s%s\n", lead, path);
            lead = "        ";
        }
    }
}

int il_summary_print(il_facts *facts, FILE *to, il_error *err)
{
    il_findings found;
    il_buf text;
    il_buf_init(&text, 16 << 20);
    int rc = il_findings_make(facts, &found, err);
    if (rc != IL_OK) {
        goto out;
    }
    bool bold = isatty(fileno(to)) == 1 && !getenv("NO_COLOR");
    put_table(&text, facts, bold);
    put_noise(&text, facts);
    put_heading(&text, "Findings", bold);
    put_findings(&text, found.items, found.n_items, MOST_FINDINGS,
                 "none: no law was judged and no difference exceeds the noise floor");
    put_heading(&text, "What this run cannot tell", bold);
    put_findings(&text, found.cannot, found.n_cannot, MOST_CANNOT, "nothing that it knows of");
    put_reports(&text, facts->run_dir);
    put_next(&text, facts);
    rc = text.status != IL_OK ? il_fail(err, text.status, "cannot hold the summary") : IL_OK;
    if (rc == IL_OK && (fputs(il_buf_text(&text), to) == EOF || fflush(to) != 0)) {
        rc = il_fail_errno(err, errno, "cannot print the summary");
    }
out:
    il_buf_free(&text);
    return rc;
}
