/* SPDX-License-Identifier: Apache-2.0
 *
 * A tokenizer from vocab.json and merges.txt (GPT-2's own files), and from the metadata of a GGUF
 * file, which names its splitting rule instead of holding it.
 */
#include "model/gguf.h"
#include "model/tokenizer_internal.h"

#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_FILE_BYTES = 256 << 20 };

bool il__alphabet_to_bytes(const char *text, size_t len, char *out, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        unsigned c = (unsigned char)text[i++];
        if (c >= 0xC2 && c <= 0xDF && i < len) { /* the alphabet ends at U+0143 */
            c = (c & 0x1F) << 6 | ((unsigned char)text[i++] & 0x3F);
        } else if (c >= 0x80) {
            return false;
        }
        if ((c >= '!' && c <= '~') || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF)) {
            out[n++] = (char)c;
        } else if (c >= 0x100 && c <= 0x120) { /* 0 … 32 */
            out[n++] = (char)(c - 0x100);
        } else if (c >= 0x121 && c <= 0x142) { /* 127 … 160 */
            out[n++] = (char)(c - 0x121 + 127);
        } else if (c == 0x143) {
            out[n++] = (char)0xAD;
        } else {
            return false;
        }
    }
    *out_len = n;
    return true;
}

/* "left right", both in the alphabet. */
static int add_merge_text(il__bpe *bpe, const char *text, size_t len, il_error *err)
{
    char small[512];
    const char *space = memchr(text, ' ', len);
    char *raw = len <= sizeof small ? small : malloc(len);
    size_t left, right;
    int rc;
    if (!raw) {
        return il_fail(err, IL_E_NOMEM, "no memory for a merge");
    }
    if (!space || !il__alphabet_to_bytes(text, (size_t)(space - text), raw, &left) ||
        !il__alphabet_to_bytes(space + 1, len - (size_t)(space - text) - 1, raw + left, &right)) {
        rc = il_fail(err, IL_E_DAMAGED, "a merge is no two tokens: %.*s",
                     (int)(len < 80 ? len : 80), text);
    } else {
        rc = il__bpe_add_merge(bpe, (il__bytes){raw, left}, (il__bytes){raw + left, right}, err);
    }
    if (raw != small) {
        free(raw);
    }
    return rc;
}

static int add_alphabet_token(il_tokenizer *t, const char *text, size_t len, int32_t id,
                              bool *known, il_error *err)
{
    char small[512];
    char *raw = len <= sizeof small ? small : malloc(len);
    size_t n;
    if (!raw) {
        return il_fail(err, IL_E_NOMEM, "no memory for a token");
    }
    int rc = IL_OK;
    *known = len > 0 && il__alphabet_to_bytes(text, len, raw, &n);
    if (*known) {
        rc = il__bpe_add(t->bpe, raw, n, id, err);
    }
    if (raw != small) {
        free(raw);
    }
    return rc;
}

static int read_merges(il_tokenizer *t, const char *path, il_error *err)
{
    il_buf text;
    il_buf_init(&text, MOST_FILE_BYTES);
    int rc = il_file_read(path, &text, err);
    const char *at = il_buf_text(&text);
    const char *end = at + text.len;
    for (size_t line = 1; rc == IL_OK && at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        size_t len = (size_t)(stop - at);
        len -= len > 0 && at[len - 1] == '\r';
        bool version = line == 1 && len >= 8 && memcmp(at, "#version", 8) == 0;
        if (len > 0 && !version) {
            rc = add_merge_text(t->bpe, at, len, err);
            if (rc != IL_OK) {
                il_error_where(err, "%s:%zu", path, line);
            }
        }
        at = stop + 1;
    }
    il_buf_free(&text);
    return rc;
}

int il__tokenizer_from_vocab(il_tokenizer *t, const char *vocab_path, const char *merges_path,
                             il_error *err)
{
    json_t *vocab = NULL;
    const char *key;
    json_t *value;
    int rc = il_json_load(vocab_path, MOST_FILE_BYTES, &vocab, err);
    if (rc == IL_OK) {
        json_object_foreach(vocab, key, value)
        {
            bool known = false;
            int32_t id = (int32_t)json_integer_value(value);
            rc = add_alphabet_token(t, key, strlen(key), id, &known, err);
            if (rc == IL_OK && !known) { /* "<|endoftext|>" is of the alphabet; others may not be */
                rc = il__tokenizer_add_added(
                    t, (il__added){.text = key, .len = strlen(key), .id = id, .special = true},
                    err);
            } else if (rc == IL_OK && strcmp(key, "<|endoftext|>") == 0) {
                rc = il__tokenizer_add_added(
                    t, (il__added){.text = key, .len = strlen(key), .id = id, .special = true},
                    err);
            }
            if (rc != IL_OK) {
                il_error_where(err, "%s", vocab_path);
                break;
            }
        }
    }
    json_decref(vocab);
    rc = rc ? rc : read_merges(t, merges_path, err);
    return rc ? rc
              : il__splitter_add(t->splitter, il__pattern_gpt2, IL__SPLIT_ISOLATED, vocab_path,
                                 err);
}

/* ---- GGUF ---- */

/* Splitting rules by their names in tokenizer.ggml.pre, as the models' own tokenizer.json has them.
 */
typedef struct pre_rule {
    const char *name;
    const char *patterns[2];
    il__normal_form normal;
    bool whole_words;
} pre_rule;

#define LLAMA3(digits)                                                                             \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                           \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const pre_rule rules[] = {
    {"gpt-2", {il__pattern_gpt2, NULL}, IL__NORMAL_NONE, false},
    {"phi-2", {il__pattern_gpt2, NULL}, IL__NORMAL_NONE, false},
    {"olmo", {il__pattern_gpt2, NULL}, IL__NORMAL_NFC, false},
    {"smollm", {"\\p{N}", il__pattern_gpt2}, IL__NORMAL_NONE, false},
    {"llama-bpe", {LLAMA3("\\p{N}{1,3}"), NULL}, IL__NORMAL_NONE, true},
    {"qwen2", {LLAMA3("\\p{N}"), NULL}, IL__NORMAL_NFC, false},
};

static int apply_rule(il_tokenizer *t, const char *name, size_t len, const char *path,
                      il_error *err)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (strlen(rules[i].name) == len && memcmp(rules[i].name, name, len) == 0) {
            t->normal = rules[i].normal;
            il__bpe_whole_words(t->bpe, rules[i].whole_words);
            int rc = IL_OK;
            for (size_t k = 0; k < 2 && rules[i].patterns[k] && rc == IL_OK; k++) {
                rc = il__splitter_add(t->splitter, rules[i].patterns[k], IL__SPLIT_ISOLATED, path,
                                      err);
            }
            return rc;
        }
    }
    int rc = il_fail(err, IL_E_UNSUPPORTED, "the tokenizer's splitting rule \"%.*s\" is not known",
                     (int)(len < 60 ? len : 60), name);
    il_error_where(err, "%s", path);
    il_error_hint(err, "put the model's tokenizer.json beside it and give that directory");
    return rc;
}

typedef struct reading {
    il_tokenizer *t;
    const il_gguf_value *types;
} reading;

/* Token types of the format: 1 normal, 3 control, 4 user defined. */
static int gguf_token(uint64_t index, const char *text, size_t len, void *user, il_error *err)
{
    const reading *r = user;
    int64_t type = r->types ? il_gguf_array_i64(r->types, index) : 1;
    bool known = false;
    if (index > INT32_MAX) {
        return il_fail(err, IL_E_DAMAGED, "more tokens than ids");
    }
    int rc = add_alphabet_token(r->t, text, len, (int32_t)index, &known, err);
    if (rc == IL_OK && len > 0 && (type == 3 || type == 4 || !known)) {
        rc = il__tokenizer_add_added(
            r->t, (il__added){.text = text, .len = len, .id = (int32_t)index, .special = type == 3},
            err);
    }
    return rc;
}

static int gguf_merge(uint64_t index, const char *text, size_t len, void *user, il_error *err)
{
    (void)index;
    const reading *r = user;
    return add_merge_text(r->t->bpe, text, len, err);
}

int il__tokenizer_from_gguf(il_tokenizer *t, const char *path, il_error *err)
{
    il_gguf *file;
    const char *model = "", *pre = "gpt-2";
    size_t model_len = 0, pre_len = strlen(pre);
    bool add_bos = false;
    int64_t bos = -1;
    int rc = il_gguf_open(path, &file, err);
    if (rc != IL_OK) {
        return rc;
    }
    rc = il_gguf_get_text(file, "tokenizer.ggml.model", true, &model, &model_len, err);
    if (rc == IL_OK && (model_len != 4 || memcmp(model, "gpt2", 4) != 0)) {
        rc = il_fail(err, IL_E_UNSUPPORTED, "the tokenizer is \"%.*s\", not byte-level BPE",
                     (int)(model_len < 40 ? model_len : 40), model);
        il_error_where(err, "%s", path);
        il_error_hint(err, "give token ids instead of text");
    }
    rc = rc ? rc : il_gguf_get_text(file, "tokenizer.ggml.pre", false, &pre, &pre_len, err);
    rc = rc ? rc : il_gguf_get_bool(file, "tokenizer.ggml.add_bos_token", &add_bos, err);
    rc = rc ? rc : il_gguf_get_i64(file, "tokenizer.ggml.bos_token_id", false, &bos, err);
    rc = rc ? rc : apply_rule(t, pre, pre_len, path, err);
    reading r = {t, il_gguf_find(file, "tokenizer.ggml.token_type")};
    rc = rc ? rc : il_gguf_each_text(file, "tokenizer.ggml.tokens", gguf_token, &r, err);
    rc = rc ? rc : il_gguf_each_text(file, "tokenizer.ggml.merges", gguf_merge, &r, err);
    if (rc == IL_OK && add_bos && bos >= 0 && bos <= INT32_MAX) {
        t->before[t->n_before++] = (int32_t)bos;
    }
    il_gguf_close(file);
    return rc;
}
