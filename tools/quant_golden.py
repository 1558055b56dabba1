#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks and their values as the `gguf` package has them, for tests/model/test_quant.c.

    pip install gguf
    quant_golden.py tests/data/quant_golden.bin

File: "ILQUANT1", then records until the end: u32 type (its number in GGUF), u32 what (0: the bytes
read as the values; 1: the values written are the bytes), u32 n_values, u32 n_bytes, f32 values,
bytes. Little endian. Read records hold random bytes but for their scales.
"""
import struct
import sys

import gguf
import numpy as np

SCALES_AT = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q4_K": [0, 2],
             "Q5_K": [0, 2], "Q6_K": [208], "F16": [0], "BF16": []}
WRITTEN = ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")


def record(kind, what, values, blocks):
    values = np.ascontiguousarray(values, np.float32)
    return struct.pack("<4I", kind.value, what, values.size, blocks.size) + values.tobytes() + \
        blocks.tobytes()


def main():
    rng = np.random.default_rng(17)
    out = [b"ILQUANT1"]
    for name, at in SCALES_AT.items():
        kind = getattr(gguf.GGMLQuantizationType, name)
        per, size = gguf.GGML_QUANT_SIZES[kind]
        n = 256 if per == 1 else 8
        blocks = rng.integers(0, 256, (n, size), np.uint8)
        for a in at:
            scale = rng.normal(0, 0.02, n).astype(np.float16)
            blocks[:, a:a + 2] = scale.view(np.uint8).reshape(n, 2)
        if name == "BF16":
            blocks = np.ascontiguousarray(
                (rng.normal(0, 1, n).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
            ).view(np.uint8).reshape(n, 2)
        flat = np.ascontiguousarray(blocks).reshape(-1)
        out.append(record(kind, 0, gguf.quants.dequantize(flat, kind), flat))
    x = np.concatenate([rng.normal(0, s, 256) for s in (1e-3, 0.05, 3)] + [np.zeros(32)] +
                       [np.full(32, 0.7), np.full(32, -0.7), np.linspace(-1, 1, 160)])
    x = x.astype(np.float32)
    for name in WRITTEN:
        kind = getattr(gguf.GGMLQuantizationType, name)
        out.append(record(kind, 1, x, gguf.quants.quantize(x, kind).view(np.uint8).reshape(-1)))
    with open(sys.argv[1], "wb") as f:
        f.write(b"".join(out))


if __name__ == "__main__":
    main()
