/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Seeded streams: the order of a block and the ids of a prompt are functions of the seed and of
 * what they are for, so that a resumed run goes on in the order it would have had.
 */
#ifndef IL_STUDY_ORDER_H
#define IL_STUDY_ORDER_H

#include <stddef.h>
#include <stdint.h>

typedef struct il_seeded {
    uint64_t state;
} il_seeded;

/* The stream of (seed, purpose, index). */
il_seeded il_seeded_of(uint64_t seed, const char *purpose, uint64_t index);
/* splitmix64 (Steele, Lea, Flood 2014): 64 uniform bits. */
uint64_t il_seeded_next(il_seeded *stream);
/* Uniform below n ≥ 1, without modulo bias. */
uint64_t il_seeded_below(il_seeded *stream, uint64_t n);
/* Fisher–Yates. */
void il_seeded_shuffle(il_seeded *stream, uint32_t *items, size_t n);

#endif
