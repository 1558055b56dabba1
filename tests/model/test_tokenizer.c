/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Token ids against those of the `tokenizers` package (tests/golden/tokenizer, made by
 * tools/tokenizer_golden.py): five sets of rules, mixed scripts, emoji, code, runs of white space,
 * broken UTF-8. Damaged and foreign files. A GGUF file made here.
 */
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "model/gguf.h"
#include "model/tokenizer.h"

#include "check.h"

#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define GOLDEN IL_TEST_SOURCE_DIR "/tests/golden/tokenizer/"

typedef struct blob {
    uint8_t *data;
    size_t n, at;
} blob;

static blob inflate_file(const char *name)
{
    char path[1024];
    il_buf packed;
    il_error err = {0};
    (void)snprintf(path, sizeof path, GOLDEN "%s", name);
    il_buf_init(&packed, 1 << 24);
    check_ok(il_file_read(path, &packed, &err), &err);
    uLongf n = 8 << 20;
    blob b = {malloc(n), 0, 0};
    assert_non_null(b.data);
    assert_int_equal(uncompress(b.data, &n, (const Bytef *)packed.data, (uLong)packed.len), Z_OK);
    b.n = n;
    il_buf_free(&packed);
    return b;
}

static uint32_t take_u32(blob *b)
{
    uint32_t v;
    assert_true(b->at + 4 <= b->n);
    memcpy(&v, b->data + b->at, 4);
    b->at += 4;
    return v;
}

static il_tokenizer *open_golden(const char *name)
{
    char path[1024];
    il_tokenizer *t;
    il_error err = {0};
    (void)snprintf(path, sizeof path, GOLDEN "%s.json", name);
    check_ok(il_tokenizer_open(path, &t, &err), &err);
    return t;
}

static void test_golden(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2", "llama3", "qwen2", "smollm", "prefix"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char file[64];
        (void)snprintf(file, sizeof file, "%s.ids", names[k]);
        blob strings = inflate_file("strings.bin");
        blob ids = inflate_file(file);
        il_tokenizer *t = open_golden(names[k]);
        il_token_ids got = {0};
        il_error err = {0};
        uint32_t n = take_u32(&strings);
        assert_int_equal(n, 1500);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t len = take_u32(&strings);
            const char *text = (const char *)strings.data + strings.at;
            strings.at += len;
            got.n = 0;
            check_ok(il_tokenizer_encode(t, text, len, true, &got, &err), &err);
            uint32_t wanted = take_u32(&ids);
            bool same = got.n == wanted;
            for (uint32_t j = 0; j < wanted; j++) {
                int32_t id = (int32_t)take_u32(&ids);
                same = same && j < got.n && got.ids[j] == id;
            }
            if (!same) {
                fail_msg("%s: string %u (\"%.*s\") has other ids than the reference", names[k], i,
                         (int)len, text);
            }
        }
        assert_int_equal(ids.at, ids.n);
        il_token_ids_free(&got);
        il_tokenizer_free(t);
        free(strings.data);
        free(ids.data);
    }
}

/* Whatever is encoded comes back, where no step but splitting and merging took part. */
static void test_round_trip(void **state)
{
    (void)state;
    il_tokenizer *t = open_golden("gpt2");
    blob strings = inflate_file("strings.bin");
    uint32_t n = take_u32(&strings);
    size_t checked = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = take_u32(&strings);
        const char *text = (const char *)strings.data + strings.at;
        strings.at += len;
        bool plain = i % 4 != 1; /* the others may hold broken UTF-8 */
        for (uint32_t j = 0; j < len; j++) {
            plain = plain && text[j] != '<'; /* added tokens swallow the space beside them */
        }
        if (!plain) {
            continue;
        }
        il_token_ids ids = {0};
        il_error err = {0};
        il_buf out;
        il_buf_init(&out, 1 << 20);
        check_ok(il_tokenizer_encode(t, text, len, false, &ids, &err), &err);
        check_ok(il_tokenizer_decode(t, ids.ids, ids.n, true, &out, &err), &err);
        assert_int_equal(out.len, len);
        assert_memory_equal(il_buf_text(&out), text, len);
        il_buf_free(&out);
        il_token_ids_free(&ids);
        checked++;
    }
    assert_true(checked > 400);
    free(strings.data);
    il_tokenizer_free(t);
}

/* A word of a million letters must not take a million squared steps. */
static void test_long_word(void **state)
{
    (void)state;
    il_tokenizer *t = open_golden("llama3");
    size_t len = 1000000;
    char *text = malloc(len);
    il_token_ids ids = {0};
    il_error err = {0};
    assert_non_null(text);
    for (size_t i = 0; i < len; i++) {
        text[i] = "thescalinglaw"[i % 13];
    }
    clock_t begin = clock();
    check_ok(il_tokenizer_encode(t, text, len, false, &ids, &err), &err);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 10);
    il_buf out;
    il_buf_init(&out, 2 * len);
    check_ok(il_tokenizer_decode(t, ids.ids, ids.n, true, &out, &err), &err);
    assert_int_equal(out.len, len);
    assert_memory_equal(il_buf_text(&out), text, len);
    il_buf_free(&out);
    il_token_ids_free(&ids);
    free(text);
    il_tokenizer_free(t);
}

static void test_special(void **state)
{
    (void)state;
    il_tokenizer *t = open_golden("gpt2");
    il_error err = {0};
    il_buf out;
    il_buf_init(&out, 1000);
    assert_int_equal(il_tokenizer_special(t, "<|end|>"), 0);
    assert_int_equal(il_tokenizer_special(t, "<|other|>"), -1);
    assert_int_equal(il_tokenizer_size(t), 1503);
    const int32_t ids[] = {0};
    check_ok(il_tokenizer_decode(t, ids, 1, false, &out, &err), &err);
    assert_int_equal(out.len, 0);
    check_ok(il_tokenizer_decode(t, ids, 1, true, &out, &err), &err);
    assert_string_equal(il_buf_text(&out), "<|end|>");
    const int32_t wrong[] = {1503};
    assert_int_equal(il_tokenizer_decode(t, wrong, 1, false, &out, &err), IL_E_RANGE);
    il_buf_free(&out);
    il_tokenizer_free(t);
}

static void write_text(const char *path, const char *text, size_t len)
{
    il_error err = {0};
    check_ok(il_file_write_atomic(path, text, len, &err), &err);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *word;
    } cases[] = {
        {"{", IL_E_PARSE, ""},
        {"{\"model\":{\"type\":\"WordPiece\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
         IL_E_UNSUPPORTED, "WordPiece"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]},\"pre_tokenizer\":null}",
         IL_E_UNSUPPORTED, "pre_tokenizer"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]},\"pre_tokenizer\":"
         "{\"type\":\"Metaspace\"}}",
         IL_E_UNSUPPORTED, "Metaspace"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]},"
         "\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
         IL_E_DAMAGED, "merge 1"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]},"
         "\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
         IL_E_DAMAGED, "two tokens"},
    };
    char dir[] = "/tmp/il-test-tokenizer-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        il_tokenizer *t;
        il_error err = {0};
        write_text(path, cases[i].text, strlen(cases[i].text));
        assert_int_equal(il_tokenizer_open(dir, &t, &err), cases[i].code);
        assert_null(t);
        assert_non_null(strstr(err.what, cases[i].word));
    }
    il_tokenizer *t;
    il_error err = {0};
    (void)unlink(path);
    assert_int_equal(il_tokenizer_open(dir, &t, &err), IL_E_NOT_FOUND);
    (void)rmdir(dir);
}

/* The same vocabulary as GPT-2's two files gives the same ids. */
static void test_vocab_and_merges(void **state)
{
    (void)state;
    char dir[] = "/tmp/il-test-vocab-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    json_t *root;
    il_error err = {0};
    check_ok(il_json_load(GOLDEN "gpt2.json", 1 << 24, &root, &err), &err);
    json_t *model = json_object_get(root, "model");
    char *vocab = il_json_dump(json_object_get(model, "vocab"));
    (void)snprintf(path, sizeof path, "%s/vocab.json", dir);
    write_text(path, vocab, strlen(vocab));
    free(vocab);
    il_buf merges;
    il_buf_init(&merges, 1 << 24);
    (void)il_buf_puts(&merges, "#version: 0.2\n");
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(model, "merges"), i, item)
    {
        (void)il_buf_printf(&merges, "%s %s\n", json_string_value(json_array_get(item, 0)),
                            json_string_value(json_array_get(item, 1)));
    }
    (void)snprintf(path, sizeof path, "%s/merges.txt", dir);
    write_text(path, il_buf_text(&merges), merges.len);
    il_buf_free(&merges);
    json_decref(root);

    static const char text[] = "the law don't scale: 1234 (naïve) \n\n 日本語  x[i] += 0x1F;";
    il_tokenizer *a = open_golden("gpt2"), *b;
    il_token_ids ids_a = {0}, ids_b = {0};
    check_ok(il_tokenizer_open(dir, &b, &err), &err);
    check_ok(il_tokenizer_encode(a, text, sizeof text - 1, true, &ids_a, &err), &err);
    check_ok(il_tokenizer_encode(b, text, sizeof text - 1, true, &ids_b, &err), &err);
    assert_true(ids_a.n > 20);
    assert_int_equal(ids_a.n, ids_b.n);
    assert_memory_equal(ids_a.ids, ids_b.ids, ids_a.n * sizeof *ids_a.ids);
    il_token_ids_free(&ids_a);
    il_token_ids_free(&ids_b);
    il_tokenizer_free(a);
    il_tokenizer_free(b);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/vocab.json", dir);
    (void)unlink(path);
    (void)rmdir(dir);
}

/* ---- GGUF ---- */

static void put(il_buf *b, const void *bytes, size_t n)
{
    assert_int_equal(il_buf_append(b, bytes, n), IL_OK);
}

static void put_u32(il_buf *b, uint32_t v)
{
    put(b, &v, 4);
}

static void put_u64(il_buf *b, uint64_t v)
{
    put(b, &v, 8);
}

static void put_text(il_buf *b, const char *text)
{
    put_u64(b, strlen(text));
    put(b, text, strlen(text));
}

static void put_texts(il_buf *b, const char *key, const char *const *texts, size_t n)
{
    put_text(b, key);
    put_u32(b, IL_GGUF_ARRAY);
    put_u32(b, IL_GGUF_STRING);
    put_u64(b, n);
    for (size_t i = 0; i < n; i++) {
        put_text(b, texts[i]);
    }
}

/* A file with a tokenizer of six tokens and one Q8_0 tensor of 32 × 2. */
static void make_gguf(il_buf *b)
{
    static const char *const tokens[] = {"a",
                                         "b",
                                         "\xC4\xA0",
                                         "ab",
                                         "\xC4\xA0"
                                         "ab",
                                         "<eos>"};
    static const char *const merges[] = {"a b", "\xC4\xA0 ab"};
    static const int32_t types[] = {1, 1, 1, 1, 1, 3};
    put(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, 1);
    put_u64(b, 5);
    put_text(b, "tokenizer.ggml.model");
    put_u32(b, IL_GGUF_STRING);
    put_text(b, "gpt2");
    put_text(b, "tokenizer.ggml.pre");
    put_u32(b, IL_GGUF_STRING);
    put_text(b, "smollm");
    put_texts(b, "tokenizer.ggml.tokens", tokens, 6);
    put_texts(b, "tokenizer.ggml.merges", merges, 2);
    put_text(b, "tokenizer.ggml.token_type");
    put_u32(b, IL_GGUF_ARRAY);
    put_u32(b, IL_GGUF_I32);
    put_u64(b, 6);
    put(b, types, sizeof types);
    put_text(b, "w");
    put_u32(b, 2);
    put_u64(b, 32);
    put_u64(b, 2);
    put_u32(b, IL_GGML_Q8_0);
    put_u64(b, 0);
    while (b->len % 32) {
        put(b, "", 1);
    }
    for (int i = 0; i < 68; i++) {
        put(b, "x", 1);
    }
}

static void test_gguf(void **state)
{
    (void)state;
    char dir[] = "/tmp/il-test-gguf-XXXXXX", path[256];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/m.gguf", dir);
    il_buf b;
    il_buf_init(&b, 1 << 16);
    make_gguf(&b);
    write_text(path, il_buf_text(&b), b.len);
    il_gguf *file;
    il_tokenizer *t;
    il_error err = {0};
    check_ok(il_gguf_open(path, &file, &err), &err);
    const il_gguf_tensor *w = il_gguf_tensor_find(file, "w");
    assert_non_null(w);
    assert_int_equal(w->n_bytes, 68);
    assert_string_equal(w->layout->name, "Q8_0");
    assert_int_equal(w->data[67], 'x');
    int64_t missing = 7;
    check_ok(il_gguf_get_i64(file, "nothing", false, &missing, &err), &err);
    assert_int_equal(missing, 7);
    assert_int_equal(il_gguf_get_i64(file, "nothing", true, &missing, &err), IL_E_DAMAGED);
    il_gguf_close(file);

    check_ok(il_tokenizer_open(path, &t, &err), &err);
    il_token_ids ids = {0};
    check_ok(il_tokenizer_encode(t, "ab abb<eos>a", 12, true, &ids, &err), &err);
    static const int32_t wanted[] = {3, 4, 1, 5, 0};
    assert_int_equal(ids.n, 5);
    assert_memory_equal(ids.ids, wanted, sizeof wanted);
    assert_int_equal(il_tokenizer_encode(t, "c", 1, false, &ids, &err), IL_E_INVALID);
    il_token_ids_free(&ids);
    il_tokenizer_free(t);

    /* every cut, and every byte of the head altered: never a crash, never a read outside */
    for (size_t n = 0; n < b.len; n++) {
        write_text(path, il_buf_text(&b), n);
        err = (il_error){0};
        assert_int_equal(il_gguf_open(path, &file, &err), IL_E_DAMAGED);
    }
    for (size_t i = 0; i < b.len - 68; i++) {
        b.data[i] = (char)(b.data[i] ^ 0xFF);
        write_text(path, il_buf_text(&b), b.len);
        if (il_gguf_open(path, &file, &err) == IL_OK) {
            il_gguf_close(file);
        }
        if (il_tokenizer_open(path, &t, &err) == IL_OK) {
            il_tokenizer_free(t);
        }
        b.data[i] = (char)(b.data[i] ^ 0xFF);
    }
    il_buf_free(&b);
    (void)unlink(path);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),    cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_long_word), cmocka_unit_test(test_special),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_vocab_and_merges),
        cmocka_unit_test(test_gguf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
