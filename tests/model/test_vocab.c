/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The synthetic vocabulary: text goes to the ids that were meant and back, through tokenizer.json
 * and through a GGUF file alike, at small and large sizes; the TR121 prompts keep their counts.
 */
#include "model/gguf_model.h"
#include "model/make.h"
#include "model/suite.h"
#include "model/tokenizer.h"
#include "model/vocab.h"

#include "check.h"

#include <time.h>
#include <unistd.h>

static const struct {
    const char *text;
    size_t n;
} prompts[] = {
    {"Hello", 1},
    {"Summarize RLHF in one sentence.", 9},
    {"Explain how backpressure works in an inference service and when to enable queueing.", 17},
};

static void check_tokenizer(const char *path, uint32_t n_tokens, uint64_t seed)
{
    il_tokenizer *t;
    il_token_ids words = {0}, row = {0}, back = {0};
    il_buf text;
    il_error err = {0};
    check_ok(il_tokenizer_open(path, &t, &err), &err);
    assert_int_equal(il_tokenizer_size(t), n_tokens);
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        back.n = 0;
        check_ok(
            il_tokenizer_encode(t, prompts[i].text, strlen(prompts[i].text), true, &back, &err),
            &err);
        assert_int_equal(back.n, prompts[i].n);
    }
    check_ok(il_tokenizer_words(t, &words, &err), &err);
    assert_true(words.n > n_tokens / 8);
    int32_t drawn[512];
    for (size_t i = 0; i < 512; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        drawn[i] = words.ids[(seed >> 33) % words.n];
    }
    il_buf_init(&text, 1 << 20);
    check_ok(il_tokenizer_decode(t, drawn, 512, false, &text, &err), &err);
    check_ok(il_tokenizer_encode(t, text.data, text.len, false, &row, &err), &err);
    assert_int_equal(row.n, 512);
    assert_memory_equal(row.ids, drawn, sizeof drawn);
    assert_int_equal(il_tokenizer_special(t, IL_VOCAB_END), (int)n_tokens - 1);
    il_buf_free(&text);
    il_token_ids_free(&words);
    il_token_ids_free(&row);
    il_token_ids_free(&back);
    il_tokenizer_free(t);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {IL_VOCAB_LEAST, 1000, 32000, 50257, 151936};
    char dir[] = "/tmp/il-test-vocab-XXXXXX", path[256];
    uint64_t seed = (uint64_t)time(NULL);
    il_error err = {0};
    print_message("seed %llu\n", (unsigned long long)seed);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_ok(il_vocab_write(sizes[i], dir, &err), &err);
        check_tokenizer(path, sizes[i], seed + i);
    }
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/tokenizer_config.json", dir);
    (void)unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

static void test_too_small(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_vocab v;
    il_error err = {0};
    assert_int_equal(il_vocab_make(IL_VOCAB_LEAST - 1, &arena, &v, &err), IL_E_UNSUPPORTED);
    assert_non_null(strstr(err.what, "399"));
    il_arena_free(&arena);
}

static void test_every_id_has_its_own_text(void **state)
{
    (void)state;
    il_arena arena = {0};
    il_vocab v;
    il_error err = {0};
    check_ok(il_vocab_make(50257, &arena, &v, &err), &err);
    assert_int_equal(v.n_tokens, 50257);
    for (uint32_t i = 0; i < v.n_merges; i++) {
        const il_vocab_token *l = &v.tokens[v.merges[i].left], *r = &v.tokens[v.merges[i].right];
        assert_true(v.merges[i].left < v.n_tokens - 1 && r->n_bytes == 1 && l->n_bytes < 12);
    }
    /* bytes have no merge and the end has none: every other token has exactly one */
    assert_int_equal(v.n_merges, 50257 - 256 - 1);
    il_arena_free(&arena);
}

static void test_inside_gguf(void **state)
{
    (void)state;
    char path[] = "/tmp/il-test-vocab-XXXXXX.gguf";
    il_arena arena = {0};
    il_suite suite;
    il_error err = {0};
    il_gguf_options options = {.recipe = IL_GGUF_RECIPE_F32};
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    (void)close(fd);
    options.force = true;
    check_ok(il_suite_select("tr121/tiny-gpt2", &arena, &suite, &err), &err);
    check_ok(
        il_model_gguf_from_shape(&suite.shapes[0], 7, IL_DTYPE_F32, path, &options, NULL, &err),
        &err);
    check_tokenizer(path, 50257, 11);
    (void)unlink(path);
    il_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_too_small),
        cmocka_unit_test(test_every_id_has_its_own_text), cmocka_unit_test(test_inside_gguf)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
