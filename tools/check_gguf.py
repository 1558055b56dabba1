#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads GGUF files of inferlaw in llama.cpp and compares logits with the native engine's.

    pip install xllamacpp numpy                 (in a virtual environment; any recent llama.cpp inside)
    check_gguf.py --inferlaw build/inferlaw --suite tr121/gpt2-25m
    check_gguf.py --inferlaw build/inferlaw --shape family=llama,n_layer=4,d_model=256,n_head=4

For each type the file is made from the same directory that the engine runs in fp32, both get the
same token ids, and one line says: largest logit difference over the largest logit, root mean square
of the difference over that of the logits, positions with the same most likely id. F32, F16 and BF16
must stay below a limit (llama.cpp keeps its cache in fp16); quantised files are reported, and must
agree in rank order with the engine better than chance does (correlation above 0.9).

Families the engine has no graph for are compared with transformers: --reference names a Python that
has torch and transformers.

The library's C functions are called through ctypes. Of its large parameter structs only the defaults
are used, so that their layout need not be known: they are passed through as bytes.
"""
import argparse
import ctypes as c
import glob
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile

import numpy as np

LIMITS = {"F32": 2e-3, "F16": 1e-2, "BF16": 5e-2}
OPAQUE_BYTES = 1024


REFERENCE = """
import sys, torch, transformers
model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
with torch.no_grad():
    rows = model.eval()(torch.tensor([[int(x) for x in sys.argv[2].split(",")]])).logits[0]
rows.float().numpy().tofile(sys.argv[3])
"""


class Opaque(c.Structure):
    """A struct by value: one that is too long is harmless, caller and callee copy from its start."""
    _fields_ = [("bytes", c.c_uint64 * (OPAQUE_BYTES // 8))]


class Batch(c.Structure):
    _fields_ = [("n_tokens", c.c_int32), ("token", c.POINTER(c.c_int32)),
                ("embd", c.POINTER(c.c_float)), ("pos", c.POINTER(c.c_int32)),
                ("n_seq_id", c.POINTER(c.c_int32)), ("seq_id", c.POINTER(c.POINTER(c.c_int32))),
                ("logits", c.POINTER(c.c_int8))]


def load_library():
    folder = os.path.dirname(importlib.util.find_spec("xllamacpp").origin)
    lib = c.CDLL(glob.glob(os.path.join(folder, "xllamacpp*.so"))[0])
    lib.llama_model_default_params.restype = Opaque
    lib.llama_context_default_params.restype = Opaque
    lib.llama_model_load_from_file.restype = c.c_void_p
    lib.llama_model_load_from_file.argtypes = [c.c_char_p, Opaque]
    lib.llama_init_from_model.restype = c.c_void_p
    lib.llama_init_from_model.argtypes = [c.c_void_p, Opaque]
    lib.llama_batch_init.restype = Batch
    lib.llama_batch_init.argtypes = [c.c_int32] * 3
    lib.llama_batch_free.argtypes = [Batch]
    lib.llama_decode.argtypes = [c.c_void_p, Batch]
    lib.llama_get_logits.restype = c.POINTER(c.c_float)
    for name in ("llama_get_logits", "llama_free", "llama_model_free"):
        getattr(lib, name).argtypes = [c.c_void_p]
    log = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)
    lib.quiet = log(lambda level, text, user: sys.stderr.write(text.decode(errors="replace"))
                    if level == 4 or os.environ.get("CHECK_GGUF_VERBOSE") else None)
    lib.llama_log_set.argtypes = [log, c.c_void_p]
    lib.llama_log_set(lib.quiet, None)
    lib.llama_backend_init()
    return lib


def reader_logits(lib, path, ids, vocab):
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    if not model:
        sys.exit(f"{path}: llama.cpp does not load it")
    context = lib.llama_init_from_model(model, lib.llama_context_default_params())
    batch = lib.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, i, 1
        batch.seq_id[i][0], batch.logits[i] = 0, 1
    if lib.llama_decode(context, batch) != 0:
        sys.exit(f"{path}: llama.cpp does not decode")
    out = np.ctypeslib.as_array(lib.llama_get_logits(context), (len(ids), vocab)).copy()
    lib.llama_batch_free(batch)
    lib.llama_free(context)
    lib.llama_model_free(model)
    return out


def run(*command):
    subprocess.run(command, check=True)


def check(lib, inferlaw, source, types, n_ids, folder, reference):
    """One model in every type; the number of types that fail."""
    directory = os.path.join(folder, "m")
    run(inferlaw, "model", "make", "-q", *source, "--out", directory)
    if source[0] == "--suite":
        directory = os.path.join(directory, os.listdir(directory)[0])
    with open(os.path.join(directory, "config.json")) as f:
        vocab = json.load(f)["vocab_size"]
    rng = random.Random(1)
    ids = [rng.randrange(vocab) for _ in range(n_ids)]
    raw = os.path.join(folder, "logits.f32")
    text = ",".join(map(str, ids))
    if reference:
        run(reference, "-c", REFERENCE, directory, text, raw)
    else:
        run(inferlaw, "model", "logits", "-q", directory, "--ids", text, "--out", raw)
    ours = np.fromfile(raw, np.float32).reshape(n_ids, vocab)
    failures = 0
    for kind in types:
        path = os.path.join(folder, f"{kind}.gguf")
        made = subprocess.run([inferlaw, "model", "convert", "-q", directory, "--gguf-type", kind,
                               "--out", path], capture_output=True, text=True)
        if made.returncode != 0:
            print(f"{source[1]:40} {kind:7} not made: {made.stderr.strip().splitlines()[0]}")
            continue
        theirs = reader_logits(lib, path, ids, vocab)
        gap = theirs - ours
        worst = np.abs(gap).max() / np.abs(ours).max()
        rms = np.sqrt((gap ** 2).mean() / (ours ** 2).mean())
        same = int((theirs.argmax(1) == ours.argmax(1)).sum())
        alike = np.corrcoef(theirs.ravel(), ours.ravel())[0, 1]
        good = bool(worst <= LIMITS[kind]) if kind in LIMITS else bool(alike > 0.9)
        failures += not good
        print(f"{source[1]:40} {kind:7} worst {worst:.2e}  rms {rms:.2e}  same top id "
              f"{same}/{n_ids}  correlation {alike:.5f}  {'ok' if good else 'FAILED'}", flush=True)
        os.unlink(path)
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inferlaw", required=True)
    parser.add_argument("--suite", action="append", default=[], help="SUITE/NAME")
    parser.add_argument("--shape", action="append", default=[], help="family=…,n_layer=…")
    parser.add_argument("--hf-config", action="append", default=[], help="a config.json")
    parser.add_argument("--types", default="F32,F16,BF16,Q8_0,Q4_0,Q4_K_M")
    parser.add_argument("--n-ids", type=int, default=24)
    parser.add_argument("--reference", metavar="PYTHON", help="compare with transformers instead")
    args = parser.parse_args()
    lib = load_library()
    failures = 0
    sources = [("--suite", s) for s in args.suite] + [("--shape", s) for s in args.shape]
    for source in sources + [("--hf-config", s) for s in args.hf_config]:
        with tempfile.TemporaryDirectory() as folder:
            failures += check(lib, args.inferlaw, source, args.types.split(","), args.n_ids, folder,
                              args.reference)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
