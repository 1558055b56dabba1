/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Seeded streams: the order of a block and the ids of a prompt are functions of the seed and of
 * what they are for, so that a resumed run goes on in the order it would have had.
 */
#ifndef IL_STUDY_ORDER_H
#define IL_STUDY_ORDER_H

#include <stddef.h>
#include <stdint.h>

typedef struct il_stream {
    uint64_t state;
} il_stream;

/* The stream of (seed, purpose, index). */
il_stream il_stream_of(uint64_t seed, const char *purpose, uint64_t index);
/* splitmix64 (Steele, Lea, Flood 2014): 64 uniform bits. */
uint64_t il_stream_next(il_stream *stream);
/* Uniform below n ≥ 1, without modulo bias. */
uint64_t il_stream_below(il_stream *stream, uint64_t n);
/* Fisher–Yates. */
void il_stream_shuffle(il_stream *stream, uint32_t *items, size_t n);

#endif
