/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GGUF files in the engine. An fp32 file gives the very logits of the checkpoint it was made from,
 * which the goldens hold against transformers. A quantised file is held against itself expanded to
 * fp32: with the reference kernels to rounding, with the others to what int8 activations cost.
 */
#include "fixture.h"

#include "engine/cpu/kernels.h"
#include "model/gguf_model.h"

#include <math.h>

#define SIZES                                                                                      \
    "\"num_hidden_layers\": 2, \"hidden_size\": 256, \"intermediate_size\": 512, "                 \
    "\"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"vocab_size\": 300, "                \
    "\"max_position_embeddings\": 64"

static const struct {
    const char *name, *config;
} models[] = {
    {"gpt2", "{\"model_type\": \"gpt2\", \"n_layer\": 2, \"n_embd\": 256, \"n_head\": 4, "
             "\"vocab_size\": 300, \"n_positions\": 64}"},
    {"neox", "{\"model_type\": \"gpt_neox\", \"num_hidden_layers\": 2, \"hidden_size\": 256, "
             "\"intermediate_size\": 512, \"num_attention_heads\": 4, \"vocab_size\": 300, "
             "\"max_position_embeddings\": 64, \"rotary_pct\": 0.25}"},
    {"llama", "{\"model_type\": \"llama\", \"rope_scaling\": {\"rope_type\": \"llama3\", "
              "\"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
              "\"original_max_position_embeddings\": 32}, " SIZES "}"},
    {"qwen3", "{\"model_type\": \"qwen3\", \"head_dim\": 32, " SIZES "}"},
    {"gemma3", "{\"model_type\": \"gemma3_text\", \"head_dim\": 32, \"sliding_window\": 8, "
               "\"query_pre_attn_scalar\": 32, " SIZES "}"},
    {"mixtral", "{\"model_type\": \"mixtral\", \"num_local_experts\": 4, "
                "\"num_experts_per_tok\": 2, " SIZES "}"},
};
enum { N_MODELS = sizeof models / sizeof *models, N_IDS = 20, N_VOCAB = 300, N_STEPS = 4 };

/* Rows of a prompt, then of decode steps with fixed ids. */
static void run_model(const char *path, const char *isa, bool expand, uint32_t n_threads,
                      float *rows)
{
    il_error err = {0};
    il_engine_options options = {.isa = isa, .expand = expand, .n_threads = n_threads};
    il_engine_model *model = NULL;
    il_engine_session *session = NULL;
    check_ok(il_engine_model_open(path, &options, &model, &err), &err);
    il_engine_session_options so = {.max_batch = 1,
                                    .max_context_tok = N_IDS + N_STEPS,
                                    .max_prompt_tok = N_IDS,
                                    .logits = IL_ENGINE_LOGITS_ALL};
    check_ok(il_engine_session_open(model, &so, &session, &err), &err);
    int32_t ids[N_IDS + N_STEPS];
    uint32_t n = N_IDS, n_rows = 0;
    for (uint32_t i = 0; i < N_IDS + N_STEPS; i++) {
        ids[i] = (int32_t)((i * 97 + 5) % N_VOCAB);
    }
    check_ok(il_engine_prefill(session, ids, &n, 1, &err), &err);
    const float *logits = il_engine_logits(session, &n_rows);
    assert_int_equal(n_rows, N_IDS);
    memcpy(rows, logits, (size_t)N_IDS * N_VOCAB * sizeof *rows);
    for (uint32_t i = 0; i < N_STEPS; i++) {
        check_ok(il_engine_decode(session, ids + N_IDS + i, &err), &err);
        memcpy(rows + (size_t)(N_IDS + i) * N_VOCAB, il_engine_logits(session, &n_rows),
               N_VOCAB * sizeof *rows);
    }
    il_engine_session_close(session);
    il_engine_model_close(model);
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Root mean square of a row's difference over that of the wanted row, the median of all rows: where
 * a model of experts nearly ties, rounding chooses another expert, and that row is another one. */
static double distance(const float *rows, const float *want)
{
    double each[N_IDS + N_STEPS];
    for (size_t r = 0; r < N_IDS + N_STEPS; r++) {
        double gap = 0, size = 0;
        for (size_t i = r * N_VOCAB; i < (r + 1) * N_VOCAB; i++) {
            double d = (double)rows[i] - (double)want[i];
            gap += d * d;
            size += (double)want[i] * (double)want[i];
        }
        each[r] = sqrt(gap / size);
    }
    qsort(each, N_IDS + N_STEPS, sizeof *each, compare_doubles);
    return each[(N_IDS + N_STEPS) / 2];
}

static float *take_rows(void)
{
    float *rows = malloc((size_t)(N_IDS + N_STEPS) * N_VOCAB * sizeof *rows);
    assert_non_null(rows);
    return rows;
}

static void convert(const fixture *f, il_gguf_recipe recipe, char *path, size_t n)
{
    il_error err = {0};
    il_gguf_options options = {.recipe = recipe, .force = true};
    (void)snprintf(path, n, "%s/model.gguf", f->dir);
    check_ok(il_model_gguf_from_dir(f->dir, path, &options, NULL, &err), &err);
}

static void fp32_files_give_the_same_logits(void **state)
{
    (void)state;
    float *want = take_rows(), *rows = take_rows();
    for (size_t i = 0; i < N_MODELS; i++) {
        fixture f;
        char path[600];
        fixture_make(&f, models[i].config, IL_DTYPE_F32, 11, NULL);
        convert(&f, IL_GGUF_RECIPE_F32, path, sizeof path);
        run_model(f.dir, "auto", false, 1, want);
        run_model(path, "auto", false, 1, rows);
        double off = distance(rows, want);
        if (off > 1e-6) { /* llama3's factors are fp32 numbers in the file */
            print_error("%s: %.3g\n", models[i].name, off);
            fail();
        }
        (void)unlink(path);
        fixture_remove(&f);
    }
    free(want);
    free(rows);
}

static void quantised_files_stay_within_their_noise(void **state)
{
    (void)state;
    static const il_gguf_recipe recipes[] = {IL_GGUF_RECIPE_F16, IL_GGUF_RECIPE_BF16,
                                             IL_GGUF_RECIPE_Q8_0, IL_GGUF_RECIPE_Q4_0,
                                             IL_GGUF_RECIPE_Q4_K_M};
    static const char *const isas[] = {"reference", "avx2", "auto"};
    /* int8 activations cost 1 to 2 % in these models. */
    static const double limits[] = {1e-5, 4e-2, 4e-2};
    float *want = take_rows(), *rows = take_rows();
    for (size_t i = 0; i < N_MODELS; i++) {
        fixture f;
        char path[600];
        fixture_make(&f, models[i].config, IL_DTYPE_F32, 12, NULL);
        for (size_t r = 0; r < 5; r++) {
            convert(&f, recipes[r], path, sizeof path);
            run_model(path, "auto", true, 1, want);
            for (size_t k = 0; k < 3; k++) {
                il_isa isa;
                bool plain = r < 2; /* no blocks: the goldens' kernels */
                if (il_isa_choose(isas[k], &isa, NULL) != IL_OK || (plain && k < 2)) {
                    continue;
                }
                run_model(path, isas[k], false, 1 + (uint32_t)(r % 2), rows);
                double off = distance(rows, want);
                if (!(off <= limits[k])) {
                    print_error("%s %s %s: %.3g\n", models[i].name, il_gguf_recipe_name(recipes[r]),
                                isas[k], off);
                    fail();
                }
            }
        }
        (void)unlink(path);
        fixture_remove(&f);
    }
    free(want);
    free(rows);
}

static void facts_name_the_format(void **state)
{
    (void)state;
    fixture f;
    char path[600];
    il_error err = {0};
    fixture_make(&f, models[2].config, IL_DTYPE_F32, 13, NULL);
    convert(&f, IL_GGUF_RECIPE_Q4_0, path, sizeof path);
    il_engine_model *model = NULL;
    il_engine_options options = {.n_threads = 1};
    check_ok(il_engine_model_open(path, &options, &model, &err), &err);
    const il_engine_facts *facts = il_engine_model_facts(model);
    uint64_t block_bytes = facts->weight_bytes;
    assert_string_equal(facts->weights, "Q4_0");
    il_engine_model_close(model);
    options.expand = true;
    check_ok(il_engine_model_open(path, &options, &model, &err), &err);
    facts = il_engine_model_facts(model);
    assert_string_equal(facts->weights, "Q4_0, expanded");
    assert_true(facts->weight_bytes > 5 * block_bytes);
    il_engine_model_close(model);
    assert_int_equal(truncate(path, 3000), 0);
    assert_int_equal(il_engine_model_open(path, &options, &model, &err), IL_E_DAMAGED);
    assert_string_equal(err.where, path);
    (void)unlink(path);
    fixture_remove(&f);
}

/* Every byte of the head altered: refused with a reason, or a model that still holds together. */
static void altered_heads_are_safe(void **state)
{
    (void)state;
    static const uint8_t masks[] = {0xFF, 0x01, 0x80};
    fixture f;
    char path[600];
    uint32_t n_open = 0, n_refused = 0;
    fixture_make(&f,
                 "{\"model_type\": \"llama\", \"num_hidden_layers\": 1, \"hidden_size\": 64, "
                 "\"intermediate_size\": 64, \"num_attention_heads\": 2, \"vocab_size\": 40, "
                 "\"max_position_embeddings\": 64}",
                 IL_DTYPE_F32, 14, NULL);
    convert(&f, IL_GGUF_RECIPE_Q8_0, path, sizeof path);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    (void)setvbuf(file, NULL, _IONBF, 0);
    /* The head ends where the tensors' data begin, some 2 KB. */
    for (long at = 0; at < 2048; at++) {
        uint8_t byte;
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fread(&byte, 1, 1, file), 1);
        for (size_t m = 0; m < sizeof masks; m++) {
            uint8_t other = byte ^ masks[m];
            il_error err = {0};
            il_engine_model *model = NULL;
            il_engine_options options = {.n_threads = 1};
            assert_int_equal(fseek(file, at, SEEK_SET), 0);
            assert_int_equal(fwrite(&other, 1, 1, file), 1);
            if (il_engine_model_open(path, &options, &model, &err) == IL_OK) {
                n_open++;
                il_engine_model_close(model);
            } else {
                n_refused++;
                assert_true(err.what[0] != '\0');
            }
        }
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        assert_int_equal(fwrite(&byte, 1, 1, file), 1);
    }
    (void)fclose(file);
    assert_true(n_open > 100); /* names and texts that nothing depends on */
    assert_true(n_refused > 1000);
    (void)unlink(path);
    fixture_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp32_files_give_the_same_logits),
        cmocka_unit_test(quantised_files_stay_within_their_noise),
        cmocka_unit_test(facts_name_the_format),
        cmocka_unit_test(altered_heads_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
