/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Random streams that depend on what they are for, not on the order of calls: a stream is keyed by
 * (seed, table, row), so that adding a table or a row changes no other number. The generator is
 * splitmix64 (Steele, Lea & Flood 2014): a counter through a mixing function, 2^64 long.
 */
#ifndef IL_STATS_STREAM_H
#define IL_STATS_STREAM_H

#include <stdint.h>

typedef struct il_stream {
    uint64_t state;
    double spare; /* second normal of a Box–Muller pair */
    int has_spare;
} il_stream;

/* table and row are any texts: "scaling_fits", "backend|1|prefill". */
il_stream il_stream_open(uint64_t seed, const char *table, const char *row);
uint64_t il_stream_u64(il_stream *stream);
/* Uniform in [0, 1), 53 bits. */
double il_stream_uniform(il_stream *stream);
/* Uniform in 0 … n − 1, n ≥ 1, without modulo bias (Lemire 2019). */
uint32_t il_stream_below(il_stream *stream, uint32_t n);
/* Standard normal, by Box–Muller. */
double il_stream_normal(il_stream *stream);

#endif
