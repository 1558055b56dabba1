/* SPDX-License-Identifier: Apache-2.0 */
#include "model/vocab.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { N_BYTES = 256, MOST_FILE_BYTES = 1 << 28 };

/* The words of the TR121 prompts as GPT-2 cuts them. Those that begin with a space come first: a
 * merge of two letters must rank behind every merge that has a space, or it would tear words of the
 * alphabet apart. "ain" stands before "ing" because "Explain" holds both "ai" and "in". */
static const char *const study_words[] = {
    " RL",  " in",   " one", " sentence",  " how",     " back",   " works",   " an",
    " and", " when", " to",  " inference", " service", " enable", " queue",   "Hello",
    "Sum",  "mar",   "ize",  "HF",         "Expl",     "ain",     "pressure", "ing"};

typedef struct making {
    il_vocab *v;
    il_arena *arena;
    uint32_t most;   /* tokens, without the end */
    uint32_t *slots; /* id + 1 by hash of the bytes */
    uint32_t n_slots;
} making;

static uint32_t slot_of(const making *m, const char *bytes, size_t n)
{
    uint32_t at = (uint32_t)il_fnv1a64(bytes, n) & (m->n_slots - 1);
    for (; m->slots[at]; at = (at + 1) & (m->n_slots - 1)) {
        const il_vocab_token *t = &m->v->tokens[m->slots[at] - 1];
        if (t->n_bytes == n && memcmp(t->bytes, bytes, n) == 0) {
            break;
        }
    }
    return at;
}

/* Adds the token of some bytes, and the merge that makes it of the token one byte shorter. */
static void add(making *m, const char *bytes, size_t n)
{
    uint32_t at = slot_of(m, bytes, n);
    if (m->slots[at] || m->v->n_tokens == m->most) {
        return;
    }
    il_vocab_token *t = &m->v->tokens[m->v->n_tokens];
    t->n_bytes = (uint8_t)n;
    memcpy(t->bytes, bytes, n);
    m->slots[at] = ++m->v->n_tokens;
    if (n > 1) {
        m->v->merges[m->v->n_merges++] =
            (il_vocab_merge){m->slots[slot_of(m, bytes, n - 1)] - 1, (unsigned char)bytes[n - 1]};
    }
}

static void add_study_words(making *m, bool spaced)
{
    for (size_t i = 0; i < sizeof study_words / sizeof *study_words; i++) {
        size_t n = strlen(study_words[i]);
        for (size_t k = 2; (study_words[i][0] == ' ') == spaced && k <= n; k++) {
            add(m, study_words[i], k);
        }
    }
}

/* All words of n letters, in the order of the alphabet. */
static void add_words(making *m, unsigned n)
{
    char word[IL_VOCAB_MOST_TEXT];
    memset(word, 'a', sizeof word);
    word[0] = ' ';
    while (m->v->n_tokens < m->most) {
        add(m, word, n + 1);
        unsigned k = n;
        while (k > 0 && word[k] == 'z') {
            word[k--] = 'a';
        }
        if (k == 0) {
            return;
        }
        word[k]++;
    }
}

int il_vocab_make(uint32_t n_tokens, il_arena *arena, il_vocab *out, il_error *err)
{
    making m = {.v = out, .arena = arena, .most = n_tokens - 1, .n_slots = 1024};
    *out = (il_vocab){0};
    if (n_tokens < IL_VOCAB_LEAST) {
        return il_fail(err, IL_E_UNSUPPORTED,
                       "no text can be written with %u tokens: a vocabulary needs %d", n_tokens,
                       IL_VOCAB_LEAST);
    }
    while (m.n_slots < 2 * (uint64_t)n_tokens && m.n_slots < 1u << 31) {
        m.n_slots *= 2;
    }
    out->tokens = il_arena_array(arena, n_tokens, sizeof *out->tokens);
    out->merges = il_arena_array(arena, n_tokens, sizeof *out->merges);
    m.slots = il_arena_array(arena, m.n_slots, sizeof *m.slots);
    if (!out->tokens || !out->merges || !m.slots) {
        return il_fail(err, IL_E_NOMEM, "no memory for a vocabulary of %u tokens", n_tokens);
    }
    for (int b = 0; b < N_BYTES; b++) {
        char byte = (char)b;
        add(&m, &byte, 1);
    }
    add_study_words(&m, true);
    uint32_t first_of_letters = out->n_merges;
    add_study_words(&m, false);
    uint32_t n_of_letters = out->n_merges - first_of_letters;
    for (unsigned n = 1; out->n_tokens < m.most; n++) {
        add_words(&m, n);
    }
    /* merges of letters alone rank last */
    il_vocab_merge late[256];
    memcpy(late, out->merges + first_of_letters, n_of_letters * sizeof *late);
    memmove(out->merges + first_of_letters, out->merges + first_of_letters + n_of_letters,
            (out->n_merges - first_of_letters - n_of_letters) * sizeof *late);
    memcpy(out->merges + out->n_merges - n_of_letters, late, n_of_letters * sizeof *late);
    il_vocab_token *end = &out->tokens[out->n_tokens++];
    end->n_bytes = (uint8_t)strlen(IL_VOCAB_END);
    memcpy(end->bytes, IL_VOCAB_END, end->n_bytes);
    return IL_OK;
}

/* --- files ------------------------------------------------------------------------------------ */

size_t il_vocab_spell(const char *bytes, size_t n_bytes, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        unsigned b = (unsigned char)bytes[i], c = b;
        if (b <= ' ') {
            c = 256 + b;
        } else if (b >= 127 && b <= 160) {
            c = 256 + 33 + (b - 127);
        } else if (b == 173) {
            c = 256 + 67;
        }
        if (c < 128) {
            out[n++] = (char)c;
        } else {
            out[n++] = (char)(0xc0 | c >> 6);
            out[n++] = (char)(0x80 | (c & 0x3f));
        }
    }
    out[n] = '\0';
    return n;
}

static void put_spelled(il_buf *b, const il_vocab_token *t)
{
    char text[2 * IL_VOCAB_MOST_TEXT + 1];
    size_t n = il_vocab_spell(t->bytes, t->n_bytes, text);
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            (void)il_buf_append(b, "\\", 1);
        }
        (void)il_buf_append(b, text + i, 1);
    }
}

static void put_tokenizer(il_buf *b, const il_vocab *v)
{
    uint32_t end = v->n_tokens - 1;
    (void)il_buf_printf(
        b,
        "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":%u,"
        "\"content\":\"" IL_VOCAB_END "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
        "\"normalized\":false,\"special\":true}],\"normalizer\":null,\"pre_tokenizer\":{\"type\":"
        "\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},"
        "\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
        "\"trim_offsets\":true,\"use_regex\":true},\"model\":{\"type\":\"BPE\",\"dropout\":null,"
        "\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
        "\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":false,\"vocab\":{",
        end);
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        (void)il_buf_puts(b, i ? ",\"" : "\"");
        if (i == end) {
            (void)il_buf_puts(b, IL_VOCAB_END);
        } else {
            put_spelled(b, &v->tokens[i]);
        }
        (void)il_buf_printf(b, "\":%u", i);
    }
    (void)il_buf_puts(b, "},\"merges\":[");
    for (uint32_t i = 0; i < v->n_merges; i++) {
        (void)il_buf_puts(b, i ? ",\"" : "\"");
        put_spelled(b, &v->tokens[v->merges[i].left]);
        (void)il_buf_puts(b, " ");
        put_spelled(b, &v->tokens[v->merges[i].right]);
        (void)il_buf_puts(b, "\"");
    }
    (void)il_buf_puts(b, "]}}\n");
}

static int write_text(const char *dir, const char *name, const char *text, size_t n, il_error *err)
{
    char path[PATH_MAX];
    int rc = il_path_join(path, sizeof path, dir, name);
    return rc == IL_OK ? il_file_write_atomic(path, text, n, err)
                       : il_fail(err, rc, "path too long: %.200s", dir);
}

int il_vocab_write(uint32_t n_tokens, const char *dir, il_error *err)
{
    static const char config[] =
        "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n"
        "  \"eos_token\": \"" IL_VOCAB_END "\",\n  \"clean_up_tokenization_spaces\": false\n}\n";
    il_arena arena = {0};
    il_buf text;
    il_vocab v;
    il_buf_init(&text, MOST_FILE_BYTES);
    int rc = il_vocab_make(n_tokens, &arena, &v, err);
    if (rc == IL_OK) {
        put_tokenizer(&text, &v);
        rc = text.status ? il_fail(err, text.status, "no memory for tokenizer.json")
                         : write_text(dir, "tokenizer.json", text.data, text.len, err);
    }
    if (rc == IL_OK) {
        rc = write_text(dir, "tokenizer_config.json", config, sizeof config - 1, err);
    }
    il_buf_free(&text);
    il_arena_free(&arena);
    return rc;
}
