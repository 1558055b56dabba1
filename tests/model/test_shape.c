/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Shapes against the published sizes (tests/data/model_shapes.csv), against each other through
 * config.json, and against configurations that must be refused.
 */
#include "check.h"

#include "base/json.h"
#include "model/shape.h"
#include "model/suite.h"

#include <ctype.h>
#include <inttypes.h>

/* --- the table of published shapes
 * ----------------------------------------------------------------- */

enum { N_FIELDS = 17 };

/* Splits a CSV line in place; the one quoted field holds no quotes inside. */
static int split(char *line, char *fields[N_FIELDS])
{
    int n = 0;
    for (char *p = line; p && n < N_FIELDS;) {
        char *end;
        if (*p == '"') {
            fields[n++] = ++p;
            end = strchr(p, '"');
            *end++ = '\0';
        } else {
            fields[n++] = p;
            end = p + strcspn(p, ",\r\n");
        }
        p = *end == ',' ? end + 1 : NULL;
        *end = '\0';
    }
    return n;
}

static void lower(char *out, const char *text)
{
    do {
        *out++ = (char)tolower((unsigned char)*text);
    } while (*text++);
}

static void check_row(char *f[N_FIELDS])
{
    il_arena arena = {0};
    il_suite suite;
    il_error err = {0};
    char family[32], model[32], selector[80];
    lower(family, f[0]);
    lower(model, f[1]);
    if (strcmp(family, "gpt-2") == 0) {
        strcpy(family, "gpt2");
    }
    (void)snprintf(selector, sizeof selector, "%s/%s-%s", family, family, model);
    check_ok(il_suite_select(selector, &arena, &suite, &err), &err);
    assert_int_equal(suite.n_shapes, 1);
    const il_shape *s = &suite.shapes[0];
    il_param_counts counts;
    check_ok(il_shape_count(s, &counts, &err), &err);
    const uint32_t sizes[] = {s->n_layer,   s->d_model, s->d_ff,      s->n_head,
                              s->n_kv_head, s->d_head,  s->vocab_size};
    for (int i = 0; i < 7; i++) {
        if (sizes[i] != strtoul(f[2 + i], NULL, 10)) {
            fail_msg("%s: field %d is %u, published %s", selector, 2 + i, sizes[i], f[2 + i]);
        }
    }
    assert_int_equal(s->tied, f[9][0] == 'Y');
    unsigned experts = 0, used = 0, window = 0, slide = 0;
    if (f[10][0] != '-') {
        assert_int_equal(sscanf(f[10], "%u/%u", &experts, &used), 2);
    }
    assert_int_equal(s->n_expert, experts);
    assert_int_equal(s->n_expert_used, used);
    if (f[11][0] != '-') {
        assert_int_equal(sscanf(f[11], "%u %u/", &window, &slide), 2);
    }
    assert_int_equal(s->sliding_window, window);
    if (window) {
        assert_int_equal(s->n_layer - s->n_layer / s->sliding_period, slide);
    }
    assert_int_equal(counts.total, strtoull(f[12], NULL, 10));
    uint64_t active = counts.active;
    if (s->arch == IL_ARCH_GPT_OSS) {
        /* The table counts the biases of all experts as active; a token reads those of its own. */
        active +=
            (uint64_t)(s->n_expert - s->n_expert_used) * s->n_layer * (2u * s->d_ff + s->d_model);
    }
    assert_int_equal(active, strtoull(f[13], NULL, 10));
    assert_int_equal(il_shape_kv_bytes_per_token(s, IL_DTYPE_F16), strtoull(f[14], NULL, 10));
    il_arena_free(&arena);
}

static void test_published(void **state)
{
    (void)state;
    FILE *file = fopen(IL_TEST_SOURCE_DIR "/tests/data/model_shapes.csv", "r");
    assert_non_null(file);
    char line[512];
    char *fields[N_FIELDS];
    int n_rows = 0, n_left_out = 0;
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file)) {
        assert_int_equal(split(line, fields), N_FIELDS);
        if (strcmp(fields[0], "OPT") == 0 &&
            (strcmp(fields[1], "350m") == 0 || strcmp(fields[1], "66b") == 0)) {
            n_left_out++; /* reasons in docs/models.md */
            continue;
        }
        check_row(fields);
        n_rows++;
    }
    (void)fclose(file);
    assert_int_equal(n_rows, 54);
    assert_int_equal(n_left_out, 2);
}

static void test_tr121(void **state)
{
    (void)state;
    static const uint64_t params[] = {102714,   5036720,  25016064, 45171200,
                                      51475968, 74824704, 96088320};
    static const uint32_t layers[] = {2, 12, 3, 6, 8, 5, 8};
    static const uint32_t heads[] = {2, 2, 2, 8, 2, 2, 2};
    il_arena arena = {0};
    il_suite suite;
    il_error err = {0};
    check_ok(il_suite_load("tr121", &arena, &suite, &err), &err);
    assert_int_equal(suite.n_shapes, 7);
    for (size_t i = 0; i < 7; i++) {
        const il_shape *s = &suite.shapes[i];
        il_param_counts c;
        check_ok(il_shape_count(s, &c, &err), &err);
        assert_int_equal(c.total, params[i]);
        assert_int_equal(s->n_layer, layers[i]);
        assert_int_equal(s->n_head, heads[i]);
        assert_int_equal(s->vocab_size, 50257);
        assert_int_equal(s->n_positions, 1024);
        assert_int_equal(s->d_ff, 4 * s->d_model);
        assert_true(s->tied);
        assert_int_equal(c.non_embedding, params[i] - (50257ull + 1024) * s->d_model);
        assert_int_equal(c.read_per_step, params[i] - (1024ull - 2) * s->d_model);
    }
    il_arena_free(&arena);
}

static void test_ladder(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_suite suite;
    il_error err = {0};
    check_ok(il_suite_load("ladder11", &arena, &suite, &err), &err);
    assert_int_equal(suite.n_shapes, 11);
    double before = 0, sum_l = 0, sum_d = 0, ll = 0, dd = 0, ld = 0;
    for (size_t i = 0; i < 11; i++) {
        il_param_counts c;
        check_ok(il_shape_count(&suite.shapes[i], &c, &err), &err);
        assert_true((double)c.total > before);
        before = (double)c.total;
        double l = log(suite.shapes[i].n_layer), d = log(suite.shapes[i].d_model);
        sum_l += l, sum_d += d, ll += l * l, dd += d * d, ld += l * d;
        check_near((double)c.total, il_suite_size(&suite.shapes[i]), 0.03);
    }
    check_near(before, 124e6, 0.01);
    /* Crossed: depth must not stand in for width. */
    double r =
        (11 * ld - sum_l * sum_d) / sqrt((11 * ll - sum_l * sum_l) * (11 * dd - sum_d * sum_d));
    assert_true(fabs(r) < 0.3);
    il_arena_free(&arena);
}

/* --- round trips
 * ----------------------------------------------------------------------------------- */

static void check_same(const il_shape *a, const il_shape *b)
{
#define SAME(field)      assert_int_equal(a->field, b->field)
#define SAME_REAL(field) assert_memory_equal(&a->field, &b->field, sizeof(double))
    SAME(arch), SAME(n_layer), SAME(d_model), SAME(n_head), SAME(n_kv_head), SAME(d_head);
    SAME(d_ff), SAME(vocab_size), SAME(n_positions), SAME(norm), SAME(qk_norm);
    SAME(qk_norm_full_row), SAME(post_norms), SAME(position), SAME(rope_dims);
    SAME(rope_scaling), SAME(rope_truncate), SAME(activation), SAME(gated_ffn), SAME(bias_qkv);
    SAME(bias_attn_out), SAME(bias_ffn), SAME(bias_head), SAME(parallel_residual), SAME(tied);
    SAME(sliding_window), SAME(sliding_period), SAME(attn_sinks), SAME(n_expert);
    SAME(n_expert_used), SAME(norm_topk);
    SAME_REAL(norm_eps), SAME_REAL(rope_theta), SAME_REAL(rope_theta_local);
    SAME_REAL(rope_factor), SAME_REAL(rope_low_freq), SAME_REAL(rope_high_freq);
    SAME_REAL(rope_original_positions), SAME_REAL(rope_beta_fast), SAME_REAL(rope_beta_slow);
    SAME_REAL(embed_scale), SAME_REAL(attn_scale);
}

static void test_config_round_trip(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_error err = {0};
    const char **names;
    size_t n, n_shapes = 0;
    check_ok(il_suite_list(&arena, &names, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        il_suite suite;
        check_ok(il_suite_load(names[i], &arena, &suite, &err), &err);
        for (size_t j = 0; j < suite.n_shapes; j++, n_shapes++) {
            json_t *config = il_shape_hf_config(&suite.shapes[j]);
            il_shape back;
            assert_non_null(config);
            check_ok(il_shape_from_hf_config(config, suite.shapes[j].name, &back, &err), &err);
            check_same(&suite.shapes[j], &back);
            json_decref(config);
        }
    }
    assert_true(n_shapes > 70);
    il_arena_free(&arena);
}

static void read_config(const char *text, il_shape *out)
{
    il_error err = {0};
    json_t *config;
    check_ok(il_json_parse(text, strlen(text), "test", &config, &err), &err);
    check_ok(il_shape_from_hf_config(config, "test", out, &err), &err);
    json_decref(config);
}

/* What newer releases write: everything about rotary embedding in rope_parameters. */
static void test_rope_parameters(void **state)
{
    (void)state;
    il_shape s;
    read_config("{\"model_type\":\"llama\",\"num_hidden_layers\":2,\"hidden_size\":64,"
                "\"num_attention_heads\":4,\"intermediate_size\":96,\"rope_parameters\":{"
                "\"rope_theta\":500000.0,\"rope_type\":\"llama3\",\"factor\":8.0,"
                "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                "\"original_max_position_embeddings\":8192}}",
                &s);
    assert_int_equal(s.rope_scaling, IL_ROPE_LLAMA3);
    check_near(s.rope_theta, 500000, 0);
    check_near(s.rope_factor, 8, 0);
    check_near(s.rope_original_positions, 8192, 0);
    assert_int_equal(s.d_head, 16);
    assert_int_equal(s.n_kv_head, 4);
    assert_false(s.tied);
    read_config("{\"model_type\":\"gemma3_text\",\"num_hidden_layers\":6,\"hidden_size\":64,"
                "\"num_attention_heads\":4,\"num_key_value_heads\":1,\"head_dim\":16,"
                "\"intermediate_size\":96,\"vocab_size\":99,\"sliding_window\":32,"
                "\"layer_types\":[\"sliding_attention\",\"sliding_attention\",\"full_attention\","
                "\"sliding_attention\",\"sliding_attention\",\"full_attention\"],"
                "\"rope_parameters\":{\"full_attention\":{\"rope_theta\":5000.0,\"rope_type\":"
                "\"linear\",\"factor\":8.0},\"sliding_attention\":{\"rope_theta\":70.0,"
                "\"rope_type\":\"default\"}}}",
                &s);
    assert_int_equal(s.rope_scaling, IL_ROPE_LINEAR);
    assert_int_equal(s.sliding_period, 3);
    check_near(s.rope_theta, 5000, 0);
    check_near(s.rope_theta_local, 70, 0);
    check_near(s.embed_scale, 8, 1e-15);
    check_near(s.attn_scale, 1.0 / 16, 1e-15); /* query_pre_attn_scalar is 256 by default */
    /* As published for the 4b model: the language half of a larger one, most of it defaults. */
    read_config("{\"model_type\":\"gemma3\",\"text_config\":{\"hidden_size\":2560,"
                "\"intermediate_size\":10240,\"model_type\":\"gemma3_text\","
                "\"num_hidden_layers\":34,\"rope_scaling\":{\"factor\":8.0,\"rope_type\":"
                "\"linear\"},\"sliding_window\":1024}}",
                &s);
    il_param_counts counts;
    assert_int_equal(il_shape_count(&s, &counts, NULL), IL_OK);
    assert_int_equal(counts.total, 3880099328 + 64 * 2560); /* 64 rows for images */
    assert_int_equal(s.n_head, 8);
    assert_int_equal(s.sliding_period, 6);
    read_config("{\"model_type\":\"gpt_neox\",\"num_hidden_layers\":1,\"hidden_size\":64,"
                "\"num_attention_heads\":4,\"intermediate_size\":96,\"rope_parameters\":{"
                "\"rope_theta\":123.0,\"partial_rotary_factor\":0.5,\"rope_type\":\"default\"}}",
                &s);
    assert_int_equal(s.rope_dims, 8);
    check_near(s.rope_theta, 123, 0);
}

/* --- bytes and FLOPs by hand
 * ------------------------------------------------------------------------ */

static void test_costs(void **state)
{
    (void)state;
    il_shape s;
    il_error err = {0};
    check_ok(il_shape_from_flags("family=mixtral,n_layer=2,d_model=8,n_head=2,n_kv_head=1,d_ff=16,"
                                 "vocab_size=10,n_expert=4,n_expert_used=2,sliding_window=3,"
                                 "n_positions=64",
                                 &s, &err),
             &err);
    /* A layer: q, o 8×8, k, v 4×8, router 4×8, an expert 3·8·16, two norms of 8. */
    uint64_t attention = 2 * 64 + 2 * 32, expert = 3 * 8 * 16, router = 32, norms = 16;
    uint64_t layer = attention + router + norms + 4 * expert;
    uint64_t layer_active = attention + router + norms + 2 * expert;
    il_param_counts c;
    check_ok(il_shape_count(&s, &c, &err), &err);
    assert_int_equal(c.total, 2 * layer + 8 + 2 * 80);
    assert_int_equal(c.non_embedding, 2 * layer + 8);
    assert_int_equal(c.active, 2 * layer_active + 8 + 2 * 80);
    assert_int_equal(c.read_per_step, 2 * layer_active + 8 + 80 + 8);
    /* KV: 2 layers × 2 × 1 head × 4; a window of 3 holds the token and two before it. */
    assert_int_equal(il_shape_kv_bytes_per_token(&s, IL_DTYPE_F32), 2 * 2 * 4 * 4);
    /* Two more sequences feed a row of the embedding each. */
    assert_int_equal(il_shape_bytes_per_step(&s, IL_DTYPE_BF16, IL_DTYPE_F32, 3, 10),
                     2 * (c.read_per_step + 2 * 8) + 3 * 3 * 2 * 2 * 4 * 4);
    /* 5 tokens on a context of 1 see 2, 3, 3, 3, 3 positions. */
    double flops = 2.0 * 5 * 2 * (double)(layer_active - norms) + 2 * 80 * 1 +
                   4.0 * 2 * 4 * (2 + 3 + 3 + 3 + 3) * 2;
    check_near(il_shape_flops(&s, 1, 5, 1, 1), flops, 1e-12);
    check_near(il_shape_flops(&s, 2, 5, 1, 1), 2 * flops, 1e-12);
    s.sliding_window = 0;
    flops = 2.0 * 5 * 2 * (double)(layer_active - norms) + 2 * 80 * 5 +
            4.0 * 2 * 4 * (2 + 3 + 4 + 5 + 6) * 2;
    check_near(il_shape_flops(&s, 1, 5, 1, 5), flops, 1e-12);
}

/* --- refusals
 * -------------------------------------------------------------------------------------- */

#define LLAMA "\"model_type\":\"llama\",\"num_hidden_layers\":2,\"intermediate_size\":64,"

static const struct {
    const char *config;
    int code;
    const char *says; /* in what or hint */
} bad_configs[] = {
    {"[]", IL_E_INVALID, "JSON object"},
    {"{}", IL_E_INVALID, "model_type"},
    {"{\"model_type\":\"qwen4\"}", IL_E_UNSUPPORTED, "\"qwen2\""},
    {"{\"model_type\":\"gpt_neo\"}", IL_E_UNSUPPORTED, "gpt_neox"},
    {"{\"model_type\":\"rwkv_of_some_kind\"}", IL_E_UNSUPPORTED, "supported are gpt2, gpt_neox"},
    {"{\"model_type\":\"qwen2.5\"}", IL_E_UNSUPPORTED, "qwen2"},
    {"{\"model_type\":\"gpt2\"}", IL_E_INVALID, "n_layer"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":10,\"n_head\":3}", IL_E_INVALID,
     "3 heads do not divide the width 10"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":0,\"n_embd\":8,\"n_head\":2}", IL_E_INVALID, "layers"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":8,\"n_head\":0}", IL_E_INVALID, "heads"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":-2,\"n_embd\":8,\"n_head\":2}", IL_E_RANGE, "n_layer"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2.5,\"n_embd\":8,\"n_head\":2}", IL_E_INVALID,
     "an integer"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":\"2\",\"n_embd\":8,\"n_head\":2}", IL_E_INVALID,
     "an integer"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":99999999999,\"n_head\":2}", IL_E_RANGE,
     "n_embd"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":1e300,\"n_head\":2}", IL_E_INVALID,
     "n_embd"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2000000000,\"n_embd\":2,\"n_head\":2}", IL_E_INVALID,
     "layers"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":2000000000,\"n_head\":2}", IL_E_INVALID,
     "width"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":8,\"n_head\":2,\"vocab_size\":0}",
     IL_E_INVALID, "vocabulary"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":8,\"n_head\":2,"
     "\"activation_function\":\"tanh\"}",
     IL_E_UNSUPPORTED, "tanh"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":8,\"n_head\":2,"
     "\"layer_norm_epsilon\":-1}",
     IL_E_INVALID, "epsilon"},
    {"{\"model_type\":\"gpt2\",\"n_layer\":2,\"n_embd\":8,\"n_head\":2,"
     "\"scale_attn_by_inverse_layer_idx\":true}",
     IL_E_UNSUPPORTED, "scaled by layer"},
    {"{" LLAMA "\"hidden_size\":64,\"num_attention_heads\":8,\"num_key_value_heads\":3}",
     IL_E_INVALID, "8 attention heads cannot share 3"},
    {"{" LLAMA "\"hidden_size\":64,\"num_attention_heads\":8,\"num_key_value_heads\":16}",
     IL_E_INVALID, "cannot share 16"},
    {"{" LLAMA "\"hidden_size\":24,\"num_attention_heads\":8}", IL_E_INVALID, "rotated"},
    {"{" LLAMA "\"hidden_size\":64,\"num_attention_heads\":8,\"rope_theta\":0}", IL_E_INVALID,
     "theta"},
    {"{" LLAMA "\"hidden_size\":64,\"num_attention_heads\":8,"
     "\"rope_scaling\":{\"rope_type\":\"longrope\"}}",
     IL_E_UNSUPPORTED, "longrope"},
    {"{" LLAMA "\"hidden_size\":64,\"num_attention_heads\":8,"
     "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}",
     IL_E_INVALID, "low_freq_factor"},
    {"{" LLAMA "\"hidden_size\":64,\"num_attention_heads\":8,"
     "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":8,\"mscale\":0.7}}",
     IL_E_UNSUPPORTED, "mscale"},
    {"{\"model_type\":\"opt\",\"num_hidden_layers\":2,\"hidden_size\":64,\"ffn_dim\":64,"
     "\"num_attention_heads\":4,\"word_embed_proj_dim\":32}",
     IL_E_UNSUPPORTED, "word_embed_proj_dim"},
    {"{\"model_type\":\"opt\",\"num_hidden_layers\":2,\"hidden_size\":64,\"ffn_dim\":64,"
     "\"num_attention_heads\":4,\"do_layer_norm_before\":false}",
     IL_E_UNSUPPORTED, "350m"},
    {"{\"model_type\":\"mixtral\",\"num_hidden_layers\":2,\"hidden_size\":64,"
     "\"intermediate_size\":64,\"num_attention_heads\":4,\"num_local_experts\":4,"
     "\"num_experts_per_tok\":5}",
     IL_E_INVALID, "5 experts per token"},
    {"{\"model_type\":\"mixtral\",\"num_hidden_layers\":16000,\"hidden_size\":64,"
     "\"intermediate_size\":64,\"num_attention_heads\":4,\"num_local_experts\":60000}",
     IL_E_INVALID, "too many"},
    {"{\"model_type\":\"gpt_oss\",\"num_hidden_layers\":4,\"hidden_size\":64,"
     "\"intermediate_size\":64,\"num_attention_heads\":4,\"layer_types\":[\"full_attention\","
     "\"sliding_attention\",\"sliding_attention\",\"full_attention\"]}",
     IL_E_UNSUPPORTED, "period"},
};

static void test_bad_configs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_configs / sizeof *bad_configs; i++) {
        il_error err = {0};
        il_shape s;
        json_t *config;
        const char *text = bad_configs[i].config;
        check_ok(il_json_parse(text, strlen(text), "test", &config, &err), &err);
        int rc = il_shape_from_hf_config(config, "the/config.json", &s, &err);
        if (rc != bad_configs[i].code ||
            (!strstr(err.what, bad_configs[i].says) && !strstr(err.hint, bad_configs[i].says))) {
            fail_msg("%s: %s: %s (%s)", text, il_code_name(rc), err.what, err.hint);
        }
        assert_non_null(strstr(err.where, "the/config.json"));
        json_decref(config);
    }
}

static const struct {
    const char *flags;
    const char *says;
} bad_flags[] = {
    {"", "KEY=VALUE"},
    {"n_layer=2,d_model=8,n_head=2", "family"},
    {"family=gpt3,n_layer=2,d_model=8,n_head=2", "gpt2"},
    {"family=gpt2,n_layer=2,d_model=8", "n_head"},
    {"family=gpt2,n_layers=2,d_model=8,n_head=2", "n_layer"},
    {"family=gpt2,n_layer=2,d_model=9,n_head=2", "2 heads do not divide the width 9"},
    {"family=gpt2,n_layer=0,d_model=8,n_head=2", "from 1"},
    {"family=gpt2,n_layer=-1,d_model=8,n_head=2", "from 1"},
    {"family=gpt2,n_layer=1e2,d_model=8,n_head=2", "1e2"},
    {"family=gpt2,n_layer=2,d_model=99999999999999999999,n_head=2", "from 1"},
    {"family=gpt2,n_layer=2,d_model=8,n_head=2,tied=maybe", "true or false"},
    {"family=gpt2,n_layer=2,d_model=8,n_head=2,n_kv_head=1", "KV heads"},
    {"family=llama,n_layer=2,d_model=2000000000,n_head=2", "width"},
    {"family=llama,n_layer=2,d_model=64,n_head=4,n_expert=3", "experts"},
    {"family=gpt2,n_layer=2,d_model=8,n_head=2,name=../x", "cannot name"},
};

static void test_flags(void **state)
{
    (void)state;
    il_shape s;
    il_error err = {0};
    check_ok(il_shape_from_flags("family=gpt2,n_layer=12,d_model=768,n_head=12", &s, &err), &err);
    il_param_counts c;
    check_ok(il_shape_count(&s, &c, &err), &err);
    assert_int_equal(c.total, 124439808);
    check_ok(il_shape_from_flags("family=qwen2.5,n_layer=24,d_model=896,n_head=14,n_kv_head=2,"
                                 "d_ff=4864,tied=true,name=half",
                                 &s, &err),
             &err);
    check_ok(il_shape_count(&s, &c, &err), &err);
    assert_int_equal(c.total, 494032768);
    assert_string_equal(s.name, "half");
    for (size_t i = 0; i < sizeof bad_flags / sizeof *bad_flags; i++) {
        memset(&err, 0, sizeof err);
        int rc = il_shape_from_flags(bad_flags[i].flags, &s, &err);
        if (rc == IL_OK ||
            (!strstr(err.what, bad_flags[i].says) && !strstr(err.hint, bad_flags[i].says))) {
            fail_msg("%s: %s: %s (%s)", bad_flags[i].flags, il_code_name(rc), err.what, err.hint);
        }
        assert_true(err.where[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),       cmocka_unit_test(test_tr121),
        cmocka_unit_test(test_ladder),          cmocka_unit_test(test_config_round_trip),
        cmocka_unit_test(test_rope_parameters), cmocka_unit_test(test_costs),
        cmocka_unit_test(test_bad_configs),     cmocka_unit_test(test_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
