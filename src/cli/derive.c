/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/derive.h"

#include "base/csv.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "model/suite.h"
#include "report/plots.h"
#include "report/report.h"
#include "cli/table.h"
#include "report/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, SAME_AS_ORIGINAL_STUDY = 1000 };

/* Every suite, read once: a run asks for each of its models, and reading them all takes a tenth of
 * a second. They stay until the process ends. */
static struct {
    bool read;
    il_arena arena;
    const char **names;
    il_suite *suites; /* without shapes where one cannot be read */
    size_t n;
} known;

static void read_suites(void)
{
    size_t n = 0;
    known.read = true;
    if (il_suite_list(&known.arena, &known.names, &n, NULL) != IL_OK) {
        return;
    }
    known.suites = il_arena_array(&known.arena, n + 1, sizeof *known.suites);
    for (; known.suites && known.n < n; known.n++) {
        il_suite *suite = &known.suites[known.n];
        if (il_suite_load(known.names[known.n], &known.arena, suite, NULL) != IL_OK) {
            *suite = (il_suite){0};
        }
    }
}

/* "models/gpt2-25m" is the model gpt2-25m of the suite that has one. */
bool il_derive_suites(const char *model, il_model_shape *out)
{
    const char *name = il_path_base(model);
    if (!known.read) {
        read_suites();
    }
    for (size_t i = 0; i < known.n; i++) {
        for (size_t k = 0; k < known.suites[i].n_shapes; k++) {
            const il_shape *shape = &known.suites[i].shapes[k];
            if (strcmp(shape->name, name) == 0) {
                *out = (il_model_shape){.n_layer = shape->n_layer,
                                        .d_model = shape->d_model,
                                        .n_head = shape->n_head,
                                        .d_ff = shape->d_ff,
                                        .vocab_size = shape->vocab_size,
                                        .n_positions = shape->n_positions};
                (void)snprintf(out->source, sizeof out->source, "suite %s", known.names[i]);
                return true;
            }
        }
    }
    return false;
}

int il_derive_csv_json(const char *path, json_t **out, il_error *err)
{
    il_csv_reader *csv;
    int rc = il_csv_open(path, &csv, err);
    if (rc != IL_OK) {
        return rc;
    }
    json_t *names = json_array();
    *out = json_array();
    for (;;) {
        const il_csv_field *fields;
        size_t n;
        rc = il_csv_next(csv, &fields, &n, err);
        if (rc != IL_OK || n == 0) {
            break;
        }
        bool header = json_array_size(names) == 0;
        json_t *row = header ? NULL : json_object();
        for (size_t i = 0; i < n; i++) {
            double x;
            json_t *value = fields[i].len == 0 ? json_null()
                            : !header && il_csv_to_f64(fields[i], &x)
                                ? json_real(x)
                                : json_stringn(fields[i].text, fields[i].len);
            if (header) {
                (void)json_array_append_new(names, value);
            } else {
                (void)json_object_set_new(row, json_string_value(json_array_get(names, i)), value);
            }
        }
        if (row) {
            (void)json_array_append_new(*out, row);
        }
    }
    json_decref(names);
    il_csv_free(csv);
    return rc;
}

static bool flag_set(const il_param_set *flags, il_param_id id)
{
    return il_param_has(flags, id) && il_param_flag(flags, id);
}

int il_derive_tables(const char *run_dir, const il_param_set *flags, il_analysis_summary *out,
                     il_error *err)
{
    const il_analysis_options options = {
        .include_warmup = flag_set(flags, IL_P_INCLUDE_WARMUP),
        .n_resamples = il_param_has(flags, IL_P_BOOTSTRAP)
                           ? (size_t)il_param_i64(flags, IL_P_BOOTSTRAP)
                           : SAME_AS_ORIGINAL_STUDY,
        .seed = il_param_has(flags, IL_P_SEED) ? (uint64_t)il_param_i64(flags, IL_P_SEED) : 42,
        .suites = il_derive_suites,
    };
    return il_analysis_run(run_dir, &options, out, err);
}

static int draw(il_facts *facts, il_error *err)
{
    int rc = il_plots_write(facts, err);
    if (rc == IL_E_CRASHED || rc == IL_E_TIMEOUT) {
        il_log_error(err);
        rc = IL_OK;
    }
    return rc;
}

int il_derive_plots(const char *run_dir, il_error *err)
{
    il_facts facts;
    int rc = il_facts_load(run_dir, &facts, err);
    rc = rc == IL_OK ? draw(&facts, err) : rc;
    il_facts_free(&facts);
    return rc;
}

int il_derive_report(const char *run_dir, bool plots, FILE *to, il_error *err)
{
    return il_derive_report_as(run_dir, plots, IL_REPORT_ALL, to, err);
}

int il_derive_report_as(const char *run_dir, bool plots, unsigned formats, FILE *to, il_error *err)
{
    il_facts facts;
    int rc = il_facts_load(run_dir, &facts, err);
    rc = rc == IL_OK && plots ? draw(&facts, err) : rc;
    rc = rc == IL_OK ? il_report_write_as(&facts, formats, err) : rc;
    rc = rc == IL_OK && to ? il_summary_print(&facts, to, err) : rc;
    il_facts_free(&facts);
    return rc;
}

int il_derive_print_json(const char *run_dir, const char *name, il_error *err)
{
    char path[PATH_BYTES];
    json_t *rows = NULL;
    if (il_path_join(path, sizeof path, run_dir, name) != IL_OK) {
        return il_fail(err, IL_E_RANGE, "path too long");
    }
    int rc = il_derive_csv_json(path, &rows, err);
    char *text = rc == IL_OK ? il_json_dump_pretty(rows) : NULL;
    if (text) {
        (void)puts(text);
    } else if (rc == IL_OK) {
        rc = il_fail(err, IL_E_NOMEM, "no memory for the JSON");
    }
    free(text);
    json_decref(rows);
    return rc;
}

/* Plots, reports and, with `to`, the summary. */
static int derive_all(const char *run_dir, const il_param_set *flags, bool *any_ok, FILE *to,
                      il_error *err)
{
    il_analysis_summary summary;
    int rc = il_derive_tables(run_dir, flags, &summary, err);
    *any_ok = rc == IL_OK && !flag_set(flags, IL_P_NO_ANALYSIS) && summary.n_ok > 0;
    if (!*any_ok) {
        return rc;
    }
    return il_derive_report(run_dir, flag_set(flags, IL_P_PLOTS), to, err);
}

int il_derive_run(const char *run_dir, const il_param_set *flags, il_error *err)
{
    bool json = flag_set(flags, IL_P_JSON), any_ok;
    int rc = derive_all(run_dir, flags, &any_ok, json ? NULL : stdout, err);
    if (rc == IL_OK && json && any_ok) {
        rc = il_derive_print_json(run_dir, "analysis/summary_by_model_backend_mode_agg.csv", err);
    }
    return rc;
}

int il_derive_one(const char *run_dir, const il_param_set *flags, il_error *err)
{
    bool any_ok;
    return derive_all(run_dir, flags, &any_ok, NULL, err);
}

/* decode_fraction_summary.csv for people. */
static int print_fractions(const char *sweep_dir, il_error *err)
{
    static const char *const keys[] = {"backend", "gen_tokens_target", "n_models",
                                       "decode_fraction_median"};
    static const il_column columns[] = {{"backend", "backend"},
                                        {"steps", "gen_tokens_target"},
                                        {"models", "n_models"},
                                        {"decode share", "decode_fraction_median"}};
    char path[PATH_BYTES];
    json_t *rows = NULL;
    if (il_path_join(path, sizeof path, sweep_dir, "decode_fraction_summary.csv") != IL_OK) {
        return il_fail(err, IL_E_RANGE, "path too long");
    }
    int rc = il_derive_csv_json(path, &rows, err);
    il_table t;
    il_table_init(&t, columns, 4);
    for (size_t i = 0; rc == IL_OK && i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const json_t *name = json_object_get(row, keys[0]);
        il_table_text(&t, json_string_value(name));
        for (size_t k = 1; k < 4; k++) {
            const json_t *value = json_object_get(row, keys[k]);
            il_table_real(&t, json_is_number(value) ? json_number_value(value) : (double)NAN,
                          k == 3 ? 3 : 0);
        }
    }
    rc = rc == IL_OK ? il_table_print(&t, false, stdout, err) : rc;
    il_table_free(&t);
    json_decref(rows);
    return rc;
}

int il_derive_sweep(const char *sweep_dir, const il_param_set *flags, il_error *err)
{
    int rc = il_analysis_combine_sweep(sweep_dir, err);
    if (rc == IL_OK && flag_set(flags, IL_P_PLOTS)) {
        rc = il_plots_write_sweep(sweep_dir, err);
    }
    if (rc != IL_OK) {
        return rc;
    }
    if (flag_set(flags, IL_P_JSON)) {
        return il_derive_print_json(sweep_dir, "decode_fraction_summary.csv", err);
    }
    rc = print_fractions(sweep_dir, err);
    il_log(IL_LOG_INFO,
           "combined: decode_sweep_summary.csv, decode_fraction_by_model.csv, "
           "decode_fraction_summary.csv, plots/ in %s; each run there has its report.md and "
           "report.html",
           sweep_dir);
    return rc;
}
