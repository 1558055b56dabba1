/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * llama-bench of llama.cpp: its JSON, JSON lines and CSV output as the rows of a foreign run
 * (docs/import.md).
 */
#ifndef IL_CLI_IMPORT_LLAMA_H
#define IL_CLI_IMPORT_LLAMA_H

#include "base/arena.h"
#include "inferlaw/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One test of a file. */
typedef struct il_llama_test {
    const char *model, *dtype, *device; /* file name without .gguf; Q4_0; CPU */
    json_t *record;                     /* as read, for the settings that vary; owned by the list */
    int64_t n_prompt, n_gen, n_depth;
    double params, size_bytes;
    double threads;     /* NaN unknown */
    double *samples_ms; /* one an execution; the average alone where the file has no samples */
    size_t n_samples;
    bool average;        /* samples_ms holds an average */
    size_t occurrence;   /* how many tests before had the same backend, model and sizes */
    const char *backend; /* named by the settings that vary over all tests */
    char where[384];     /* file and line or entry, for complaints */
} il_llama_test;

typedef struct il_llama_tests {
    il_arena arena;
    il_llama_test *items;
    size_t n, cap;
    json_t *records; /* owns */
    bool averages;   /* a test has no samples */
    bool repeated;   /* some test occurs twice: occurrences are blocks */
} il_llama_tests;

/* Appends the tests of a file. PARSE and INVALID name the file and the line (in a JSON array: the
 * entry); UNSUPPORTED for the table, SQL and other output formats, with the option to use. */
int il_llama_read(const char *path, il_llama_tests *tests, il_error *err);
/* Names backends and counts occurrences, after the last file. */
int il_llama_name(il_llama_tests *tests, il_error *err);
/* DIR/metrics.csv and DIR/manifest.json. */
int il_llama_write(const il_llama_tests *tests, char *const *files, size_t n_files, const char *dir,
                   il_error *err);
void il_llama_free(il_llama_tests *tests);

#endif
