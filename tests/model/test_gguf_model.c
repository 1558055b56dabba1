/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * GGUF files of whole models: every value where llama.cpp looks for it, bit for bit that of the
 * Hugging Face directory; fallbacks, refusals, and nothing half-written.
 */
#include "check.h"

#include "base/file.h"
#include "model/checkpoint.h"
#include "model/gguf.h"
#include "model/gguf_model.h"
#include "model/gguf_write.h"
#include "model/make.h"
#include "model/quant.h"

#include <dirent.h>
#include <unistd.h>

#define SMALL ",n_layer=2,d_model=64,n_head=4,vocab_size=96,n_positions=32"

static char base[512];

static int make_base(void **state)
{
    (void)state;
    (void)snprintf(base, sizeof base, "%s", check_scratch_dir("gguf"));
    return 0;
}

static int remove_base(void **state)
{
    (void)state;
    char command[600];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", base);
    return system(command);
}

static const char *at(const char *name)
{
    static char paths[8][700];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", base, name);
    return path;
}

typedef struct pair {
    il_checkpoint *hf;
    il_gguf *gguf;
} pair;

/* The directory and the file of one shape. The file is made from both sources, which must agree. */
static pair make_both(const char *flags, const char *name, il_gguf_recipe recipe, il_dtype dtype)
{
    il_error err = {0};
    il_shape shape;
    pair p = {0};
    char file[96], again[96];
    (void)snprintf(file, sizeof file, "%s.gguf", name);
    (void)snprintf(again, sizeof again, "%s-again.gguf", name);
    check_ok(il_shape_from_flags(flags, &shape, &err), &err);
    (void)snprintf(shape.name, sizeof shape.name, "%s", name);
    il_make_options options = {.seed = 5, .dtype = dtype};
    il_gguf_options gguf = {.recipe = recipe, .force = true};
    il_gguf_report report;
    check_ok(il_model_make(&shape, at(name), &options, NULL, &err), &err);
    check_ok(il_model_gguf_from_shape(&shape, 5, dtype, at(file), &gguf, &report, &err), &err);
    check_ok(il_model_gguf_from_dir(at(name), at(again), &gguf, NULL, &err), &err);
    char command[1500];
    (void)snprintf(command, sizeof command, "cmp '%s' '%s'", at(file), at(again));
    assert_int_equal(system(command), 0);
    check_ok(il_checkpoint_open(at(name), &p.hf, &err), &err);
    check_ok(il_gguf_open(at(file), &p.gguf, &err), &err);
    assert_int_equal(report.n_tensors, il_gguf_tensor_count(p.gguf));
    return p;
}

static void close_both(pair p)
{
    il_checkpoint_close(p.hf);
    il_gguf_close(p.gguf);
}

static const float *floats(const pair *p, const char *gguf_name, size_t n)
{
    const il_gguf_tensor *t = il_gguf_tensor_find(p->gguf, gguf_name);
    assert_non_null(t);
    assert_int_equal(t->layout->type, IL_GGML_F32);
    assert_int_equal(t->n_values, n);
    return (const float *)(const void *)t->data;
}

static const float *stored(const pair *p, const char *name)
{
    const il_tensor_view *v = il_checkpoint_tensor(p->hf, name);
    assert_non_null(v);
    assert_int_equal(v->dtype, IL_DTYPE_F32);
    return v->data;
}

/* Bits, so that −0 and 0 differ. */
static void same(const float *a, const float *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

static void as_is(const pair *p, const char *gguf_name, const char *name, size_t n)
{
    assert_memory_equal(floats(p, gguf_name, n), stored(p, name), n * sizeof(float));
}

static void number(const pair *p, const char *key, double wanted)
{
    double got = NAN;
    int64_t whole;
    il_error err = {0};
    if (il_gguf_get_i64(p->gguf, key, true, &whole, NULL) == IL_OK) {
        got = (double)whole;
    } else {
        check_ok(il_gguf_get_f64(p->gguf, key, true, &got, &err), &err);
    }
    check_near(got, wanted, 1e-6);
}

static void gpt2(void **state)
{
    (void)state;
    enum { D = 64, OUT = 3 * D };
    pair p = make_both("family=gpt2" SMALL, "gpt2", IL_GGUF_RECIPE_F32, IL_DTYPE_F32);
    as_is(&p, "token_embd.weight", "transformer.wte.weight", 96 * D);
    as_is(&p, "position_embd.weight", "transformer.wpe.weight", 32 * D);
    as_is(&p, "blk.1.attn_norm.bias", "transformer.h.1.ln_1.bias", D);
    as_is(&p, "blk.1.ffn_norm.weight", "transformer.h.1.ln_2.weight", D);
    as_is(&p, "output_norm.weight", "transformer.ln_f.weight", D);
    as_is(&p, "blk.0.attn_qkv.bias", "transformer.h.0.attn.c_attn.bias", OUT);
    const float *turned = floats(&p, "blk.1.attn_qkv.weight", D * OUT);
    const float *conv = stored(&p, "transformer.h.1.attn.c_attn.weight"); /* [in, out] */
    for (size_t out = 0; out < OUT; out++) {
        for (size_t in = 0; in < D; in++) {
            same(&turned[out * D + in], &conv[in * OUT + out]);
        }
    }
    const il_gguf_tensor *down = il_gguf_tensor_find(p.gguf, "blk.0.ffn_down.weight");
    assert_int_equal(down->dims[0], 4 * D); /* in first */
    assert_int_equal(down->dims[1], D);
    assert_null(il_gguf_tensor_find(p.gguf, "output.weight")); /* tied */
    number(&p, "gpt2.block_count", 2);
    number(&p, "gpt2.context_length", 32);
    number(&p, "gpt2.embedding_length", D);
    number(&p, "gpt2.feed_forward_length", 4 * D);
    number(&p, "gpt2.attention.head_count", 4);
    number(&p, "gpt2.attention.layer_norm_epsilon", 1e-5);
    number(&p, "general.file_type", 0);
    close_both(p);
}

/* llama.cpp turns neighbours; Hugging Face turns i and i + e/2. */
static void llama(void **state)
{
    (void)state;
    enum { D = 64, E = 16 };
    pair p = make_both("family=llama,n_kv_head=2,tied=false" SMALL, "llama", IL_GGUF_RECIPE_F32,
                       IL_DTYPE_F32);
    static const struct {
        const char *to, *from;
        size_t heads;
    } turned[] = {{"blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight", 4},
                  {"blk.1.attn_k.weight", "model.layers.1.self_attn.k_proj.weight", 2}};
    for (size_t k = 0; k < 2; k++) {
        const float *to = floats(&p, turned[k].to, turned[k].heads * E * D);
        const float *from = stored(&p, turned[k].from);
        for (size_t h = 0; h < turned[k].heads; h++) {
            for (size_t i = 0; i < E / 2; i++) {
                assert_memory_equal(to + (h * E + 2 * i) * D, from + (h * E + i) * D,
                                    D * sizeof(float));
                assert_memory_equal(to + (h * E + 2 * i + 1) * D, from + (h * E + E / 2 + i) * D,
                                    D * sizeof(float));
            }
        }
    }
    as_is(&p, "blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight", 2 * E * D);
    as_is(&p, "blk.0.attn_output.weight", "model.layers.0.self_attn.o_proj.weight", D * D);
    as_is(&p, "blk.1.ffn_norm.weight", "model.layers.1.post_attention_layernorm.weight", D);
    as_is(&p, "output.weight", "lm_head.weight", 96 * D);
    number(&p, "llama.attention.head_count_kv", 2);
    number(&p, "llama.rope.dimension_count", E);
    close_both(p);
    p = make_both("family=qwen2.5,n_kv_head=2" SMALL, "qwen2", IL_GGUF_RECIPE_F32, IL_DTYPE_F32);
    as_is(&p, "blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight", D * D);
    as_is(&p, "blk.0.attn_k.bias", "model.layers.0.self_attn.k_proj.bias", 2 * E);
    close_both(p);
}

static void other_families(void **state)
{
    (void)state;
    enum { D = 64, E = 16 };
    pair p = make_both("family=pythia" SMALL, "pythia", IL_GGUF_RECIPE_F32, IL_DTYPE_F32);
    const float *to = floats(&p, "blk.0.attn_qkv.bias", 3 * D);
    const float *from = stored(&p, "gpt_neox.layers.0.attention.query_key_value.bias");
    for (size_t head = 0; head < 4; head++) {
        for (size_t part = 0; part < 3; part++) {
            assert_memory_equal(to + part * D + head * E, from + (head * 3 + part) * E,
                                E * sizeof(float));
        }
    }
    close_both(p);
    p = make_both("family=gemma3,n_kv_head=1" SMALL, "gemma3", IL_GGUF_RECIPE_F32, IL_DTYPE_F32);
    to = floats(&p, "blk.1.post_attention_norm.weight", D);
    from = stored(&p, "model.layers.1.post_attention_layernorm.weight");
    for (size_t i = 0; i < D; i++) {
        assert_true(to[i] == 1.0f + from[i]);
    }
    close_both(p);
    p = make_both("family=mixtral,n_kv_head=2,d_ff=32" SMALL, "mixtral", IL_GGUF_RECIPE_F32,
                  IL_DTYPE_F32);
    const il_gguf_tensor *experts = il_gguf_tensor_find(p.gguf, "blk.1.ffn_up_exps.weight");
    assert_int_equal(experts->n_dims, 3);
    for (size_t k = 0; k < experts->dims[2]; k++) {
        char name[96];
        (void)snprintf(name, sizeof name, "model.layers.1.block_sparse_moe.experts.%zu.w3.weight",
                       k);
        assert_memory_equal(experts->data + k * 32 * D * sizeof(float), stored(&p, name),
                            32 * D * sizeof(float));
    }
    close_both(p);
}

/* bf16 weights stay what they are, quantised ones are those of their rows. */
static void types(void **state)
{
    (void)state;
    enum { D = 64 };
    pair p = make_both("family=gpt2" SMALL, "bf16", IL_GGUF_RECIPE_BF16, IL_DTYPE_BF16);
    const il_gguf_tensor *t = il_gguf_tensor_find(p.gguf, "token_embd.weight");
    assert_int_equal(t->layout->type, IL_GGML_BF16);
    assert_memory_equal(t->data, il_checkpoint_tensor(p.hf, "transformer.wte.weight")->data,
                        96 * D * 2);
    close_both(p);
    p = make_both("family=gpt2" SMALL, "q8", IL_GGUF_RECIPE_Q8_0, IL_DTYPE_F32);
    t = il_gguf_tensor_find(p.gguf, "blk.0.attn_output.weight");
    assert_int_equal(t->layout->type, IL_GGML_Q8_0);
    float row[D];
    uint8_t blocks[D / 32 * 34];
    const float *conv = stored(&p, "transformer.h.0.attn.c_proj.weight");
    for (size_t out = 0; out < D; out++) {
        for (size_t in = 0; in < D; in++) {
            row[in] = conv[in * D + out];
        }
        check_ok(il_quant_write(IL_GGML_Q8_0, row, D, blocks, NULL), NULL);
        assert_memory_equal(t->data + out * sizeof blocks, blocks, sizeof blocks);
    }
    (void)floats(&p, "position_embd.weight", 32 * D); /* fp32 in every type */
    (void)floats(&p, "blk.0.attn_norm.weight", D);
    close_both(p);
}

static int count_text(uint64_t index, const char *text, size_t len, void *user, il_error *err)
{
    (void)index;
    (void)err;
    unsigned *n = user;
    *n += 1u + 1000u * (unsigned)(len == strlen("blk.0.attn_qkv.weight Q5_K Q5_0") &&
                                  memcmp(text, "blk.0.attn_qkv.weight Q5_K Q5_0", len) == 0);
    return IL_OK;
}

static void fallbacks(void **state)
{
    (void)state;
    il_error err = {0};
    pair p = make_both("family=gpt2" SMALL, "mixed", IL_GGUF_RECIPE_Q4_K_M, IL_DTYPE_F32);
    /* 64 wide: only ffn_down with 256 can have blocks of 256 */
    static const struct {
        const char *name;
        il_ggml_type type;
    } wanted[] = {{"token_embd.weight", IL_GGML_Q8_0},
                  {"blk.0.attn_qkv.weight", IL_GGML_Q5_0},
                  {"blk.0.attn_output.weight", IL_GGML_Q5_0},
                  {"blk.0.ffn_down.weight", IL_GGML_Q4_K},
                  {"blk.1.ffn_down.weight", IL_GGML_Q6_K}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_int_equal(il_gguf_tensor_find(p.gguf, wanted[i].name)->layout->type, wanted[i].type);
    }
    unsigned n = 0;
    check_ok(il_gguf_each_text(p.gguf, "inferlaw.fallback", count_text, &n, &err), &err);
    assert_int_equal(n, 1007);
    close_both(p);
}

static void files_of_base(unsigned wanted)
{
    DIR *d = opendir(base);
    unsigned n = 0;
    for (const struct dirent *e; (e = readdir(d));) {
        n += strstr(e->d_name, ".tmp-") != NULL;
    }
    (void)closedir(d);
    assert_int_equal(n, wanted);
}

static void refusals(void **state)
{
    (void)state;
    il_error err = {0};
    il_shape shape;
    il_gguf_report report;
    il_gguf_options options = {.recipe = IL_GGUF_RECIPE_Q8_0};
    check_ok(il_shape_from_flags("family=gpt2,n_layer=2,d_model=2,n_head=2", &shape, &err), &err);
    assert_int_equal(
        il_model_gguf_from_shape(&shape, 1, IL_DTYPE_F32, at("none.gguf"), &options, &report, &err),
        IL_E_UNSUPPORTED);
    assert_true(report.none_fits);
    assert_false(il_path_is_file(at("none.gguf")));
    check_ok(il_shape_from_flags("family=opt" SMALL, &shape, &err), &err);
    assert_int_equal(
        il_model_gguf_from_shape(&shape, 1, IL_DTYPE_F32, at("none.gguf"), &options, &report, &err),
        IL_E_UNSUPPORTED);
    assert_non_null(strstr(err.what, "opt"));
    check_ok(il_shape_from_flags("family=gpt2" SMALL, &shape, &err), &err);
    const char *path = at("kept.gguf");
    check_ok(il_model_gguf_from_shape(&shape, 1, IL_DTYPE_F32, path, &options, &report, &err),
             &err);
    assert_false(report.kept);
    check_ok(il_model_gguf_from_shape(&shape, 1, IL_DTYPE_F32, path, &options, &report, &err),
             &err);
    assert_true(report.kept);
    assert_int_equal(
        il_model_gguf_from_shape(&shape, 2, IL_DTYPE_F32, path, &options, &report, &err),
        IL_E_EXISTS);
    volatile sig_atomic_t stop = 1;
    options.stop = &stop;
    assert_int_equal(il_model_gguf_from_shape(&shape, 2, IL_DTYPE_F32, at("stopped.gguf"), &options,
                                              &report, &err),
                     IL_E_INTERRUPTED);
    assert_false(il_path_is_file(at("stopped.gguf")));
    assert_int_equal(il_model_gguf_from_shape(&shape, 2, IL_DTYPE_F32, "/nowhere/x.gguf", &options,
                                              &report, &err),
                     IL_E_NOT_FOUND);
    files_of_base(0);
}

/* Metadata of every kind, odd sizes between tensors, an end too early. */
static void writer(void **state)
{
    (void)state;
    il_error err = {0};
    il_gguf_writer *w;
    il_gguf *file;
    const char *path = at("w.gguf");
    check_ok(il_gguf_writer_open(path, &w, &err), &err);
    il_gguf_put_u64(w, "a", UINT64_C(1) << 40);
    il_gguf_put_bool(w, "b", true);
    il_gguf_put_i32s(w, "c", 2);
    il_gguf_put_next_i32(w, -7);
    il_gguf_put_next_i32(w, 9);
    il_gguf_put_text(w, "d", "word");
    il_gguf_add_tensor(w, "one", 1, (uint64_t[]){3}, IL_GGML_F32);
    il_gguf_add_tensor(w, "two", 2, (uint64_t[]){32, 2}, IL_GGML_Q8_0);
    check_ok(il_gguf_writer_begin(w, &err), &err);
    float one[3] = {1, 2, 3};
    uint8_t two[68];
    memset(two, 5, sizeof two);
    check_ok(il_gguf_writer_append(w, one, sizeof one, &err), &err);
    check_ok(il_gguf_writer_append(w, two, 34, &err), &err);
    assert_int_equal(il_gguf_writer_end(w, &err), IL_E_INTERNAL);
    check_ok(il_gguf_writer_append(w, two + 34, 34, &err), &err);
    uint64_t n_bytes = il_gguf_writer_bytes(w);
    check_ok(il_gguf_writer_end(w, &err), &err);
    il_gguf_writer_close(w);
    files_of_base(0);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    assert_int_equal(ftell(f), (long)n_bytes);
    (void)fclose(f);
    check_ok(il_gguf_open(path, &file, &err), &err);
    int64_t a = 0;
    bool b = false;
    check_ok(il_gguf_get_i64(file, "a", true, &a, &err), &err);
    check_ok(il_gguf_get_bool(file, "b", &b, &err), &err);
    assert_true(a == INT64_C(1) << 40 && b);
    assert_int_equal(il_gguf_array_i64(il_gguf_find(file, "c"), 0), -7);
    assert_memory_equal(il_gguf_tensor_find(file, "one")->data, one, sizeof one);
    assert_memory_equal(il_gguf_tensor_find(file, "two")->data, two, sizeof two);
    il_gguf_close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2),   cmocka_unit_test(llama),     cmocka_unit_test(other_families),
        cmocka_unit_test(types),  cmocka_unit_test(fallbacks), cmocka_unit_test(refusals),
        cmocka_unit_test(writer),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
