/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte-level byte-pair encoding, as GPT-2, Llama 3, Qwen 2/3, SmolLM2 and their kin use it: text to
 * token ids and back. Read from tokenizer.json, from vocab.json + merges.txt, or from inside a GGUF
 * file. The ids equal those of the `tokenizers` package (tests/model/test_tokenizer.c).
 *
 * A tokenizer keeps a cache of words it has seen: not for two threads at once.
 */
#ifndef INFERLAW_TOKENIZER_H
#define INFERLAW_TOKENIZER_H

#include "inferlaw/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct il_tokenizer il_tokenizer;

/* A growing list; ready when zeroed. */
typedef struct il_token_ids {
    int32_t *ids;
    size_t n, cap;
} il_token_ids;

void il_token_ids_free(il_token_ids *ids);

/* path: a checkpoint directory (tokenizer.json, else vocab.json + merges.txt), a tokenizer.json, or
 * a GGUF file. IL_E_NOT_FOUND: none of them is there. IL_E_UNSUPPORTED: a kind of tokenizer that
 * this is not (SentencePiece, WordPiece…), or a step it does not know, named. IL_E_DAMAGED: a file
 * that contradicts itself. */
int il_tokenizer_open(const char *path, il_tokenizer **out, il_error *err);
void il_tokenizer_free(il_tokenizer *tokenizer); /* NULL is fine */

/* One more than the largest id. */
size_t il_tokenizer_size(const il_tokenizer *tokenizer);

/* Appends the ids of len bytes of UTF-8 text. Broken UTF-8 counts as U+FFFD, one for each maximal
 * broken part. add_special puts in what the tokenizer's template asks for (a begin token).
 * IL_E_INVALID: a byte that the vocabulary cannot express. NOMEM. */
int il_tokenizer_encode(il_tokenizer *tokenizer, const char *text, size_t len, bool add_special,
                        il_token_ids *out, il_error *err);

/* Writes the bytes of the ids and a NUL to out; *n_bytes, which may be NULL, counts without the
 * NUL. Special tokens are left out unless asked for; a text cut inside a character is cut there.
 * IL_E_RANGE: an id outside the vocabulary, or more bytes than out holds. */
int il_tokenizer_text(const il_tokenizer *tokenizer, const int32_t *ids, size_t n,
                      bool keep_special, char *out, size_t out_bytes, size_t *n_bytes,
                      il_error *err);

/* The id of an added or special token by its text ("<|im_end|>"); −1 when there is none. */
int32_t il_tokenizer_special(const il_tokenizer *tokenizer, const char *text);

#endif
