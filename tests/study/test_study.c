/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Study files: what is read, what is refused and where, expansions, filters, prompts; the plan.
 */
#include "check.h"

#include "backend/backend.h"
#include "study/plan.h"
#include "study/study.h"

#define TAIL                                                                                       \
    "scenarios: [{name: a, prompt: Hello}]\nbackends: [{name: x, kind: noop}]\n"                   \
    "models: [{name: m, kind: hf}]\n"

typedef struct bad_case {
    const char *text, *where, *what, *hint; /* hint NULL: any */
} bad_case;

static const bad_case bad_cases[] = {
    {"", "t:1:1", "empty", NULL},
    {"# only a comment\n", "t:1:1", "empty", NULL},
    {"a: [1, 2\nb: 3\n", "t:2:2", "broken YAML", NULL},
    {"seed: 1\n\tgen_tokens: 2\n", "t:2:1", "broken YAML", "spaces"},
    {"gen_token: 8\n" TAIL, "t:1:1", "unknown key \"gen_token\"", "\"gen_tokens\""},
    {"gen-tokens: 8\n" TAIL, "t:1:1", "unknown key", "\"gen_tokens\""},
    {"zebra: 8\n" TAIL, "t:1:1", "unknown key", "known here"},
    {"seed: 1\nseed: 2\n" TAIL, "t:2:1", "stands twice, first on line 1", NULL},
    {"repetitions: 0\n" TAIL, "t:1:14", "outside 1 to", NULL},
    {"repetitions: 1e2\n" TAIL, "t:1:14", "whole number", NULL},
    {"repetitions: 064\n" TAIL, "t:1:14", "whole number", NULL},
    {"repetitions: 64abc\n" TAIL, "t:1:14", "whole number", NULL},
    {"repetitions: \"3\"\n" TAIL, "t:1:14", "quoted", NULL},
    {"repetitions:\n" TAIL, "t:1:13", "no value", NULL},
    {"repetitions: [3]\n" TAIL, "t:1:14", "single value", NULL},
    {"schedule: {aa: maybe}\n" TAIL, "t:1:16", "true or false", NULL},
    {"schedule: 5\n" TAIL, "t:1:11", "must be a mapping", NULL},
    {"batch_sizes: 8\n" TAIL, "t:1:14", "must be a list", NULL},
    {"batch_sizes: []\n" TAIL, "t:1:14", "must be a list", NULL},
    {"batch_sizes: [1, 1]\n" TAIL, "t:1:14", "two backends", NULL},
    {"seed: &a 1\n" TAIL, "t:1:7", "anchors", NULL},
    {"seed: !!int 1\n" TAIL, "t:1:7", "tags", NULL},
    {"seed: 1\n---\nseed: 2\n", "t:2:1", "second document", NULL},
    {"<<: {seed: 1}\n" TAIL, "t:1:1", "merge keys", NULL},
    {"[1, 2]\n", "t:1:1", "mapping", NULL},
    {"gen_tokens_list: [8]\n" TAIL, "t:1:18", "sweep", "inferlaw sweep t"},
    {"run_name: ../x\n" TAIL, "t:1:11", "names a directory", NULL},
    {"scenarios: [{name: a}]\n", "t:1:13", "needs prompt", NULL},
    {"scenarios: [{name: a, prompt: H}, {name: a, prompt: I}]\n", "t:1:35", "two scenarios", NULL},
    {"backends: [{name: x}]\n", "t:1:12", "needs a kind", NULL},
    {"backends: [{kind: hff}]\n", "t:1:19", "must be one of", NULL},
    {"models: [{kind: hf}]\n", "t:1:10", "needs a name", NULL},
    {"models: []\n", "t:1:9", "at least one entry", NULL},
    {"seed: 1\n", "t", "names no backends", NULL},
    {"shapes: {n_layer: [2], d_model: [7], n_head: [2]}\n" TAIL, "t:1:9", "no shape", NULL},
    {"cold_start: {samples: 5}\n" TAIL, "t:1:23", "outside 6 to", NULL},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        const bad_case *c = &bad_cases[i];
        il_study s;
        il_error err = {0};
        int rc = il_study_parse(c->text, strlen(c->text), "t", NULL, &s, &err);
        il_study_free(&s);
        if (rc == IL_OK || strcmp(err.where, c->where) != 0 || !strstr(err.what, c->what) ||
            (c->hint && !strstr(err.hint, c->hint))) {
            print_error("case %zu: %s\n  got %s [%s] (%s)\n", i, c->text, err.what, err.where,
                        err.hint);
            fail();
        }
    }
}

/* Cut anywhere or with any byte changed, a file is read or refused, never worse. */
static void test_mangled(void **state)
{
    (void)state;
    static const char text[] = "run_name: r\nschedule: {blocks: 2}\nbatch_sizes: [1, 2]\n" TAIL;
    char copy[sizeof text];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        static const char bytes[] = {'\0', '\t', '{', '&', ':', '\xff', '-', '"'};
        for (size_t k = 0; k <= sizeof bytes; k++) {
            memcpy(copy, text, sizeof text);
            copy[i] = k < sizeof bytes ? bytes[k] : copy[i];
            il_study s;
            il_error err = {0};
            int rc =
                il_study_parse(copy, k < sizeof bytes ? sizeof text - 1 : i, "t", NULL, &s, &err);
            assert_true(rc == IL_OK || err.what[0] != '\0');
            il_study_free(&s);
        }
    }
}

static void test_limits(void **state)
{
    (void)state;
    il_study s;
    il_error err = {0};
    size_t n = 2 << 20;
    char *big = malloc(n);
    assert_non_null(big);
    memset(big, '#', n);
    assert_int_equal(il_study_parse(big, n, "t", NULL, &s, &err), IL_E_RANGE);
    il_study_free(&s);
    memset(big, '[', 1000);
    assert_int_equal(il_study_parse(big, 1000, "t", NULL, &s, &err), IL_E_PARSE);
    assert_non_null(strstr(err.what, "deeper"));
    il_study_free(&s);
    free(big);
}

static void load_config(const char *name, const il_study_options *o, il_study *s)
{
    char path[600];
    il_error err = {0};
    (void)snprintf(path, sizeof path, "%s/configs/%s.yaml", IL_TEST_SOURCE_DIR, name);
    check_ok(il_study_load(path, o, s, &err), &err);
}

/* The original study's files, unchanged: cells and calls as the original counts them. */
static void test_original_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned cells, calls;
    } files[] = {{"scaling", 57, 57 * 4},
                 {"gemma_family", 6, 6 * 6},
                 {"boundary_shift_batch8", 14, 14 * 6},
                 {"boundary_shift_gen512", 7, 7 * 4}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        il_study s;
        il_plan p;
        il_error err = {0};
        load_config(files[i].name, NULL, &s);
        check_ok(il_plan_make(&s, il_backend_find, &p, &err), &err);
        assert_int_equal(p.n_cells, files[i].cells);
        assert_int_equal(p.n_calls, files[i].calls);
        assert_false(p.aa || p.sentinel || p.closure); /* one block: as the original */
        il_plan_free(&p);
        il_study_free(&s);
    }
    il_study s;
    il_study_options sweep = {.sweep = true, .gen_tokens = 32};
    load_config("decode_sweep", &sweep, &s);
    assert_int_equal(s.n_models, 9);
    assert_int_equal(s.n_backends, 3);
    assert_int_equal(s.n_scenarios, 2);
    assert_int_equal(il_study_gen_tokens(&s), 32);
    assert_string_equal(s.scenarios[0].prompt, "Summarize RLHF in one sentence.");
    assert_int_equal(s.scenarios[0].prompt_tokens, 9);
    assert_int_equal(s.scenarios[1].prompt_tokens, 17);
    assert_string_equal(s.scenarios[1].source, "count");
    il_study_free(&s);
}

static void test_expansion(void **state)
{
    (void)state;
    static const char text[] = "batch_sizes: [1, 8]\nprompt_tokens_list: [16, 128]\n"
                               "shapes: {n_layer: [2, 4], d_model: [64, 100], n_head: [4, 8]}\n"
                               "cold_start: {samples: 6}\n" TAIL;
    il_study s;
    il_plan p;
    il_error err = {0};
    check_ok(il_study_parse(text, strlen(text), "t", NULL, &s, &err), &err);
    assert_int_equal(s.n_backends, 2);
    assert_string_equal(s.backends[1].name, "x_bs8");
    assert_int_equal(il_param_i64(&s.backends[1].set, IL_P_BATCH_SIZE), 8);
    assert_int_equal(s.n_scenarios, 3);
    assert_string_equal(s.scenarios[2].name, "p128");
    /* 64 and 100 by 4 heads, 64 by 8: three shapes a depth, and the model of the list. */
    assert_int_equal(s.n_models, 7);
    assert_int_equal(s.n_notes, 1); /* left out of the grid */
    check_ok(il_plan_make(&s, il_backend_find, &p, &err), &err);
    assert_int_equal(p.n_cells, 2 * 3 * 7);
    il_plan_free(&p);
    il_study_free(&s);
}

static void test_iso(void **state)
{
    (void)state;
    static const char text[] =
        "shapes: {n_layer: [2, 4, 8, 16], n_head: [4], iso_params: 50e6}\n"
        "scenarios: [{name: a, prompt: Hello}]\nbackends: [{name: x, kind: noop}]\n";
    il_study s;
    il_error err = {0};
    check_ok(il_study_parse(text, strlen(text), "t", NULL, &s, &err), &err);
    assert_int_equal(s.n_models, 4);
    for (size_t i = 0; i < 4; i++) {
        check_near((double)s.models[i].counts.total, 50e6, 0.04);
    }
    il_study_free(&s);
}

#define SHAPES_TAIL "scenarios: [{name: a, prompt: Hello}]\nbackends: [{name: x, kind: noop}]\n"

/* Grids in a list: a fixed aspect, and one that meets a shape of the other. */
static void test_grids(void **state)
{
    (void)state;
    static const char text[] =
        "shapes:\n"
        "- {n_layer: [2, 3], aspect: 16, head_dim: 16, vocab_size: 100, n_positions: 64}\n"
        "- {n_layer: [1, 2], d_model: [32], n_head: [2], vocab_size: 100, n_positions: 64}\n"
        "- {n_layer: [2], d_model: [32], n_head: [2]}\n" SHAPES_TAIL;
    il_study s;
    il_error err = {0};
    check_ok(il_study_parse(text, strlen(text), "t", NULL, &s, &err), &err);
    assert_int_equal(s.n_models, 4);
    assert_string_equal(s.models[0].name, "gpt2-L2-d32-h2-v100-p64");
    assert_string_equal(s.models[1].name, "gpt2-L3-d48-h3-v100-p64");
    assert_string_equal(s.models[2].name, "gpt2-L1-d32-h2-v100-p64");
    assert_string_equal(s.models[3].name, "gpt2-L2-d32-h2"); /* another vocabulary: another shape */
    assert_int_equal(s.models[1].shape.n_head, 3);
    assert_int_equal(s.models[1].shape.n_positions, 64);
    assert_int_equal(s.n_notes, 0);
    il_study_free(&s);
    static const char *const refused[] = {
        "shapes: {n_layer: [2]}\n" SHAPES_TAIL,
        "shapes: {n_layer: [2], aspect: 16, d_model: [64]}\n" SHAPES_TAIL,
        "shapes: {n_layer: [2], aspect: 16, head_dim: 16, n_head: [2]}\n" SHAPES_TAIL,
        "shapes: {n_layer: [2], iso_params: 1e6, head_dim: 16}\n" SHAPES_TAIL,
        "shapes: {n_layer: [2], aspect: 16, head_dim: 15}\n" SHAPES_TAIL,
        "shapes: [3]\n" SHAPES_TAIL,
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        err = (il_error){0};
        assert_int_equal(il_study_parse(refused[i], strlen(refused[i]), "t", NULL, &s, &err),
                         IL_E_USAGE);
        assert_non_null(strstr(err.where, "t:1:"));
        il_study_free(&s);
    }
}

/* With a target the plan begins with the least blocks, and numbers calls by the most. */
static void test_target(void **state)
{
    (void)state;
    static const char text[] = "schedule: {blocks: 30, target_ci: 0.05}\nrepetitions: 1\n"
                               "shapes: {n_layer: [2], aspect: 16}\n" SHAPES_TAIL;
    il_study s;
    il_plan p;
    il_error err = {0};
    check_ok(il_study_parse(text, strlen(text), "t", NULL, &s, &err), &err);
    check_ok(il_plan_make(&s, il_backend_find, &p, &err), &err);
    assert_true(p.sampling.adaptive && p.aa && p.sentinel);
    assert_int_equal(p.sampling.least, 8);
    assert_int_equal(p.sampling.rounds, 8);
    assert_int_equal(p.n_calls, 60);
    assert_int_equal(il_plan_planned_calls(&p), 16);
    assert_true(il_plan_has(&p, 0, 7) && !il_plan_has(&p, 0, 8));
    p.sampling.extra[8] = true;
    assert_false(il_plan_has(&p, 0, 8)); /* wished for, not yet planned */
    p.sampling.rounds = 9;
    assert_true(il_plan_has(&p, 0, 8));
    assert_int_equal(il_plan_planned_calls(&p), 18);
    assert_int_equal(il_plan_call_idx(&p, 0, 8, 1), 17);
    il_plan_free(&p);
    il_study_free(&s);
}

static void test_flags(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_param_set flags;
    il_error err = {0};
    il_study s;
    check_ok(il_param_set_init(&flags, IL_SCOPE_RUN, &arena, &err), &err);
    check_ok(il_param_set_text(&flags, IL_P_MAP, "hf=native", IL_ORIGIN_FLAG, &err), &err);
    check_ok(il_param_set_text(&flags, IL_P_ONLY_MODELS, "gpt2-25m,models/gpt2-5m", IL_ORIGIN_FLAG,
                               &err),
             &err);
    check_ok(il_param_set_text(&flags, IL_P_BLOCKS, "6", IL_ORIGIN_FLAG, &err), &err);
    il_study_options o = {.flags = &flags};
    load_config("scaling", &o, &s);
    assert_int_equal(s.n_models, 2);
    assert_string_equal(s.backends[0].kind, "native");
    assert_string_equal(s.backends[0].kind_asked, "hf");
    assert_int_equal(il_study_blocks(&s), 6);
    assert_int_equal(s.models[0].problem.code, IL_E_NOT_FOUND);
    assert_non_null(strstr(s.models[0].problem.hint, "model make --suite tr121"));
    il_study_free(&s);
    check_ok(il_param_set_text(&flags, IL_P_ONLY_MODELS, "gpt2-26m", IL_ORIGIN_FLAG, &err), &err);
    char path[600];
    (void)snprintf(path, sizeof path, "%s/configs/scaling.yaml", IL_TEST_SOURCE_DIR);
    assert_int_equal(il_study_load(path, &o, &s, &err), IL_E_USAGE);
    assert_non_null(strstr(err.hint, "gpt2-2"));
    il_study_free(&s);
    il_arena_free(&arena);
}

static void test_prompt_ids(void **state)
{
    (void)state;
    int32_t a[64], b[64], c[64];
    il_study_prompt_ids(42, "p64", 0, 50257, 64, a);
    il_study_prompt_ids(42, "p64", 0, 50257, 64, b);
    assert_memory_equal(a, b, sizeof a);
    il_study_prompt_ids(42, "p65", 0, 50257, 64, b);
    il_study_prompt_ids(43, "p64", 0, 50257, 64, c);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    for (uint32_t row = 1; row < 64; row++) {
        il_study_prompt_ids(42, "p64", row, 50257, 64, b);
        assert_int_not_equal(a[0], b[0]); /* even one-token rows differ */
        for (int i = 0; i < 64; i++) {
            assert_in_range(b[i], 0, 50256);
        }
    }
    double mean = 0;
    for (uint32_t row = 0; row < 1000; row++) {
        il_study_prompt_ids(1, "m", row, 1000, 64, b);
        for (int i = 1; i < 64; i++) {
            mean += b[i] / 63000.0;
        }
    }
    check_near(mean, 499.5, 0.02);
}

static void test_plan_numbers(void **state)
{
    (void)state;
    static const char text[] =
        "repetitions: 2\nwarmup_repetitions: 1\nschedule: {blocks: 4}\n" TAIL;
    il_study s, t;
    il_plan p, q;
    il_error err = {0};
    check_ok(il_study_parse(text, strlen(text), "t", NULL, &s, &err), &err);
    check_ok(il_plan_make(&s, il_backend_find, &p, &err), &err);
    assert_int_equal(il_plan_call_idx(&p, 1, 2, 1), 1 * 4 * 3 + 2 * 3 + 1);
    assert_true(p.aa && p.sentinel && p.closure);
    static const char commented[] =
        "# the same study\nwarmup_repetitions: 1\nrepetitions: 2\nschedule: {blocks: 4}\n" TAIL;
    check_ok(il_study_parse(commented, strlen(commented), "t", NULL, &t, &err), &err);
    check_ok(il_plan_make(&t, il_backend_find, &q, &err), &err);
    assert_string_equal(p.study_sha256, q.study_sha256);
    il_plan_free(&q);
    il_study_free(&t);
    static const char other[] = "seed: 43\nrepetitions: 2\nschedule: {blocks: 4}\n" TAIL;
    check_ok(il_study_parse(other, strlen(other), "t", NULL, &t, &err), &err);
    check_ok(il_plan_make(&t, il_backend_find, &q, &err), &err);
    assert_string_not_equal(p.study_sha256, q.study_sha256);
    il_plan_free(&q);
    il_study_free(&t);
    il_plan_free(&p);
    il_study_free(&s);
}

static void test_skips(void **state)
{
    (void)state;
    static const char text[] =
        "gen_tokens: 600\nscenarios: [{name: words, prompt: Nobody counted these.}, {name: long, "
        "prompt_tokens: 1000}, {name: ok, prompt_tokens: 100}]\n"
        "backends: [{name: x, kind: noop}, {name: o, kind: ollama}]\nsuites: [tr121/tiny-gpt2]\n"
        "models: [{name: served, kind: ollama}, {name: none, kind: hf, on: [x]}]\n";
    il_study s;
    il_plan p;
    il_error err = {0};
    check_ok(il_study_parse(text, strlen(text), "t", NULL, &s, &err), &err);
    check_ok(il_plan_make(&s, il_backend_find, &p, &err), &err);
    assert_int_equal(p.n_cells, 9);
    for (uint32_t i = 0; i < p.n_cells; i++) {
        const il_cell *c = &p.cells[i];
        const char *scenario = s.scenarios[c->scenario].name;
        bool tiny = strcmp(s.models[c->model].name, "tiny-gpt2") == 0;
        bool server = c->backend == 1;
        int wanted = server                                  ? IL_E_UNSUPPORTED
                     : strcmp(scenario, "words") == 0        ? IL_E_UNSUPPORTED
                     : tiny && strcmp(scenario, "long") == 0 ? IL_E_RANGE
                                                             : IL_OK;
        assert_int_equal(c->skip.code, wanted);
        assert_true(wanted == IL_OK || c->skip.hint[0] != '\0');
    }
    json_t *json = il_plan_json(&p, "id");
    assert_non_null(json);
    assert_int_equal(json_array_size(json_object_get(json, "cells")), 9);
    json_decref(json);
    il_plan_free(&p);
    il_study_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_mangled),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_original_files),
        cmocka_unit_test(test_expansion),    cmocka_unit_test(test_iso),
        cmocka_unit_test(test_grids),        cmocka_unit_test(test_target),
        cmocka_unit_test(test_flags),        cmocka_unit_test(test_prompt_ids),
        cmocka_unit_test(test_plan_numbers), cmocka_unit_test(test_skips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
