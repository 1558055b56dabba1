/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Copies of the fixture for tests that write into a run directory or change its tables.
 */
#ifndef IL_TESTS_REPORT_RUN_DIR_H
#define IL_TESTS_REPORT_RUN_DIR_H

#include "check.h"

#include "base/buf.h"
#include "base/file.h"
#include "report/facts.h"

#include <dirent.h>
#include <sys/stat.h>

#define FIXTURE_DIR IL_TEST_SOURCE_DIR "/tests/report/fixture"

static const char *const fixture_tables[] = {
    "manifest.json",
    "analysis/medians.csv",
    "analysis/outcomes.csv",
    "analysis/summary_by_model_backend_mode.csv",
    "analysis/summary_by_model_backend_mode_agg.csv",
    "analysis/scaling_fits.csv",
    "analysis/laws.csv",
    "analysis/leave_one_out.csv",
    "analysis/law_points.csv",
    "analysis/law_curves.csv",
    "analysis/shape_costs.csv",
    "analysis/noise_floor.csv",
    "analysis/blocks.csv",
    "analysis/sampling.csv",
    "analysis/tails.csv",
    "analysis/steps.csv",
    "analysis/steady.csv",
    "analysis/regimes.csv",
    "analysis/crossovers.csv",
    "analysis/first_limit.csv",
    "analysis/rankings.csv",
    "analysis/efficiency.csv",
    "analysis/claims.csv",
    "analysis/cold_start.csv",
    "analysis/parity.csv",
    "analysis/ollama_early_stop_summary.csv",
};
enum { N_FIXTURE_TABLES = sizeof fixture_tables / sizeof *fixture_tables };

typedef struct swap {
    const char *from, *to; /* to as CSV text, quoted where it must be */
} swap;

/* Only rows that hold `keep` stay (NULL: all); then the swaps are made. */
static inline void fixture_file(const char *dir, const char *file, const char *keep,
                                const swap *swaps, size_t n_swaps)
{
    char path[1024];
    il_error err = {0};
    il_buf in, out;
    il_buf_init(&in, 16 << 20);
    il_buf_init(&out, 64 << 20);
    (void)snprintf(path, sizeof path, "%s/run/%s", FIXTURE_DIR, file);
    check_ok(il_file_read(path, &in, &err), &err);
    bool csv = strstr(file, ".csv") != NULL, first = true;
    for (const char *line = il_buf_text(&in); *line; first = false) {
        size_t n = strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n');
        char *row = strndup(line, n);
        assert_non_null(row);
        line += n;
        if (csv && !first && keep && !strstr(row, keep)) {
            free(row);
            continue;
        }
        for (const char *p = row; *p;) {
            size_t k = 0;
            while (k < n_swaps && (strncmp(p, swaps[k].from, strlen(swaps[k].from)) != 0)) {
                k++;
            }
            if (k < n_swaps) {
                (void)il_buf_puts(&out, swaps[k].to);
                p += strlen(swaps[k].from);
            } else {
                (void)il_buf_append(&out, p++, 1);
            }
        }
        free(row);
    }
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    check_ok(il_file_write_atomic(path, il_buf_text(&out), out.len, &err), &err);
    il_buf_free(&in);
    il_buf_free(&out);
}

/* A fresh run directory; the text lives until the next call. */
static inline const char *fixture_run(const char *keep, const swap *swaps, size_t n_swaps)
{
    static char dir[700];
    (void)snprintf(dir, sizeof dir, "%s/run", check_scratch_dir("report"));
    char analysis[800];
    (void)snprintf(analysis, sizeof analysis, "%s/analysis", dir);
    il_error err = {0};
    check_ok(il_dir_make(analysis, &err), &err);
    for (size_t i = 0; i < N_FIXTURE_TABLES; i++) {
        bool counted = strstr(fixture_tables[i], "early_stop") ||
                       strstr(fixture_tables[i], "outcomes") || strstr(fixture_tables[i], "json");
        bool csv = strstr(fixture_tables[i], ".csv") != NULL;
        fixture_file(dir, fixture_tables[i], counted ? NULL : keep, swaps, csv ? n_swaps : 0);
    }
    return dir;
}

/* Calls il_report_write or il_plots_write on a run directory. */
static inline int with_facts(const char *dir, int (*write)(il_facts *, il_error *), il_error *err)
{
    il_facts facts;
    int rc = il_facts_load(dir, &facts, err);
    rc = rc == IL_OK ? write(&facts, err) : rc;
    il_facts_free(&facts);
    return rc;
}

static inline void file_text(const char *dir, const char *file, il_buf *out)
{
    char path[1024];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    il_buf_init(out, 64 << 20);
    check_ok(il_file_read(path, out, &err), &err);
}

static inline bool gnuplot_is_here(void)
{
    return system("command -v gnuplot >/dev/null 2>&1") == 0;
}

#endif
