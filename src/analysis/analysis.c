/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/analysis.h"

#include "analysis/rows_csv.h"
#include "analysis/rows_journal.h"
#include "analysis/tables.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, OWN_RESAMPLES = 4000 };

void il_analysis_remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        (void)unlink(path);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        char child[PATH_BYTES];
        struct stat st;
        if (il_path_join(child, sizeof child, path, entry->d_name) == IL_OK &&
            lstat(child, &st) == 0) {
            if (S_ISDIR(st.st_mode)) {
                il_analysis_remove_tree(child);
            } else {
                (void)unlink(child);
            }
        }
    }
    (void)closedir(dir);
    (void)rmdir(path);
}

/* Puts the new directory in the place of the old one. Where the two can be exchanged at once a
 * reader sees the old tables or the new, never none. */
static int replace_tree(const char *fresh, const char *target, il_error *err)
{
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, target, RENAME_EXCHANGE) == 0) {
        il_analysis_remove_tree(fresh);
        return IL_OK;
    }
    if (errno != ENOENT) {
        il_analysis_remove_tree(target);
    }
    if (rename(fresh, target) != 0) {
        int rc = il_fail_errno(err, errno, "cannot put the new tables in place");
        il_error_where(err, "%s", target);
        return rc;
    }
    return IL_OK;
}

int il_analysis_load(const char *run_dir, const char *out_dir, il_rows *rows, il_run_facts *facts,
                     bool *foreign, il_error *err)
{
    char journal[PATH_BYTES];
    char metrics[PATH_BYTES];
    int rc = il_path_join(journal, sizeof journal, run_dir, "journal.jsonl");
    rc = rc ? rc : il_path_join(metrics, sizeof metrics, run_dir, "metrics.csv");
    if (rc != IL_OK) {
        return il_fail(err, rc, "the path of the run is too long");
    }
    *foreign = !il_path_is_file(journal);
    if (!*foreign) {
        rc = il_rows_from_journal(rows, run_dir, out_dir, facts, err);
    } else if (il_path_is_file(metrics)) {
        rc = il_rows_from_csv(rows, metrics, err);
    } else {
        rc = il_fail(err, IL_E_NOT_FOUND, "neither journal.jsonl nor metrics.csv is there");
        il_error_where(err, "%s", run_dir);
        il_error_hint(err, "give the directory that inferlaw run wrote");
        return rc;
    }
    return rc ? rc : il_rows_seal(rows, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Shapes of every model of the run that is a checkpoint. */
static int find_shapes(const il__run *run, il_suite_lookup suites, il_shapes *out, il_error *err)
{
    size_t n_cells = il_rows_cell_count(run->rows);
    const char **names = malloc((n_cells + 1) * sizeof *names);
    if (!names) {
        return il_fail(err, IL_E_NOMEM, "no memory for model names");
    }
    size_t n = 0;
    for (size_t i = 0; i < n_cells; i++) {
        const il_cell *cell = il_rows_cell(run->rows, i);
        const char *kind = il__text(run, cell->model_kind);
        if (kind[0] == '\0' || strcmp(kind, "hf") == 0) {
            names[n++] = il__text(run, cell->model);
        }
    }
    if (n > 1) {
        qsort(names, n, sizeof *names, by_name);
    }
    size_t unique = 0;
    for (size_t i = 0; i < n; i++) {
        if (unique == 0 || strcmp(names[unique - 1], names[i]) != 0) {
            names[unique++] = names[i];
        }
    }
    int rc = il_shapes_find(run->run_dir, names, unique, suites, out, err);
    free(names);
    return rc;
}

static int write_tables(il__run *run, il_error *err)
{
    static int (*const writers[])(const il__run *, il_error *) = {
#define IL__TABLE_ROW(writer) writer,
        IL__TABLE_MAP(IL__TABLE_ROW)
#undef IL__TABLE_ROW
    };
    int rc = il__medians_compute(run, err);
    for (size_t i = 0; i < IL__COUNT_OF(writers) && rc == IL_OK; i++) {
        rc = writers[i](run, err);
    }
    return rc;
}

/* analysis.json: what a second analysis needs to know to give the same tables. */
static int write_options(const il__run *run, il_error *err)
{
    char path[PATH_BYTES];
    if (il_path_join(path, sizeof path, run->out_dir, "analysis.json") != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    json_t *all =
        json_pack("{s:i, s:s, s:s, s:b, s:I, s:I}", "format", 1, "version", il_version_text(),
                  "source_hash", il_source_hash(), "include_warmup", run->include_warmup,
                  "bootstrap", (json_int_t)run->n_resamples, "seed", (json_int_t)run->seed);
    char *text = all ? il_json_dump_pretty(all) : NULL;
    json_decref(all);
    int rc = text ? il_file_write_atomic(path, text, strlen(text), err)
                  : il_fail(err, IL_E_NOMEM, "no memory for the options");
    free(text);
    return rc;
}

int il_analysis_check_dir(const char *run_dir, il_error *err)
{
    if (il_path_is_dir(run_dir)) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_NOT_FOUND, "no such run directory");
    il_error_where(err, "%s", run_dir);
    il_error_hint(err, "give the directory that \"inferlaw run\" wrote, as runs/NAME-UTC");
    return rc;
}

int il_analysis_run(const char *run_dir, const il_analysis_options *options,
                    il_analysis_summary *out, il_error *err)
{
    char fresh[PATH_BYTES];
    char target[PATH_BYTES];
    il_rows *rows = NULL;
    il_run_facts facts = {0};
    il_shapes shapes = {0};
    il__run run = {.run_dir = run_dir,
                   .out_dir = fresh,
                   .facts = &facts,
                   .shapes = &shapes,
                   .include_warmup = options->include_warmup,
                   .n_resamples = options->n_resamples,
                   .n_resamples_own = OWN_RESAMPLES,
                   .seed = options->seed};
    *out = (il_analysis_summary){0};
    const char *out_dir = options->out_dir ? options->out_dir : run_dir;
    int n = snprintf(fresh, sizeof fresh, "%s/.analysis-%ld", out_dir, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof fresh ||
        il_path_join(target, sizeof target, out_dir, "analysis") != IL_OK) {
        return il_fail(err, IL_E_RANGE, "the path of the run is too long");
    }
    int rc = il_analysis_check_dir(run_dir, err);
    if (rc != IL_OK) {
        return rc;
    }
    rc = il_rows_open(out_dir, &rows, err);
    rc = rc ? rc : il_analysis_load(run_dir, out_dir, rows, &facts, &out->foreign, err);
    if (rc != IL_OK) {
        goto out;
    }
    out->n_rows = il_rows_count(rows);
    out->n_ok = il_rows_ok_count(rows);
    out->n_cells = il_rows_cell_count(rows);
    run.rows = rows;
    il_analysis_remove_tree(fresh);
    rc = il_dir_make(fresh, err);
    rc = rc ? rc : find_shapes(&run, options->suites, &shapes, err);
    rc = rc ? rc : write_tables(&run, err);
    rc = rc ? rc : write_options(&run, err);
    rc = rc ? rc : replace_tree(fresh, target, err);
    if (rc != IL_OK) {
        il_analysis_remove_tree(fresh);
    }
out:
    free(run.medians);
    il_shapes_free(&shapes);
    il_run_facts_free(&facts);
    il_rows_free(rows);
    return rc;
}
