/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Reading: three formats become JSON objects with the same keys, then tests.
 */
#include "cli/import_llama.h"

#include "base/csv.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_BYTES = 256 << 20 };

static const char *text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return text ? text : "";
}

/* A number, or text that is one: CSV holds texts. NaN otherwise. */
static double number_of(const json_t *record, const char *key)
{
    const json_t *value = json_object_get(record, key);
    double x;
    if (json_is_number(value)) {
        return json_number_value(value);
    }
    return json_is_string(value) && il_text_to_f64(json_string_value(value), &x) == IL_OK
               ? x
               : (double)NAN;
}

static int complain(const il_llama_test *t, il_error *err, const char *key, const char *needs)
{
    const json_t *value = json_object_get(t->record, key);
    char *shown = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    int rc = shown ? il_fail(err, IL_E_INVALID, "%s is %.40s, %s", key, shown, needs)
                   : il_fail(err, IL_E_INVALID, "%s is missing, %s", key, needs);
    free(shown);
    il_error_where(err, "%s", t->where);
    il_error_hint(err, "the output of llama-bench -o json, jsonl or csv is needed, unchanged");
    return rc;
}

/* A count from 0 to 2^31; an absent one is what `fallback` says, or a complaint at −1. */
static int count_of(const il_llama_test *t, const char *key, int64_t fallback, int64_t *out,
                    il_error *err)
{
    double x = number_of(t->record, key);
    if (!json_object_get(t->record, key) && fallback >= 0) {
        *out = fallback;
        return IL_OK;
    }
    if (!(x >= 0 && x < 2147483648.0) || x != floor(x)) {
        return complain(t, err, key, "a whole number from 0 on is needed");
    }
    *out = (int64_t)x;
    return IL_OK;
}

static int read_samples(il_llama_tests *all, il_llama_test *t, il_error *err)
{
    const json_t *samples = json_object_get(t->record, "samples_ns");
    t->n_samples = json_is_array(samples) ? json_array_size(samples) : 0;
    t->average = t->n_samples == 0;
    t->n_samples = t->average ? 1 : t->n_samples;
    t->samples_ms = il_arena_array(&all->arena, t->n_samples, sizeof *t->samples_ms);
    if (!t->samples_ms) {
        return il_fail(err, IL_E_NOMEM, "no memory for samples");
    }
    for (size_t i = 0; i < t->n_samples; i++) {
        const json_t *one = t->average ? NULL : json_array_get(samples, i);
        double ns = t->average            ? number_of(t->record, "avg_ns")
                    : json_is_number(one) ? json_number_value(one)
                                          : (double)NAN;
        if (!(ns > 0) || !isfinite(ns)) {
            return complain(t, err, t->average ? "avg_ns" : "samples_ns",
                            "nanoseconds above 0 are needed");
        }
        t->samples_ms[i] = ns / 1e6;
    }
    all->averages |= t->average;
    return IL_OK;
}

/* "llama 1B Q4_0", "llama 7B mostly Q4_0", "qwen2 7B Q4_K - Medium", "gpt2 ?B F16": what follows
 * the size, spaces and dashes as one underscore. */
static const char *dtype_of(il_arena *arena, const char *type)
{
    const char *rest = "";
    for (const char *p = type; *p && !rest[0]; p++) {
        bool size = p > type && (isdigit((unsigned char)p[-1]) || p[-1] == '?');
        if (size && (*p == 'B' || *p == 'M') && p[1] == ' ') {
            rest = p + 2;
        }
    }
    rest += strncmp(rest, "mostly ", 7) == 0 ? 7 : 0;
    char *out = il_arena_alloc(arena, strlen(rest) + 1);
    size_t n = 0;
    for (const char *p = rest; out && *p; p++) {
        bool gap = *p == ' ' || *p == '-';
        if (!gap || (n > 0 && out[n - 1] != '_')) {
            out[n++] = gap ? '_' : *p;
        }
    }
    return out;
}

static int model_name(il_llama_tests *all, il_llama_test *t, il_error *err)
{
    const char *file = text_of(t->record, "model_filename");
    const char *type = text_of(t->record, "model_type");
    const char *last = strrchr(file, '\\') ? strrchr(file, '\\') + 1 : il_path_base(file);
    if (!file[0] && !type[0]) {
        return complain(t, err, "model_filename", "it names the model");
    }
    size_t len = strlen(last);
    len -= il_text_ends(last, ".gguf") ? 5 : 0;
    t->model =
        file[0] ? il_arena_strndup(&all->arena, last, len) : il_arena_strdup(&all->arena, type);
    t->dtype = dtype_of(&all->arena, type);
    return t->model && t->dtype ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a name");
}

/* Where it ran: `backends` of newer builds; older ones have a column a library, of 0 and 1. */
static int device_of(il_llama_tests *all, il_llama_test *t, il_error *err)
{
    static const char *const old[] = {"cuda",    "hip",    "metal",    "vulkan", "sycl",
                                      "kompute", "opencl", "gpu_blas", "blas"};
    const char *name = text_of(t->record, "backends");
    if (!name[0]) {
        name = "CPU";
        for (size_t i = sizeof old / sizeof old[0]; i > 0; i--) {
            const json_t *flag = json_object_get(t->record, old[i - 1]);
            if (json_is_true(flag) || number_of(t->record, old[i - 1]) == 1) {
                name = old[i - 1];
            }
        }
    }
    t->device = il_arena_strdup(&all->arena, name);
    return t->device ? IL_OK : il_fail(err, IL_E_NOMEM, "no memory for a name");
}

static int add(il_llama_tests *all, json_t *record, const char *where, il_error *err)
{
    if (all->n == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 64;
        void *grown = realloc(all->items, cap * sizeof *all->items);
        if (!grown) {
            return il_fail(err, IL_E_NOMEM, "no memory for %zu tests", cap);
        }
        all->items = grown;
        all->cap = cap;
    }
    il_llama_test *t = &all->items[all->n];
    *t = (il_llama_test){.record = record};
    (void)snprintf(t->where, sizeof t->where, "%s", where);
    if (!json_is_object(record)) {
        int rc = il_fail(err, IL_E_INVALID, "a test is a JSON object");
        il_error_where(err, "%s", where);
        return rc;
    }
    int rc = model_name(all, t, err);
    rc = rc ? rc : device_of(all, t, err);
    rc = rc ? rc : count_of(t, "n_prompt", -1, &t->n_prompt, err);
    rc = rc ? rc : count_of(t, "n_gen", -1, &t->n_gen, err);
    rc = rc ? rc : count_of(t, "n_depth", 0, &t->n_depth, err);
    t->params = number_of(record, "model_n_params");
    t->size_bytes = number_of(record, "model_size");
    t->threads = number_of(record, "n_threads");
    if (rc == IL_OK && !(t->params > 0)) {
        rc = complain(t, err, "model_n_params", "a count above 0 is needed");
    } else if (rc == IL_OK && !(t->size_bytes > 0)) {
        rc = complain(t, err, "model_size", "bytes above 0 are needed");
    } else if (rc == IL_OK && t->n_prompt + t->n_gen == 0) {
        rc = complain(t, err, "n_gen", "a test has prompt tokens or generated ones");
    }
    rc = rc ? rc : read_samples(all, t, err);
    all->n += rc == IL_OK;
    return rc;
}

static int keep(il_llama_tests *all, json_t *record, const char *where, il_error *err)
{
    if (json_array_append_new(all->records, record) != 0) {
        return il_fail(err, IL_E_NOMEM, "no memory for the tests");
    }
    return add(all, record, where, err);
}

static int read_json(const char *path, const il_buf *text, il_llama_tests *all, il_error *err)
{
    json_t *root;
    int rc = il_json_parse(il_buf_text(text), text->len, path, &root, err);
    if (rc != IL_OK) {
        il_error_hint(err, "an interrupted llama-bench leaves the list open: -o jsonl survives "
                           "that");
        return rc;
    }
    for (size_t i = 0; rc == IL_OK && i < json_array_size(root); i++) {
        char where[384];
        (void)snprintf(where, sizeof where, "%s: entry %zu", path, i + 1);
        rc = keep(all, json_incref(json_array_get(root, i)), where, err);
    }
    json_decref(root);
    return rc;
}

static int read_lines(const char *path, const il_buf *text, il_llama_tests *all, il_error *err)
{
    const char *p = il_buf_text(text);
    const char *end = p + text->len;
    int rc = IL_OK;
    for (size_t line = 1; rc == IL_OK && p < end; line++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        size_t blank = strspn(p, " \t\r");
        if (p + blank < stop) {
            char where[384];
            json_t *record;
            (void)snprintf(where, sizeof where, "%s:%zu", path, line);
            rc = il_json_parse(p, (size_t)(stop - p), where, &record, err);
            rc = rc ? rc : keep(all, record, where, err);
        }
        p = stop + 1;
    }
    return rc;
}

/* A record of the file under the names of the header. */
static json_t *record_of(const json_t *names, const il_csv_field *fields, size_t n)
{
    json_t *record = json_object();
    for (size_t i = 0; record && i < n; i++) {
        json_t *value = json_stringn(fields[i].text, fields[i].len);
        if (!value ||
            json_object_set_new(record, json_string_value(json_array_get(names, i)), value) != 0) {
            json_decref(record);
            return NULL;
        }
    }
    return record;
}

static int read_csv(const char *path, il_llama_tests *all, il_error *err)
{
    il_csv_reader *csv;
    json_t *names = json_array();
    int rc = il_csv_open(path, &csv, err);
    while (rc == IL_OK) {
        const il_csv_field *fields;
        size_t n;
        char where[384];
        rc = il_csv_next(csv, &fields, &n, err);
        if (rc != IL_OK || n == 0) {
            break;
        }
        (void)snprintf(where, sizeof where, "%s:%llu", path, (unsigned long long)il_csv_line(csv));
        if (json_array_size(names) == 0) {
            for (size_t i = 0; i < n; i++) {
                (void)json_array_append_new(names, json_stringn(fields[i].text, fields[i].len));
            }
        } else if (n != json_array_size(names)) {
            rc = il_fail(err, IL_E_PARSE, "%zu fields where the header has %zu", n,
                         json_array_size(names));
            il_error_where(err, "%s", where);
        } else {
            json_t *record = record_of(names, fields, n);
            rc = record ? keep(all, record, where, err)
                        : il_fail(err, IL_E_PARSE, "text that is not UTF-8");
            il_error_where(err, "%s", where);
        }
    }
    json_decref(names);
    il_csv_free(csv);
    return rc;
}

static int refuse(const char *path, const char *start, il_error *err)
{
    int rc = il_fail(err, IL_E_UNSUPPORTED, "%s",
                     start[0] == '|'                               ? "this is the markdown table"
                     : strncasecmp(start, "create table", 12) == 0 ? "this is the SQL output"
                     : start[0] == '\0'                            ? "the file is empty"
                                                                   : "this is no llama-bench "
                                                                     "output");
    il_error_where(err, "%s:1", path);
    il_error_hint(err, "run llama-bench with -o jsonl (or json, csv): the table has no samples");
    return rc;
}

int il_llama_read(const char *path, il_llama_tests *all, il_error *err)
{
    il_buf text;
    il_buf_init(&text, MOST_BYTES);
    all->records = all->records ? all->records : json_array();
    size_t before = all->n;
    int rc = all->records ? il_file_read(path, &text, err)
                          : il_fail(err, IL_E_NOMEM, "no memory for the tests");
    const char *start = il_buf_text(&text);
    start += strncmp(start, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    start += strspn(start, " \t\r\n");
    size_t line = strcspn(start, "\n");
    if (rc == IL_OK && start[0] == '[') {
        rc = read_json(path, &text, all, err);
    } else if (rc == IL_OK && start[0] == '{') {
        rc = read_lines(path, &text, all, err);
    } else if (rc == IL_OK && memmem(start, line, "avg_ns", 6) && memchr(start, ',', line)) {
        rc = read_csv(path, all, err);
    } else if (rc == IL_OK) {
        rc = refuse(path, start, err);
    }
    if (rc == IL_OK && all->n == before) {
        rc = il_fail(err, IL_E_INVALID, "the file holds no test");
        il_error_where(err, "%s", path);
    }
    il_buf_free(&text);
    return rc;
}

void il_llama_free(il_llama_tests *tests)
{
    free(tests->items);
    json_decref(tests->records);
    il_arena_free(&tests->arena);
    *tests = (il_llama_tests){0};
}
