/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "study/order.h"

#include "base/text.h"

#include <assert.h>
#include <string.h>

uint64_t il_seeded_next(il_seeded *stream)
{
    uint64_t z = stream->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

il_seeded il_seeded_of(uint64_t seed, const char *purpose, uint64_t index)
{
    il_seeded mixed = {seed};
    il_seeded out = {il_seeded_next(&mixed) ^ il_fnv1a64(purpose, strlen(purpose))};
    out.state = il_seeded_next(&out) ^ index;
    (void)il_seeded_next(&out);
    return out;
}

uint64_t il_seeded_below(il_seeded *stream, uint64_t n)
{
    assert(n > 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    uint64_t x = il_seeded_next(stream);
    while (x >= limit) {
        x = il_seeded_next(stream);
    }
    return x % n;
}

void il_seeded_shuffle(il_seeded *stream, uint32_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)il_seeded_below(stream, i);
        uint32_t keep = items[i - 1];
        items[i - 1] = items[k];
        items[k] = keep;
    }
}
