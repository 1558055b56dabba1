#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GGUF file with the metadata, shapes and types of another one and random weights.

    gguf_twin.py REAL.gguf TWIN.gguf [SEED]

Matrices get random numbers of mean 0 and standard deviation 1/sqrt(fan in), written as blocks of the
tensor's own type, norms 1 ± 0.1; other vectors are kept. (The norms of a trained model belong to its
matrices: with random ones they make a network whose answers amplify every rounding.) Everything that
decides what a runtime does with the file (architecture, tokenizer, types, order) is the same bytes:
configs/random_vs_real.yaml tests whether the two take the same time.
"""
import random
import struct
import sys

# type: (values of a block, bytes, name, where the two half-precision scales stand and what they
# are for values of standard deviation 1). The rest of a block is random bits.
TYPES = {
    2: (32, 18, "Q4_0", [(0, 1 / 4.61)]),
    3: (32, 20, "Q4_1", [(0, 1 / 4.61), (2, -7.5 / 4.61)]),
    6: (32, 22, "Q5_0", [(0, 1 / 9.23)]),
    7: (32, 24, "Q5_1", [(0, 1 / 9.23), (2, -15.5 / 9.23)]),
    8: (32, 34, "Q8_0", [(0, 1 / 73.9)]),
    12: (256, 144, "Q4_K", [(0, 1 / 258.0), (2, 7.5 / 258.0)]),
    13: (256, 176, "Q5_K", [(0, 1 / 526.0), (2, 15.5 / 526.0)]),
    14: (256, 210, "Q6_K", [(208, 1 / 1366.0)]),
}
PLAIN = {0: 4, 1: 2, 30: 2}  # F32, F16, BF16
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value[0]

    def text(self):
        n = self.take("Q")
        value = self.data[self.at : self.at + n]
        self.at += n
        return value.decode()

    def skip_value(self, kind):
        """Returns an integer's value, else None."""
        if kind == 8:
            self.text()
        elif kind == 9:
            inner, n = self.take("I"), self.take("Q")
            for _ in range(n) if inner in (8, 9) else ():
                self.skip_value(inner)
            if inner not in (8, 9):
                self.at += n * SIZES[inner]
        elif kind == 4:
            return self.take("I")
        else:
            self.at += SIZES[kind]
        return None


def read_tensors(data):
    r = Reader(data)
    if data[:4] != b"GGUF":
        raise SystemExit("no GGUF file")
    r.at = 4
    r.take("I")
    n_tensors, n_keys = r.take("Q"), r.take("Q")
    alignment = 32
    for _ in range(n_keys):
        key = r.text()
        value = r.skip_value(r.take("I"))
        if key == "general.alignment" and value:
            alignment = value
    tensors = []
    for _ in range(n_tensors):
        name = r.text()
        dims = [r.take("Q") for _ in range(r.take("I"))]
        tensors.append((name, dims, r.take("I"), r.take("Q")))
    start = (r.at + alignment - 1) // alignment * alignment
    return tensors, start


def random_blocks(rng, kind, n_values, std):
    values, n_bytes, _, scales = TYPES[kind]
    n_blocks = n_values // values
    blocks = bytearray(rng.randbytes(n_blocks * n_bytes))
    for at, scale in scales:
        low, high = struct.pack("<e", scale * std)
        blocks[at::n_bytes] = bytes([low]) * n_blocks
        blocks[at + 1 :: n_bytes] = bytes([high]) * n_blocks
    return blocks


def random_plain(rng, kind, n_values, std):
    """Normal numbers, a thousand of them in random order again and again."""
    pool = []
    for _ in range(1024):
        x = rng.gauss(0, std)
        pool.append(struct.pack("<f", x)[2:] if kind == 30 else struct.pack("<e" if kind == 1 else "<f", x))
    parts = []
    while n_values > 0:
        rng.shuffle(pool)
        parts.append(b"".join(pool[:n_values]))
        n_values -= 1024
    return b"".join(parts)


def main():
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) == 4 else 42)
    with open(sys.argv[1], "rb") as file:
        data = bytearray(file.read())
    tensors, start = read_tensors(data)
    n_random = n_norms = n_kept = 0
    for name, dims, kind, offset in tensors:
        n_values = 1
        for d in dims:
            n_values *= d
        if len(dims) < 2 and kind == 0 and "norm" in name:
            at = start + offset
            new = b"".join(struct.pack("<f", rng.uniform(0.9, 1.1)) for _ in range(n_values))
            data[at : at + len(new)] = new
            n_norms += 1
            continue
        if len(dims) < 2:
            n_kept += 1
            continue
        std = dims[0] ** -0.5
        if kind in TYPES:
            new = random_blocks(rng, kind, n_values, std)
        elif kind in PLAIN:
            new = random_plain(rng, kind, n_values, std)
        else:
            raise SystemExit(f"{name}: type {kind} is not known here")
        at = start + offset
        if at + len(new) > len(data):
            raise SystemExit(f"{name}: the file ends before it")
        data[at : at + len(new)] = new
        n_random += 1
    with open(sys.argv[2], "wb") as file:
        file.write(data)
    print(f"{sys.argv[2]}: {n_random} matrices and {n_norms} norms random, {n_kept} vectors kept")


if __name__ == "__main__":
    main()
