#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ONNX files of inferlaw in ONNX Runtime and compares logits with the native engine's in fp32.

    pip install onnxruntime onnx numpy                      (in a virtual environment)
    check_onnx.py --inferlaw build/inferlaw --suite tr121/gpt2-25m
    check_onnx.py --inferlaw build/inferlaw --shape family=llama,n_layer=4,d_model=256,n_head=4
    check_onnx.py --inferlaw build/inferlaw --families      (a small shape of each, and odd ones)

For each dtype and set of operators the file is made from the directory that the engine runs. The
checker of the onnx package must accept it. The ids, fresh ones with a printed seed, are fed three
ways: all at once, all logits asked for; a prefill of a few, then one by one on the cache that comes
back; and, where the file allows it, one by one on a cache buffer shared between input and output.
One line says the largest difference over the largest logit for each way.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

LIMITS = {"fp32": 1e-4, "fp16": 3e-2, "bf16": 2e-1}
SMALL = "n_layer=3,d_model=64,n_head=4,vocab_size=300,n_positions=128"
FAMILIES = {
    "gpt2": f"family=gpt2,{SMALL}",
    "gpt2, untied": f"family=gpt2,tied=false,{SMALL}",
    "gpt2, head size 1": "family=gpt2,n_layer=2,d_model=2,n_head=2,vocab_size=300,n_positions=128",
    "gpt2, head size 5": "family=gpt2,n_layer=2,d_model=35,n_head=7,vocab_size=301,n_positions=128",
    "gpt2, head size 40": "family=gpt2,n_layer=2,d_model=80,n_head=2,vocab_size=300,n_positions=128",
    "gpt2, head size 256": "family=gpt2,n_layer=2,d_model=512,n_head=2,vocab_size=300,n_positions=128",
    "opt": f"family=opt,{SMALL}",
    "pythia": f"family=pythia,{SMALL}",
    "llama": f"family=llama,n_kv_head=2,{SMALL}",
    "llama, tied": f"family=llama,n_kv_head=1,tied=true,{SMALL}",
    "llama, head size 6": "family=llama,n_layer=2,d_model=36,n_head=6,n_kv_head=3,vocab_size=300,n_positions=128",
    "mistral": f"family=mistral,n_kv_head=2,sliding_window=9,{SMALL}",
    "qwen2.5": f"family=qwen2.5,n_kv_head=2,{SMALL}",
    "qwen3": f"family=qwen3,n_kv_head=2,d_head=32,{SMALL}",
    "gemma3": "family=gemma3,n_layer=7,d_model=64,n_head=4,n_kv_head=1,d_head=32,vocab_size=300,"
              "n_positions=128,sliding_window=9",
    "mixtral": f"family=mixtral,n_kv_head=2,d_ff=96,n_expert=4,n_expert_used=2,{SMALL}",
    "qwen3-moe": f"family=qwen3-moe,n_kv_head=2,d_ff=96,n_expert=6,n_expert_used=3,{SMALL}",
    "olmoe": f"family=olmoe,d_ff=96,n_expert=6,n_expert_used=2,{SMALL}",
}
SCALED = {"llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 32},
          "linear": {"rope_type": "linear", "factor": 4.0},
          "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}}


def run(*command):
    subprocess.run(command, check=True)


class Runner:
    """A session and its cache; values are NumPy's, except the shared buffers."""

    def __init__(self, path, provider, threads):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = ort.InferenceSession(path, options, providers=[provider])
        self.about = self.session.get_modelmeta().custom_metadata_map
        self.names = [o.name for o in self.session.get_outputs()]
        self.caches = [(i.name, i.shape, i.type) for i in self.session.get_inputs()
                       if i.name.startswith("past_key_values.")]
        self.device = "cuda" if "CUDA" in provider else "cpu"
        self.cuda = self.device == "cuda"

    def empty(self, batch, capacity):
        kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
        return {name: np.zeros((batch, shape[1], capacity, shape[3]), kinds[kind])
                for name, shape, kind in self.caches}

    def step(self, ids, past_length, logits_from, cache):
        feeds = {"input_ids": ids, "past_length": np.array([past_length], np.int64),
                 "logits_from": np.array([logits_from], np.int64), **cache}
        values = dict(zip(self.names, self.session.run(None, feeds)))
        cache = {n: values[n.replace("past_key_values", "present")] for n, _, _ in self.caches}
        if not np.array_equal(values["logits"].argmax(-1), values["next_ids"]):
            raise ValueError("next_ids is not the argmax of logits")
        return values["logits"], cache

    def at_once(self, ids):
        return self.step(ids, 0, 0, self.empty(ids.shape[0], 0))[0]

    def stepwise(self, ids, prefill):
        logits, cache = self.step(ids[:, :prefill], 0, 0, self.empty(ids.shape[0], 0))
        rows = [logits]
        for i in range(prefill, ids.shape[1]):
            logits, cache = self.step(ids[:, i:i + 1], i, -1, cache)
            rows.append(logits)
        return np.concatenate(rows, 1)

    def shared(self, ids, prefill):
        buffers = {name: ort.OrtValue.ortvalue_from_numpy(value, self.device, 0) for name, value in
                   self.empty(ids.shape[0], ids.shape[1] + 3).items()}
        rows, done = [], 0
        while done < ids.shape[1]:
            n = prefill if done == 0 else 1
            held = [np.ascontiguousarray(ids[:, done:done + n]), np.array([done], np.int64),
                    np.array([0], np.int64)]
            binding = self.session.io_binding()
            for name, value in zip(("input_ids", "past_length", "logits_from"), held):
                binding.bind_cpu_input(name, value)
            binding.bind_output("logits", "cpu")
            binding.bind_output("next_ids", "cpu")
            for name, value in buffers.items():
                binding.bind_ortvalue_input(name, value)
                binding.bind_ortvalue_output(name.replace("past_key_values", "present"), value)
            self.session.run_with_iobinding(binding)
            rows.append(binding.copy_outputs_to_cpu()[0])
            done += n
        return np.concatenate(rows, 1)


def gap(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


def check(args, name, source, dtype, ops, folder):
    """One file. True when it is good, None when it is not to be made."""
    directory = os.path.join(folder, "m")
    if not os.path.isdir(directory):
        run(args.inferlaw, "model", "make", "-q", *source, "--out", directory)
    if source[0] == "--suite":
        directory = os.path.join(directory, os.listdir(directory)[0])
    with open(os.path.join(directory, "config.json")) as f:
        vocab = json.load(f)["vocab_size"]
    path = os.path.join(folder, f"{ops}-{dtype}.onnx")
    made = subprocess.run([args.inferlaw, "model", "convert", "-q", directory, "--format", "onnx",
                           "--dtype", dtype, "--onnx-ops", ops, "--out", path],
                          capture_output=True, text=True)
    label = f"{name:28} {dtype} {ops:9}"
    if made.returncode != 0:
        print(f"{label} not made: {made.stderr.strip().splitlines()[0]}", flush=True)
        return None
    onnx.checker.check_model(path, full_check=ops == "standard")
    rng = np.random.default_rng(args.seed)
    ids = rng.integers(0, vocab, (2, args.n_ids))
    ours = []
    for row in ids:
        raw = os.path.join(folder, "logits.f32")
        run(args.inferlaw, "model", "logits", "-q", directory, "--ids", ",".join(map(str, row)),
            "--out", raw)
        ours.append(np.fromfile(raw, np.float32).reshape(args.n_ids, vocab))
    ours = np.stack(ours)
    try:
        runner = Runner(path, args.provider, args.threads)
        ways = {"at once": gap(runner.at_once(ids), ours),
                "steps": gap(runner.stepwise(ids, 5), ours)}
        if runner.about["inferlaw.cache"] == "shared":
            ways["shared"] = gap(runner.shared(ids, 5), ours)
    except Exception as problem:
        print(f"{label} FAILED: {str(problem)[:300]}", flush=True)
        return False
    worst = max(ways.values())
    good = worst <= LIMITS[dtype]
    text = "  ".join(f"{way} {value:.1e}" for way, value in ways.items())
    print(f"{label} {text}  {os.path.getsize(path) / 1e6:.2f} MB  {'ok' if good else 'FAILED'}",
          flush=True)
    return good


def scaled_configs(args, folder):
    """Small llama configs with every scaling of the rotary angles."""
    for kind, scaling in SCALED.items():
        directory = os.path.join(folder, kind)
        run(args.inferlaw, "model", "make", "-q", "--shape", FAMILIES["llama"], "--out", directory)
        with open(os.path.join(directory, "config.json")) as f:
            config = json.load(f)
        config.pop("rope_parameters", None)
        config["rope_scaling"] = scaling
        config["rope_theta"] = 10000.0
        path = os.path.join(folder, f"{kind}.json")
        with open(path, "w") as f:
            json.dump(config, f)
        yield f"llama, {kind} scaling", ("--hf-config", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inferlaw", required=True)
    parser.add_argument("--suite", action="append", default=[], help="SUITE/NAME")
    parser.add_argument("--shape", action="append", default=[], help="family=…,n_layer=…")
    parser.add_argument("--hf-config", action="append", default=[], help="a config.json")
    parser.add_argument("--families", action="store_true", help="a small shape of every family")
    parser.add_argument("--dtypes", default="fp32")
    parser.add_argument("--ops", default="contrib,standard")
    parser.add_argument("--n-ids", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--provider", default="CPUExecutionProvider")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    args = parser.parse_args()
    print(f"seed {args.seed}, ONNX Runtime {ort.__version__}", file=sys.stderr)
    sources = [(s, ("--suite", s)) for s in args.suite] + [(s, ("--shape", s)) for s in args.shape]
    sources += [(os.path.basename(s), ("--hf-config", s)) for s in args.hf_config]
    if args.families:
        sources += [(name, ("--shape", flags)) for name, flags in FAMILIES.items()]
    failures = 0
    with tempfile.TemporaryDirectory() as configs:
        if args.families:
            sources += scaled_configs(args, configs)
        for name, source in sources:
            with tempfile.TemporaryDirectory() as folder:
                for dtype in args.dtypes.split(","):
                    for ops in args.ops.split(","):
                        failures += check(args, name, source, dtype, ops, folder) is False
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
