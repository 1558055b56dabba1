#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/analysis/data/golden: a hand-made metrics.csv and the tables an independent
implementation (pandas, SciPy) makes of it. Bootstrap columns are left out of the comparison.

    python3 tools/analysis_golden.py tests/analysis/data/golden
"""
import csv
import os
import random
import sys

import numpy as np
import pandas as pd
import scipy.optimize as opt
import scipy.stats as st

random.seed(20)
OUT = sys.argv[1]
os.makedirs(OUT, exist_ok=True)
COLUMNS = (
    "task_idx,call_idx,sample_idx,scenario,prompt,backend,backend_kind,model,model_kind,"
    "params_millions_config,params_millions_measured,gen_tokens_target,is_warmup,rep,mode,status,"
    "batch_size,seq_len,prompt_tokens,prompt_tokens_raw,gen_tokens_raw,prefill_ms,kv_decode_ms,"
    "kv_decode_ms_equiv,gpu_peak_mb,ollama_load_ms,ollama_done_reason,latency_ms,cuda_event_ms,"
    "tokens_total,tokens_per_s,gen_tokens,a_column_of_theirs"
).split(",")
SHAPES = {  # model: (millions, layers, width); as in the suite tr121
    "models/tiny-gpt2": (0.103, 2, 2),
    "models/gpt2-5m": (5.037, 12, 80),
    "models/gpt2-25m": (25.016, 3, 384),
    "models/gpt2-45m": (45.171, 6, 512),
    "models/gpt2-100m": (96.088, 8, 768),
}
SERVED = {"gemma3:270m": 268.1, "qwen2.5:7b": 7600.0, "llama3.1:8b": 8000.0}
SCENARIOS = {"micro": ("Hello", 1), "short": ('Say "RLHF", in\none sentence.', 9)}
rows = []


def add_call(backend, kind, model, mkind, config, measured, batch, scenario, warm, rep, status,
             prefill, decode, target=64, raw=64, event=None, load=None, reason="", peak=""):
    prompt, length = SCENARIOS[scenario]
    call = len(rows) // 3
    equiv = decode / raw * target
    gen = target if kind == "ollama" else raw
    used = equiv if kind == "ollama" else decode
    times = {"prefill": prefill, "kv_decode": used, "e2e_kv": prefill + used}
    for k, (mode, latency) in enumerate(times.items()):
        tokens = {"prefill": batch * length, "kv_decode": batch * gen,
                  "e2e_kv": batch * (length + gen)}[mode]
        ok = status == "ok"
        rows.append(dict(
            task_idx=call // 4, call_idx=call, sample_idx=3 * call + k, scenario=scenario,
            prompt=prompt, backend=backend, backend_kind=kind, model=model, model_kind=mkind,
            params_millions_config=config, params_millions_measured=measured,
            gen_tokens_target=target, is_warmup=warm, rep="" if warm else rep, mode=mode,
            status=status, batch_size=batch, seq_len="" if kind == "ollama" else length,
            prompt_tokens=batch * length, prompt_tokens_raw=batch * length + (batch > 1),
            gen_tokens_raw=raw, prefill_ms=prefill if ok else "",
            kv_decode_ms=decode if ok else "", kv_decode_ms_equiv=equiv if ok else "",
            gpu_peak_mb=peak, ollama_load_ms="" if load is None else load,
            ollama_done_reason=reason, latency_ms=latency if ok else "",
            cuda_event_ms=latency * event if event and ok else "",
            tokens_total=tokens if ok else "",
            tokens_per_s=tokens / (latency / 1000) if ok else "",
            gen_tokens=batch * gen, a_column_of_theirs="=1+1"))


def noise():
    return random.lognormvariate(0, 0.03)


for backend, batch, scale, event in (("hf_cpu", 1, 3.0, None), ("hf_gpu", 8, 1.0, 0.97)):
    for model, (millions, layers, width) in SHAPES.items():
        if backend == "hf_gpu" and model.endswith("5m") and "45" in model:
            continue
        for scenario in SCENARIOS:
            for i in range(4):
                base = scale * (0.5 + layers * 0.3 + millions * 0.05)
                status = "error" if (model, scenario, i) == ("models/gpt2-5m", "short", 3) else "ok"
                add_call(backend, "hf", model, "hf", millions, millions * 1.01 if batch == 8 else "",
                         batch, scenario, i == 0, i - 1, status, base * noise() * (5 if i == 0 else 1),
                         60 * base * noise(), event=event, peak=100 + millions if event else "")
for model, millions in SERVED.items():
    for scenario in SCENARIOS:
        for i in range(5):
            if model == "llama3.1:8b" and scenario == "micro" and i == 0:
                continue  # this cell has no warm-up
            raw = random.choice([64, 64, 40, 21]) if model != "qwen2.5:7b" else 64
            add_call("ollama", "ollama", model, "ollama", millions, "", 1, scenario, i == 0, i - 1,
                     "ok", 8 * noise() + millions / 500, (5 + raw * (1 + millions / 900)) * noise(),
                     raw=raw, load=(900 if i == 0 else 40) * noise(),
                     reason="length" if raw == 64 else "stop")
add_call("hf_cpu", "hf", "models/absent", "hf", 7.0, "", 1, "micro", False, 0, "skipped", 1, 1)
add_call("hf_cpu", "hf", "models/gpt2-25m", "hf", 25.016, "", 1, "short", True, 0, "ok", 90.5, 800)
with open(f"{OUT}/metrics.csv", "w", newline="") as f:
    w = csv.DictWriter(f, COLUMNS, lineterminator="\r\n")
    w.writeheader()
    w.writerows(rows)

# ---- the tables, computed another way -------------------------------------------------------
d = pd.read_csv(f"{OUT}/metrics.csv")
d["P"] = d.params_millions_measured.where(d.params_millions_measured > 0, d.params_millions_config)
d["prompt_c"] = (d.batch_size * d.seq_len).fillna(d.prompt_tokens)
d["total_c"] = d.tokens_total
hf = d.backend_kind == "hf"
d.loc[hf & (d["mode"] == "prefill"), "total_c"] = d.prompt_c
d.loc[hf & (d["mode"] == "e2e_kv"), "total_c"] = d.prompt_c + d.gen_tokens
d["tps_c"] = d.total_c / (d.latency_ms / 1000)
ok = d[d.status == "ok"]
m = ok[~ok.is_warmup]


def save(name, table):
    table.to_csv(f"{OUT}/{name}.csv", index=False)


def geo(v):
    v = v[v > 0]
    return np.exp(np.log(v).mean()) if len(v) else np.nan


KEY = ["backend", "backend_kind", "batch_size", "model", "model_kind", "P"]
g = m.groupby(KEY + ["scenario", "mode"])
s = pd.DataFrame({
    "n": g.latency_ms.count(), "latency_mean_ms": g.latency_ms.mean(),
    "latency_median_ms": g.latency_ms.median(), "latency_p95_ms": g.latency_ms.quantile(0.95),
    "latency_p99_ms": g.latency_ms.quantile(0.99), "tokens_per_s_median": g.tokens_per_s.median(),
    "tokens_per_s_compute_median": g.tps_c.median(), "tokens_total_median": g.tokens_total.median(),
    "tokens_total_compute_median": g.total_c.median(),
    "prompt_tokens_median": g.prompt_tokens.median(),
    "prompt_tokens_raw_median": g.prompt_tokens_raw.median(),
    "prompt_tokens_compute_median": g.prompt_c.median(), "gen_tokens_median": g.gen_tokens.median(),
    "gen_tokens_raw_median": g.gen_tokens_raw.median(),
    "gen_tokens_target_median": g.gen_tokens_target.median(),
    "cuda_event_median_ms": g.cuda_event_ms.median(), "gpu_peak_mb_median": g.gpu_peak_mb.median(),
    "ollama_load_ms_median": g.ollama_load_ms.median(),
    "params_millions_config_median": g.params_millions_config.median(),
    "params_millions_measured_median": g.params_millions_measured.median()}).reset_index()
s = s.sort_values(["backend", "mode", "scenario", "P"])
save("summary_by_model_backend_mode", s.rename(columns={"P": "params_millions_effective"}))
g = s.groupby(KEY + ["mode"])
agg = pd.DataFrame({
    "n_scenarios": g.scenario.count(), "latency_geomean_ms": g.latency_median_ms.apply(geo),
    "latency_median_of_medians_ms": g.latency_median_ms.median(),
    "tokens_per_s_geomean": g.tokens_per_s_median.apply(geo),
    "tokens_per_s_compute_geomean": g.tokens_per_s_compute_median.apply(geo),
    "gpu_peak_mb_median": g.gpu_peak_mb_median.median(),
    "ollama_load_ms_median": g.ollama_load_ms_median.median(),
    "params_millions_config_median": g.params_millions_config_median.median(),
    "params_millions_measured_median": g.params_millions_measured_median.median()}).reset_index()
agg = agg.sort_values(["backend", "mode", "P"])
save("summary_by_model_backend_mode_agg", agg.rename(columns={"P": "params_millions_effective"}))


def fit(p, y):
    x, y = np.log10(p), np.log10(y)
    line, rank, ts = st.linregress(x, y), st.spearmanr(x, y), st.theilslopes(y, x)
    return dict(n_models=len(x), ok=True, log10_intercept=line.intercept, slope=line.slope,
                r2=line.rvalue**2, spearman_rho_loglog=rank.statistic,
                spearman_p_loglog=rank.pvalue, theilsen_slope=ts.slope,
                theilsen_log10_intercept=ts.intercept, theilsen_slope_ci_low=ts.low_slope,
                theilsen_slope_ci_high=ts.high_slope, boot_n_requested=1000)


def fits(table, latency, how, by):
    out = []
    for key, part in table.groupby(by):
        row = dict(zip(by, key))
        row.setdefault("scenario", "__all__")
        row.setdefault("batch_size", part.batch_size.iloc[0])
        out.append(row | dict(aggregation=how) | fit(part.P.values, part[latency].values))
    return out


AGG = ["backend", "backend_kind", "batch_size", "mode"]
f = pd.DataFrame(
    fits(s, "latency_median_ms", "scenario", ["backend", "backend_kind", "mode", "scenario"])
    + fits(agg, "latency_geomean_ms", "geomean_across_scenarios", AGG))
save("scaling_fits", f.sort_values(["backend", "mode", "scenario"]))
lim = m[(m.backend_kind == "ollama")
        & ((m["mode"] == "prefill") | ~(m.gen_tokens_raw < m.gen_tokens_target))]
lim = lim.groupby(KEY + ["scenario", "mode"]).latency_ms.median().reset_index()
lim = lim.groupby(KEY + ["mode"]).latency_ms.apply(geo).reset_index()
f = pd.DataFrame(fits(lim, "latency_ms", "geomean_across_scenarios", AGG))
f["filter"] = "length_limited_decode_only"
save("scaling_fits_length_limited", f.sort_values(["backend", "mode"]))

out = []
for key, part in agg.groupby(AGG):
    p, y = part.P.values, part.latency_geomean_ms.values
    base = dict(zip(AGG, key)) | dict(aggregation="geomean_across_scenarios", n_models=len(p), ok=True)
    line = st.linregress(p, y)
    a, b = line.intercept, line.slope
    out.append(base | dict(fit="lat = a + b*P", a_ms=a, b_ms_per_million_params=b, r2=line.rvalue**2,
                           overhead_fraction_at_min_model=a / (a + b * p.min()),
                           overhead_fraction_at_max_model=a / (a + b * p.max())))

    def loss(sx):
        return opt.nnls(np.c_[np.ones(len(p)), p**sx], y)[1]
    grid = np.linspace(0, 2, 401)
    s0 = grid[np.argmin([loss(v) for v in grid])]
    sx = opt.minimize_scalar(loss, bounds=(max(0, s0 - 0.01), min(2, s0 + 0.01)), method="bounded",
                             options=dict(xatol=1e-11)).x
    (a, b), norm = opt.nnls(np.c_[np.ones(len(p)), p**sx], y)
    # The optimum is flat: R2 is compared to all digits, a, b and s in the tests of src/stats.
    out.append(base | dict(fit="lat = a + b*P^s", a_ms="*", overhead_fraction_at_min_model="*",
                           overhead_fraction_at_max_model="*", r2=1 - norm**2 / ((y - y.mean()) ** 2).sum()))
save("overhead_compute_fits", pd.DataFrame(out).sort_values(["backend", "mode"], kind="stable"))

out = []
for key, part in ok.groupby(["backend", "mode", "scenario", "model"]):
    w, r = part[part.is_warmup].latency_ms, part[~part.is_warmup].latency_ms
    out.append(dict(zip(["backend", "mode", "scenario", "model"], key)) | dict(
        P=part.P.min(), warmup_n=len(w), warmup_median_ms=w.median(), measured_n=len(r),
        measured_median_ms=r.median(), warmup_to_measured_ratio=w.median() / r.median(),
        warmup_minus_measured_ms=w.median() - r.median()))
save("warmup_effect", pd.DataFrame(out).sort_values(["backend", "mode", "scenario", "P"]).drop(columns="P"))

o = ok[ok.backend_kind == "ollama"]
out = []
for key, part in o[o["mode"] == "prefill"].groupby(["backend", "scenario", "model"]):
    row = dict(zip(["backend", "scenario", "model"], key)) | dict(P=part.P.min())
    for name, side in (("warmup", part[part.is_warmup]), ("measured", part[~part.is_warmup])):
        row |= {f"{name}_prefill_infer_median_ms": side.latency_ms.median(),
                f"{name}_load_median_ms": side.ollama_load_ms.median(),
                f"{name}_prefill_total_median_ms": (side.latency_ms + side.ollama_load_ms).median(),
                f"{name}_n": len(side)}
    if row["warmup_n"] and row["measured_n"]:
        row["warmup_ratio_infer_only"] = (row["warmup_prefill_infer_median_ms"]
                                          / row["measured_prefill_infer_median_ms"])
        row["warmup_ratio_total_including_load"] = (row["warmup_prefill_total_median_ms"]
                                                    / row["measured_prefill_total_median_ms"])
        out.append(row)
save("ollama_warmup_breakdown", pd.DataFrame(out).sort_values(["backend", "scenario", "P"]).drop(columns="P"))
dec = o[(o["mode"] == "kv_decode") & ~o.is_warmup]
out = []
for key, part in dec.groupby(["backend", "scenario", "model"]):
    out.append(dict(zip(["backend", "scenario", "model"], key)) | dict(
        n=len(part), params_millions_effective_median=part.P.median(),
        gen_tokens_target=part.gen_tokens_target.median(),
        gen_tokens_raw_median=part.gen_tokens_raw.median(),
        early_stop_rate=(part.gen_tokens_raw < part.gen_tokens_target).mean(),
        done_reason_mode=part.ollama_done_reason.mode()[0]))
save("ollama_early_stop_summary", pd.DataFrame(out).sort_values(
    ["backend", "scenario", "params_millions_effective_median"]))
lin, proj = [], []
for model, part in dec.groupby("model"):
    x, y = part.gen_tokens_raw.values, part.kv_decode_ms.values
    row = dict(model=model, P=part.P.min(), n=len(x), gen_tokens_target=64, gen_tokens_raw_min=x.min(),
               gen_tokens_raw_median=np.median(x), gen_tokens_raw_max=x.max())
    pr = dict(model=model, P=part.P.min(), gen_tokens_target=64, n=0)
    if len(set(x)) > 1:
        line = st.linregress(x, y)
        at = line.intercept + 64 * line.slope
        row |= dict(a_ms=line.intercept, b_ms_per_token=line.slope, r2=line.rvalue**2,
                    affine_ms_at_target=at)
        e = part.kv_decode_ms_equiv.values - at
        pr |= dict(n=len(e), prop_minus_affine_ms_median=np.median(e),
                   prop_minus_affine_ms_p95=np.quantile(e, 0.95), prop_minus_affine_ms_min=e.min(),
                   prop_minus_affine_ms_max=e.max())
    lin.append(row)
    proj.append(pr)
save("ollama_decode_linearity", pd.DataFrame(lin).sort_values("P").drop(columns="P"))
save("ollama_decode_projection_error", pd.DataFrame(proj).sort_values("P").drop(columns="P"))
out = []
ev = ok[ok.cuda_event_ms.notna()]
for key, part in ev.groupby(["backend", "backend_kind", "mode", "is_warmup"]):
    gap = (part.latency_ms - part.cuda_event_ms).abs()
    rel = gap / part.latency_ms
    out.append(dict(zip(["backend", "backend_kind", "mode", "is_warmup"], key)) | dict(
        n=len(part), rel_gap_median=rel.median(), rel_gap_p95=rel.quantile(0.95),
        abs_gap_ms_median=gap.median(), abs_gap_ms_p95=gap.quantile(0.95)))
save("cuda_event_gap_summary", pd.DataFrame(out))
cor, multi = [], []
for key, part in agg[agg.backend_kind == "hf"].groupby(AGG):
    L = np.array([SHAPES[v][1] for v in part.model], float)
    W = np.array([SHAPES[v][2] for v in part.model], float)
    y = np.log(part.latency_geomean_ms.values)
    row = dict(zip(AGG, key)) | dict(n_models=len(y))
    c = dict(row)
    del c["backend_kind"]
    for name, x in (("loglog_params", np.log(part.P.values)), ("n_layer_vs_log_latency", L),
                    ("n_embd_vs_log_latency", W)):
        r = st.spearmanr(x, y)
        c |= {f"spearman_rho_{name}": r.statistic, f"spearman_p_{name}": r.pvalue}
    cor.append(c)
    A = np.c_[np.ones(len(y)), np.log(part.P.values), np.log(L)]
    coef, *_ = np.linalg.lstsq(A, y, rcond=None)
    e = y - A @ coef
    multi.append(row | dict(beta_log_params=coef[1], gamma_log_layers=coef[2],
                            r2=1 - e @ e / ((y - y.mean()) ** 2).sum(), boot_n_requested=1000))
save("hf_architecture_correlations", pd.DataFrame(cor).sort_values(["backend", "mode"]))
save("hf_multivariate_fits", pd.DataFrame(multi).sort_values(["backend", "mode"]))
