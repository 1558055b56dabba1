/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GGUF files read back: the shape they were made from, every tensor under its Hugging Face name in
 * that checkpoint's order, bytes of a step, and what is refused with which words.
 */
#include "check.h"

#include "base/file.h"
#include "model/gguf_model.h"
#include "model/gguf_weights.h"
#include "model/gguf_write.h"
#include "model/quant.h"
#include "model/synth.h"

#include <unistd.h>

#define SMALL ",n_layer=2,d_model=64,n_head=4,vocab_size=96,n_positions=32"

static const char *const families[] = {
    "family=gpt2" SMALL,
    "family=pythia" SMALL,
    "family=llama,n_kv_head=2,tied=true" SMALL,
    "family=qwen2.5,n_kv_head=2" SMALL,
    "family=qwen3,n_kv_head=2,d_head=32" SMALL,
    "family=gemma3,n_kv_head=1,d_head=32" SMALL,
    "family=mixtral,n_kv_head=2,d_ff=64,n_expert=4,n_expert_used=2" SMALL,
    "family=olmoe,d_ff=64,n_expert=4,n_expert_used=2" SMALL,
};
enum { N_FAMILIES = sizeof families / sizeof *families, SEED = 7 };

static char path[600];

static int make_path(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/model.gguf", check_scratch_dir("gguf_weights"));
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    (void)unlink(path);
    *strrchr(path, '/') = '\0';
    return rmdir(path);
}

static void make(const char *flags, il_gguf_recipe recipe, il_shape *shape)
{
    il_error err = {0};
    il_gguf_options options = {.recipe = recipe, .force = true};
    check_ok(il_shape_from_flags(flags, shape, &err), &err);
    check_ok(il_model_gguf_from_shape(shape, SEED, IL_DTYPE_F32, path, &options, NULL, &err), &err);
}

static il_gguf_weights *open_file(void)
{
    il_error err = {0};
    il_gguf_weights *w = NULL;
    check_ok(il_gguf_weights_open(path, &w, &err), &err);
    return w;
}

static void check_shape(const il_shape *a, const il_shape *b)
{
    assert_int_equal(a->arch, b->arch);
    assert_int_equal(a->n_layer, b->n_layer);
    assert_int_equal(a->d_model, b->d_model);
    assert_int_equal(a->n_head, b->n_head);
    assert_int_equal(a->n_kv_head, b->n_kv_head);
    assert_int_equal(a->d_head, b->d_head);
    assert_int_equal(a->d_ff, b->d_ff);
    assert_int_equal(a->vocab_size, b->vocab_size);
    assert_int_equal(a->n_positions, b->n_positions);
    assert_int_equal(a->rope_dims, b->rope_dims);
    assert_int_equal(a->tied, b->tied);
    assert_int_equal(a->bias_qkv, b->bias_qkv);
    assert_int_equal(a->parallel_residual, b->parallel_residual);
    assert_int_equal(a->sliding_window, b->sliding_window);
    assert_int_equal(a->sliding_period, b->sliding_period);
    assert_int_equal(a->n_expert, b->n_expert);
    assert_int_equal(a->n_expert_used, b->n_expert_used);
    assert_int_equal(a->norm_topk, b->norm_topk);
    check_near(a->norm_eps, b->norm_eps, 1e-6);
    check_near(a->attn_scale, b->attn_scale, 1e-12);
    check_near(a->embed_scale, b->embed_scale, 1e-12);
    check_near(a->rope_theta, b->rope_theta, 1e-6);
    check_near(a->rope_theta_local, b->rope_theta_local, 1e-6);
}

typedef struct walk {
    const il_shape *shape;
    const il_gguf_weights *file;
} walk;

/* The value of a Hugging Face tensor at row, column of [out, in]. */
static float wanted(const il_tensor_info *info, const float *values, uint64_t row, uint64_t column)
{
    return info->n_dims == 1  ? values[column]
           : info->transposed ? values[column * info->dims[1] + row]
                              : values[row * info->dims[1] + column];
}

/* [heads][q, k, v][e] of the checkpoint stands as [q, k, v][heads][e]. */
static uint64_t neox_row(const il_shape *s, uint64_t row)
{
    uint64_t e = s->d_head, part = row / (e * s->n_head), head = row / e % s->n_head;
    return (head * 3 + part) * e + row % e;
}

static int check_tensor(const il_tensor_info *info, void *user)
{
    const walk *w = user;
    const il_gguf_weight *t = il_gguf_weights_find(w->file, info->name);
    assert_non_null(t);
    uint64_t n = info->dims[0] * (info->n_dims > 1 ? info->dims[1] : 1);
    assert_int_equal(t->n_rows * t->n_columns, n);
    float *values = malloc(n * sizeof *values), *got = malloc(n * sizeof *got);
    assert_true(values && got);
    il_synth synth = il_synth_of(w->shape, info, SEED);
    il_synth_fill(&synth, 0, n, IL_DTYPE_F32, values);
    bool whole = w->shape->norm == IL_NORM_RMS_PLUS_ONE && info->role == IL_ROLE_NORM_WEIGHT;
    bool qkv = strstr(info->name, "query_key_value") != NULL;
    for (uint64_t r = 0; r < t->n_rows; r++) {
        if (info->n_dims == 1) {
            il_gguf_weight_vector(t, 0, n, got);
        } else {
            il_quant_read(t->layout->type, il_gguf_weight_row(t, r), t->n_columns, got);
        }
        for (uint64_t c = 0; c < t->n_columns; c++) {
            uint64_t row = qkv ? neox_row(w->shape, r) : r;
            uint64_t column = qkv && info->n_dims == 1 ? neox_row(w->shape, c) : c;
            float want = wanted(info, values, row, column) + (whole ? 1.0F : 0.0F);
            assert_true(got[c] == want);
        }
    }
    free(values);
    free(got);
    return 0;
}

static void every_family_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FAMILIES; i++) {
        il_shape shape;
        make(families[i], IL_GGUF_RECIPE_F32, &shape);
        il_gguf_weights *file = open_file();
        check_shape(il_gguf_weights_shape(file), &shape);
        walk w = {&shape, file};
        assert_int_equal(il_shape_each_tensor(&shape, check_tensor, &w), 0);
        il_param_counts counts;
        check_ok(il_shape_count(&shape, &counts, NULL), NULL);
        assert_int_equal(il_gguf_weights_params(file), counts.total);
        assert_int_equal(il_gguf_weights_bytes(file), 4 * counts.total);
        assert_string_equal(il_gguf_weights_type(file), "F32");
        il_gguf_step step = il_gguf_weights_step(file);
        for (uint32_t batch = 1; batch <= 3; batch += 2) {
            assert_int_equal(
                il_gguf_step_bytes(&shape, step, IL_DTYPE_F32, batch, 20),
                il_shape_bytes_per_step(&shape, IL_DTYPE_F32, IL_DTYPE_F32, batch, 20));
        }
        il_gguf_weights_close(file);
    }
}

/* What a plan says a recipe's file will cost is what the file costs. */
static void steps_are_known_before_the_file(void **state)
{
    (void)state;
    static const char *const shapes[] = {
        "family=llama,n_kv_head=2,tied=true" SMALL,
        "family=gpt2" SMALL,
        "family=mixtral,n_kv_head=2,d_ff=64,n_expert=4,n_expert_used=2" SMALL,
    };
    for (size_t i = 0; i < 3; i++) {
        for (unsigned r = 0; r < IL_GGUF_RECIPE_COUNT; r++) {
            il_error err = {0};
            il_shape shape;
            il_gguf_step planned;
            make(shapes[i], (il_gguf_recipe)r, &shape);
            check_ok(il_gguf_recipe_step(&shape, (il_gguf_recipe)r, &planned, &err), &err);
            il_gguf_weights *file = open_file();
            il_gguf_step step = il_gguf_weights_step(file);
            assert_int_equal(planned.weight_bytes, step.weight_bytes);
            assert_int_equal(planned.row_bytes, step.row_bytes);
            assert_string_equal(il_gguf_weights_type(file), il_gguf_recipe_name((il_gguf_recipe)r));
            il_gguf_weights_close(file);
        }
    }
}

/* llama3's scaling lies in the file as divisors of frequencies. */
static void rope_factors_are_read(void **state)
{
    (void)state;
    il_shape shape;
    il_error err = {0};
    il_gguf_options options = {.recipe = IL_GGUF_RECIPE_F32, .force = true};
    check_ok(il_shape_from_flags("family=llama,n_kv_head=2" SMALL, &shape, &err), &err);
    shape.rope_scaling = IL_ROPE_LLAMA3;
    shape.rope_factor = 8;
    shape.rope_low_freq = 1;
    shape.rope_high_freq = 4;
    shape.rope_original_positions = 16;
    check_ok(il_model_gguf_from_shape(&shape, SEED, IL_DTYPE_F32, path, &options, NULL, &err),
             &err);
    il_gguf_weights *file = open_file();
    const float *factors = il_gguf_weights_rope_factors(file);
    assert_non_null(factors);
    check_near((double)factors[shape.rope_dims / 2 - 1], 8, 1e-6); /* the slowest pair */
    il_gguf_weights_close(file);
}

/* --- refusals -------------------------------------------------------------------------------- */

static void write_file(const char *architecture, const char *tensor, il_ggml_type type)
{
    il_error err = {0};
    il_gguf_writer *w = NULL;
    uint64_t dims[2] = {256, 4};
    uint8_t bytes[4 * 256 * 4] = {0};
    check_ok(il_gguf_writer_open(path, &w, &err), &err);
    il_gguf_put_text(w, "general.architecture", architecture);
    il_gguf_put_u32(w, "llama.context_length", 16);
    il_gguf_put_u32(w, "llama.embedding_length", 256);
    il_gguf_put_u32(w, "llama.block_count", 1);
    il_gguf_put_u32(w, "llama.feed_forward_length", 256);
    il_gguf_put_u32(w, "llama.attention.head_count", 4);
    il_gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
    il_gguf_add_tensor(w, tensor, 2, dims, type);
    check_ok(il_gguf_writer_begin(w, &err), &err);
    check_ok(il_gguf_writer_append(w, bytes,
                                   (size_t)(il_ggml_layout_of(type)->block_bytes * 4 * 256 /
                                            il_ggml_layout_of(type)->block_values),
                                   &err),
             &err);
    check_ok(il_gguf_writer_end(w, &err), &err);
    il_gguf_writer_close(w);
}

static void refused(int code, const char *what, const char *hint)
{
    il_error err = {0};
    il_gguf_weights *file = NULL;
    assert_int_equal(il_gguf_weights_open(path, &file, &err), code);
    assert_non_null(strstr(err.what, what));
    assert_true(!hint || strstr(err.hint, hint));
    assert_int_equal(strncmp(err.where, path, strlen(path)), 0); /* perhaps with the byte */
}

static void refuses_with_words(void **state)
{
    (void)state;
    write_file("lama", "token_embd.weight", IL_GGML_F32);
    refused(IL_E_UNSUPPORTED, "\"lama\"", "\"llama\"");
    write_file("bert", "token_embd.weight", IL_GGML_F32);
    refused(IL_E_UNSUPPORTED, "\"bert\"", "gpt2, gptneox, llama, qwen2");
    write_file("llama", "token_embd.weight", IL_GGML_Q2_K);
    refused(IL_E_UNSUPPORTED, "token_embd.weight is of type Q2_K", "Q4_K");
    write_file("llama", "token_embd.weight", IL_GGML_F32);
    refused(IL_E_INVALID, "no tensor blk.0.attn_norm.weight", NULL);
    write_file("llama", "something.weight", IL_GGML_F32);
    refused(IL_E_DAMAGED, "token_embd.weight", NULL);
    write_file("qwen2", "token_embd.weight", IL_GGML_F32);
    refused(IL_E_DAMAGED, "qwen2.context_length", NULL);
    assert_true(il_path_is_gguf(path));
    assert_int_equal(truncate(path, 64), 0);
    refused(IL_E_DAMAGED, "", NULL);
    assert_int_equal(truncate(path, 3), 0);
    assert_true(il_path_is_gguf(path)); /* by its name */
    refused(IL_E_DAMAGED, "no GGUF file", "copy it again");
    assert_false(il_path_is_gguf("/dev/null"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_comes_back),
        cmocka_unit_test(steps_are_known_before_the_file),
        cmocka_unit_test(rope_factors_are_read),
        cmocka_unit_test(refuses_with_words),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
