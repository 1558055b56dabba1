/* SPDX-License-Identifier: Apache-2.0
 *
 * A vocabulary for synthetic checkpoints, since servers take text and refuse files without one:
 * byte-level BPE of any size from IL_VOCAB_LEAST up, in which nearly every token is a space and
 * some letters (" a" … " zzzz"), each made from the token one letter shorter. So any row of such
 * tokens, written one after the other, is split back into the very same tokens, by every runtime.
 *
 *   ids 0 … 255    the bytes
 *   then           the words of the TR121 prompts, which have 1, 9 and 17 tokens here too
 *   then           the words by length, then by the alphabet
 *   the last id    IL_VOCAB_END, which ends a text; no text contains it
 */
#ifndef IL_MODEL_VOCAB_H
#define IL_MODEL_VOCAB_H

#include "base/arena.h"
#include "inferlaw/error.h"

#include <stddef.h>
#include <stdint.h>

#define IL_VOCAB_END "<|inferlaw|>"

enum { IL_VOCAB_LEAST = 400, IL_VOCAB_MOST_TEXT = 16 };

typedef struct il_vocab_token {
    uint8_t n_bytes;
    char bytes[IL_VOCAB_MOST_TEXT]; /* raw, not the spelling of files */
} il_vocab_token;

typedef struct il_vocab_merge {
    uint32_t left, right; /* token ids; their bytes together are a token */
} il_vocab_merge;

typedef struct il_vocab {
    il_vocab_token *tokens;
    il_vocab_merge *merges; /* by rank */
    uint32_t n_tokens, n_merges;
} il_vocab;

/* IL_E_UNSUPPORTED below IL_VOCAB_LEAST tokens. */
int il_vocab_make(uint32_t n_tokens, il_arena *arena, il_vocab *out, il_error *err);

/* How files write a token: every byte as a printable character (GPT-2's alphabet). out must hold
 * 2 · n_bytes + 1; returns the length. */
size_t il_vocab_spell(const char *bytes, size_t n_bytes, char *out);

/* Writes tokenizer.json and tokenizer_config.json, as the `tokenizers` package reads them. */
int il_vocab_write(uint32_t n_tokens, const char *dir, il_error *err);

#endif
