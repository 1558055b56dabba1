#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recomputes a run's numbers from its journal and compares them with what inferlaw wrote.

    tools/check_run.py RUN

An independent second opinion: it reads journal.jsonl alone, shares no code with the program, uses
nothing but the standard library, and works out calls, per-step times, medians with exact
intervals, the law of step time against context, A/A ratios, closure, exponents and leave-one-out
from first principles. Then it reads metrics.csv, analysis/*.csv and report.md, where they exist,
and fails on every number that differs. Exit code 0: all agree, 1: something differs, 2: the run
cannot be read.
"""
import csv
import json
import math
import os
import re
import sys
import zlib

sys.dont_write_bytecode = True  # the tree stays as it was
from check_stats import (exact_interval, lag1, line, log_mean, mde_factor, median,
                         median_interval, quantile, t975)

MODES = ("prefill", "kv_decode", "e2e_kv")
problems = []
checked = 0


def fail(text):
    problems.append(text)


def same(what, ours, theirs, rel=1e-9, absolute=1e-12):
    """Both absent, or equal within rounding."""
    global checked
    checked += 1
    ours = math.nan if ours is None else ours
    theirs = math.nan if theirs is None else theirs
    if math.isnan(ours) and math.isnan(theirs):
        return
    if math.isnan(ours) != math.isnan(theirs) or not abs(ours - theirs) <= max(
            rel * max(abs(ours), abs(theirs)), absolute):
        fail(f"{what}: recomputed {ours!r}, the run says {theirs!r}")


def same_text(what, ours, theirs):
    global checked
    checked += 1
    if ours != theirs:
        fail(f"{what}: recomputed {ours!r}, the run says {theirs!r}")


def num(text):
    return math.nan if text in ("", None) else float(text)


# --- the journal ----------------------------------------------------------------------------------

class Call:
    def __init__(self, o):
        self.o, self.status, self.warm = o, o["status"], o["is_warmup"]
        self.block, self.cell = o["block"], o["cell"]
        self.ms = dict.fromkeys(MODES, math.nan)
        if self.status in ("ok", "flagged"):
            stamps = [o["t0_ns"], o["t_first_ns"]] + o["t_step_ns"]
            if any(b < a for a, b in zip(stamps, stamps[1:])):
                fail(f"call {o['call_idx']}: its stamps go backwards")
            told = o.get("stamp_tok")  # a server's chunks may hold several tokens
            if told is None and len(o["t_step_ns"]) != o["decode_steps"]:
                fail(f"call {o['call_idx']}: decode_steps is not the number of step stamps")
            if told is not None and (len(told) != len(o["t_step_ns"]) or told != sorted(told) or
                                     told[-1] != o["decode_steps"]):
                fail(f"call {o['call_idx']}: the tokens at its stamps do not add up to its steps")
            self.steps, self.end = o["decode_steps"], stamps[-1]
            self.ms = {"prefill": (stamps[1] - stamps[0]) / 1e6,
                       "kv_decode": (stamps[-1] - stamps[1]) / 1e6,
                       "e2e_kv": (stamps[-1] - stamps[0]) / 1e6}
            server = o.get("server") or {}
            if server.get("prefill_ms") is not None:  # the forward pass, not the way to the client
                self.ms["prefill"] = server["prefill_ms"]
            due = o.get("t_scheduled_ns") or o["t0_ns"]
            self.ttft_ms = (stamps[1] - due) / 1e6 if "n_stamps" in o else math.nan
            if "n_stamps" in o and o["n_stamps"] != len(o["t_step_ns"]):
                fail(f"call {o['call_idx']}: n_stamps is not the number of its stamps")


class Run:
    def __init__(self, directory):
        self.dir, self.plan, self.calls = directory, None, {}
        self.ceilings, self.closures, self.loads = [], [], []
        self.arm_calls = []
        self.probes = {}  # (cell, block) -> the last cache probe
        self.arms = {}  # (cell, block, pair, arm) -> its calls, of the last attempt
        with open(os.path.join(directory, "journal.jsonl"), "rb") as f:
            lines = f.read().split(b"\n")
        for i, raw in enumerate(lines):
            if not raw:
                continue
            at = raw.rfind(b',"crc32":')
            try:
                o = json.loads(raw)
            except ValueError:
                if i + 1 == len(lines):
                    break  # a torn last line
                raise
            crc = o["crc32"]
            crc = int(crc, 16) if isinstance(crc, str) else crc
            if crc != zlib.crc32(raw[:at]):
                fail(f"journal.jsonl:{i + 1}: the CRC does not fit")
            kind = o["kind"]
            if kind == "plan":
                self.plan = o
            elif kind in ("call", "failure"):
                self.calls[o["call_idx"]] = Call(o)  # the last line counts
            elif kind == "closure" and o["status"] == "ok":
                self.closures.append(o)
            elif kind == "aa":
                calls = self.arms.setdefault((o["cell"], o["block"], o["pair"], o["arm"]), [])
                if calls and o.get("rep", 0) <= calls[-1].get("rep", 0):
                    calls.clear()
                calls.append(o)
                if o["status"] == "ok":
                    self.arm_calls.append(o)
            elif kind == "cache_probe":
                self.probes[o["cell"], o["block"]] = o
            elif kind == "ceiling":
                self.ceilings.append(o)
            elif kind == "cold":
                self.loads.append(o)
        self.cells = self.plan["cells"]
        self.per_block = self.plan["repetitions"] + self.plan["warmup_repetitions"]

    def plans(self, idx):
        """Whether the call is planned: a run with a target numbers more than it plans."""
        sampling = self.plan.get("sampling")
        cell, block = divmod(idx // self.per_block, self.plan["blocks"])
        return (not sampling or block < sampling["blocks_least"] or
                any(e["block"] == block and cell in e["cells"] for e in sampling["extensions"]))

    def measured(self, cell, mode):
        """{replicate: [ms]} of the cell's ok measured calls: replicates are blocks if several."""
        out = {}
        for c in self.calls.values():
            if c.cell == cell and c.status == "ok" and not c.warm:
                key = c.block if self.plan["blocks"] > 1 else c.o["rep"]
                out.setdefault(key, []).append(c.ms[mode])
        return out

    def steps(self, cell):
        n = {c.steps for c in self.calls.values()
             if c.cell == cell and c.status == "ok" and not c.warm}
        return n.pop() if len(n) == 1 else math.nan


def named(items, name):
    return next(i for i in items if i["name"] == name)


def check_journal(run):
    plan = run.plan
    same("n_calls", len(run.cells) * plan["blocks"] * run.per_block, plan["n_calls"])
    spans = []
    for idx, c in run.calls.items():
        o, i = c.o, idx % run.per_block
        same(f"cell of call {idx}", idx // (plan["blocks"] * run.per_block), c.cell)
        same(f"block of call {idx}", idx // run.per_block % plan["blocks"], c.block)
        same(f"is_warmup of call {idx}", i < plan["warmup_repetitions"], c.warm)
        if not c.warm:
            same(f"rep of call {idx}",
                 c.block * plan["repetitions"] + i - plan["warmup_repetitions"], o["rep"])
        if c.status == "ok":
            spans.append((o["t0_ns"], c.end, f"call {idx}"))
    for o in run.closures + run.arm_calls:
        spans.append((o["t0_ns"], o["t_end_ns"], f"{o['kind']} of cell {o['cell']}"))
    spans.sort()
    for a, b in zip(spans, spans[1:]):
        if b[0] < a[1]:
            fail(f"{a[2]} and {b[2]} overlap in time")


# --- the tables -----------------------------------------------------------------------------------

def table(run, name):
    path = os.path.join(run.dir, name)
    if not os.path.exists(path):
        return None
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def check_metrics(run):
    rows = table(run, "metrics.csv")
    if rows is None:
        return
    planned = [i for i in range(run.plan["n_calls"]) if run.plans(i)]
    same("rows of metrics.csv", 3 * len(planned), len(rows))
    same("records_expected", 3 * len(planned), run.plan["records_expected"])
    counts, theirs = {}, {}
    for idx in planned:
        cell = run.cells[idx // (run.plan["blocks"] * run.per_block)]
        absent = "skipped" if cell.get("skip") else "not_run"
        status = run.calls[idx].status if idx in run.calls else absent
        counts[status] = counts.get(status, 0) + 3
    for i, row in enumerate(rows[:3 * len(planned)]):
        idx, mode = planned[i // 3], MODES[i % 3]
        what = f"metrics.csv: call {idx} {mode}"
        theirs[row["status"]] = theirs.get(row["status"], 0) + 1
        same_text(what + " mode", mode, row["mode"])
        same(what + " call_idx", idx, num(row["call_idx"]))
        c = run.calls.get(idx)
        if c is None or c.status not in ("ok", "flagged"):
            same(what + " latency_ms", math.nan, num(row["latency_ms"]))
            continue
        batch, prompt = c.o["batch_size"], c.o["prompt_tokens"]
        made = c.steps * batch
        tokens = {"prefill": prompt, "kv_decode": made, "e2e_kv": prompt + made}[mode]
        same(what + " latency_ms", c.ms[mode], num(row["latency_ms"]))
        same(what + " kv_decode_ms_per_token", c.ms["kv_decode"] / c.steps,
             num(row["kv_decode_ms_per_token"]))
        same(what + " tokens_per_s", tokens / c.ms[mode] * 1000 if c.ms[mode] > 0 else math.nan,
             num(row["tokens_per_s"]))
        same(what + " decode_steps", c.steps, num(row["decode_steps"]))
        if not math.isnan(c.ttft_ms) and row["ttft_ms"]:
            same(what + " ttft_ms", c.ttft_ms, num(row["ttft_ms"]))
            told = (c.o.get("server") or {}).get("prefill_ms") is not None
            same_text(what + " prefill_source", "server" if told else "client_ttft",
                      row["prefill_source"])
        same_text(what + " is_warmup", str(c.warm), row["is_warmup"])
        same_text(what + " flags", sorted(c.o["flags"]), sorted(row["flags"].split()))
        model = run.cells[c.cell]
        same_text(what + " cell", (model["backend"], model["model"], model["scenario"]),
                  (row["backend"], row["model"], row["scenario"]))
    same_text("rows by status", counts, theirs)
    path = os.path.join(run.dir, "manifest.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            results = json.load(f).get("results") or {}
        for status, n in results.items():
            same(f"manifest.json: results of {status}", counts.get(status, 0), n)


def block_lag1(run, mode):
    """How much a block tells of the next, over all cells of the run; the probability to stay."""
    if len({c.block for c in run.calls.values() if c.status == "ok"}) < 2:
        return math.nan, 0.5
    cells = [cell_medians(run, c["cell"], mode) for c in run.cells]
    rho, se = lag1([[m[b] for b in sorted(m)] for m in cells if m])
    clear = rho > 0.1 and rho > 2 * se
    return rho, min(0.5 + math.asin(rho) / math.pi, 0.999) if clear else 0.5


def cell_medians(run, cell, mode):
    return {b: median(v) for b, v in run.measured(cell, mode).items()}


def groups(run):
    """Cells of one backend, model, batch and gen_tokens: what an aggregate is over."""
    out = {}
    for c in run.cells:
        key = (c["backend"], c["model"], c["batch_size"], c["gen_tokens"])
        out.setdefault(key, []).append(c)
    return out


def replicate_means(run, cells, mode):
    """Geometric mean over scenarios in every replicate that all of them have."""
    per_cell = [cell_medians(run, c["cell"], mode) for c in cells]
    per_cell = [m for m in per_cell if m]
    common = set.intersection(*map(set, per_cell)) if per_cell else set()
    return [math.exp(math.fsum(math.log(m[b]) for m in per_cell) / len(per_cell))
            for b in sorted(common) if all(m[b] > 0 for m in per_cell)]


def all_medians(run):
    """(backend, model, scenario, mode, batch) → (median, low, high, steps)."""
    out = {}
    stays = {mode: block_lag1(run, mode)[1] for mode in MODES}
    for (backend, model, batch, _), cells in groups(run).items():
        for mode in MODES:
            stay = stays[mode]
            for c in cells:
                values = list(cell_medians(run, c["cell"], mode).values())
                if values:
                    out[backend, model, c["scenario"], mode, batch] = (
                        median(values), *median_interval(values, stay), run.steps(c["cell"]))
            values = replicate_means(run, cells, mode)
            steps = {run.steps(c["cell"]) for c in cells if run.measured(c["cell"], mode)}
            if values:
                out[backend, model, "__all__", mode, batch] = (
                    median(values), *median_interval(values, stay),
                    steps.pop() if len(steps) == 1 else math.nan)
    return out


def check_medians(run, medians):
    rows = table(run, "analysis/medians.csv")
    if rows is None:
        return
    same("rows of medians.csv", len(medians), len(rows))
    lags = {mode: block_lag1(run, mode) for mode in MODES}
    for row in rows:
        key = (row["backend"], row["model"], row["scenario"], row["mode"], int(row["batch_size"]))
        what = "medians.csv: " + " ".join(map(str, key))
        if key not in medians:
            fail(what + " is not in the journal")
            continue
        value, low, high, steps = medians[key]
        same(what + " median_ms", value, num(row["median_ms"]), 1e-8)
        same(what + " ci_low_ms", low, num(row["ci_low_ms"]), 1e-8)
        same(what + " ci_high_ms", high, num(row["ci_high_ms"]), 1e-8)
        same(what + " block_lag1", lags[row["mode"]][0], num(row["block_lag1"]), 1e-8)
        method = ("" if math.isnan(low) else "order_statistic_series"
                  if lags[row["mode"]][1] > 0.5 else "order_statistic")
        same_text(what + " ci_method", method, row["ci_method"])
        if row["mode"] == "kv_decode":
            same(what + " step_ms", value / steps, num(row["step_ms"]), 1e-8)
            same(what + " decode_tokens_per_s", 1000 * key[4] * steps / value,
                 num(row["decode_tokens_per_s"]), 1e-8)


def check_noise(run):
    rows = table(run, "analysis/noise_floor.csv")
    if rows is None:
        return
    seen = set()
    for row in rows:
        cell = next(c for c in run.cells if c["backend"] == row["backend"] and row["cell"] ==
                    f"{c['model']}|{c['scenario']}|b{c['batch_size']}|g{c['gen_tokens']}")
        mode, cid = row["mode"], cell["cell"]
        what = f"noise_floor.csv: {row['cell']} {mode}"
        seen.add((cid, mode))
        arms = {}
        first, last = {"prefill": ("t0_ns", "t_first_ns"), "kv_decode": ("t_first_ns", "t_end_ns"),
                       "e2e_kv": ("t0_ns", "t_end_ns")}[mode]
        for (cell_of, block, pair, arm), calls in run.arms.items():
            times = [o[last] - o[first] for o in calls if o["status"] == "ok"]
            told = [o.get("server_prefill_ms") for o in calls if o["status"] == "ok"]
            if mode == "prefill":  # a server's own time of the pass, where it tells one
                times = [t if s is None else s * 1e6 for t, s in zip(times, told)]
            if cell_of == cid and times:
                arms.setdefault((block, pair), {})[arm] = median(times)
        ratios = [a["b"] / a["a"] for a in arms.values() if len(a) == 2]
        ratio, low, high = log_mean(ratios) if ratios else (math.nan,) * 3
        same(what + " aa_ratio", ratio, num(row["aa_ratio"]), 1e-8)
        same(what + " ci_low", low, num(row["ci_low"]), 1e-7)
        same(what + " ci_high", high, num(row["ci_high"]), 1e-7)
        same(what + " mde_percent", 50 * (high - low) * mde_factor(len(ratios)), num(row["mde_percent"]), 1e-6)
        if mode != "e2e_kv":
            continue
        per_block = {}
        for c in run.calls.values():
            if c.cell == cid and c.status == "ok" and not c.warm:
                per_block.setdefault(c.block, []).append(c.ms["e2e_kv"])
        ratios = [(o["t_end_ns"] - o["t0_ns"]) / 1e6 / median(per_block[o["block"]])
                  for o in run.closures if o["cell"] == cid and o["block"] in per_block]
        ratio, low, high = log_mean(ratios) if ratios else (math.nan,) * 3
        same(what + " closure", ratio, num(row["closure"]), 1e-8)
        if "closure_ci_low" in row:
            same(what + " closure_ci_low", low, num(row["closure_ci_low"]), 1e-7)
            same(what + " closure_ci_high", high, num(row["closure_ci_high"]), 1e-7)
    for o in run.arm_calls:
        if run.plan["blocks"] > 1 and (o["cell"], "e2e_kv") not in seen:
            fail(f"noise_floor.csv lacks the A/A arms of cell {o['cell']}")


def rank_line(points):
    """The median of pairwise slopes weighted with the distance of their x; median intercept."""
    slopes = sorted(((q[1] - p[1]) / (q[0] - p[0]), abs(q[0] - p[0]))
                    for i, p in enumerate(points) for q in points[i + 1:] if p[0] != q[0])
    half, total = math.fsum(w for _, w in slopes) / 2, 0.0
    slope = slopes[-1][0]
    for i, (s, w) in enumerate(slopes):
        total += w
        if total > half * (1 + 1e-12):
            slope = s
            break
        if abs(total - half) <= 1e-12 * half:
            slope = (s + slopes[i + 1][0]) / 2
            break
    return median([y - slope * x for x, y in points]), slope


def mean_interval(values):
    n = len(values)
    m = math.fsum(values) / n
    if n < 2:
        return m, math.nan, math.nan
    half = t975(n - 1) * math.sqrt(math.fsum((v - m)**2 for v in values) / (n - 1) / n)
    return m, m - half, m + half


def check_steps(run):
    """Rows of steps.csv whose levels do not change, of runs of 2 to 64 blocks."""
    rows = table(run, "analysis/steps.csv")
    if rows is None or not 2 <= run.plan["blocks"] <= 64:
        return
    for row in rows:
        what = f"steps.csv: {row['backend']} {row['model']} batch {row['batch_size']}"
        if row["change_points"] or "stamps" in row["note"] or not row["ci_low"]:
            continue
        cells = [c for c in run.cells if (c["backend"], c["model"], c["batch_size"]) ==
                 (row["backend"], row["model"], float(row["batch_size"]))]
        times = {}  # block → cell → step → [ms]
        context = {}
        for c in run.calls.values():
            if c.status == "ok" and not c.warm and c.cell in {k["cell"] for k in cells}:
                scenario = named(run.plan["scenarios"], run.cells[c.cell]["scenario"])
                context[c.cell] = c.o["seq_len"] + (scenario.get("depth_tok") or 0)
                before = c.o["t_first_ns"]
                for k, stamp in enumerate(c.o["t_step_ns"]):
                    times.setdefault(c.block, {}).setdefault(c.cell, {}).setdefault(k, []).append(
                        (stamp - before) / 1e6)
                    before = stamp
        n_bins = max(1, 128 // len(context))
        lines = []
        for block in sorted(times):
            if len(times[block]) < len(context):
                continue
            points = []
            for cell, steps in sorted(times[block].items()):
                n = len(steps)
                bins = min(n_bins, n)
                for b in range(bins):
                    low, high = b * n // bins, (b + 1) * n // bins
                    points.append((context[cell] + (low + high - 1) / 2,
                                   median([median(steps[k]) for k in range(low, high)])))
            lines.append(rank_line(points))
        same(what + " n_replicates", len(lines), num(row["n_replicates"]))
        for name, values, unit, keys in (
                ("a", [a for a, _ in lines], 1, ("a_ms", "a_ci_low", "a_ci_high")),
                ("b", [b for _, b in lines], 1000,
                 ("b_us_per_context_token", "ci_low", "ci_high"))):
            for key, value in zip(keys, mean_interval(values)):
                same(f"{what} {name}: {key}", value * unit, num(row[key]), 1e-6, 1e-9)


X_OF = {"params_total": "params_total", "params_non_embedding": "params_non_embedding",
        "n_layer": "n_layer"}


def law_points(run, backend, batch, mode, x):
    """[(model, log10 x, log10 ms)] of the models that ran every scenario any of them ran."""
    out = []
    mine = [c for c in run.cells if c["backend"] == backend and c["batch_size"] == batch]
    ran = {c["cell"] for c in mine if run.measured(c["cell"], mode)}
    wanted = {c["scenario"] for c in mine if c["cell"] in ran}
    for m in run.plan["models"]:
        cells = [c for c in mine if c["model"] == m["name"] and c["cell"] in ran]
        if not cells or {c["scenario"] for c in cells} != wanted:
            continue
        times = [[[v for v in vs if v > 0] for vs in run.measured(c["cell"], mode).values()]
                 for c in cells]
        if not all(any(t) for t in times):
            continue  # a clock too coarse to see them
        logs = [math.log10(median([median(vs) for vs in t if vs])) for t in times]
        if x == "bytes_read":
            if mode != "kv_decode" or not all(c["bytes_per_step"] for c in cells):
                continue
            size = math.exp(math.fsum(math.log(c["bytes_per_step"])
                                      for c in cells) / len(cells))
        else:
            size = m.get(X_OF[x]) or (m.get("params_millions_config") or 0) * 1e6 * (
                x == "params_total")
            size = size / 1e6 if x.startswith("params") else size
        if size and size > 0:
            out.append((m["name"], math.log10(size), math.fsum(logs) / len(logs)))
    return out


def is_decisive(full, part):
    if part is None:
        return True
    (_, b, low, high), (_, without, l, h) = full, part
    zero, did = l <= 0 <= h, low <= 0 <= high
    # Equal times give a slope of 0 but for rounding, and the sign of rounding decides nothing.
    b, without = (0 if abs(v) < 1e-12 else v for v in (b, without))
    if b == 0:
        return without != 0
    return abs(without / b - 1) > 0.5 or (without > 0) != (b > 0) or (zero and not did)


def judge(points):
    """(intercept, slope, {model: (slope without, decisive)}, supported, mean held-out error)."""
    x, y = [p[1] for p in points], [p[2] for p in points]
    full = line(x, y)
    if full is None:
        return None
    left, errors = {}, []
    for i, p in enumerate(points):
        part = line(x[:i] + x[i + 1:], y[:i] + y[i + 1:])
        left[p[0]] = (part[1] if part else math.nan, is_decisive(full, part))
        errors.append(abs(10**(part[0] + part[1] * x[i] - y[i]) - 1) if part else math.nan)
    mx = math.fsum(x) / len(x)
    sxx = math.fsum((a - mx)**2 for a in x)
    lever = max(1 / len(x) + (a - mx)**2 / sxx for a in x)
    supported = (len(points) >= 5 and lever < 1 - 1e-9
                 and not any(d for _, d in left.values()))
    return full[0], full[1], left, supported, math.fsum(errors) / len(errors)


def check_laws(run):
    rows = table(run, "analysis/laws.csv")
    if rows is None:
        return
    loo = table(run, "analysis/leave_one_out.csv") or []
    for row in rows:
        if row["form"] != "power" or (row["x"] not in X_OF and row["x"] != "bytes_read"):
            continue
        key = [row[k] for k in ("backend", "batch_size", "mode", "x")]
        what = "laws.csv: " + " ".join(key) + " " + row["term"]
        points = law_points(run, key[0], float(key[1]), key[2], key[3])
        if not points:
            fail(what + ": the journal has no points for it")
            continue
        same(what + " n_models", len(points), num(row["n_models"]))
        got = judge(points)
        if got is None:
            same_text(what + " verdict", "not_identifiable", row["verdict"])
            continue
        same(what + " estimate", got[row["term"] == "slope"], num(row["estimate"]), 1e-7, 1e-10)
        # The chosen law publishes the error of the choice; its own stands at the right.
        same(what + " form_loo_mape", got[4], num(row["form_loo_mape"]), 1e-6)
        if row["selected"] != "True":
            same(what + " loo_mape", got[4], num(row["loo_mape"]), 1e-6)
        same_text(what + " verdict", "supported" if got[3] else "not_identifiable", row["verdict"])
        estimate, low, high = (num(row[k]) for k in ("estimate", "ci_low", "ci_high"))
        if not math.isnan(low) and not low <= estimate <= high:
            fail(what + ": the estimate lies outside its own interval")
        for name, slope in re.findall(r"without (\S+) the slope goes from \S+ to (-?[\d.]+\d)",
                                      row["because"]):
            same(what + " because, without " + name, got[2][name][0], float(slope), 0, 6e-4)
        for part in loo:
            if row["term"] == part["term"] == "slope" and part["form"] == "power" and key == [
                    part[k] for k in ("backend", "batch_size", "mode", "x")]:
                slope, decisive = got[2][part["left_out"]]
                here = f"leave_one_out.csv: {' '.join(key)} without {part['left_out']}"
                same(here, slope, num(part["estimate"]), 1e-7, 1e-10)
                same_text(here + " decisive", str(decisive), part["decisive"])


def chosen_error(run, backend, mode, x):
    """The nested error of the power law when it is the one chosen, else None."""
    for row in table(run, "analysis/laws.csv") or []:
        if (row["backend"], row["mode"], row["x"], row["form"], row["selected"]) == (
                backend, mode, x, "power", "True"):
            return num(row["loo_mape"])
    return None


def check_tails(run):
    rows = table(run, "analysis/tails.csv")
    if rows is None:
        return
    for row in rows:
        ids = [c["cell"] for c in run.cells if c["backend"] == row["backend"] and
               c["model"] == row["model"] and c["scenario"] == row["scenario"]]
        if len(ids) != 1:
            continue
        values = [v for vs in run.measured(ids[0], row["mode"]).values() for v in vs]
        q = float(row["quantile"])
        what = " ".join(["tails.csv:", row["model"], row["scenario"], row["mode"], row["quantile"]])
        low, high = exact_interval(values, q)
        told = q <= 0.5 or not math.isnan(low)
        same(what + " n", len(values), num(row["n"]))
        same(what + " estimate_ms", quantile(values, q) if told else math.nan,
             num(row["estimate_ms"]))
        same(what + " ci_low", low, num(row["ci_low"]))
        same(what + " ci_high", high, num(row["ci_high"]))


# --- the sentences --------------------------------------------------------------------------------

NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
SPAN = rf"({NUMBER})(?: \(({NUMBER}) to ({NUMBER})\))?"


def said(what, value, text):
    """A printed number is the value rounded to the digits it has."""
    if text:
        mantissa, _, power = text.partition("e")
        digits = len(mantissa.split(".")[1]) if "." in mantissa else 0
        # %.2g drops a last zero: "2e-05" stands for 2.0e-05
        digits = max(digits, 1) if power else digits
        same(what, value, float(text), 0, 0.5000001 * 10.0**(int(power or 0) - digits))


def check_report(run, medians):
    path = os.path.join(run.dir, "report.md")
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as f:
        text = f.read()
    n_before = checked
    for m in re.finditer(rf"On (\S+) one decode step takes {SPAN} ms on (\S+) \(\S+ M parameters\) "
                         rf"and {SPAN} ms on (\S+) \(", text):
        backend, numbers = m.group(1), (m.group(2, 3, 4), m.group(6, 7, 8))
        for model, texts in zip((m.group(5), m.group(9)), numbers):
            rows = [v for k, v in medians.items() if k[0] == backend and k[2:4] ==
                    ("__all__", "kv_decode") and (k[1] == model or k[1].endswith("/" + model))]
            if len(rows) != 1:
                continue
            for i, part in enumerate(texts):
                said(f"report.md: a decode step of {model}", rows[0][i] / rows[0][3], part)
    words = {"a decode step": "kv_decode", "prefill": "prefill", "an end-to-end call": "e2e_kv"}
    xs = {"total parameters": "params_total", "bytes read": "bytes_read", "layers": "n_layer",
          "non-embedding parameters": "params_non_embedding"}
    batches = {c["batch_size"] for c in run.cells}
    for m in re.finditer(rf"On (\S+) the time of ({'|'.join(words)}) grows as a power of "
                         rf"({'|'.join(xs)}) with exponent ({NUMBER}).*?over (\d+) models", text):
        if len(batches) != 1:
            continue
        points = law_points(run, m.group(1), next(iter(batches)), words[m.group(2)],
                            xs[m.group(3)])
        got = judge(points)
        here = f"report.md: {m.group(2)} against {m.group(3)}"
        said(here + ", exponent", got[1], m.group(4))
        same(here + ", models", len(points), int(m.group(5)))
        same_text(here + ", supported", True, got[3])
        error = re.match(rf".*?is missed by ({NUMBER}) %", text[m.end():].split("\n")[0])
        if error:
            told = chosen_error(run, m.group(1), words[m.group(2)], xs[m.group(3)])
            said(here + ", held-out error", 100 * (got[4] if told is None else told),
                 error.group(1))
    for m in re.finditer(r"^\| (\S+) \| (\S+) \| (\S+) \| (\d+) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|"
                         r" ([^|]*) \|$", text, re.M):
        parts = zip(("prefill", "kv_decode", "e2e_kv"), (m.group(5), m.group(6), m.group(8)))
        for mode, cell in parts:
            rows = [v for k, v in medians.items() if k[0] == m.group(1) and k[2] == "__all__" and
                    k[3] == mode and k[4] == int(m.group(4)) and
                    (k[1] == m.group(2) or k[1].endswith("/" + m.group(2)))]
            span = re.fullmatch(SPAN, cell.strip())
            if len(rows) == 1 and span:
                divisor = rows[0][3] if mode == "kv_decode" else 1
                for i, part in enumerate(span.groups()):
                    said(f"report.md: {mode} of {m.group(2)}", rows[0][i] / divisor, part)
    if checked == n_before:
        fail("report.md: not one of its numbers was recognised; have its sentences changed?")


def dense_ops(config, batch, tokens, context, logits, size):
    """(bytes, FLOPs) of every operation of one pass of a dense GPT-2; weights are read once."""
    d, layers, vocab = config["n_embd"], config["n_layer"], config["vocab_size"]
    inner, fed = config.get("n_inner") or 4 * d, batch * tokens

    def matrix(rows, columns):
        return (rows * columns + columns) * size, 2 * rows * columns * fed
    attended = sum(context + i + 1 for i in range(tokens))
    layer = [(4 * d * size, 0), matrix(d, 3 * d), matrix(d, d), matrix(d, inner),
             matrix(inner, d),
             (2 * d * size * batch * (context + tokens), 4 * d * batch * attended)]
    return ([(2 * d * size * fed, 0)] + layers * layer +
            [(2 * d * size, 0), (vocab * d * size, 2 * vocab * d * batch * logits)])


def block_rates(run, block, cell, backend):
    """Bytes and FLOPs a ms that the block's ceilings allow the cell; NaN where none fits."""
    mine = [o for o in run.ceilings if o["block"] == block]
    threads = backend["threads"] or max((o["threads"] or 0 for o in mine), default=0)
    mine = [o for o in mine if o["threads"] in (None, threads)]

    def apart(o):
        return abs(math.log(min(o["working_set_bytes"], 2**28) /
                            min(cell["bytes_per_step"], 2**28)))
    reads = [o for o in mine if o["what"] == "read_gbps"]
    near = min(reads, key=apart, default=None)
    peak = next((o for o in mine
                 if o["what"] == "fma_gflops" and o["dtype"] == backend["dtype"]), None)
    return (median(near["samples"]) * 1e6 if near and apart(near) < math.log(2) else math.nan,
            median(peak["samples"]) * 1e6 if peak else math.nan)


def check_floor(run):
    """floor_ms and share_of_floor of dense GPT-2 shapes."""
    sizes = {"fp32": 4, "bf16": 2, "fp16": 2}
    for row in table(run, "analysis/efficiency.csv") or []:
        cell = next(c for c in run.cells if all(c[k] == row[k] for k in
                    ("backend", "model", "scenario")) and c["batch_size"] == int(row["batch_size"]))
        config = named(run.plan["models"], row["model"]).get("config") or {}
        backend = named(run.plan["backends"], row["backend"])
        scenario = named(run.plan["scenarios"], row["scenario"])
        if (config.get("model_type") != "gpt2" or row["mode"] == "e2e_kv" or
                backend["dtype"] not in sizes or not cell.get("seq_len")):
            continue
        seq, depth = int(cell["seq_len"]), int(scenario.get("depth_tok") or 0)
        prefill = row["mode"] == "prefill"
        logits = seq if prefill and backend["logits"] == "all" else 1
        ops = dense_ops(config, cell["batch_size"], seq if prefill else 1,
                        depth if prefill else depth + seq + cell["gen_tokens"] // 2, logits,
                        sizes[backend["dtype"]])
        passes = 1 if prefill else run.steps(cell["cell"])
        floors, shares = [], []
        for block, ms in cell_medians(run, cell["cell"], row["mode"]).items():
            read, peak = block_rates(run, block, cell, backend)
            floor = passes * math.fsum(b / read if math.isnan(peak) else max(b / read, f / peak)
                                       for b, f in ops)
            if floor > 0:
                floors.append(floor)
                shares.append(floor / ms)
        what = "efficiency.csv: " + " ".join((row["model"], row["scenario"], row["mode"]))
        share, low, high = log_mean(shares) if shares else (math.nan,) * 3
        same(what + " floor_ms", median(floors) if floors else math.nan, num(row["floor_ms"]), 1e-8)
        same(what + " share_of_floor", share, num(row["share_of_floor"]), 1e-8)
        same(what + " ci_low", low, num(row["ci_low"]), 1e-7)
        same(what + " ci_high", high, num(row["ci_high"]), 1e-7)


def check_prefix_cache(run):
    """The verdict and the ratio of new over repeated prompts, from the probes."""
    for row in table(run, "analysis/prefix_cache.csv") or []:
        cell = next(i for i, c in enumerate(run.cells) if all(c[k] == row[k] for k in
                    ("backend", "model", "scenario")) and c["batch_size"] == int(row["batch_size"]))
        ok = [p for (c, _), p in sorted(run.probes.items()) if c == cell and p["status"] == "ok"]
        ratios = [math.sqrt(p["fresh_ttft_ms"][0] * p["fresh_ttft_ms"][1]) / p["repeat_ttft_ms"]
                  for p in ok]
        told = [p["repeat_cached_tok"] for p in ok if p["repeat_cached_tok"] is not None]
        shares = [p["repeat_ttft_ms"] / min(p["fresh_ttft_ms"]) for p in ok]
        verdict = ("on" if any(t > 1 for t in told) else
                   "off" if ok and len(told) == len(ok) else
                   "unknown" if len(ok) < 3 else
                   "on" if all(s < 0.7 for s in shares) else
                   "off" if all(s > 0.9 for s in shares) else "unknown")
        what = "prefix_cache.csv: " + " ".join((row["backend"], row["model"], row["scenario"]))
        same(what + " n", len(ok), num(row["n"]))
        same_text(what + " verdict", verdict, row["verdict"])
        if len(ratios) > 1:
            ratio, low, high = log_mean(ratios)
            same(what + " ratio", ratio, num(row["ratio"]))
            same(what + " ci_low", low, num(row["ci_low"]), 1e-7)
            same(what + " ci_high", high, num(row["ci_high"]), 1e-7)


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        run = Run(sys.argv[1])
    except (OSError, ValueError, KeyError) as e:
        print(f"{sys.argv[1]}: cannot be read: {e!r}", file=sys.stderr)
        return 2
    check_journal(run)
    check_metrics(run)
    medians = all_medians(run)
    check_medians(run, medians)
    check_noise(run)
    check_steps(run)
    check_laws(run)
    check_tails(run)
    check_floor(run)
    check_prefix_cache(run)
    check_report(run, medians)
    for p in problems[:40]:
        print(p)
    print(f"{checked} numbers recomputed, {len(problems)} differ")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
