/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "model/suite.h"

#include <stdio.h>

static const il_column suite_columns[] = {
    {"suite", "suite"},
    {"models", "models"},
    {"smallest M", "params_smallest"},
    {"largest M", "params_largest"},
    {"source", "source"},
};

static const il_column model_columns[] = {
    {"model", "model"},
    {"family", "family"},
    {"layers", "n_layer"},
    {"width", "d_model"},
    {"heads", "n_head"},
    {"KV heads", "n_kv_head"},
    {"params M", "params_total"},
    {"non-emb. M", "params_non_embedding"},
    {"active M", "params_active"},
    {"read/step M", "params_read_per_step"},
    {"bf16 MB/step", "bytes_per_step_bf16"},
    {"KV B/token", "kv_bytes_per_token_bf16"},
};

static void add_model(il_table *table, const il_shape *s)
{
    il_param_counts counts = {0};
    (void)il_shape_count(s, &counts, NULL); /* checked when it was read */
    il_table_text(table, s->name);
    il_table_text(table, il_arch_name(s->arch));
    il_table_int(table, s->n_layer);
    il_table_int(table, s->d_model);
    il_table_int(table, s->n_head);
    il_table_int(table, s->n_kv_head);
    il_table_scaled(table, (double)counts.total, 1e-6, 3);
    il_table_scaled(table, (double)counts.non_embedding, 1e-6, 3);
    il_table_scaled(table, (double)counts.active, 1e-6, 3);
    il_table_scaled(table, (double)counts.read_per_step, 1e-6, 3);
    uint64_t bytes = il_shape_bytes_per_step(s, IL_DTYPE_BF16, IL_DTYPE_BF16, 1, 0);
    il_table_scaled(table, (double)bytes, 1e-6, 3);
    il_table_int(table, (int64_t)il_shape_kv_bytes_per_token(s, IL_DTYPE_BF16));
}

static int list_models(const char *selector, il_arena *arena, il_table *table, il_error *err)
{
    il_suite suite;
    int rc = il_suite_select(selector, arena, &suite, err);
    for (size_t i = 0; rc == IL_OK && i < suite.n_shapes; i++) {
        add_model(table, &suite.shapes[i]);
    }
    return rc;
}

static int list_suites(il_arena *arena, il_table *table, il_error *err)
{
    const char **names;
    size_t n;
    int rc = il_suite_list(arena, &names, &n, err);
    for (size_t i = 0; rc == IL_OK && i < n; i++) {
        il_suite suite;
        rc = il_suite_load(names[i], arena, &suite, err);
        double least = 0, most = 0;
        for (size_t j = 0; rc == IL_OK && j < suite.n_shapes; j++) {
            il_param_counts counts;
            rc = il_shape_count(&suite.shapes[j], &counts, err);
            double total = rc == IL_OK ? (double)counts.total : 0;
            least = j == 0 || total < least ? total : least;
            most = total > most ? total : most;
        }
        if (rc == IL_OK) {
            il_table_text(table, suite.name);
            il_table_int(table, (int64_t)suite.n_shapes);
            il_table_scaled(table, least, 1e-6, 3);
            il_table_scaled(table, most, 1e-6, 3);
            il_table_text(table, suite.source);
        }
    }
    return rc;
}

static int run(const il_param_set *flags, char *const *words, unsigned n_words)
{
    (void)words;
    (void)n_words;
    il_error err = {0};
    il_arena arena = {0};
    il_table table;
    const char *selector = il_param_text(flags, IL_P_SUITE);
    il_table_init(&table, selector ? model_columns : suite_columns,
                  selector ? sizeof model_columns / sizeof *model_columns
                           : sizeof suite_columns / sizeof *suite_columns);
    int rc =
        selector ? list_models(selector, &arena, &table, &err) : list_suites(&arena, &table, &err);
    if (rc == IL_OK) {
        rc = il_table_print(&table, il_param_flag(flags, IL_P_JSON), stdout, &err);
    }
    if (rc != IL_OK) {
        il_log_error(&err);
    }
    il_table_free(&table);
    il_arena_free(&arena);
    return il_exit_from_code(rc);
}

const il_verb il_verb_model_list = {
    .name = "model list",
    .arguments = "",
    .summary = "the suites of shapes, or with --suite the models of one",
    .details = "  inferlaw model list\n  inferlaw model list --suite 'qwen3<=4b' --json",
    .scope = IL_SCOPE_MODEL_LIST,
    .run = run,
};
