#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes journals whose truth is known, and asks the analysis how often it finds it.

    tools/synthetic_run.py OUT [options]            one run directory with a journal.jsonl
    tools/synthetic_run.py --simulate N --inferlaw BIN [options]
                                                    N of them through `BIN analyze`: coverage

Times follow ms = 10^(a + slope·log10(parameters in millions) + model + block + call), the three
deviations normal with standard deviations --model-sd, --block-sd and --call-sd in log10. The block
deviation belongs to one process of one model: measured calls of a block share it, an A/A arm and
another block draw anew. An unsplit call takes what a split one of its block takes, so closure is 1.
With --context-us a step takes that much longer for every token in the cache, before the deviations
of process and call; --step-sd is that of a single step.
"""
import argparse
import csv
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zlib

GEN = 8  # at least the values that a search for changes needs


class Journal:
    def __init__(self, directory):
        os.makedirs(directory)
        self.file = open(os.path.join(directory, "journal.jsonl"), "wb")
        self.seq, self.now_ns, self.unix = 0, 10**12, 1.8e9

    def write(self, kind, body):
        line = {"v": 1, "seq": self.seq, "kind": kind, "at_unix": self.unix, **body}
        raw = json.dumps(line, separators=(",", ":")).encode()[:-1]
        self.file.write(raw + b',"crc32":"%08x"}\n' % zlib.crc32(raw))
        self.seq += 1

    def pass_time(self, ms):
        self.now_ns += int(ms * 1e6) + 1000
        self.unix += ms / 1e3 + 0.01


def plan_of(args):
    sizes = [10**(6 + 3 * i / (args.models - 1)) for i in range(args.models)]
    scenarios = [{"name": n, "prompt": None, "prompt_tokens": t, "prompt_source": "ids"}
                 for n, t in (("p8", 8), ("p16", 16))[:args.scenarios]]
    models = [{"name": f"m{i}", "kind": "hf", "path": None, "params_millions_config": None,
               "params_millions_measured": int(s) / 1e6, "params_total": int(s),
               "params_non_embedding": int(s / 2), "params_active": int(s),
               "params_read_per_step": int(s), "n_layer": 2 + i, "d_model": 64, "n_head": 2}
              for i, s in enumerate(sizes)]
    backend = {"name": "x", "kind": "noop", "kind_asked": "noop", "device": "cpu", "dtype": "fp32",
               "batch_size": 1, "threads": 1, "isa": "auto", "logits": "last", "compat": "none",
               "url": None, "reference": False, "replication": "process"}
    cells = [{"cell": k, "backend": "x", "model": m["name"], "scenario": s["name"],
              "batch_size": 1, "gen_tokens": GEN, "seq_len": s["prompt_tokens"],
              "bytes_per_step": 4 * m["params_total"], "flops_prefill": 1.0 * m["params_total"],
              "flops_decode_step": 2.0 * m["params_total"], "skip": None}
             for k, (m, s) in enumerate((m, s) for m in models for s in scenarios)]
    n = len(cells) * args.blocks * (1 + args.repetitions)
    return {"run_id": "synthetic", "run_name": "synthetic", "study_sha256": "0" * 64, "seed": 1,
            "blocks": args.blocks, "repetitions": args.repetitions, "warmup_repetitions": 1,
            "scenarios": scenarios, "models": models, "backends": [backend], "cells": cells,
            "n_calls": n, "records_expected": 3 * n}


class Truth:
    def __init__(self, args, rng, plan):
        self.args, self.rng = args, rng
        self.y = {m["name"]: args.slope * math.log10(m["params_total"] / 1e6)
                  + rng.gauss(0, args.model_sd) for m in plan["models"]}
        self.last = {}

    def process(self, model=None):
        """log10 factor of one process; a model's follow each other as AR(1) over the blocks."""
        new = self.rng.gauss(0, self.args.block_sd)
        rho = self.args.block_ar if model in self.last else 0
        if model is not None:
            new = rho * self.last.get(model, 0) + math.sqrt(1 - rho * rho) * new
            self.last[model] = new
        return new

    def stamps(self, journal, cell, process):
        """t0, t_first and the steps' stamps of one call: a prefill as long as two steps."""
        factor = 10**(process + self.rng.gauss(0, self.args.call_sd))
        step = 10**self.y[cell["model"]]
        t = [journal.now_ns]
        for k in range(-1, GEN):
            ms = 2 * step if k < 0 else step + self.args.context_us / 1e3 * (cell["seq_len"] + k)
            if self.args.step_sd > 0:
                ms *= 10**self.rng.gauss(0, self.args.step_sd)
            t.append(t[-1] + round(ms * factor * 1e6))
        journal.pass_time((t[-1] - t[0]) / 1e6)
        return t


def write_call(journal, plan, truth, args, cell, block, i, process):
    t = truth.stamps(journal, cell, process)
    n = 1 + args.repetitions
    warm = i == 0
    journal.write("call", {
        "call_idx": (cell["cell"] * args.blocks + block) * n + i, "cell": cell["cell"],
        "block": block, "is_warmup": warm, "warmup_idx": 0 if warm else None,
        "rep": None if warm else block * args.repetitions + i - 1, "status": "ok", "reason": None,
        "message": None, "flags": [], "started_at_unix": journal.unix, "batch_size": 1,
        "seq_len": cell["seq_len"], "prompt_tokens": cell["seq_len"],
        "prompt_tokens_raw": cell["seq_len"], "gen_tokens_raw": GEN, "decode_steps": GEN,
        "t0_ns": t[0], "t_first_ns": t[1], "t_step_ns": t[2:], "load_ms": None, "pid": 1,
        "state": {}, "events": {}, "server": None})


def write_run(directory, args, seed):
    rng = random.Random(seed)
    plan = plan_of(args)
    truth = Truth(args, rng, plan)
    journal = Journal(directory)
    journal.write("plan", plan)
    arms = [0, len(plan["cells"]) // 2, len(plan["cells"]) - 1]
    for block in range(args.blocks):
        journal.write("sentinel", {"block": block, "gemm_ms": 7.0, "read_ms": 3.0, "state": {}})
        for model in rng.sample(plan["models"], len(plan["models"])):
            process = truth.process(model["name"])
            for cell in (c for c in plan["cells"] if c["model"] == model["name"]):
                for i in range(1 + args.repetitions):
                    write_call(journal, plan, truth, args, cell, block, i, process)
                t = truth.stamps(journal, cell, process)
                journal.write("closure", {"cell": cell["cell"], "block": block, "status": "ok",
                                          "reason": None, "t0_ns": t[0], "t_end_ns": t[-1],
                                          "decode_steps": GEN, "state": {}})
        for pair, arm in rng.sample([(p, a) for p in range(3) for a in "ab"], 6):
            cell = plan["cells"][arms[pair]]
            process = truth.process()
            for rep in range(args.repetitions):
                t = truth.stamps(journal, cell, process)
                journal.write("aa", {"cell": cell["cell"], "block": block, "arm": arm,
                                     "pair": pair, "rep": rep, "status": "ok", "reason": None,
                                     "t0_ns": t[0], "t_first_ns": t[1], "t_end_ns": t[-1],
                                     "decode_steps": GEN, "state": {}})
    journal.file.close()


def rows_of(directory, name):
    with open(os.path.join(directory, "analysis", name), newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def simulate(args):
    covered = known = supported = laws = raw = verdicts = pairs = closed = closures = 0
    methods, width = set(), []
    slopes = slopes_held = changes = 0
    medians, how = {"one cell": [0, 0, 0], "all scenarios": [0, 0, 0]}, {}
    top = tempfile.mkdtemp()
    try:
        for seed in range(args.simulate):
            run = os.path.join(top, str(seed))
            write_run(run, args, args.seed + seed)
            subprocess.run([args.inferlaw, "analyze", run, "--no-plots"], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for row in rows_of(run, "laws.csv"):
                if (row["mode"], row["x"], row["term"], row["form"]) == (
                        "kv_decode", "params_total", "slope", "power"):
                    laws += 1
                    supported += row["verdict"] == "supported"
                    methods.add(row["ci_method"])
                    if row["ci_low"]:
                        known += 1
                        covered += float(row["ci_low"]) <= args.slope <= float(row["ci_high"])
                        width.append(float(row["ci_high"]) - float(row["ci_low"]))
            plan = plan_of(args)
            y = Truth(args, random.Random(args.seed + seed), plan).y
            for row in rows_of(run, "medians.csv"):
                if row["mode"] == "prefill" and args.context_us == 0:
                    held = medians["all scenarios" if row["scenario"] == "__all__" else "one cell"]
                    how[row["ci_method"]] = how.get(row["ci_method"], 0) + 1
                    held[0] += 1
                    if row["ci_low_ms"]:
                        held[1] += 1
                        held[2] += (float(row["ci_low_ms"]) <= 2 * 10**y[row["model"]]
                                    <= float(row["ci_high_ms"]))
            for row in rows_of(run, "steps.csv"):
                if row["ci_low"]:
                    slopes += 1
                    slopes_held += (float(row["ci_low"]) <= args.context_us
                                    <= float(row["ci_high"]))
                    changes += row["change_points"] != ""
            for row in rows_of(run, "noise_floor.csv"):
                if row["mode"] == "e2e_kv" and row["closure_ci_low"]:
                    closures += 1
                    closed += float(row["closure_ci_low"]) <= 1 <= float(row["closure_ci_high"])
                if row["mode"] == "e2e_kv" and row["aa_ratio"]:
                    pairs += 1
                    low, high = float(row["ci_low"]), float(row["ci_high"])
                    out = low > 1 or high < 1
                    raw += out
                    verdicts += out and (100 * abs(float(row["aa_ratio"]) - 1)
                                         > float(row["mde_percent"]))
            shutil.rmtree(run)
    finally:
        shutil.rmtree(top)
    print(f"runs {args.simulate}, models {args.models}, blocks {args.blocks}, slope {args.slope}, "
          f"model sd {args.model_sd}, block sd {args.block_sd}, call sd {args.call_sd}")
    width.sort()
    print(f"slope: interval covers the truth in {covered} of {known} "
          f"({100 * covered / max(known, 1):.1f} %; {', '.join(sorted(methods))}; "
          f"median width {width[len(width) // 2] if width else math.nan:.3f}); "
          f"supported {supported} of {laws}")
    print(f"A/A: raw intervals exclude 1 in {raw} of {pairs} ({100 * raw / max(pairs, 1):.1f} %); "
          f"beyond the smallest effect too in {verdicts} "
          f"({100 * verdicts / max(pairs, 1):.2f} %)")
    print(f"steps: interval of the context's cost covers {args.context_us} us in {slopes_held} of "
          f"{slopes} ({100 * slopes_held / max(slopes, 1):.1f} %); levels change in {changes}")
    for what, (rows, told, held) in medians.items():
        print(f"medians of prefill, {what}: interval covers the truth in {held} of {told} "
              f"({100 * held / max(told, 1):.1f} %), none in {rows - told}")
    print(f"by {how}; lag-1 correlation of blocks {args.block_ar}")
    print(f"closure: interval covers 1 in {closed} of {closures} "
          f"({100 * closed / max(closures, 1):.1f} %)")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out", nargs="?")
    p.add_argument("--simulate", type=int, default=0)
    p.add_argument("--inferlaw")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--models", type=int, default=7)
    p.add_argument("--scenarios", type=int, default=2)
    p.add_argument("--blocks", type=int, default=10)
    p.add_argument("--repetitions", type=int, default=1)
    p.add_argument("--slope", type=float, default=0.8)
    p.add_argument("--model-sd", type=float, default=0.05)
    p.add_argument("--block-sd", type=float, default=0.01)
    p.add_argument("--block-ar", type=float, default=0.0)
    p.add_argument("--call-sd", type=float, default=0.01)
    p.add_argument("--step-sd", type=float, default=0.0)
    p.add_argument("--context-us", type=float, default=0.0)
    args = p.parse_args()
    if args.simulate and args.inferlaw:
        simulate(args)
    elif args.out:
        write_run(args.out, args, args.seed)
    else:
        p.print_usage(sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
