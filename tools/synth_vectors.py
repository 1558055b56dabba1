#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test vectors of the synthetic weights, from a second implementation that shares no code with
src/model/synth.c: arbitrary-precision integers and fractions, rounded once at the end.

Prints the table of tests/model/synth_vectors.inc (and, with --markdown, that of docs/models.md).
"""
import math
import sys
from fractions import Fraction

MASK = 0xFFFFFFFF


def philox(counter, key):
    x, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [(p1 >> 32) ^ x[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ x[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return x


def fnv1a64(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return h


def mix(seed):
    z = (seed + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def rounded(x, bits):
    """The binary float of `bits` significant bits nearest to the fraction x, ties to even."""
    if x == 0:
        return Fraction(0)
    size, e = abs(x), 0
    while size >= 2**bits:
        size, e = size / 2, e + 1
    while size < 2 ** (bits - 1):
        size, e = size * 2, e - 1
    n = round(size)  # Fraction rounds ties to even
    return (1 if x > 0 else -1) * Fraction(n) * Fraction(2) ** e


def scale(kind, n):
    if kind == "linear":
        x = math.sqrt(3.0 / n)
        return rounded(Fraction(x) / 2**23, 24)
    if kind == "embedding":
        x = math.sqrt(12.0 / n)
        return rounded(Fraction(x) / 2**23, 24)
    return rounded(Fraction(0.1) / 2**24, 24)


def value(seed, name, index, kind, n):
    key = fnv1a64(name) ^ mix(seed)
    w = philox((index & MASK, index >> 32, 0, 0), (key & MASK, key >> 32))
    t = 2 * sum(x >> 10 for x in w) - (2**24 - 5)
    v = t * scale(kind, n)
    if kind == "norm":
        v = rounded(1 + v, 53)
    f32 = rounded(v, 24)
    bf16 = rounded(f32, 8)
    f16 = rounded(f32, 11)
    if abs(f16) < Fraction(1, 2**14):
        f16 = Fraction(1 if f32 > 0 else -1, 2**14)
    return f32, bf16, f16


# seed, name, index, kind, fan-in (linear) or width (embedding)
CASES = [
    (42, "transformer.wte.weight", 0, "embedding", 384),
    (42, "transformer.wte.weight", 19298687, "embedding", 384),
    (42, "transformer.h.0.attn.c_attn.weight", 0, "linear", 384),
    (42, "transformer.h.0.attn.c_attn.weight", 1, "linear", 384),
    (42, "transformer.h.2.mlp.c_proj.weight", 589823, "linear", 1536),
    (42, "transformer.h.0.ln_1.weight", 0, "norm", 0),
    (42, "transformer.h.0.ln_1.bias", 383, "bias", 0),
    (0, "model.embed_tokens.weight", 5, "embedding", 2),
    (9007199254740991, "lm_head.weight", 4294967296, "embedding", 16384),
    (1, "model.layers.93.mlp.experts.127.down_proj.weight", 4294967295, "linear", 1536),
]


def main():
    markdown = "--markdown" in sys.argv
    if markdown:
        print("| seed | tensor | index | kind | n | fp32 | bf16 | fp16 |\n|---|---|---|---|---|---|---|---|")
    else:
        print("/* SPDX-License-Identifier: GPL-3.0-or-later */")
        print("/* Printed by tools/synth_vectors.py: seed, name, index, kind, n, fp32, bf16, fp16 */")
    for seed, name, index, kind, n in CASES:
        a, b, c = (float(x).hex() for x in value(seed, name, index, kind, n))
        if markdown:
            print(f"| {seed} | {name} | {index} | {kind} | {n or ''} | {a} | {b} | {c} |")
        else:
            print(f'V({seed}, "{name}", {index}, {kind.upper()}, {n},\n  {a}f, {b}f, {c}f)')


main()
