/* SPDX-License-Identifier: Apache-2.0
 *
 * What the rest of the program needs of the tokenizer beside its public part.
 */
#ifndef IL_MODEL_TOKENIZER_H
#define IL_MODEL_TOKENIZER_H

#include "base/buf.h"
#include "inferlaw/tokenizer.h"

/* Appends the bytes of the ids to a buffer; a text cut inside a character is cut there. Special
 * tokens are left out unless asked for. IL_E_RANGE: an id outside the vocabulary. */
int il_tokenizer_decode(const il_tokenizer *tokenizer, const int32_t *ids, size_t n,
                        bool keep_special, il_buf *out, il_error *err);

/* Appends, in order, the ids of plain words: tokens of a space and small letters whose text alone
 * is split back into that very token. Any row of such ids survives decoding and encoding, so that a
 * server that takes text alone runs the ids that were meant. NOMEM. */
int il_tokenizer_words(il_tokenizer *tokenizer, il_token_ids *out, il_error *err);

#endif
