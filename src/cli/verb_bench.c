/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench: a study built in memory, run in a directory that is thrown away, one table.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/bench_rows.h"
#include "cli/bench_server.h"
#include "cli/study_run.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "model/gguf_weights.h"
#include "model/suite.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BENCH_GEN_TOKENS = 128, BENCH_EXACT_BLOCKS = 6 };

/* The suite that has a model of this name, as SUITE/NAME; NULL when none has. */
static const char *find_in_suites(const char *base, il_arena *arena)
{
    const char **names = NULL;
    size_t n = 0;
    if (il_suite_list(arena, &names, &n, NULL) != IL_OK) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        il_suite suite;
        const char *selector = il_arena_printf(arena, "%s/%s", names[i], base);
        if (selector && il_suite_select(selector, arena, &suite, NULL) == IL_OK) {
            return selector;
        }
    }
    return NULL;
}

/* A checkpoint directory, a GGUF file, or SUITE/NAME, or a path whose last part a suite knows. */
static int add_model(const char *name, json_t *models, json_t *suites, il_error *err)
{
    char config[4200];
    il_arena arena = {0};
    il_suite suite;
    const char *known;
    (void)snprintf(config, sizeof config, "%s/config.json", name);
    int rc = IL_OK;
    if (il_path_is_file(config) || il_path_is_gguf(name)) {
        char *real = realpath(name, NULL);
        (void)json_array_append_new(
            models, json_pack("{s:s,s:s}", "name", real ? real : name, "kind", "hf"));
        free(real);
    } else if (strchr(name, '/') && il_suite_select(name, &arena, &suite, NULL) == IL_OK) {
        (void)json_array_append_new(suites, json_string(name));
    } else if ((known = find_in_suites(il_path_base(name), &arena))) {
        il_log(IL_LOG_INFO, "%s is not there: taking %s, made from the seed", name, known);
        (void)json_array_append_new(suites, json_string(known));
    } else {
        rc =
            il_fail(err, IL_E_NOT_FOUND, "no checkpoint directory, no GGUF file and no SUITE/NAME");
        il_error_where(err, "-m %s", name);
        il_error_hint(err, "\"inferlaw model list\" shows what can be made, as -m tr121/gpt2-25m");
    }
    il_arena_free(&arena);
    return rc;
}

static json_t *scenarios_of(const il_param_set *flags)
{
    const il_param_value *prompts = &flags->values[IL_P_BENCH_PROMPT];
    const il_param_value *depths = &flags->values[IL_P_DEPTHS];
    json_t *list = json_array();
    for (size_t d = 0; d < depths->n; d++) {
        for (size_t p = 0; p < prompts->n; p++) {
            char name[64];
            (void)snprintf(name, sizeof name, "p%lld_d%lld", (long long)prompts->i64s[p],
                           (long long)depths->i64s[d]);
            (void)json_array_append_new(list,
                                        json_pack("{s:s,s:I,s:I}", "name", name, "prompt_tokens",
                                                  (json_int_t)prompts->i64s[p], "depth_tok",
                                                  (json_int_t)depths->i64s[d]));
        }
    }
    return list;
}

static int64_t gen_tokens_of(const il_param_set *flags)
{
    return il_param_is_set(flags, IL_P_GEN_TOKENS) ? il_param_i64(flags, IL_P_GEN_TOKENS)
                                                   : BENCH_GEN_TOKENS;
}

/* The study as text, so that it takes the way every study takes: JSON is YAML. */
static int study_text(const il_param_set *flags, char **out, il_error *err)
{
    if (il_param_has(flags, IL_P_URL)) {
        json_t *server = il_bench_server_study(flags, scenarios_of(flags), gen_tokens_of(flags));
        *out = server ? il_json_dump(server) : NULL;
        json_decref(server);
        return *out ? IL_OK : il_fail(err, IL_E_NOMEM, "out of memory");
    }
    const il_param_value *names = &flags->values[IL_P_MODEL_DIR];
    json_t *models = json_array(), *suites = json_array();
    int rc = IL_OK;
    for (size_t i = 0; rc == IL_OK && i < names->n; i++) {
        rc = add_model(names->texts[i], models, suites, err);
    }
    json_t *study = json_pack(
        "{s:s,s:I,s:i,s:i,s:{s:I,s:b,s:b,s:b},s:o,s:[{s:s,s:s,s:s,s:I,s:I,s:s}]}", "run_name",
        "bench", "gen_tokens", (json_int_t)gen_tokens_of(flags), "repetitions", 1,
        "warmup_repetitions", 1, "schedule", "blocks",
        (json_int_t)il_param_i64(flags, IL_P_BENCH_REPETITIONS), "aa", 0, "closure", 0, "sentinel",
        1, "scenarios", scenarios_of(flags), "backends", "name", "native", "kind", "native",
        "dtype", il_param_text(flags, IL_P_DTYPE), "batch_size",
        (json_int_t)il_param_i64(flags, IL_P_BATCH_SIZE), "threads",
        (json_int_t)il_param_i64(flags, IL_P_THREADS), "isa", il_param_text(flags, IL_P_ISA));
    if (study && json_array_size(models) > 0) {
        (void)json_object_set(study, "models", models);
    }
    if (study && json_array_size(suites) > 0) {
        (void)json_object_set(study, "suites", suites);
    }
    *out = study ? il_json_dump(study) : NULL;
    if (rc == IL_OK && !*out) {
        rc = il_fail(err, IL_E_NOMEM, "out of memory");
    }
    json_decref(models);
    json_decref(suites);
    json_decref(study);
    return rc;
}

/* --- the table -------------------------------------------------------------------------------- */

static const il_column columns[] = {
    {"model", "model"},
    {"test", "test"},
    {"tokens/s", "tokens_per_s"},
    {"95 % from", "tokens_per_s_low"},
    {"to", "tokens_per_s_high"},
    {"ms", "ms"},
    {"95 % from", "ms_low"},
    {"to", "ms_high"},
    {"% of floor", "share_of_floor"},
    {"95 % from", "share_low"},
    {"to", "share_high"},
    {"blocks", "blocks"},
};

static void add_row(il_table *t, const il_plan *plan, const il_bench_row *r)
{
    const il_cell *c = r->cell;
    const il_scenario *s = &plan->study->scenarios[c->scenario];
    char test[64], depth[32] = "";
    if (s->depth_tok) {
        (void)snprintf(depth, sizeof depth, " @ d%u", s->depth_tok);
    }
    if (r->decode) {
        (void)snprintf(test, sizeof test, "n%u after p%u%s", c->gen_tokens, c->seq_len, depth);
    } else {
        (void)snprintf(test, sizeof test, "p%u%s", c->seq_len, depth);
    }
    double tokens = (r->decode ? 1.0 : (double)c->seq_len) * c->batch * 1000.0;
    il_table_text(t, il_path_base(plan->study->models[c->model].name));
    il_table_text(t, test);
    il_table_real(t, tokens / r->ms.estimate, 1);
    il_table_real(t, tokens / r->ms.high, 1);
    il_table_real(t, tokens / r->ms.low, 1);
    il_table_real(t, r->ms.estimate, 3);
    il_table_real(t, r->ms.low, 3);
    il_table_real(t, r->ms.high, 3);
    il_table_scaled(t, r->share.estimate, 100, 0);
    il_table_scaled(t, r->share.low, 100, 0);
    il_table_scaled(t, r->share.high, 100, 0);
    il_table_int(t, (int64_t)r->n);
}

static int print_rows(il_study *study, const char *dir, bool server, bool json, il_error *err)
{
    char journal[IL_PATH_BYTES + 32];
    il_plan plan = {0};
    il_bench_row *rows = NULL;
    size_t n = 0;
    il_table t;
    (void)snprintf(journal, sizeof journal, "%s/journal.jsonl", dir);
    il_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    int rc = il_plan_make(study, il_backend_find, &plan, err);
    if (server) {
        rc = rc == IL_OK ? il_bench_server_print(&plan, journal, json, err) : rc;
    } else {
        rc = rc == IL_OK ? il_bench_rows(&plan, journal, &plan.arena, &rows, &n, err) : rc;
    }
    for (size_t i = 0; rc == IL_OK && i < n; i++) {
        if (rows[i].n > 0) {
            add_row(&t, &plan, &rows[i]);
        }
    }
    rc = rc == IL_OK && !server ? il_table_print(&t, json, stdout, err) : rc;
    if (rc == IL_OK && plan.blocks < BENCH_EXACT_BLOCKS) {
        il_log(IL_LOG_WARN, "an exact 95 %% interval of a median needs %d blocks: -r %d",
               BENCH_EXACT_BLOCKS, BENCH_EXACT_BLOCKS);
    }
    il_table_free(&t);
    if (plan.study) {
        il_plan_free(&plan);
    }
    return rc;
}

/* --- the verb --------------------------------------------------------------------------------- */

static void remove_dir(const char *dir)
{
    static const char *const files[] = {"journal.jsonl", "manifest.json"};
    char path[IL_PATH_BYTES + 32];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

static int run_bench(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)words;
    (void)n_words;
    il_study study = {0};
    il_error err = {0};
    char *text = NULL, temporary[IL_PATH_BYTES] = "";
    const char *out_dir = il_param_text(flags, IL_P_OUT_DIR);
    int exit_code = IL_EXIT_USAGE, rc = IL_OK;
    bool server = il_param_has(flags, IL_P_URL);
    il_stop_install();
    if (!server && !il_param_has(flags, IL_P_MODEL_DIR)) {
        rc = il_fail(&err, IL_E_USAGE, "bench needs a model");
        il_error_hint(
            &err, "inferlaw bench -m tr121/gpt2-25m -p 512 -n 128, or --url http://127.0.0.1:8000");
    }
    rc = rc == IL_OK ? study_text(flags, &text, &err) : rc;
    rc = rc == IL_OK ? il_study_parse(text, strlen(text), "bench", NULL, &study, &err) : rc;
    if (rc == IL_OK && !out_dir) {
        rc = il_dir_make_scratch("inferlaw-bench", temporary, sizeof temporary, &err);
    }
    if (rc == IL_OK) {
        il_study_run run = {.out_dir = out_dir ? out_dir : temporary,
                            .quiet = il_param_flag(flags, IL_P_QUIET),
                            .brief = true};
        rc = il_study_run_all(&study, &run, &err);
        exit_code = rc == IL_OK ? il_study_run_verdict(&run) : IL_EXIT_USAGE;
        rc = rc == IL_OK
                 ? print_rows(&study, run.dir, server, il_param_flag(flags, IL_P_JSON), &err)
                 : rc;
    }
    if (rc != IL_OK) {
        il_log_error(&err);
        exit_code = il_exit_from_code(rc);
    }
    if (temporary[0]) {
        remove_dir(temporary);
    }
    free(text);
    il_study_free(&study);
    return exit_code;
}

const il_verb il_verb_bench = {
    .name = "bench",
    .arguments = "-m MODEL | --url URL [-m NAME]",
    .summary = "time one model, no study file: a table with intervals",
    .details =
        "MODEL is a checkpoint directory, or SUITE/NAME, which is made when absent. Every block "
        "is a fresh\nprocess. tokens/s and ms are medians over blocks with exact 95 % "
        "intervals; ms is the whole\nprefill, or one decode step. The floor is what the "
        "ceilings measured in the same block allow.\n\n"
        "With --url a running server is measured: time to the first byte, the first token and the "
        "first\nvisible one, between tokens and end to end, one prompt of its own for every call; "
        "--concurrency and\n--rate-per-s (latency from the scheduled start) load it.",
    .scope = IL_SCOPE_BENCH,
    .least_words = 0,
    .most_words = 0,
    .run = run_bench,
};
