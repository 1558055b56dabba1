/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Nothing allocates between the opening of a session and the end of its last decode: the
 * allocator's entry points are counted here. Under a sanitizer, which owns them, the test is
 * skipped.
 */
#include "fixture.h"

#include <stdatomic.h>

#if defined(__SANITIZE_ADDRESS__)
static atomic_ulong n_calls;
#else
static atomic_ulong n_calls;
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
    atomic_fetch_add(&n_calls, 1);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&n_calls, 1);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    atomic_fetch_add(&n_calls, 1);
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    atomic_fetch_add(&n_calls, 1);
    return __libc_memalign(align, n);
}
#endif

static void count_calls_of(const char *config)
{
#if defined(__SANITIZE_ADDRESS__)
    skip();
#endif
    il_error err = {0};
    fixture f;
    il_engine_model *model;
    il_engine_session *session;
    il_engine_options options = {.dtype = IL_DTYPE_BF16, .n_threads = 2};
    il_engine_session_options so = {.max_batch = 2,
                                    .max_context_tok = 400,
                                    .max_prompt_tok = 300,
                                    .logits = IL_ENGINE_LOGITS_ALL};
    fixture_make(&f, config, IL_DTYPE_F32, 5, NULL);
    unsigned long before_open = atomic_load(&n_calls);
    check_ok(il_engine_model_open(f.dir, &options, &model, &err), &err);
    check_ok(il_engine_session_open(model, &so, &session, &err), &err);
    unsigned long before = atomic_load(&n_calls);
    assert_true(before > before_open); /* the counter counts */

    static int32_t ids[500];
    uint32_t lengths[2] = {300, 200};
    int32_t next[2];
    int rc = il_engine_prefill(session, ids, lengths, 2, &err);
    for (int i = 0; i < 20 && rc == IL_OK; i++) {
        rc = il_engine_argmax(session, next, &err);
        if (rc == IL_OK) {
            rc = il_engine_decode(session, next, &err);
        }
    }
    il_engine_reset(session);
    unsigned long after = atomic_load(&n_calls);
    check_ok(rc, &err);
    assert_int_equal(after - before, 0);
    il_engine_session_close(session);
    il_engine_model_close(model);
    fixture_remove(&f);
}

static void a_pass_allocates_nothing(void **state)
{
    (void)state;
    count_calls_of("{\"model_type\": \"gpt2\", \"n_layer\": 2, \"n_embd\": 192, \"n_head\": 4,"
                   " \"vocab_size\": 900, \"n_positions\": 512, \"n_ctx\": 512,"
                   " \"layer_norm_epsilon\": 1e-5, \"activation_function\": \"gelu_new\"}");
}

static void nor_does_one_of_experts(void **state)
{
    (void)state;
    count_calls_of("{\"model_type\": \"mixtral\", \"num_hidden_layers\": 2, \"hidden_size\": 128,"
                   " \"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
                   " \"intermediate_size\": 200, \"num_local_experts\": 6,"
                   " \"num_experts_per_tok\": 2, \"vocab_size\": 900,"
                   " \"max_position_embeddings\": 512, \"hidden_act\": \"silu\"}");
}

static void nor_one_of_two_rope_tables(void **state)
{
    (void)state;
    count_calls_of("{\"model_type\": \"gemma3_text\", \"num_hidden_layers\": 3,"
                   " \"hidden_size\": 128, \"num_attention_heads\": 4, \"head_dim\": 40,"
                   " \"num_key_value_heads\": 2, \"intermediate_size\": 200,"
                   " \"sliding_window\": 32, \"sliding_window_pattern\": 2, \"vocab_size\": 900,"
                   " \"max_position_embeddings\": 512}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_allocates_nothing),
        cmocka_unit_test(nor_does_one_of_experts),
        cmocka_unit_test(nor_one_of_two_rope_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
