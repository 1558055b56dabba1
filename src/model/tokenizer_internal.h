/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared among the tokenizer's files. The way of a text: added tokens are cut out, the rest is
 * normalised, split into words by patterns (tokenizer_split.c), and every word is merged from its
 * bytes (tokenizer_bpe.c).
 */
#ifndef IL_MODEL_TOKENIZER_INTERNAL_H
#define IL_MODEL_TOKENIZER_INTERNAL_H

#include "base/arena.h"
#include "model/tokenizer.h"

typedef struct il__bytes {
    const char *text;
    size_t len;
} il__bytes;

/* ---- merging -------------------------------------------------------------------------------- */

typedef struct il__bpe il__bpe;

int il__bpe_make(il__bpe **out, il_error *err);
void il__bpe_free(il__bpe *bpe);
/* Adds the token of raw bytes; the bytes are copied. */
int il__bpe_add(il__bpe *bpe, const char *text, size_t len, int32_t id, il_error *err);
/* Adds the next merge in order of rank, by the raw bytes of both sides. A side or a result that is
 * not in the vocabulary is DAMAGED. */
int il__bpe_add_merge(il__bpe *bpe, il__bytes left, il__bytes right, il_error *err);
/* A word that is a token is that token, whatever the merges say (Llama 3). */
void il__bpe_whole_words(il__bpe *bpe, bool on);
int il__bpe_word(il__bpe *bpe, const char *text, size_t len, il_token_ids *out, il_error *err);
/* Raw bytes of a token; text NULL when no token has the id. */
il__bytes il__bpe_token(const il__bpe *bpe, int32_t id);
size_t il__bpe_size(const il__bpe *bpe);
int il__ids_push(il_token_ids *out, int32_t id, il_error *err);

/* ---- splitting ------------------------------------------------------------------------------ */

enum { IL__MOST_SPLITS = 8 };

typedef enum il__split_kind {
    IL__SPLIT_ISOLATED, /* matches and what lies between them are words */
    IL__SPLIT_REMOVED,  /* only what lies between is */
    IL__SPLIT_MATCHES,  /* only the matches are */
} il__split_kind;

typedef struct il__splitter il__splitter; /* up to eight patterns, one after the other */

/* The pattern of GPT-2, which ByteLevel stands for. */
extern const char il__pattern_gpt2[];

int il__splitter_make(il__splitter **out, il_error *err);
void il__splitter_free(il__splitter *splitter);
/* A pattern as tokenizer.json writes it; \s means Unicode's White_Space. `origin` names it in
 * errors. */
int il__splitter_add(il__splitter *splitter, const char *pattern, il__split_kind kind,
                     const char *origin, il_error *err);
/* Visits the words of valid UTF-8 text in order; empty ones are not words. */
int il__splitter_each(il__splitter *splitter, const char *text, size_t len,
                      int (*word)(const char *text, size_t len, void *user, il_error *err),
                      void *user, il_error *err);

/* ---- the whole ------------------------------------------------------------------------------ */

typedef enum il__normal_form {
    IL__NORMAL_NONE,
    IL__NORMAL_NFC,
    IL__NORMAL_NFD,
    IL__NORMAL_NFKC,
    IL__NORMAL_NFKD
} il__normal_form;

typedef struct il__added {
    const char *text;
    size_t len;
    il__bytes match; /* what is looked for: the text, normalised where the text around it is */
    int32_t id;
    bool special, normalized, left_strip, right_strip, single_word;
} il__added;

struct il_tokenizer {
    il_arena arena;
    il__bpe *bpe;
    il__splitter *splitter;
    il__normal_form normal;
    bool prefix_space; /* a segment that begins with no space gets one */
    il__added *added;  /* longest match first */
    size_t n_added, cap_added;
    bool added_first_byte[2][256]; /* [normalized] */
    int32_t before[8], after[8];   /* the template's special ids */
    size_t n_before, n_after;
};

/* Call after t->normal is known; match is filled in here. */
int il__tokenizer_add_added(il_tokenizer *t, il__added added, il_error *err);
int il__tokenizer_from_json(il_tokenizer *t, const char *path, il_error *err);
int il__tokenizer_from_vocab(il_tokenizer *t, const char *vocab, const char *merges, il_error *err);
int il__tokenizer_from_gguf(il_tokenizer *t, const char *path, il_error *err);

/* The alphabet in which files write tokens: every byte as a printable character (GPT-2's
 * bytes_to_unicode). Writes the raw bytes to out (at least len long); false when a character is
 * not of the alphabet. */
bool il__alphabet_to_bytes(const char *text, size_t len, char *out, size_t *out_len);

#endif
