#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Goldens of the tokenizer, made by the `tokenizers` package (any 0.2x; pip install tokenizers).

    tokenizer_golden.py make OUT_DIR          tests/golden/tokenizer: five small tokenizers of
                                              different rules, mixed strings, and their ids
    tokenizer_golden.py check TOKENIZER.json INFERLAW [--strings N] [--seed S]
                                              fresh strings through both programs; exit 1 on any
                                              difference

A golden file is zlib-compressed: strings.bin holds u32 count, then u32 length and bytes of each;
NAME.ids holds per string u32 count and i32 ids, special tokens added. Broken UTF-8 is replaced
before the package sees it, as Python's errors="replace" does.
"""
import argparse
import json
import os
import random
import struct
import subprocess
import sys
import zlib

from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated", False)


def byte_level(prefix=False, regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def rules():
    """name -> (normalizer, pre_tokenizer)"""
    seq = pre_tokenizers.Sequence
    return {
        "gpt2": (None, byte_level()),
        "llama3": (None, seq([split(LLAMA3), byte_level(regex=False)])),
        "qwen2": (normalizers.NFC(), seq([split(QWEN2), byte_level(regex=False)])),
        "smollm": (None, seq([pre_tokenizers.Digits(individual_digits=True), byte_level()])),
        "prefix": (normalizers.NFKC(), byte_level(prefix=True)),
    }


def corpus(root):
    for folder in ("docs", "src/model", "tools"):
        for name in sorted(os.listdir(os.path.join(root, folder))):
            path = os.path.join(root, folder, name)
            if os.path.isfile(path) and not name.endswith(".png"):
                with open(path, encoding="utf-8", errors="replace") as f:
                    yield f.read()
    rng = random.Random(7)
    for _ in range(2000):
        yield mixed(rng).decode("utf-8", "replace")


def train(name, normalizer, pre, texts):
    tok = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=1500, show_progress=False, special_tokens=["<|end|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(texts, trainer)
    tok.add_tokens([AddedToken("inferlaw", normalized=True, single_word=True),
                    AddedToken("ﬁx", normalized=True),
                    AddedToken("<left>", lstrip=True, normalized=False),
                    AddedToken("<right>", rstrip=True, normalized=False)])
    if name == "llama3":
        tok.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|end|> $A", special_tokens=[("<|end|>", 0)])])
    return tok


PIECES = [
    lambda r: " " * r.randint(1, 9), lambda r: "\n" * r.randint(1, 4), lambda r: "\t \r\n",
    lambda r: r.choice(["\u00a0", "\u2003", "\u3000", "\u180e", "\u200b", "\u0085", "\u2028"]),
    lambda r: r.choice(["the", "The", " scaling", "law", "don't", "I'LL", "we've", "'s", "it'S",
                        "naïve", "Straße", "ﬁx", "infer", "inferlaw", "an inferlaw.", "ſ'ſ"]),
    lambda r: str(r.randint(0, 10 ** r.randint(1, 12))), lambda r: r.choice("٣४五Ⅷ½²"),
    lambda r: r.choice(["привет", "ελληνικά", "日本語", "한국어", "العربية", "עברית", "ไทย",
                        "हिन्दी", "Tiếng Việt", "e\u0301a\u0308", "\u1112\u1161\u11ab"]),
    lambda r: r.choice(["😀", "👩‍👩‍👧", "🇩🇪", "✌🏽", "❤️"]),
    lambda r: r.choice(["int main(void)", "{\n    return x[i] += 0x1F;\n}", "a->b", "!=", "//", "...",
                        "https://x.y/z?q=1&r=2", "C:\\dir", "$100", "#include", "—", "“q”", "```"]),
    lambda r: "".join(chr(r.choice([r.randint(33, 126), r.randint(0xA1, 0x2FF), r.randint(0x370, 0x3FF),
                                    r.randint(0x4E00, 0x4FFF), r.randint(0x1F300, 0x1F5FF)]))
                      for _ in range(r.randint(1, 8))),
    lambda r: r.choice(["<|end|>", "<left>", " <left> ", " <right>  ", "<|end", "<lef"]),
    lambda r: r.choice("abcxyz") * r.randint(1, 70),
]
BROKEN = [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\x80"]


def mixed(r, broken=False):
    out = bytearray()
    for _ in range(r.randint(1, 12)):
        out += r.choice(PIECES)(r).encode("utf-8")
        if r.random() < 0.5:
            out += b" "
        if broken and r.random() < 0.1:
            out += r.choice(BROKEN)
    return bytes(out)


def make(out, n):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    os.makedirs(out, exist_ok=True)
    rng = random.Random(42)
    strings = [b""] + [mixed(rng, i % 4 == 0) for i in range(n - 1)]
    with open(os.path.join(out, "strings.bin"), "wb") as f:
        f.write(zlib.compress(struct.pack("<I", len(strings)) +
                              b"".join(struct.pack("<I", len(s)) + s for s in strings), 9))
    texts = list(corpus(root))
    for name, (normalizer, pre) in rules().items():
        tok = train(name, normalizer, pre, texts)
        tok.save(os.path.join(out, name + ".json"), pretty=False)
        ids = [tok.encode(s.decode("utf-8", "replace")).ids for s in strings]
        with open(os.path.join(out, name + ".ids"), "wb") as f:
            f.write(zlib.compress(b"".join(struct.pack(f"<I{len(i)}i", len(i), *i) for i in ids), 9))
        print(name, tok.get_vocab_size(), sum(map(len, ids)))


def check(path, program, n, seed):
    tok = Tokenizer.from_file(path)
    rng = random.Random(seed)
    strings = [mixed(rng).decode("utf-8") for _ in range(n)]
    lines = "".join(json.dumps(s) + "\n" for s in strings)
    done = subprocess.run([program, "model", "tokenize", path, "--lines"], input=lines, text=True,
                          capture_output=True, check=True)
    got = [[int(v) for v in line.split()] for line in done.stdout.splitlines()]
    bad = [(s, g, w) for s, g in zip(strings, got) for w in [tok.encode(s, add_special_tokens=False).ids]
           if g != w]
    for s, g, w in bad[:5]:
        print(json.dumps(s), "\n  inferlaw  ", g, "\n  tokenizers", w)
    print(f"{n} strings, {len(bad)} differ (seed {seed})")
    return 1 if bad or len(got) != n else 0


def main():
    p = argparse.ArgumentParser()
    sub = p.add_subparsers(dest="verb", required=True)
    m = sub.add_parser("make")
    m.add_argument("out")
    c = sub.add_parser("check")
    c.add_argument("tokenizer")
    c.add_argument("program")
    c.add_argument("--strings", type=int, default=5000)
    c.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    a = p.parse_args()
    return make(a.out, 1500) if a.verb == "make" else check(a.tokenizer, a.program, a.strings, a.seed)


if __name__ == "__main__":
    sys.exit(main())
