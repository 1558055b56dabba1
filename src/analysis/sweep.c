/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The combined tables of a sweep over decode lengths, from the tables of its runs.
 */
#include "analysis/analysis.h"
#include "analysis/tables.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "stats/order.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

/* One model of the aggregate table: its two medians meet here. */
typedef struct fraction {
    int64_t gen_tokens;
    char *backend, *backend_kind, *batch_size, *model, *model_kind, *params; /* owned */
    double decode_ms, e2e_ms;
} fraction;

typedef struct sweep {
    const char *dir;
    il_csv_writer summary;
    bool has_header;
    fraction *items;
    size_t n, cap;
    size_t n_runs;
} sweep;

static bool field_is(il_csv_field field, const char *text)
{
    return field.len == strlen(text) && memcmp(field.text, text, field.len) == 0;
}

/* Positions of the named columns; IL_E_DAMAGED names the one that is missing. */
static int find_columns(il_csv_reader *csv, const il_csv_field *header, size_t n,
                        const char *const *names, size_t n_names, size_t *out, il_error *err)
{
    for (size_t k = 0; k < n_names; k++) {
        size_t i = 0;
        while (i < n && !field_is(header[i], names[k])) {
            i++;
        }
        if (i == n) {
            int rc = il_fail(err, IL_E_DAMAGED, "column \"%s\" is missing", names[k]);
            il_error_where(err, "%s:1", il_csv_path(csv));
            return rc;
        }
        out[k] = i;
    }
    return IL_OK;
}

static void copy_row(il_csv_writer *out, const char *first, const il_csv_field *fields, size_t n)
{
    il_csv_text(out, first);
    for (size_t i = 0; i < n; i++) {
        double x;
        il_csv_field field = il_csv_unprefix(fields[i]);
        if (il_csv_to_f64(field, &x)) {
            il_csv_f64(out, x);
        } else {
            il_csv_text_n(out, field.text, field.len);
        }
    }
    il_csv_end_row(out);
}

/* The aggregate fits of one run go to the summary with the length before them. */
static int add_fits(sweep *s, const char *path, int64_t gen_tokens, il_error *err)
{
    static const char *const names[] = {"scenario"};
    size_t scenario;
    char length[24];
    (void)snprintf(length, sizeof length, "%lld", (long long)gen_tokens);
    il_csv_reader *csv;
    const il_csv_field *fields;
    size_t n;
    int rc = il_csv_open(path, &csv, err);
    rc = rc ? rc : il_csv_next(csv, &fields, &n, err);
    rc = rc ? rc : find_columns(csv, fields, n, names, 1, &scenario, err);
    if (rc == IL_OK && !s->has_header) {
        copy_row(&s->summary, "gen_tokens_target", fields, n);
        s->has_header = true;
    }
    while (rc == IL_OK) {
        rc = il_csv_next(csv, &fields, &n, err);
        if (rc != IL_OK || n == 0) {
            break;
        }
        if (n > scenario && field_is(fields[scenario], "__all__")) {
            copy_row(&s->summary, length, fields, n);
        }
    }
    il_csv_free(csv);
    return rc;
}

static char *take(il_csv_field field)
{
    field = il_csv_unprefix(field);
    return strndup(field.text, field.len);
}

static void fraction_free(fraction *f)
{
    free(f->backend);
    free(f->backend_kind);
    free(f->batch_size);
    free(f->model);
    free(f->model_kind);
    free(f->params);
}

enum { BACKEND, KIND, BATCH, MODEL, MODEL_KIND, PARAMS, MODE, LATENCY, N_NAMES };

static bool same_model(const fraction *a, const fraction *b)
{
    return a->gen_tokens == b->gen_tokens && strcmp(a->backend, b->backend) == 0 &&
           strcmp(a->batch_size, b->batch_size) == 0 && strcmp(a->model, b->model) == 0 &&
           strcmp(a->params, b->params) == 0;
}

static int add_latency(sweep *s, const il_csv_field *f, const size_t *at, int64_t gen_tokens,
                       il_error *err)
{
    bool decode = field_is(f[at[MODE]], "kv_decode");
    double latency;
    if ((!decode && !field_is(f[at[MODE]], "e2e_kv")) || !il_csv_to_f64(f[at[LATENCY]], &latency)) {
        return IL_OK;
    }
    fraction one = {gen_tokens,
                    take(f[at[BACKEND]]),
                    take(f[at[KIND]]),
                    take(f[at[BATCH]]),
                    take(f[at[MODEL]]),
                    take(f[at[MODEL_KIND]]),
                    take(f[at[PARAMS]]),
                    NAN,
                    NAN};
    if (!one.backend || !one.backend_kind || !one.batch_size || !one.model || !one.model_kind ||
        !one.params) {
        fraction_free(&one);
        return il_fail(err, IL_E_NOMEM, "no memory for the sweep");
    }
    size_t i = 0;
    while (i < s->n && !same_model(&s->items[i], &one)) {
        i++;
    }
    if (i < s->n) {
        fraction_free(&one);
    } else {
        if (s->n == s->cap) {
            size_t cap = s->cap ? 2 * s->cap : 64;
            fraction *grown = realloc(s->items, cap * sizeof *grown);
            if (!grown) {
                fraction_free(&one);
                return il_fail(err, IL_E_NOMEM, "no memory for the sweep");
            }
            s->items = grown;
            s->cap = cap;
        }
        s->items[s->n++] = one;
    }
    *(decode ? &s->items[i].decode_ms : &s->items[i].e2e_ms) = latency;
    return IL_OK;
}

static int add_latencies(sweep *s, const char *path, int64_t gen_tokens, il_error *err)
{
    static const char *const names[N_NAMES] = {"backend",    "backend_kind",
                                               "batch_size", "model",
                                               "model_kind", "params_millions_effective",
                                               "mode",       "latency_geomean_ms"};
    size_t at[N_NAMES];
    il_csv_reader *csv;
    const il_csv_field *fields;
    size_t n;
    int rc = il_csv_open(path, &csv, err);
    rc = rc ? rc : il_csv_next(csv, &fields, &n, err);
    rc = rc ? rc : find_columns(csv, fields, n, names, N_NAMES, at, err);
    size_t width = n;
    while (rc == IL_OK) {
        rc = il_csv_next(csv, &fields, &n, err);
        if (rc != IL_OK || n == 0) {
            break;
        }
        if (n == width) {
            rc = add_latency(s, fields, at, gen_tokens, err);
        }
    }
    il_csv_free(csv);
    return rc;
}

static int add_run(sweep *s, const char *run_dir, int64_t gen_tokens, il_error *err)
{
    char fits[PATH_BYTES];
    char agg[PATH_BYTES];
    int rc = il_path_join(fits, sizeof fits, run_dir, "analysis/scaling_fits.csv");
    rc = rc ? rc
            : il_path_join(agg, sizeof agg, run_dir,
                           "analysis/summary_by_model_backend_mode_agg.csv");
    if (rc != IL_OK) {
        return il_fail(err, rc, "the path of the run is too long");
    }
    if (!il_path_is_file(fits) || !il_path_is_file(agg)) {
        il_log(IL_LOG_WARN, "%s has no tables and is left out", run_dir);
        return IL_OK;
    }
    s->n_runs++;
    rc = add_fits(s, fits, gen_tokens, err);
    return rc ? rc : add_latencies(s, agg, gen_tokens, err);
}

static int by_length(const void *pa, const void *pb)
{
    const int64_t a = *(const int64_t *)pa;
    const int64_t b = *(const int64_t *)pb;
    return (a > b) - (a < b);
}

/* Calls add_run for the directories of gen_N, itself included when it is a run. */
static int add_length(sweep *s, int64_t gen_tokens, il_error *err)
{
    char length_dir[PATH_BYTES];
    int n = snprintf(length_dir, sizeof length_dir, "%s/gen_%lld", s->dir, (long long)gen_tokens);
    if (n < 0 || (size_t)n >= sizeof length_dir) {
        return il_fail(err, IL_E_RANGE, "the path of the sweep is too long");
    }
    struct dirent **entries;
    int count = scandir(length_dir, &entries, NULL, alphasort);
    int rc = IL_OK;
    for (int i = 0; i < count; i++) {
        char run_dir[PATH_BYTES];
        if (rc == IL_OK && entries[i]->d_name[0] != '.' &&
            il_path_join(run_dir, sizeof run_dir, length_dir, entries[i]->d_name) == IL_OK &&
            il_path_is_dir(run_dir) && strcmp(entries[i]->d_name, "analysis") != 0) {
            rc = add_run(s, run_dir, gen_tokens, err);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    return rc;
}

static int add_lengths(sweep *s, il_error *err)
{
    int64_t lengths[1024];
    size_t n = 0;
    DIR *dir = opendir(s->dir);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL && n < 1024) {
        if (il_text_starts(entry->d_name, "gen_") &&
            il_text_to_i64(entry->d_name + 4, &lengths[n]) == IL_OK) {
            n++;
        }
    }
    if (dir) {
        (void)closedir(dir);
    }
    qsort(lengths, n, sizeof lengths[0], by_length);
    int rc = IL_OK;
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        rc = add_length(s, lengths[i], err);
    }
    if (rc == IL_OK && s->n_runs == 0) {
        rc = il_fail(err, IL_E_NOT_FOUND, "no run with tables below gen_N");
        il_error_where(err, "%s", s->dir);
        il_error_hint(err, "inferlaw sweep writes gen_N/<run>/analysis");
    }
    return rc;
}

static int open_table(const sweep *s, const char *name, il_csv_writer *out, il_error *err)
{
    char path[PATH_BYTES];
    int rc = il_path_join(path, sizeof path, s->dir, name);
    return rc ? il_fail(err, rc, "the path of the sweep is too long")
              : il_csv_create(path, out, err);
}

static int write_by_model(const sweep *s, il_error *err)
{
    static const char *const columns[] = {"gen_tokens_target",
                                          "backend",
                                          "backend_kind",
                                          "batch_size",
                                          "model",
                                          "model_kind",
                                          "params_millions_effective",
                                          "kv_decode_ms",
                                          "e2e_kv_ms",
                                          "decode_fraction"};
    il_csv_writer out;
    int rc = open_table(s, "decode_fraction_by_model.csv", &out, err);
    if (rc != IL_OK) {
        return rc;
    }
    il_csv_row(&out, columns, IL__COUNT_OF(columns));
    for (size_t i = 0; i < s->n; i++) {
        const fraction *f = &s->items[i];
        il_csv_i64(&out, f->gen_tokens);
        il_csv_text(&out, f->backend);
        il_csv_text(&out, f->backend_kind);
        il_csv_text(&out, f->batch_size);
        il_csv_text(&out, f->model);
        il_csv_text(&out, f->model_kind);
        il_csv_text(&out, f->params);
        il_csv_f64(&out, f->decode_ms);
        il_csv_f64(&out, f->e2e_ms);
        il_csv_f64(&out, f->e2e_ms > 0 ? f->decode_ms / f->e2e_ms : NAN);
        il_csv_end_row(&out);
    }
    return il_csv_close(&out, err);
}

static int by_backend(const void *pa, const void *pb)
{
    const fraction *a = pa;
    const fraction *b = pb;
    int order = strcmp(a->backend, b->backend);
    return order ? order : (a->gen_tokens > b->gen_tokens) - (a->gen_tokens < b->gen_tokens);
}

static int write_summary(sweep *s, il_error *err)
{
    static const char *const columns[] = {"backend",
                                          "gen_tokens_target",
                                          "n_models",
                                          "decode_fraction_median",
                                          "decode_fraction_p25",
                                          "decode_fraction_p75"};
    static const double quantiles[] = {0.5, 0.25, 0.75};
    il_csv_writer out;
    double *values = malloc((s->n + 1) * sizeof *values);
    int rc = values ? open_table(s, "decode_fraction_summary.csv", &out, err)
                    : il_fail(err, IL_E_NOMEM, "no memory for the sweep");
    if (rc != IL_OK) {
        free(values);
        return rc;
    }
    if (s->n > 1) {
        qsort(s->items, s->n, sizeof *s->items, by_backend);
    }
    il_csv_row(&out, columns, IL__COUNT_OF(columns));
    for (size_t i = 0; i < s->n;) {
        const fraction *first = &s->items[i];
        size_t n = 0;
        for (; i < s->n && by_backend(first, &s->items[i]) == 0; i++) {
            double share = s->items[i].decode_ms / s->items[i].e2e_ms;
            if (isfinite(share)) {
                values[n++] = share;
            }
        }
        il_csv_text(&out, first->backend);
        il_csv_i64(&out, first->gen_tokens);
        il_csv_i64(&out, (int64_t)n);
        for (size_t k = 0; k < IL__COUNT_OF(quantiles); k++) {
            il_csv_f64(&out, il_quantile(values, n, quantiles[k]));
        }
        il_csv_end_row(&out);
    }
    free(values);
    return il_csv_close(&out, err);
}

int il_analysis_combine_sweep(const char *sweep_dir, il_error *err)
{
    sweep s = {.dir = sweep_dir, .summary = {.fd = -1}};
    int rc = open_table(&s, "decode_sweep_summary.csv", &s.summary, err);
    rc = rc ? rc : add_lengths(&s, err);
    rc = rc ? rc : il_csv_close(&s.summary, err);
    rc = rc ? rc : write_by_model(&s, err);
    rc = rc ? rc : write_summary(&s, err);
    il_csv_abandon(&s.summary);
    for (size_t i = 0; i < s.n; i++) {
        fraction_free(&s.items[i]);
    }
    free(s.items);
    return rc;
}
