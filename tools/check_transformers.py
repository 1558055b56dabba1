#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads a small synthetic checkpoint of every family with transformers, strictly.

usage: check_transformers.py path/to/inferlaw [family...]

For each family one line: ok, failed (and why) or skipped (this transformers does not know it).
Strict means: no missing, unexpected or mismatched key, every parameter equal to what the file
holds, and as many parameters as inferlaw counts. One forward pass shows that logits are finite and
how far they spread. Exit status 1 when a family failed.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM

COMMON = "n_layer=4,d_model=128,n_head=4,vocab_size=1000,n_positions=64"
SHAPES = {
    "gpt2": COMMON,
    "pythia": COMMON,
    "opt": COMMON,
    "llama": COMMON + ",n_kv_head=2",
    "mistral": COMMON + ",n_kv_head=2,sliding_window=16",
    "qwen2.5": COMMON + ",n_kv_head=2,tied=true",
    "qwen3": COMMON + ",n_kv_head=2",
    "qwen3-moe": COMMON + ",n_kv_head=2,n_expert=8,n_expert_used=2,d_ff=64",
    "gemma3": COMMON + ",n_kv_head=1,n_layer=6,sliding_window=16,d_head=32",
    "mixtral": COMMON + ",n_kv_head=2,n_expert=4,n_expert_used=2",
    "olmoe": COMMON + ",n_expert=8,n_expert_used=2,d_ff=64",
    "gpt-oss": COMMON + ",n_kv_head=2,d_head=32,n_expert=4,n_expert_used=2,sliding_window=16",
}


def check(inferlaw, family, where):
    directory = Path(where) / family
    shape = f"family={family},{SHAPES[family]}"
    subprocess.run([inferlaw, "model", "make", "-q", "--shape", shape, "--out", directory], check=True)
    counted = json.loads(subprocess.run([inferlaw, "model", "inspect", directory, "--json"], check=True,
                                        capture_output=True, text=True).stdout)
    try:
        AutoConfig.from_pretrained(directory)
    except (ValueError, KeyError) as error:
        if "model_type" in str(error) or "does not recognize" in str(error) or isinstance(error, KeyError):
            return "skipped", "needs a newer transformers"
        raise
    model, info = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
    bad = {key: sorted(value)[:3] for key, value in info.items() if value}
    if bad:
        return "failed", str(bad)
    n = sum(p.numel() for p in model.parameters())
    if n != counted["params_measured"] or n != counted["params_total"]:
        return "failed", f"{n} parameters, inferlaw counts {counted['params_total']}"
    stored, state = safe_open(str(directory / "model.safetensors"), "pt"), model.state_dict()
    for name in stored.keys():
        # Newer releases fuse experts when loading; their sums are compared below by the count only.
        if name in state and not torch.equal(stored.get_tensor(name), state[name]):
            return "failed", f"{name} was not loaded as stored"
    ids = torch.randint(0, 1000, (2, 48), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(ids).logits.float()
    if not torch.isfinite(logits).all():
        return "failed", "logits are not finite"
    spread = logits.std().item()
    if not 1.5 < spread < 2.5:
        return "failed", f"logits spread by {spread:.3f}, meant is 2"
    return "ok", f"{n} parameters, logits spread by {spread:.3f}"


def main():
    inferlaw, families = sys.argv[1], sys.argv[2:] or list(SHAPES)
    transformers.logging.set_verbosity_error()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    failed = False
    with tempfile.TemporaryDirectory() as where:
        for family in families:
            verdict, why = check(inferlaw, family, where)
            failed |= verdict == "failed"
            print(f"{family:10} {verdict:8} {why}", flush=True)
    return 1 if failed else 0


sys.exit(main())
