/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * What a session promises whatever the kernels: the same logits by any route, errors that name what
 * is wrong and change nothing, no allocation in a pass, the caller's float environment left alone.
 */
#include "fixture.h"

#include <time.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static const char gpt2_config[] =
    "{\"model_type\": \"gpt2\", \"n_layer\": 2, \"n_embd\": 20, \"n_head\": 4, \"vocab_size\": 67,"
    " \"n_positions\": 1024, \"n_ctx\": 1024, \"layer_norm_epsilon\": 1e-5,"
    " \"activation_function\": \"gelu_new\"}";
static const char llama_config[] =
    "{\"model_type\": \"llama\", \"num_hidden_layers\": 3, \"hidden_size\": 36,"
    " \"num_attention_heads\": 6, \"num_key_value_heads\": 2, \"intermediate_size\": 50,"
    " \"vocab_size\": 71, \"max_position_embeddings\": 1024, \"rms_norm_eps\": 1e-6,"
    " \"rope_theta\": 10000.0, \"hidden_act\": \"silu\", \"tie_word_embeddings\": false}";
static const char mistral_config[] =
    "{\"model_type\": \"mistral\", \"num_hidden_layers\": 2, \"hidden_size\": 32,"
    " \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"intermediate_size\": 40,"
    " \"vocab_size\": 64, \"max_position_embeddings\": 1024, \"rms_norm_eps\": 1e-6,"
    " \"rope_theta\": 10000.0, \"hidden_act\": \"silu\", \"sliding_window\": 9,"
    " \"tie_word_embeddings\": false}";
static const char *const configs[] = {gpt2_config, llama_config, mistral_config};

enum { N_CONFIGS = 3, MOST_IDS = 800 };

typedef struct opened {
    fixture f;
    il_engine_model *model;
} opened;

static void open_model(opened *o, const char *config, il_dtype dtype, const char *poison)
{
    il_error err = {0};
    il_engine_options options = {.dtype = dtype, .n_threads = 2};
    fixture_make(&o->f, config, IL_DTYPE_F32, 11, poison);
    check_ok(il_engine_model_open(o->f.dir, &options, &o->model, &err), &err);
}

static void close_model(opened *o)
{
    il_engine_model_close(o->model);
    fixture_remove(&o->f);
}

static il_engine_session *open_session(opened *o, uint32_t batch, uint32_t context, uint32_t prompt,
                                       il_engine_logits_at logits)
{
    il_error err = {0};
    il_engine_session *session;
    il_engine_session_options options = {
        .max_batch = batch, .max_context_tok = context, .max_prompt_tok = prompt, .logits = logits};
    check_ok(il_engine_session_open(o->model, &options, &session, &err), &err);
    return session;
}

static void random_ids(int32_t *ids, size_t n, uint32_t vocab)
{
    static uint64_t state;
    if (state == 0) {
        state = (uint64_t)time(NULL) * 2654435761U + 1;
        print_message("seed %llu\n", (unsigned long long)state);
    }
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        ids[i] = (int32_t)((state >> 33) % vocab);
    }
}

static void check_rows(const float *a, const float *b, size_t n, double limit)
{
    double gap = 0;
    double peak = 0;
    for (size_t i = 0; i < n; i++) {
        gap = fmax(gap, fabs((double)a[i] - (double)b[i]));
        peak = fmax(peak, fabs((double)b[i]));
    }
    if (!(gap <= limit * peak)) {
        print_error("rows differ by %.3g of %.3g\n", gap, peak);
    }
    assert_true(gap <= limit * peak);
}

static const float *last_logits(const il_engine_session *session)
{
    uint32_t n_rows;
    const float *logits = il_engine_logits(session, &n_rows);
    assert_true(n_rows > 0);
    return logits;
}

static void steps_equal_prefill(void **state)
{
    (void)state;
    enum { N = 40 };
    il_error err = {0};
    for (int c = 0; c < N_CONFIGS; c++) {
        opened o;
        int32_t ids[N];
        uint32_t n = N;
        uint32_t one = 1;
        open_model(&o, configs[c], IL_DTYPE_F32, NULL);
        uint32_t vocab = o.f.shape.vocab_size;
        random_ids(ids, N, vocab);
        il_engine_session *all = open_session(&o, 1, N, N, IL_ENGINE_LOGITS_ALL);
        il_engine_session *steps = open_session(&o, 1, N, 1, IL_ENGINE_LOGITS_LAST);
        check_ok(il_engine_prefill(all, ids, &n, 1, &err), &err);
        check_ok(il_engine_prefill(steps, ids, &one, 1, &err), &err);
        for (uint32_t i = 0;; i++) {
            check_rows(last_logits(steps), last_logits(all) + (size_t)i * vocab, vocab, 2e-5);
            if (i + 1 == N) {
                break;
            }
            check_ok(il_engine_decode(steps, &ids[i + 1], &err), &err);
        }
        assert_int_equal(il_engine_decode(steps, ids, &err), IL_E_RANGE);
        il_engine_session_close(all);
        il_engine_session_close(steps);
        close_model(&o);
    }
}

/* Three ragged prompts, one longer than a chunk of rows, and steps after them, together and alone;
 * `last` and `all` sessions side by side. */
static void ragged_batch_equals_each_alone(void **state)
{
    (void)state;
    static const uint32_t lengths[3] = {5, 600, 23};
    enum { TOTAL = 628, STEPS = 4, CONTEXT = 604 };
    il_error err = {0};
    for (int c = 0; c < N_CONFIGS; c++) {
        opened o;
        int32_t ids[TOTAL];
        int32_t next[STEPS * 3];
        open_model(&o, configs[c], IL_DTYPE_F32, NULL);
        uint32_t vocab = o.f.shape.vocab_size;
        random_ids(ids, TOTAL, vocab);
        random_ids(next, STEPS * 3, vocab);
        il_engine_session *all = open_session(&o, 3, CONTEXT, 600, IL_ENGINE_LOGITS_ALL);
        il_engine_session *last = open_session(&o, 3, CONTEXT, 600, IL_ENGINE_LOGITS_LAST);
        check_ok(il_engine_prefill(all, ids, lengths, 3, &err), &err);
        check_ok(il_engine_prefill(last, ids, lengths, 3, &err), &err);
        il_engine_session *alone = open_session(&o, 1, CONTEXT, 600, IL_ENGINE_LOGITS_ALL);
        float *alone_steps = malloc(3 * STEPS * vocab * sizeof *alone_steps);
        assert_non_null(alone_steps);
        size_t row = 0;
        for (uint32_t s = 0; s < 3; s++) {
            il_engine_reset(alone);
            check_ok(il_engine_prefill(alone, ids + row, &lengths[s], 1, &err), &err);
            for (uint32_t i = 0; i < lengths[s]; i++) {
                check_rows(last_logits(all) + (row + i) * vocab,
                           last_logits(alone) + (size_t)i * vocab, vocab, 2e-5);
            }
            row += lengths[s];
            check_rows(last_logits(last) + (size_t)s * vocab, last_logits(all) + (row - 1) * vocab,
                       vocab, 2e-5);
            for (uint32_t step = 0; step < STEPS; step++) {
                check_ok(il_engine_decode(alone, &next[step * 3 + s], &err), &err);
                memcpy(alone_steps + (step * 3 + s) * vocab, last_logits(alone),
                       vocab * sizeof(float));
            }
        }
        for (uint32_t step = 0; step < STEPS; step++) {
            check_ok(il_engine_decode(all, &next[step * 3], &err), &err);
            for (uint32_t s = 0; s < 3; s++) {
                check_rows(last_logits(all) + (size_t)s * vocab,
                           alone_steps + (step * 3 + s) * vocab, vocab, 2e-5);
            }
        }
        free(alone_steps);
        il_engine_session_close(all);
        il_engine_session_close(last);
        il_engine_session_close(alone);
        close_model(&o);
    }
}

static void prefill_appends_and_reset_forgets(void **state)
{
    (void)state;
    il_error err = {0};
    opened o;
    int32_t ids[50];
    uint32_t whole = 50;
    uint32_t parts[2] = {31, 19};
    open_model(&o, llama_config, IL_DTYPE_BF16, NULL);
    uint32_t vocab = o.f.shape.vocab_size;
    random_ids(ids, 50, vocab);
    il_engine_session *a = open_session(&o, 1, 50, 50, IL_ENGINE_LOGITS_LAST);
    il_engine_session *b = open_session(&o, 1, 50, 50, IL_ENGINE_LOGITS_LAST);
    check_ok(il_engine_prefill(a, ids, &whole, 1, &err), &err);
    for (int again = 0; again < 2; again++) {
        check_ok(il_engine_prefill(b, ids, &parts[0], 1, &err), &err);
        check_ok(il_engine_prefill(b, ids + parts[0], &parts[1], 1, &err), &err);
        check_rows(last_logits(b), last_logits(a), vocab, 1e-2);
        assert_int_equal(il_engine_prefill(b, ids, &parts[0], 1, &err), IL_E_RANGE);
        il_engine_reset(b);
    }
    assert_int_equal(il_engine_decode(b, ids, &err), IL_E_INVALID);
    il_engine_session_close(a);
    il_engine_session_close(b);
    close_model(&o);
}

static void bad_input_is_named_and_changes_nothing(void **state)
{
    (void)state;
    il_error err = {0};
    opened o;
    int32_t ids[6] = {1, 2, 3, 4, 5, 6};
    uint32_t lengths[2] = {3, 3};
    open_model(&o, gpt2_config, IL_DTYPE_F32, NULL);
    il_engine_session *s = open_session(&o, 2, 8, 4, IL_ENGINE_LOGITS_LAST);
    assert_int_equal(il_engine_decode(s, ids, &err), IL_E_INVALID);
    check_ok(il_engine_prefill(s, ids, lengths, 2, &err), &err);
    ids[4] = 67;
    assert_int_equal(il_engine_prefill(s, ids, lengths, 2, &err), IL_E_RANGE);
    assert_non_null(strstr(err.what, "sequence 1, token 1: id 67"));
    ids[4] = -1;
    assert_int_equal(il_engine_prefill(s, ids, lengths, 2, &err), IL_E_RANGE);
    lengths[0] = 0;
    assert_int_equal(il_engine_prefill(s, ids, lengths, 2, &err), IL_E_RANGE);
    lengths[0] = 5;
    assert_int_equal(il_engine_prefill(s, ids, lengths, 1, &err), IL_E_RANGE);
    assert_int_equal(il_engine_prefill(s, ids, lengths, 3, &err), IL_E_RANGE);
    int32_t bad[2] = {1, 67};
    assert_int_equal(il_engine_decode(s, bad, &err), IL_E_RANGE);

    /* The failures left both sequences at three tokens: a step now equals one on a fresh session.
     */
    int32_t fresh_ids[8] = {1, 2, 3, 9, 4, 5, 6, 9};
    uint32_t fresh_lengths[2] = {4, 4};
    int32_t nine[2] = {9, 9};
    check_ok(il_engine_decode(s, nine, &err), &err);
    il_engine_session *fresh = open_session(&o, 2, 8, 4, IL_ENGINE_LOGITS_LAST);
    check_ok(il_engine_prefill(fresh, fresh_ids, fresh_lengths, 2, &err), &err);
    check_rows(last_logits(s), last_logits(fresh), 2 * 67, 2e-5);
    il_engine_session_close(fresh);
    il_engine_session_close(s);

    il_engine_session *never = NULL;
    il_engine_session_options options = {
        .max_batch = 1, .max_context_tok = 1025, .max_prompt_tok = 1};
    assert_int_equal(il_engine_session_open(o.model, &options, &never, &err), IL_E_RANGE);
    assert_non_null(strstr(err.what, "1024 positions"));
    options.max_context_tok = 0;
    assert_int_equal(il_engine_session_open(o.model, &options, &never, &err), IL_E_INVALID);
    options = (il_engine_session_options){
        .max_batch = 4000000, .max_context_tok = 1024, .max_prompt_tok = 1};
    assert_int_equal(il_engine_session_open(o.model, &options, &never, &err), IL_E_NOMEM);
    assert_non_null(strstr(err.what, "MiB"));
    assert_true(il_engine_session_bytes(o.model, &options) > (uint64_t)1 << 38);
    close_model(&o);
}

static void nan_weight_is_caught_where_it_shows(void **state)
{
    (void)state;
    il_error err = {0};
    opened o;
    int32_t next[2];
    int32_t ids[5] = {1, 2, 3, 4, 0};
    uint32_t lengths[2] = {3, 2};
    /* Only id 0 has a NaN in its embedding, and only sequence 1 holds id 0. */
    open_model(&o, llama_config, IL_DTYPE_F32, "model.embed_tokens.weight");
    il_engine_session *s = open_session(&o, 2, 8, 4, IL_ENGINE_LOGITS_LAST);
    check_ok(il_engine_prefill(s, ids, lengths, 2, &err), &err);
    assert_int_equal(il_engine_argmax(s, next, &err), IL_E_NONFINITE);
    assert_non_null(strstr(err.what, "sequence 1, position 1"));
    il_engine_session_close(s);
    close_model(&o);
}

static void argmax_is_the_largest_of_the_last_row(void **state)
{
    (void)state;
    il_error err = {0};
    opened o;
    int32_t ids[9];
    uint32_t lengths[2] = {2, 7};
    int32_t next[2];
    open_model(&o, llama_config, IL_DTYPE_F32, NULL);
    uint32_t vocab = o.f.shape.vocab_size;
    random_ids(ids, 9, vocab);
    il_engine_session *s = open_session(&o, 2, 8, 7, IL_ENGINE_LOGITS_ALL);
    check_ok(il_engine_prefill(s, ids, lengths, 2, &err), &err);
    check_ok(il_engine_argmax(s, next, &err), &err);
    for (uint32_t i = 0; i < 2; i++) {
        const float *row = last_logits(s) + (size_t)(i == 0 ? 1 : 8) * vocab;
        for (uint32_t j = 0; j < vocab; j++) {
            assert_true(row[next[i]] >= row[j]);
        }
    }
    il_engine_session_close(s);
    close_model(&o);
}

static void what_cannot_run_is_refused_by_name(void **state)
{
    (void)state;
    il_error err = {0};
    il_engine_model *model = NULL;
    fixture f;
    fixture_make(&f, gpt2_config, IL_DTYPE_F32, 1, NULL);
    il_engine_options options = {.dtype = IL_DTYPE_F16};
    assert_int_equal(il_engine_model_open(f.dir, &options, &model, &err), IL_E_UNSUPPORTED);
    options = (il_engine_options){.dtype = IL_DTYPE_F32, .isa = "altivec"};
    assert_int_equal(il_engine_model_open(f.dir, &options, &model, &err), IL_E_UNSUPPORTED);
    fixture_remove(&f);
    options = (il_engine_options){.dtype = IL_DTYPE_F32};
    assert_int_equal(il_engine_model_open("/nonexistent/model", &options, &model, &err),
                     IL_E_NOT_FOUND);
    fixture_make(&f,
                 "{\"model_type\": \"gpt_oss\", \"num_hidden_layers\": 2, \"hidden_size\": 16,"
                 " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 8,"
                 " \"intermediate_size\": 24, \"vocab_size\": 32, \"num_local_experts\": 4,"
                 " \"num_experts_per_tok\": 2, \"max_position_embeddings\": 32}",
                 IL_DTYPE_F32, 1, NULL);
    assert_int_equal(il_engine_model_open(f.dir, &options, &model, &err), IL_E_UNSUPPORTED);
    assert_non_null(strstr(err.what, "gpt_oss"));
    assert_non_null(strstr(err.hint, "nearest is mixtral"));
    assert_null(model);
    fixture_remove(&f);
}

static void facts_describe_the_model(void **state)
{
    (void)state;
    opened o;
    open_model(&o, llama_config, IL_DTYPE_BF16, NULL);
    const il_engine_facts *facts = il_engine_model_facts(o.model);
    il_param_counts counts;
    il_error err = {0};
    check_ok(il_shape_count(&o.f.shape, &counts, &err), &err);
    assert_int_equal(facts->params_total, counts.total);
    assert_true(facts->weight_bytes >= 2 * counts.total);
    assert_int_equal(facts->n_threads, 2);
    assert_int_equal(facts->n_stages, 2);
    assert_string_equal(facts->stages[0].name, "open");
    assert_string_equal(facts->stages[1].name, "convert");
    assert_true(facts->stages[0].t0_ns < facts->stages[0].t1_ns);
    assert_true(facts->stages[0].t1_ns <= facts->stages[1].t0_ns);
    assert_true(facts->stages[1].t0_ns < facts->stages[1].t1_ns);
    close_model(&o);
}

static void float_environment_is_left_alone(void **state)
{
    (void)state;
#if defined(__x86_64__)
    il_error err = {0};
    opened o;
    int32_t ids[3] = {1, 2, 3};
    uint32_t n = 3;
    open_model(&o, gpt2_config, IL_DTYPE_F32, NULL);
    il_engine_session *s = open_session(&o, 1, 8, 4, IL_ENGINE_LOGITS_LAST);
    unsigned before = _mm_getcsr() & ~0x3fU; /* exception flags are sticky and do not matter */
    check_ok(il_engine_prefill(s, ids, &n, 1, &err), &err);
    check_ok(il_engine_decode(s, ids, &err), &err);
    assert_int_equal(_mm_getcsr() & ~0x3fU, before);
    volatile float tiny = 1e-40F;
    assert_true(tiny * 0.5F > 0.0F);
    il_engine_session_close(s);
    close_model(&o);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_equal_prefill),
        cmocka_unit_test(ragged_batch_equals_each_alone),
        cmocka_unit_test(prefill_appends_and_reset_forgets),
        cmocka_unit_test(bad_input_is_named_and_changes_nothing),
        cmocka_unit_test(nan_weight_is_caught_where_it_shows),
        cmocka_unit_test(argmax_is_the_largest_of_the_last_row),
        cmocka_unit_test(what_cannot_run_is_refused_by_name),
        cmocka_unit_test(facts_describe_the_model),
        cmocka_unit_test(float_environment_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
