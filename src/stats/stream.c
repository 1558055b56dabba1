/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stats/stream.h"

#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

il_stream il_stream_open(uint64_t seed, const char *table, const char *row)
{
    /* Each part goes through the mixer before the next is added, so that ("a", "bc") and ("ab",
     * "c") part ways. */
    uint64_t key = mix(seed + UINT64_C(0x9e3779b97f4a7c15));
    key = mix(key ^ il_fnv1a64(table, strlen(table)));
    key = mix(key + UINT64_C(0x9e3779b97f4a7c15) + il_fnv1a64(row, strlen(row)));
    return (il_stream){.state = key, .spare = 0, .has_spare = 0};
}

uint64_t il_stream_u64(il_stream *stream)
{
    stream->state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(stream->state);
}

double il_stream_uniform(il_stream *stream)
{
    return (double)(il_stream_u64(stream) >> 11) * 0x1p-53;
}

uint32_t il_stream_below(il_stream *stream, uint32_t n)
{
    assert(n > 0);
    uint64_t product = (il_stream_u64(stream) >> 32) * n;
    uint32_t low = (uint32_t)product;
    if (low < n) {
        uint32_t floor = (uint32_t)(-n) % n;
        while (low < floor) {
            product = (il_stream_u64(stream) >> 32) * n;
            low = (uint32_t)product;
        }
    }
    return (uint32_t)(product >> 32);
}

double il_stream_normal(il_stream *stream)
{
    if (stream->has_spare) {
        stream->has_spare = 0;
        return stream->spare;
    }
    double radius = sqrt(-2.0 * log(1.0 - il_stream_uniform(stream)));
    double angle = 2.0 * 3.14159265358979323846 * il_stream_uniform(stream);
    stream->spare = radius * sin(angle);
    stream->has_spare = 1;
    return radius * cos(angle);
}
