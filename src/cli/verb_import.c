/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inferlaw import llama-bench FILE… --out-dir D: a law from numbers somebody already has.
 */
#include "cli/derive.h"
#include "cli/import_llama.h"
#include "cli/verbs.h"

#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <string.h>

enum { MOST_FILES = 256 };

/* Nothing of another run may be mixed in. */
static int check_empty(const char *dir, il_error *err)
{
    DIR *d = opendir(dir);
    const struct dirent *entry = d ? readdir(d) : NULL;
    bool empty = true;
    for (; entry; entry = readdir(d)) {
        empty &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    if (d) {
        (void)closedir(d);
    }
    if (empty) {
        return IL_OK;
    }
    int rc = il_fail(err, IL_E_EXISTS, "the directory is not empty");
    il_error_where(err, "%s", dir);
    il_error_hint(err, "give --out-dir a new name");
    return rc;
}

static void say_what_is_missing(const il_llama_tests *tests)
{
    if (tests->averages) {
        il_log(IL_LOG_WARN,
               "averages only (as in CSV): one row a test; the gates and intervals that need raw "
               "repetitions are n/a (llama-bench -o jsonl keeps the samples)");
    } else if (!tests->repeated) {
        il_log(IL_LOG_INFO,
               "one execution of llama-bench a test: its samples share a process, so intervals say "
               "replication=call; the files of several executions become blocks");
    }
}

static int run_import(const il_param_set *flags, char *const *words, unsigned n_words)
{
    il_error err = {0};
    il_llama_tests tests = {0};
    const char *dir = il_param_text(flags, IL_P_OUT_DIR);
    int rc = IL_OK;
    if (!dir) {
        rc = il_fail(&err, IL_E_USAGE, "import needs --out-dir: where should the run be?");
        il_error_hint(&err, "inferlaw import llama-bench FILE --out-dir runs/imported");
    }
    rc = rc ? rc : check_empty(dir, &err);
    for (unsigned i = 0; rc == IL_OK && i < n_words; i++) {
        rc = il_llama_read(words[i], &tests, &err);
    }
    rc = rc ? rc : il_llama_name(&tests, &err);
    rc = rc ? rc : il_llama_write(&tests, words, n_words, dir, &err);
    if (rc == IL_OK) {
        say_what_is_missing(&tests);
        rc = il_derive_run(dir, flags, &err);
    }
    il_llama_free(&tests);
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    return il_exit_from_code(rc);
}

const il_verb il_verb_import_llama_bench = {
    .name = "import llama-bench",
    .arguments = "FILE...",
    .summary = "a law, its honesty and a plot from the output of llama.cpp's llama-bench",
    .details = "FILE is what llama-bench -o jsonl, json or csv printed; several are put together,\n"
               "and a test that occurs in more than one counts as so many blocks. D becomes a run\n"
               "directory with metrics.csv, analysis/, report.md and plots. docs/import.md says\n"
               "what becomes of each test.",
    .scope = IL_SCOPE_IMPORT,
    .least_words = 1,
    .most_words = MOST_FILES,
    .run = run_import,
};
