/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/verify.h"

#include "analysis/analysis.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/derive.h"
#include "study/ceilings.h"
#include "study/journal.h"
#include "study/study.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, MOST_JSON_BYTES = 64 << 20, DEFAULT_RESAMPLES = 1000, DEFAULT_SEED = 42 };

/* A check under way. */
typedef struct check {
    il_verify *verify;
    const char *run_dir;
    char base[256];             /* scratch directory */
    char fresh[PATH_BYTES];     /* the run made again below it, under the name of the run */
    json_t *manifest, *options; /* NULL when they are not there */
    json_t *plan;               /* last plan line of the journal */
    uint64_t n_lines;
} check;

/* --- findings --------------------------------------------------------------------------------- */

static void add(il_verify *v, const char *artifact, const char *state, uint64_t line,
                const char *column, const char *stored, const char *recomputed, const char *text)
{
    json_t *item =
        json_pack("{s:s,s:s,s:o,s:s?,s:s?,s:s?,s:s?}", "artifact", artifact, "state", state, "line",
                  line ? json_integer((json_int_t)line) : json_null(), "column", column, "stored",
                  stored, "recomputed", recomputed, "text", text);
    if (!item) { /* bytes that are no UTF-8 */
        item = json_pack("{s:s,s:s,s:o,s:s}", "artifact", artifact, "state", state, "line",
                         line ? json_integer((json_int_t)line) : json_null(), "text",
                         "bytes that are no text");
    }
    (void)json_array_append_new(v->findings, item);
}

void il__verify_ok(il_verify *v, const char *artifact, const char *text)
{
    v->n_ok++;
    add(v, artifact, "ok", 0, NULL, NULL, NULL, text);
}

void il__verify_note(il_verify *v, const char *artifact, const char *text)
{
    add(v, artifact, "note", 0, NULL, NULL, NULL, text);
}

void il__verify_differs(il_verify *v, const char *artifact, uint64_t line, const char *column,
                        const char *stored, const char *recomputed, const char *text)
{
    v->n_differ++;
    add(v, artifact, "differs", line, column, stored, recomputed, text);
}

char *il_verify_line(const json_t *finding)
{
    il_buf text;
    il_buf_init(&text, 1 << 16);
    const char *column = json_string_value(json_object_get(finding, "column"));
    const char *stored = json_string_value(json_object_get(finding, "stored"));
    const char *fresh = json_string_value(json_object_get(finding, "recomputed"));
    const char *words = json_string_value(json_object_get(finding, "text"));
    json_int_t line = json_integer_value(json_object_get(finding, "line"));
    (void)il_buf_printf(&text, "%-8s %s", json_string_value(json_object_get(finding, "state")),
                        json_string_value(json_object_get(finding, "artifact")));
    if (line) {
        (void)il_buf_printf(&text, ":%lld", (long long)line);
    }
    if (column) {
        (void)il_buf_printf(&text, ", column %s", column);
    }
    if (words) {
        (void)il_buf_printf(&text, ": %s", words);
    }
    if (stored && fresh) {
        (void)il_buf_printf(&text, ": stored %s, recomputed %s", stored[0] ? stored : "nothing",
                            fresh[0] ? fresh : "nothing");
    }
    char *out = text.status == IL_OK ? strdup(il_buf_text(&text)) : NULL;
    il_buf_free(&text);
    return out;
}

/* --- journal and manifest --------------------------------------------------------------------- */

static int keep_plan(json_t *line, uint64_t number, void *user, il_error *err)
{
    (void)number;
    (void)err;
    check *c = user;
    const char *kind = json_string_value(json_object_get(line, "kind"));
    if (kind && strcmp(kind, "plan") == 0) {
        json_decref(c->plan);
        c->plan = json_incref(line);
    }
    return IL_OK;
}

/* *usable: the rest can be made again from it. */
static int check_journal(check *c, bool *usable, il_error *err)
{
    char path[PATH_BYTES], text[160];
    il_journal_info info;
    il_error damage = {0};
    *usable = true;
    if (il_path_join(path, sizeof path, c->run_dir, "journal.jsonl") != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    if (!il_path_is_file(path)) {
        il__verify_note(c->verify, "journal.jsonl",
                        "not there: a foreign run, whose tables are held against metrics.csv");
        return IL_OK;
    }
    int rc = il_journal_read(path, keep_plan, c, &info, &damage);
    if (rc == IL_E_DAMAGED) {
        const char *colon = strrchr(damage.where, ':');
        int64_t line = 0;
        (void)il_text_to_i64(colon ? colon + 1 : "", &line);
        il__verify_differs(c->verify, "journal.jsonl", line > 0 ? (uint64_t)line : 0, NULL, NULL,
                           NULL, damage.what);
        *usable = false;
        return IL_OK;
    }
    if (rc != IL_OK) {
        *err = damage;
        return rc;
    }
    bool finished = json_is_number(json_object_get(c->manifest, "finished_at_unix"));
    (void)snprintf(text, sizeof text,
                   finished ? "%llu bytes after the last intact line of a finished run"
                            : "the torn last line (%llu bytes) is left out",
                   (unsigned long long)info.torn_bytes);
    if (info.torn_bytes > 0 && finished) {
        il__verify_differs(c->verify, "journal.jsonl", info.n_lines + 1, NULL, NULL, NULL, text);
    } else if (info.torn_bytes > 0) {
        il__verify_note(c->verify, "journal.jsonl", text);
    } else {
        (void)snprintf(text, sizeof text, "%llu lines, checksums and sequence",
                       (unsigned long long)info.n_lines);
        il__verify_ok(c->verify, "journal.jsonl", text);
    }
    return IL_OK;
}

/* Tells the deepest first place where two values part. */
static void tell_parting(check *c, const char *key, const json_t *stored, const json_t *journal)
{
    char below[512], index[32];
    if (json_is_object(stored) && json_is_object(journal)) {
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)journal, name, value)
        {
            const json_t *its = json_object_get(stored, name);
            if (!its || !json_equal(its, value)) {
                (void)snprintf(below, sizeof below, "%s.%s", key, name);
                tell_parting(c, below, its, value);
                return;
            }
        }
    }
    if (json_is_array(stored) && json_array_size(stored) == json_array_size(journal)) {
        for (size_t i = 0; i < json_array_size(stored); i++) {
            const json_t *a = json_array_get(stored, i), *b = json_array_get(journal, i);
            if (!json_equal(a, b)) {
                (void)snprintf(index, sizeof index, "[%zu]", i);
                (void)snprintf(below, sizeof below, "%.400s%s", key, index);
                tell_parting(c, below, a, b);
                return;
            }
        }
    }
    char *a = stored ? json_dumps(stored, JSON_ENCODE_ANY | JSON_COMPACT) : strdup("nothing");
    char *b = json_dumps(journal, JSON_ENCODE_ANY | JSON_COMPACT);
    il__verify_differs(c->verify, "manifest.json", 0, key, a, b, "the journal says another");
    free(a);
    free(b);
}

/* Whether the manifest says what the journal says. */
static bool same_value(check *c, const char *key, const json_t *stored, const json_t *journal)
{
    if (!journal || json_equal(stored, journal)) {
        return true;
    }
    tell_parting(c, key, stored, journal);
    return false;
}

/* Lists of the plan, which the report and the shapes of models go by. */
static bool same_lists(check *c)
{
    static const char *const lists[] = {"scenarios", "models", "backends"};
    const json_t *resolved = json_object_get(c->manifest, "resolved");
    bool same = true;
    for (size_t i = 0; i < 3; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "resolved.%s", lists[i]);
        same = same_value(c, key, json_object_get(resolved, lists[i]),
                          json_object_get(c->plan, lists[i])) &&
               same;
    }
    return same;
}

static bool same_ceilings(check *c)
{
    char path[PATH_BYTES];
    json_t *ceilings = NULL;
    const json_t *stored = json_object_get(c->manifest, "ceilings");
    bool same = true;
    if (json_object_size(stored) > 0 &&
        il_path_join(path, sizeof path, c->run_dir, "journal.jsonl") == IL_OK &&
        il_ceilings_of(path, &ceilings, NULL) == IL_OK) {
        same = same_value(c, "ceilings", stored, ceilings);
    }
    json_decref(ceilings);
    return same;
}

static bool same_study(check *c)
{
    char hash[65] = "";
    const json_t *study = json_object_get(c->manifest, "study");
    const char *stored = json_string_value(json_object_get(c->manifest, "study_sha256"));
    if (!study || il_study_hash(study, hash) != IL_OK) {
        il__verify_differs(c->verify, "manifest.json", 0, "study", NULL, NULL, "is missing");
        return false;
    }
    if (!stored || strcmp(stored, hash) != 0) {
        il__verify_differs(c->verify, "manifest.json", 0, "study_sha256", stored ? stored : "",
                           hash, "the hash of its study is another");
        return false;
    }
    return true;
}

/* Blocks that some cell has. A run with a target numbers its calls by more. */
static json_int_t planned_blocks(const json_t *plan)
{
    const json_t *sampling = json_object_get(plan, "sampling"), *extension;
    json_int_t blocks =
        json_integer_value(json_object_get(json_is_object(sampling) ? sampling : plan,
                                           json_is_object(sampling) ? "blocks_least" : "blocks"));
    size_t i;
    json_array_foreach(json_object_get(sampling, "extensions"), i, extension)
    {
        json_int_t end = json_integer_value(json_object_get(extension, "block")) + 1;
        blocks = end > blocks ? end : blocks;
    }
    return blocks;
}

static void check_manifest(check *c)
{
    static const char *const keys[] = {
        "run_id",      "run_name",           "study_sha256",    "seed",
        "repetitions", "warmup_repetitions", "records_expected"};
    if (!c->manifest) {
        if (c->plan) {
            il__verify_differs(c->verify, "manifest.json", 0, NULL, NULL, NULL, "is missing");
        }
        return;
    }
    bool same = !c->plan || same_study(c);
    for (size_t i = 0; c->plan && i < sizeof keys / sizeof keys[0]; i++) {
        same = same_value(c, keys[i], json_object_get(c->manifest, keys[i]),
                          json_object_get(c->plan, keys[i])) &&
               same;
    }
    if (c->plan) {
        json_t *blocks = json_integer(planned_blocks(c->plan));
        same = same_value(c, "blocks", json_object_get(c->manifest, "blocks"), blocks) && same;
        json_decref(blocks);
        same = same_lists(c) && same;
        same = same_ceilings(c) && same;
    }
    if (same) {
        il__verify_ok(c->verify, "manifest.json",
                      c->plan ? "study, plan and ceilings as in the journal" : NULL);
    }
}

/* --- making it again -------------------------------------------------------------------------- */

/* NULL in *out when there is no such file; one that cannot be read is a finding. */
static int load_json(check *c, const char *name, json_t **out, il_error *err)
{
    char path[PATH_BYTES];
    il_error damage = {0};
    *out = NULL;
    if (il_path_join(path, sizeof path, c->run_dir, name) != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    if (!il_path_is_file(path)) {
        return IL_OK;
    }
    int rc = il_json_load(path, MOST_JSON_BYTES, out, &damage);
    if (rc != IL_OK) {
        il__verify_differs(c->verify, name, 0, NULL, NULL, NULL, damage.what);
    }
    return IL_OK;
}

static void say_version(const check *c)
{
    const char *version = json_string_value(json_object_get(c->options, "version"));
    const char *hash = json_string_value(json_object_get(c->options, "source_hash"));
    char text[256];
    if (!c->options) {
        il__verify_note(c->verify, "analysis/analysis.json",
                        "not there: the tables were made by an older program, their options are "
                        "taken to be the defaults");
        return;
    }
    if (!version || !hash || strcmp(version, il_version_text()) != 0 ||
        strcmp(hash, il_source_hash()) != 0) {
        (void)snprintf(text, sizeof text,
                       "the tables were made by inferlaw %.40s (source %.40s), this is %s (source "
                       "%s): what differs may be the program's",
                       version ? version : "?", hash ? hash : "?", il_version_text(),
                       il_source_hash());
        il__verify_note(c->verify, "analysis/analysis.json", text);
    }
}

static int make_scratch(check *c, il_error *err)
{
    char run[PATH_BYTES], name[256];
    int rc = il_dir_make_scratch("inferlaw-verify", c->base, sizeof c->base, err);
    if (rc != IL_OK) {
        return rc;
    }
    if (!realpath(c->run_dir, run)) {
        return il_fail_errno(err, errno, "cannot find the run directory");
    }
    /* A foreign run's report is headed by the directory's name. */
    (void)snprintf(name, sizeof name, "%s", il_path_base(run));
    rc = il_path_join(c->fresh, sizeof c->fresh, c->base, name[0] ? name : "run");
    return rc ? il_fail(err, rc, "the path of the scratch directory is too long")
              : il_dir_make(c->fresh, err);
}

/* Plots that the report module draws itself are made again; those of gnuplot are only there. */
static bool is_report_plot(const char *name)
{
    return strncmp(name, "report_", 7) == 0 && il_text_ends(name, ".svg");
}

static int link_one(const char *from_dir, const char *to_dir, const char *name, il_error *err)
{
    char from[PATH_BYTES], to[PATH_BYTES];
    if (il_path_join(from, sizeof from, from_dir, name) != IL_OK ||
        il_path_join(to, sizeof to, to_dir, name) != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    return !il_path_is_file(from) || symlink(from, to) == 0
               ? IL_OK
               : il_fail_errno(err, errno, "cannot link %s", name);
}

/* What the report reads beside tables: the manifest, and whether there are pictures. */
static int link_inputs(const check *c, il_error *err)
{
    char run[PATH_BYTES], from[PATH_BYTES], to[PATH_BYTES];
    if (!realpath(c->run_dir, run)) {
        return il_fail_errno(err, errno, "cannot find the run directory");
    }
    if (il_path_join(from, sizeof from, run, "analysis/plots") != IL_OK ||
        il_path_join(to, sizeof to, c->fresh, "analysis/plots") != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    int rc = link_one(run, c->fresh, "manifest.json", err);
    DIR *d = rc == IL_OK ? opendir(from) : NULL;
    rc = d ? il_dir_make(to, err) : rc;
    for (const struct dirent *e = d ? readdir(d) : NULL; e && rc == IL_OK; e = readdir(d)) {
        rc = is_report_plot(e->d_name) ? IL_OK : link_one(from, to, e->d_name, err);
    }
    if (d) {
        (void)closedir(d);
    }
    return rc;
}

static int rebuild(const check *c, il_analysis_summary *summary, il_error *err)
{
    const json_t *bootstrap = json_object_get(c->options, "bootstrap");
    const json_t *seed = json_object_get(c->options, "seed");
    il_analysis_options options = {.include_warmup =
                                       json_is_true(json_object_get(c->options, "include_warmup")),
                                   .n_resamples = bootstrap && json_integer_value(bootstrap) >= 0
                                                      ? (size_t)json_integer_value(bootstrap)
                                                      : DEFAULT_RESAMPLES,
                                   .seed = seed ? (uint64_t)json_integer_value(seed) : DEFAULT_SEED,
                                   .suites = il_derive_suites,
                                   .out_dir = c->fresh};
    int rc = il_analysis_run(c->run_dir, &options, summary, err);
    rc = rc ? rc : link_inputs(c, err);
    return rc == IL_OK && summary->n_ok > 0 ? il_derive_report(c->fresh, false, NULL, err) : rc;
}

/* --- artifacts -------------------------------------------------------------------------------- */

static int compare_file(check *c, const char *name, bool required, il_error *err)
{
    char stored[PATH_BYTES], fresh[PATH_BYTES];
    if (il_path_join(stored, sizeof stored, c->run_dir, name) != IL_OK ||
        il_path_join(fresh, sizeof fresh, c->fresh, name) != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of %s is too long", name);
    }
    bool has_stored = il_path_is_file(stored), has_fresh = il_path_is_file(fresh);
    if (!has_stored && !has_fresh) {
        return IL_OK;
    }
    if (!has_stored) {
        if (required) {
            il__verify_differs(c->verify, name, 0, NULL, NULL, NULL, "is missing");
        } else {
            il__verify_note(c->verify, name, "not there: nothing to check");
        }
        return IL_OK;
    }
    if (!has_fresh) {
        il__verify_differs(c->verify, name, 0, NULL, NULL, NULL,
                           "this program does not make it from the journal");
        return IL_OK;
    }
    if (il_text_ends(name, ".csv")) {
        return il__verify_csv(c->verify, name, stored, fresh, err);
    }
    return il_text_ends(name, ".jsonl") ? il__verify_json_lines(c->verify, name, stored, fresh, err)
                                        : il__verify_text(c->verify, name, stored, fresh, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_table(const char *name)
{
    return il_text_ends(name, ".csv");
}

/* Adds the files of DIR/below that are wanted. */
static int list_files(const char *dir, const char *below, bool (*wanted)(const char *),
                      char ***names, size_t *n, il_error *err)
{
    char path[PATH_BYTES];
    if (il_path_join(path, sizeof path, dir, below) != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    DIR *d = opendir(path);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (!wanted(e->d_name)) {
            continue;
        }
        char **more = realloc(*names, (*n + 1) * sizeof **names);
        size_t bytes = strlen(e->d_name) + strlen(below) + 2;
        char *name = more ? malloc(bytes) : NULL;
        if (more) {
            *names = more;
        }
        if (!name) {
            (void)closedir(d);
            return il_fail(err, IL_E_NOMEM, "no memory for names of files");
        }
        (void)snprintf(name, bytes, "%s/%s", below, e->d_name);
        (*names)[(*n)++] = name;
    }
    if (d) {
        (void)closedir(d);
    }
    return IL_OK;
}

/* Every wanted file that one of the two has. */
static int compare_files(check *c, const char *below, bool (*wanted)(const char *), il_error *err)
{
    char **names = NULL, path[PATH_BYTES];
    size_t n = 0;
    if (il_path_join(path, sizeof path, c->run_dir, below) != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    if (!il_path_is_dir(path)) {
        il__verify_note(c->verify, below, "not there: nothing to check");
        return IL_OK;
    }
    int rc = list_files(c->fresh, below, wanted, &names, &n, err);
    rc = rc ? rc : list_files(c->run_dir, below, wanted, &names, &n, err);
    if (n > 1) {
        qsort(names, n, sizeof *names, by_name);
    }
    for (size_t i = 0; i < n && rc == IL_OK; i++) {
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0) {
            rc = compare_file(c, names[i], true, err);
        }
    }
    for (size_t i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
    return rc;
}

/* The manifest's counts of rows, which the report repeats. */
static void check_results(check *c, const il_analysis_summary *summary)
{
    const json_t *results = json_object_get(c->manifest, "results");
    const json_t *ok = json_object_get(results, "ok");
    if (!ok || (size_t)json_integer_value(ok) == summary->n_ok) {
        return;
    }
    char a[32], b[32];
    (void)snprintf(a, sizeof a, "%lld", (long long)json_integer_value(ok));
    (void)snprintf(b, sizeof b, "%zu", summary->n_ok);
    il__verify_differs(c->verify, "manifest.json", 0, "results.ok", a, b, NULL);
}

static int check_artifacts(check *c, il_error *err)
{
    static const char *const derived[] = {"metrics.csv", "runs.jsonl", "resolved_model_params.csv",
                                          "load_ms.csv"};
    static const char *const reports[] = {"report.md", "report.html"};
    il_analysis_summary summary = {0};
    il_error damage = {0};
    int rc = make_scratch(c, err);
    if (rc != IL_OK) {
        return rc;
    }
    say_version(c);
    rc = rebuild(c, &summary, &damage);
    if (rc == IL_E_DAMAGED) {
        il__verify_differs(c->verify, c->plan ? "journal.jsonl" : "metrics.csv", 0, NULL, NULL,
                           NULL, damage.what);
        return IL_OK;
    }
    if (rc != IL_OK) {
        *err = damage;
        return rc;
    }
    check_results(c, &summary);
    for (size_t i = 0; !summary.foreign && rc == IL_OK && i < 4; i++) {
        rc = compare_file(c, derived[i], false, err);
    }
    rc = rc ? rc : compare_files(c, "analysis", is_table, err);
    rc = rc ? rc : compare_files(c, "analysis/plots", is_report_plot, err);
    for (size_t i = 0; rc == IL_OK && i < 2; i++) {
        rc = compare_file(c, reports[i], false, err);
    }
    return rc;
}

int il_verify_run(const char *run_dir, il_verify *out, il_error *err)
{
    *out = (il_verify){.findings = json_array()};
    check c = {.verify = out, .run_dir = run_dir};
    bool usable = false;
    int rc = il_analysis_check_dir(run_dir, err);
    rc = rc ? rc : load_json(&c, "manifest.json", &c.manifest, err);
    rc = rc ? rc : load_json(&c, "analysis/analysis.json", &c.options, err);
    rc = rc ? rc : check_journal(&c, &usable, err);
    if (rc == IL_OK && usable) {
        check_manifest(&c);
        rc = check_artifacts(&c, err);
    } else if (rc == IL_OK) {
        il__verify_note(out, "all other artifacts",
                        "not checked: they are made from the journal, which cannot be trusted");
    }
    if (c.base[0]) {
        il_analysis_remove_tree(c.base);
    }
    json_decref(c.manifest);
    json_decref(c.options);
    json_decref(c.plan);
    return rc;
}

void il_verify_free(il_verify *verify)
{
    json_decref(verify->findings);
    *verify = (il_verify){0};
}
