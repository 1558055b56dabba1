#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the run directory that the tests of src/report read: python3 tools/make_report_fixture.py OUT

Nothing in it was measured here. The medians of backend hf_cpu_fp32 are the published CPU values of
the TR121 study; the noise of the blocks, the scenarios, the backend made_up_bf16 and the server rows
are invented, symmetric about the published medians, so that the fits keep the published digits.
Standard library only; the same bytes every time. Its medians.csv and outcomes.csv are what "inferlaw
analyze" makes of its metrics.csv: tools/make_report_golden.sh puts them there.
"""
import csv, json, math, os, sys

MODELS = [  # name, parameters in millions, prefill ms, kv_decode ms, layers, width
    ("models/tiny-gpt2", 0.103, 3.49, 166.32, 2, 2),
    ("models/gpt2-5m", 5.037, 20.71, 1042.44, 12, 80),
    ("models/gpt2-25m", 25.016, 15.75, 783.67, 3, 384),
    ("models/gpt2-45m", 45.171, 18.08, 799.82, 6, 512),
    ("models/gpt2-50m", 51.476, 25.35, 1267.69, 8, 512),
    ("models/gpt2-75m", 74.825, 27.80, 1600.77, 5, 768),
    ("models/gpt2-100m", 96.088, 26.98, 1374.22, 8, 768),
]
E2E = [169.76, 1063.47, 799.73, 818.73, 1289.54, 1634.74, 1402.22]
BYTES = {"hf_cpu_fp32": 4, "made_up_bf16": 2}  # of a parameter
GBPS = 60.0  # made-up read bandwidth
SCENARIOS = [("micro", "Hello", 1, 0.95), ("short", "Summarize RLHF in one sentence.", 9, 1.0),
             ("medium", "Explain how backpressure works.", 17, 1 / 0.95)]
BLOCKS = 6
GEN = 64
NOISE = [0.004, -0.004, 0.011, -0.011, 0.019, -0.019]
OLLAMA = [("gemma3:270m", 268.1, 41, 0.9), ("gemma3:1b-it-qat", 999.9, 64, 2.4),
          ("qwen2.5:7b", 7600.0, 64, 11.0)]
MODES = ["prefill", "kv_decode", "e2e_kv"]
COLUMNS = """task_idx call_idx sample_idx scenario prompt prompt_chars backend backend_kind model
model_kind params_millions params_millions_config params_millions_measured gen_tokens_target
batch_size_config is_warmup warmup_idx rep mode status error started_at_unix batch_size seq_len
prompt_tokens gen_tokens_raw latency_ms tokens_total tokens_per_s gen_tokens block reason flags hint
backend_kind_asked dtype replication decode_steps params_total""".split()
T975 = {4: 2.7764451, 5: 2.5705818}  # Student t, 97.5 %, by degrees of freedom


def num(x):
    return "" if x is None or (isinstance(x, float) and math.isnan(x)) else (
        "%.9g" % x if isinstance(x, float) else str(x))


def write_csv(path, columns, rows):
    with open(path, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(columns)
        for r in rows:
            w.writerow([num(r.get(c)) for c in columns])


def median(v):
    v = sorted(v)
    n = len(v)
    return v[n // 2] if n % 2 else (v[n // 2 - 1] + v[n // 2]) / 2


def geomean(v):
    return math.exp(sum(map(math.log, v)) / len(v))


def ols(x, y):
    n, mx, my = len(x), sum(x) / len(x), sum(y) / len(y)
    sxx = sum((a - mx) ** 2 for a in x)
    b = sum((p - mx) * (q - my) for p, q in zip(x, y)) / sxx
    a = my - b * mx
    res = sum((q - a - b * p) ** 2 for p, q in zip(x, y))
    tot = sum((q - my) ** 2 for q in y)
    s2 = res / (n - 2)
    lev = [1 / n + (p - mx) ** 2 / sxx for p in x]
    cook = [((q - a - b * p) ** 2 / (2 * s2)) * h / (1 - h) ** 2 for p, q, h in zip(x, y, lev)]
    return {"a": a, "b": b, "r2": 1 - res / tot, "se_b": math.sqrt(s2 / sxx),
            "se_a": math.sqrt(s2 * (1 / n + mx * mx / sxx)), "lev": lev, "cook": cook, "n": n}


def backends():
    # a made-up runtime without a fixed cost: an exponent that survives any model left out
    law = [(n, p, 1.6 * p ** 0.80 * k, GEN * 0.11 * p ** 0.85 * k, l, d)
           for (n, p, _, _, l, d), k in zip(MODELS, [1.02, 0.97, 1.03, 0.98, 1.01, 0.99, 1.0])]
    return [("hf_cpu_fp32", "fp32", MODELS, E2E), ("made_up_bf16", "bf16", law, None)]


def metrics():
    rows, call = [], 0
    for backend, dtype, models, e2e in backends():
        for mi, (model, params, prefill, decode, _, _) in enumerate(models):
            for si, (scen, prompt, tok, scale) in enumerate(SCENARIOS):
                for block in range(BLOCKS):
                    for i, warm in enumerate((True, False)):
                        k = (1 + NOISE[(block + mi + si) % BLOCKS]) * scale * (1.6 if warm else 1)
                        ms = {"prefill": prefill * k, "kv_decode": decode * k,
                              "e2e_kv": (e2e[mi] if e2e else prefill + decode) * k}
                        flags = "steal" if (block, mi, si, i) == (2, 3, 1, 1) else ""
                        for m, mode in enumerate(MODES):
                            tokens = {"prefill": tok, "kv_decode": GEN, "e2e_kv": tok + GEN}[mode]
                            rows.append(dict(
                                task_idx=(mi * 3 + si), call_idx=call, sample_idx=3 * call + m,
                                scenario=scen, prompt=prompt, prompt_chars=len(prompt),
                                backend=backend, backend_kind="hf", model=model, model_kind="hf",
                                params_millions=params, params_millions_config=params,
                                params_millions_measured=params, gen_tokens_target=GEN,
                                batch_size_config=1, is_warmup=str(warm),
                                warmup_idx=0 if warm else None, rep=None if warm else block,
                                mode=mode, status="ok", batch_size=1, seq_len=tok, prompt_tokens=tok,
                                gen_tokens_raw=GEN, latency_ms=round(ms[mode], 6),
                                tokens_total=tokens, tokens_per_s=round(tokens / ms[mode] * 1e3, 4),
                                gen_tokens=GEN, block=block, flags=flags, backend_kind_asked="hf",
                                dtype=dtype, replication="process", decode_steps=GEN,
                                params_total=int(params * 1e6)))
                        call += 1
    for model, params, raw, step in OLLAMA:
        for block in range(BLOCKS):
            k = 1 + NOISE[block]
            ms = {"prefill": 8 * step * k, "kv_decode": GEN * step * k,
                  "e2e_kv": (GEN + 8) * step * k}
            for m, mode in enumerate(MODES):
                rows.append(dict(
                    task_idx=90, call_idx=call, sample_idx=3 * call + m, scenario="short",
                    prompt=SCENARIOS[1][1], prompt_chars=31, backend="ollama",
                    backend_kind="ollama", model=model, model_kind="ollama", params_millions=params,
                    params_millions_config=params, params_millions_measured=params,
                    gen_tokens_target=GEN, batch_size_config=1, is_warmup="False", rep=block,
                    mode=mode, status="ok", batch_size=1, seq_len=11, prompt_tokens=11,
                    gen_tokens_raw=raw, latency_ms=round(ms[mode], 6), tokens_total=raw,
                    tokens_per_s=1.0, gen_tokens=GEN, block=block, backend_kind_asked="ollama",
                    dtype="q4", replication="none", decode_steps=raw, params_total=int(params * 1e6)))
            call += 1
    for model, params, *_ in MODELS[:2]:
        for m, mode in enumerate(MODES):
            rows.append(dict(task_idx=99, call_idx=call, sample_idx=3 * call + m, scenario="micro",
                             prompt="Hello", backend="hf_gpu_fp16", backend_kind="hf", model=model,
                             model_kind="hf", params_millions=params, gen_tokens_target=GEN,
                             batch_size_config=1, is_warmup="False", rep=0, mode=mode,
                             status="skipped", error="no CUDA device was found", block=0,
                             reason="UNSUPPORTED", hint="run on a machine with an NVIDIA GPU",
                             backend_kind_asked="hf", dtype="fp16"))
        call += 1
    return rows


def measured(rows):
    cells = {}
    for r in rows:
        if r["status"] == "ok" and r["is_warmup"] == "False":
            key = (r["backend"], r["backend_kind"], r["model"], r["params_millions"], r["scenario"],
                   r["mode"])
            cells.setdefault(key, []).append(r["latency_ms"])
    return cells


def tables(rows, out):
    cells = measured(rows)
    summary = [dict(backend=b, backend_kind=k, batch_size=1, model=m, model_kind=k,
                    params_millions_effective=p, scenario=s, mode=mode, n=len(v),
                    latency_mean_ms=sum(v) / len(v), latency_median_ms=median(v))
               for (b, k, m, p, s, mode), v in cells.items()]
    summary.sort(key=lambda r: (r["backend"], r["mode"], r["scenario"],
                                r["params_millions_effective"]))
    write_csv(out + "/summary_by_model_backend_mode.csv", list(summary[0]), summary)
    groups = {}
    for r in summary:
        groups.setdefault((r["backend"], r["backend_kind"], r["model"],
                           r["params_millions_effective"], r["mode"]), []).append(
                               r["latency_median_ms"])
    agg = [dict(backend=b, backend_kind=k, batch_size=1, model=m, model_kind=k,
                params_millions_effective=p, mode=mode, n_scenarios=len(v),
                latency_geomean_ms=geomean(v), latency_median_of_medians_ms=median(v))
           for (b, k, m, p, mode), v in groups.items()]
    agg.sort(key=lambda r: (r["backend"], r["mode"], r["params_millions_effective"]))
    write_csv(out + "/summary_by_model_backend_mode_agg.csv", list(agg[0]), agg)
    fits, laws, loo, points, curves = [], [], [], [], []
    for (backend, kind) in sorted({(r["backend"], r["backend_kind"]) for r in agg}):
        for mode in sorted(MODES):
            for scen in ["__all__"] + sorted({r["scenario"] for r in summary
                                              if r["backend"] == backend}):
                pts = [(r["model"], r["params_millions_effective"], r["latency_geomean_ms"])
                       for r in agg if (r["backend"], r["mode"]) == (backend, mode)] \
                    if scen == "__all__" else \
                      [(r["model"], r["params_millions_effective"], r["latency_median_ms"])
                       for r in summary if (r["backend"], r["mode"], r["scenario"]) ==
                       (backend, mode, scen)]
                x = [math.log10(p) for _, p, _ in pts]
                y = [math.log10(v) for _, _, v in pts]
                f = ols(x, y)
                fits.append(dict(backend=backend, backend_kind=kind, batch_size=1, mode=mode,
                                 scenario=scen, aggregation="geomean_across_scenarios"
                                 if scen == "__all__" else "scenario", n_models=f["n"], ok="True",
                                 log10_intercept=f["a"], slope=f["b"], r2=f["r2"]))
                if scen == "__all__":
                    models = [m for m, _, _ in pts]
                    judge(backend, mode, models, x, y, f, laws, loo, "params_total", points, curves)
                    per = BYTES.get(backend, 0.6) * 1e6  # bytes of a parameter
                    b = [math.log10(p * per) for _, p, _ in pts]
                    judge(backend, mode, models, b, y, ols(b, y), laws, loo, "bytes_read",
                          points, curves)
                    if backend == "hf_cpu_fp32" and mode == "kv_decode":
                        physics(backend, models, [p for _, p, _ in pts],
                                [10 ** v for v in y], laws, points)
    write_csv(out + "/scaling_fits.csv", list(fits[0]), fits)
    write_csv(out + "/laws.csv", "backend batch_size mode x form n_models n_blocks replication term "
              "estimate ci_low ci_high ci_method loo_mape loo_p95 delta_aicc selected verdict "
              "because form_loo_mape form_loo_p95".split(), laws)
    write_csv(out + "/law_points.csv", list(points[0]), points)
    write_csv(out + "/law_curves.csv", list(curves[0]), curves)
    write_csv(out + "/leave_one_out.csv", "backend batch_size mode x form term left_out estimate "
              "estimate_all leverage cooks_distance decisive".split(), loo)
    others(summary, out)


def fit3(rows):
    """Least squares of three coefficients to ones: relative errors."""
    a = [[sum(r[i] * r[j] for r in rows) for j in range(3)] + [sum(r[i] for r in rows)]
         for i in range(3)]
    for i in range(3):
        for j in range(3):
            if j != i:
                k = a[j][i] / a[i][i]
                a[j] = [p - k * q for p, q in zip(a[j], a[i])]
    return [a[i][3] / a[i][i] for i in range(3)]


def physics(backend, models, params, ms, laws, points):
    """A law of physics form with invented intervals and errors."""
    layers = {m: l for m, _, _, _, l, _ in MODELS}
    floors = [GEN * p * 1e6 * BYTES[backend] / (GBPS * 1e9) * 1e3 for p in params]
    step, layer, factor = fit3([[1 / v, layers[m] / v, f / v]
                                for m, f, v in zip(models, floors, ms)])
    for term, e, half in (("t_step_ms", step, 0.3 * abs(step)), ("t_layer_ms", layer, 0.2 * layer),
                          ("floor_factor", factor, 0.3 * factor)):
        laws.append(dict(backend=backend, batch_size=1, mode="kv_decode", x="n_layer*floor",
                         form="physics", n_models=7, n_blocks=BLOCKS, replication="process",
                         term=term, estimate=e, ci_low=e - half, ci_high=e + half,
                         ci_method="nested_bootstrap", loo_mape=0.187, loo_p95=0.402,
                         form_loo_mape=0.171, form_loo_p95=0.396,
                         delta_aicc=0.0, selected="True", verdict="supported",
                         because="no model is decisive"))
    for model, floor, v in zip(models, floors, ms):
        fit = step + layer * layers[model] + factor * floor
        points.append(dict(backend=backend, batch_size=1, mode="kv_decode", x="n_layer*floor",
                           form="physics", model=model, x_value=None, observed_ms=v,
                           ci_low_ms=v * 0.99, ci_high_ms=v * 1.01, fitted_ms=fit,
                           residual_percent=100 * (v / fit - 1), loo_predicted_ms=fit * 0.97,
                           loo_error_percent=100 * (v / (fit * 0.97) - 1), leverage=3 / 7,
                           cooks_distance=0.1, floor_ms=floor))


def curve(backend, mode, x_name, left_out, a, b, x, band, curves):
    for i in range(33):
        v = min(x) + (max(x) - min(x)) * i / 32
        half = band(v) if band else None
        curves.append(dict(backend=backend, batch_size=1, mode=mode, x=x_name, form="power",
                           left_out=left_out, x_value=10 ** v, estimate_ms=10 ** (a + b * v),
                           pi_low_ms=10 ** (a + b * v - half) if band else None,
                           pi_high_ms=10 ** (a + b * v + half) if band else None))


def judge(backend, mode, models, x, y, f, laws, loo, x_name, points, curves):
    t = T975.get(f["n"] - 2)
    low, high = (f["b"] - t * f["se_b"], f["b"] + t * f["se_b"]) if t else (math.nan, math.nan)
    because = "n: a line needs 5 models, there are 3" if not t else ""
    errors, predicted = [], []
    n, mx = len(x), sum(x) / len(x)
    sxx = sum((v - mx) ** 2 for v in x)
    s = f["se_b"] * math.sqrt(sxx)
    band = (lambda v: t * s * math.sqrt(1 + 1 / n + (v - mx) ** 2 / sxx)) if t else None
    curve(backend, mode, x_name, "", f["a"], f["b"], x, band, curves)
    for i, model in enumerate(models if t else []):
        xs, ys = x[:i] + x[i + 1:], y[:i] + y[i + 1:]
        g = ols(xs, ys)
        tg = T975[len(xs) - 2]
        zero = g["b"] - tg * g["se_b"] <= 0 <= g["b"] + tg * g["se_b"] and not low <= 0 <= high
        decisive = abs(g["b"] / f["b"] - 1) > 0.5 or g["b"] * f["b"] < 0 or zero
        errors.append(abs(10 ** (g["a"] + g["b"] * x[i] - y[i]) - 1))
        predicted.append(10 ** (g["a"] + g["b"] * x[i]))
        curve(backend, mode, x_name, model, g["a"], g["b"], x, None, curves)
        if decisive and not because:
            because = "without %s the slope goes from %.3f to %.3f" % (model, f["b"], g["b"])
        for term, e, e_all in (("intercept", g["a"], f["a"]), ("slope", g["b"], f["b"])):
            loo.append(dict(backend=backend, batch_size=1, mode=mode, x=x_name, form="power",
                            term=term, left_out=model, estimate=e, estimate_all=e_all,
                            leverage=f["lev"][i], cooks_distance=f["cook"][i],
                            decisive=str(decisive and term == "slope")))
    verdict = "not_identifiable" if because else "supported"
    for i, model in enumerate(models):
        fit, v = 10 ** (f["a"] + f["b"] * x[i]), 10 ** y[i]
        floor = GEN * 10 ** x[i] / (GBPS * 1e9) * 1e3 if x_name == "bytes_read" else math.nan
        points.append(dict(backend=backend, batch_size=1, mode=mode, x=x_name, form="power",
                           model=model, x_value=10 ** x[i], observed_ms=v, ci_low_ms=v * 0.99,
                           ci_high_ms=v * 1.01, fitted_ms=fit, residual_percent=100 * (v / fit - 1),
                           loo_predicted_ms=predicted[i] if t else None,
                           loo_error_percent=100 * (v / predicted[i] - 1) if t else None,
                           leverage=f["lev"][i], cooks_distance=f["cook"][i],
                           floor_ms=floor if backend == "hf_cpu_fp32" else None))
    for term, e, lo, hi in (("intercept", f["a"], math.nan, math.nan), ("slope", f["b"], low, high)):
        laws.append(dict(backend=backend, batch_size=1, mode=mode, x=x_name, form="power",
                         n_models=f["n"], n_blocks=BLOCKS, replication="process", term=term,
                         estimate=e, ci_low=lo, ci_high=hi, ci_method="t",
                         loo_mape=sum(errors) / len(errors) if errors else math.nan,
                         loo_p95=max(errors) if errors else math.nan,
                         form_loo_mape=sum(errors) / len(errors) if errors else math.nan,
                         form_loo_p95=max(errors) if errors else math.nan,
                         delta_aicc=4.2 if errors else None,
                         selected=str(backend == "made_up_bf16" and x_name == "bytes_read"),
                         verdict=verdict, because=because or
                         "no model is decisive"))


def others(summary, out):
    noise = []
    for backend in ("hf_cpu_fp32", "made_up_bf16"):
        for mode in MODES:
            for cell, ratio, half in (("models/tiny-gpt2|medium|b1|g64", 1.004, 0.012),
                                      ("models/gpt2-45m|medium|b1|g64", 0.997, 0.009),
                                      ("models/gpt2-75m|medium|b1|g64", 1.002, 0.008)):
                noise.append(dict(backend=backend, mode=mode, cell=cell, n_blocks=BLOCKS,
                                  aa_ratio=ratio, ci_low=ratio - half, ci_high=ratio + half,
                                  mde_percent=200 * half,
                                  closure=1.003 if mode == "e2e_kv" else None,
                                  drift_percent_per_hour=-0.8, flagged_rows=0))
    write_csv(out + "/noise_floor.csv", list(noise[0]), noise)
    tails = []
    for r in summary:
        for q, need in ((0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)):
            ok = r["n"] >= need
            tails.append(dict(backend=r["backend"], model=r["model"], scenario=r["scenario"],
                              mode=r["mode"], quantile=q, n=r["n"],
                              estimate_ms=r["latency_median_ms"] if ok else None,
                              ci_low=r["latency_median_ms"] * 0.981 if ok else None,
                              ci_high=r["latency_median_ms"] * 1.019 if ok else None,
                              note="" if ok else "n too small: %d calls, this quantile takes %d" % (r["n"], need)))
    write_csv(out + "/tails.csv", list(tails[0]), tails)
    steps = [dict(backend=b, model=m, batch_size=1, n_steps=GEN, a_ms=d / GEN * 0.98,
                  b_us_per_context_token=d / GEN * 0.5, ci_low=d / GEN * 0.45,
                  ci_high=d / GEN * 0.55, change_points="")
             for b, _, models, _ in backends() for m, _, _, d, _, _ in models]
    write_csv(out + "/steps.csv", list(steps[0]), steps)
    judged(out)
    early = [dict(backend="ollama", model=m, scenario="short", n=BLOCKS,
                  params_millions_effective_median=p, gen_tokens_target=GEN,
                  gen_tokens_raw_median=raw, early_stop_rate=1.0 if raw < GEN else 0.0,
                  done_reason_mode="stop" if raw < GEN else "length")
             for m, p, raw, _ in OLLAMA]
    write_csv(out + "/ollama_early_stop_summary.csv", list(early[0]), early)


def judged(out):
    """Invented rows of the tables of verdicts: one of each kind that the report words differently."""
    cpu, other = "hf_cpu_fp32", "made_up_bf16"

    def table(name, columns, rows):
        columns = columns.split()
        write_csv("%s/%s.csv" % (out, name), columns, [dict(zip(columns, r)) for r in rows])

    table("shape_costs", "backend batch_size mode quantity unit estimate ci_low ci_high ci_method "
          "n_models verdict because", [
              (cpu, 1, "kv_decode", "per_layer_ms", "ms", 1.31, 1.02, 1.6, "nested_bootstrap", 7,
               "supported", "no model is decisive"),
              (cpu, 1, "kv_decode", "exponent_n_layer", "exponent", 0.92, 0.71, 1.13, "t", 7,
               "not_identifiable", "without models/tiny-gpt2 it goes from 0.92 to 0.21"),
              (cpu, 1, "kv_decode", "depth_share_overhead@d=512", "share", 0.62, 0.55, 0.69, "t", 7,
               "supported", "five depths at one width"),
              (cpu, 1, "prefill", "layer_over_width", "ratio", 118.0, None, None, "fieller", 7,
               "not_identifiable", "the interval of the width cost takes in 0")])
    table("blocks", "block at_unix sentinel_gemm_ms sentinel_read_ms drift_percent flagged because "
          "read_gbps fma_gflops", [
              (b, 1750000000 + 70 * b, 10.02 + 0.01 * b, 5.01 + (0.4 if b == 3 else 0.01), 
               8.1 if b == 3 else 0.2, str(b == 3),
               "the sentinel's read took 8.1 % longer than its median" if b == 3 else "",
               GBPS + 0.1 * b, 238.0 - b) for b in range(BLOCKS)])
    table("sampling", "question target reached half_width_percent stop_reason blocks_least "
          "blocks_most calls_made calls_fixed_design saved_percent extensions", [
              ("exponent", 0.05, 0.047, 4.7, "target", 4, 6, 210, 252, 16.7, 2)])
    table("steady", "backend model scenario batch_size mode n_calls classification change_at "
          "warmup_too_short", [
              (cpu, "models/tiny-gpt2", "micro", 1, "kv_decode", 12, "flat", None, "False"),
              (cpu, "models/gpt2-5m", "micro", 1, "kv_decode", 12, "warmup", 3, "True")])
    table("regimes", "backend mode x n_breaks break_at ci_low ci_high davies_p delta_aicc "
          "slope_below slope_above verdict because", [
              (cpu, "kv_decode", "bytes_read", 0, None, None, None, 0.31, 1.2, None, None,
               "not_identifiable", "n: a break needs 5 models a side, there are 7 in all"),
              (other, "kv_decode", "bytes_read", 1, 5.1e7, 4.2e7, 6.6e7, 0.0021, 14.3, 0.41, 0.93,
               "supported", "both exponents are known apart")])
    table("crossovers", "kind mode a b x estimate ci_low ci_high p_inside verdict", [
        ("prefill_equals_decode", "", cpu + " models/gpt2-100m prefill",
         cpu + " models/gpt2-100m kv_decode", "prompt_tokens", None, 17, None, 0.02,
         "none_in_range"),
        ("decode_compute_bound", "kv_decode", other + " models/gpt2-100m", "", "batch_size", 23.0,
         18.0, 29.0, 0.99, "supported"),
        ("backend_overtakes", "kv_decode", cpu, other, "params_total", 410.0, 330.0, 520.0, 0.97,
         "supported")])
    table("first_limit", "backend family limit threshold size_at_limit ci_low ci_high order", [
        (cpu, "tr121", "itl", 20.0, 71.0, 62.0, 83.0, 1), (cpu, "tr121", "ttft", 500.0, None, 96.088,
                                                         None, None),
        (other, "tr121", "itl", 20.0, None, 96.088, None, None)])
    table("rankings", "mode size_bin backend rank p_best ratio_to_best ci_low ci_high", [
        ("kv_decode", "10-100 M", other, 1, 1.0, 1.0, None, None),
        ("kv_decode", "10-100 M", cpu, 2, 0.0, 5.8, 5.5, 6.1)])
    table("efficiency", "backend model scenario batch_size mode latency_ms floor_ms share_of_floor "
          "ci_low ci_high bound_by mbu mfu launch_ms", [
              (cpu, m, "short", 1, "kv_decode", d / GEN, p * 4 / GBPS, p * 4 / GBPS / (d / GEN),
               p * 4 / GBPS / (d / GEN) * 0.97, p * 4 / GBPS / (d / GEN) * 1.03, "memory",
               p * 4 / GBPS / (d / GEN), 0.002, None) for m, p, _, d, _, _ in MODELS])
    table("claims", "id statement verdict estimate ci_low ci_high margin evidence would_decide", [
        ("size_law", "Latency grows as a power 0.29 of total parameters", "not_identifiable", None,
         None, None, 0.05, "laws.csv: backend=hf_cpu_fp32, mode=kv_decode, x=params_total",
         "models between 0.1 and 5 million parameters"),
        ("larger_faster", "gpt2-25m decodes faster than gpt2-5m", "supported", 1.331, 1.305, 1.358,
         0.02, "medians.csv: model=models/gpt2-5m and models/gpt2-25m", ""),
        ("size_orders", "More parameters always take longer", "contradicted", 0.751, 0.736, 0.766,
         0.02, "medians.csv: model=models/gpt2-25m and models/gpt2-5m", ""),
        ("ten_million", "10M parameters as 4 layers of 2048 or 16 of 512", "ill_posed", None, None,
         None, None, "", "the two shapes at equal parameters: see its twin")])
    table("parity", "backend model probe_tokens max_rel_error tolerance top1_match verdict", [
        (cpu, "models/tiny-gpt2", 16, 3.1e-6, 1e-4, "True", "passed"),
        ("ollama", "qwen2.5:7b", None, None, None, "", "not_checkable")])
    table("cold_start", "backend model page_cache stage n median_ms ci_low ci_high "
          "requests_to_amortise", [
              (cpu, "models/gpt2-100m", "cold", "total", 6, 812.0, 790.0, 845.0, 12),
              (cpu, "models/gpt2-100m", "warm", "total", 6, 402.0, 398.0, 411.0, 6)])


def manifest(rows, out):
    count = {s: sum(r["status"] == s for r in rows)
             for s in ("ok", "error", "skipped", "flagged", "not_run")}
    json.dump({
        "format": 1, "run_id": "fixture", "run_name": "report_fixture",
        "argv": ["inferlaw", "run", "configs/scaling.yaml"], "config_path": "configs/scaling.yaml",
        "config_sha256": "0" * 56 + "f1c71005", "source_hash": "00000000f1c71005",
        "version": "0.1.0", "started_at_unix": 1750000000, "finished_at_unix": 1750000420,
        "seed": 42, "repetitions": 1, "warmup_repetitions": 1, "blocks": BLOCKS, "gen_tokens": GEN,
        "records_expected": len(rows), "results": count, "interrupted": False,
        "machine": {"host": "fixture", "os": "made-up OS", "kernel": "0.0",
                    "cpu": {"model": "made-up CPU of the fixture", "flags": "avx2", "hypervisor":
                            "kvm", "cpus_allowed": 2, "cores_allowed": 2, "governor": None},
                    "caches": {"l3_bytes": 33554432, "l3_count": 1},
                    "memory": {"total_bytes": 8589934592, "swap_bytes": 0},
                    "load1": 0.2, "steal_percent_since_boot": 0.4,
                    "spoilers": [{"what": "a hypervisor shares the CPU", "serious": False,
                                  "fix": "measure on bare metal"}]},
        "resolved": {"models": [{"name": m[0], "synthetic": True} for m in MODELS]},
        "runtimes": {"native": "0.1.0"},
    }, open(out + "/manifest.json", "w"), indent=1)


def sweep(out):
    """A sweep's combined tables: the decode share at each length, by simple arithmetic."""
    by_model, summary = [], []
    for gen in (8, 32, 64, 128):
        for backend, _, models, _ in backends():
            v = [dict(gen_tokens_target=gen, backend=backend, model=m,
                      params_millions_effective=p,
                      decode_fraction=d / GEN * gen / (d / GEN * gen + pre * 1.3))
                 for m, p, pre, d, _, _ in models]
            by_model += v
            f = sorted(r["decode_fraction"] for r in v)
            summary.append(dict(gen_tokens_target=gen, backend=backend, n_models=len(f),
                                decode_fraction_median=f[3], decode_fraction_p25=(f[1] + f[2]) / 2,
                                decode_fraction_p75=(f[4] + f[5]) / 2))
    write_csv(out + "/decode_fraction_by_model.csv", list(by_model[0]), by_model)
    write_csv(out + "/decode_fraction_summary.csv", list(summary[0]), summary)


def main():
    out = sys.argv[1]
    os.makedirs(out + "/run/analysis", exist_ok=True)
    os.makedirs(out + "/sweep", exist_ok=True)
    rows = metrics()
    write_csv(out + "/run/metrics.csv", COLUMNS, rows)
    tables(rows, out + "/run/analysis")
    manifest(rows, out + "/run")
    sweep(out + "/sweep")


main()
