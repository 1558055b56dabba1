#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/cli/data/llama_bench: what llama-bench prints in its formats, of builds of 2023 and
2025, for six models whose times follow known laws: a decode step takes bytes / 60 GB/s + 0.5 ms, a
prefill 2 FLOP a parameter and token at 500 GFLOP/s, each sample within 2 %.

    tools/llama_bench_fixture.py [DIR]
"""
import json
import os
import random
import sys

MODELS = [("smollm2-135m-q8_0", "llama ?B Q8_0", 144810496, 134515008),
          ("qwen2.5-0.5b-q8_0", "qwen2 1B Q8_0", 525000000, 494032768),
          ("llama-3.2-1b-q8_0", "llama 1B Q8_0", 1313000000, 1235814400),
          ("qwen2.5-1.5b-q8_0", "qwen2 1.5B Q8_0", 1640000000, 1543714304),
          ("llama-3.2-3b-q8_0", "llama 3B Q8_0", 3413000000, 3212749824),
          ("qwen2.5-7b-q8_0", "qwen2 7B Q8_0", 8090000000, 7615616512)]

NEW = {"build_commit": "8cf427ff", "build_number": 5163, "cpu_info": "AMD Ryzen 7 7800X3D 8-Core Processor",
       "gpu_info": "", "backends": "CPU"}
OLD = {"build_commit": "3469684", "build_number": 1275, "cuda": False, "opencl": False, "metal": False,
       "gpu_blas": False, "blas": False, "cpu_info": "AMD Ryzen 7 7800X3D 8-Core Processor", "gpu_info": ""}
NEW_SETTINGS = {"n_batch": 2048, "n_ubatch": 512, "n_threads": 8, "cpu_mask": "0x0", "cpu_strict": False,
                "poll": 50, "type_k": "f16", "type_v": "f16", "n_gpu_layers": -1, "n_cpu_moe": 0,
                "split_mode": "layer", "main_gpu": 0, "no_kv_offload": False, "flash_attn": -1,
                "devices": "auto", "tensor_split": "0.00", "tensor_buft_overrides": "none",
                "use_mmap": True, "use_direct_io": False, "embeddings": False, "no_op_offload": 0,
                "no_host": False, "repack": True}
OLD_SETTINGS = {"n_batch": 512, "n_threads": 8, "f16_kv": True, "n_gpu_layers": 99, "main_gpu": 0,
                "mul_mat_q": True, "tensor_split": "0.00"}


def step_ms(size):
    return size / 60e9 * 1e3 + 0.5


def test(rng, model, prompt, gen, depth, old=False):
    name, kind, size, params = model
    ms = (2 * params * prompt / 5e11 * 1e3 if prompt else 0) + step_ms(size) * gen
    samples = [round(ms * 1e6 * rng.lognormvariate(0, 0.01)) for _ in range(5)]
    mean = sum(samples) / 5
    sd = (sum((s - mean) ** 2 for s in samples) / 4) ** 0.5
    rates = [(prompt + gen) / s * 1e9 for s in samples]
    row = dict(OLD if old else NEW)
    row.update({"model_filename": f"models/{name}.gguf", "model_type": kind, "model_size": size,
                "model_n_params": params})
    row.update(OLD_SETTINGS if old else NEW_SETTINGS)
    row.update({"n_prompt": prompt, "n_gen": gen})
    if not old:
        row["n_depth"] = depth
    row.update({"test_time": "2025-04-24T11:58:50Z", "avg_ns": round(mean), "stddev_ns": round(sd),
                "avg_ts": sum(rates) / 5, "stddev_ts": 0.5, "samples_ns": samples,
                "samples_ts": [round(r, 3) for r in rates]})
    return row


def as_csv(rows):
    names = [k for k in rows[0] if not k.startswith("samples")]
    lines = [",".join(names)]
    for row in rows:
        values = [int(v) if isinstance(v, bool) else v for v in (row[k] for k in names)]
        lines.append(",".join(f'"{v}"' for v in values))
    return "\n".join(lines) + "\n"


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/cli/data/llama_bench"
    rng = random.Random(7)
    rows = [test(rng, m, *sizes) for m in MODELS for sizes in ((512, 0, 0), (0, 128, 0), (512, 128, 0))]
    again = [test(rng, m, *sizes) for m in MODELS for sizes in ((512, 0, 0), (0, 128, 0), (512, 128, 0))]
    deep = [test(rng, m, 0, 32, d) for m in MODELS for d in (0, 4096)]
    old = [test(rng, m, *sizes, 0, old=True) for m in MODELS for sizes in ((512, 0), (0, 128))]
    files = {"new.json": json.dumps(rows, indent=2) + "\n", "new.csv": as_csv(rows),
             "new.jsonl": "".join(json.dumps(r) + "\n" for r in rows),
             "again.jsonl": "".join(json.dumps(r) + "\n" for r in again),
             "deep.jsonl": "".join(json.dumps(r) + "\n" for r in deep),
             "old.json": json.dumps(old, indent=2) + "\n"}
    os.makedirs(out, exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            f.write(text)


main()
