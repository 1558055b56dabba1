#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One study file over the engine and the four light runtimes: the study makes the models and each
# runtime's own file of them, starts and stops the servers, every runtime gives the reference's
# answers, every planned row is there, and nothing is left behind.
. "$(dirname "$0")/lib.sh"
need llama.cpp-light onnxruntime hf-light ollama
cd "$work" || exit 1
cat >study.yaml <<YAML
run_name: live_cross
gen_tokens: 8
repetitions: 2
warmup_repetitions: 1
schedule: {blocks: 1}
suites: [tr121/tiny-gpt2, tr121/gpt2-5m]
scenarios: [{name: p9, prompt_tokens: 9}]
backends:
- {name: native, kind: native, threads: 1}
- {name: hf, kind: hf, threads: 1, python: $runtimes/hf-light/bin/python}
- {name: onnxruntime, kind: onnxruntime, threads: 1}
- {name: ollama, kind: ollama, serve: auto, threads: 1}
- {name: llamacpp, kind: openai, server: llama.cpp, serve: auto, threads: 1}
YAML
run_marked run study.yaml -o run --no-plots -q >out 2>&1 || fail "the run left with $?: $(tail -n 5 out)"
python3 - run 'native hf onnxruntime ollama llamacpp' 'tiny-gpt2 gpt2-5m' <<'PY' || fail "the run is not as it should be"
import csv, glob, sys
run, backends, models = sys.argv[1], sys.argv[2].split(), sys.argv[3].split()
bad = []
rows = list(csv.DictReader(open(run + "/metrics.csv")))
for backend in backends:
    for model in models:
        cell = [r for r in rows if r["backend"] == backend and r["model"].split("/")[-1] == model]
        for mode in ("prefill", "kv_decode", "e2e_kv"):
            of = [r for r in cell if r["mode"] == mode]
            if len(of) != 3 or any(r["status"] != "ok" or not float(r["latency_ms"]) > 0 for r in of):
                bad.append(f"{backend} {model} {mode}: " + "; ".join(
                    f"{r['status']} {r['reason']} {r['error']} {r['latency_ms']}" for r in of))
        if any(int(r["decode_steps"]) != 8 for r in cell if r["mode"] == "kv_decode" and r["status"] == "ok"):
            bad.append(f"{backend} {model}: steps {[r['decode_steps'] for r in cell]}")
if len(rows) != 3 * 3 * len(backends) * len(models):
    bad.append(f"{len(rows)} rows")
parity = {(p["backend"], p["model"].split("/")[-1]): p for p in csv.DictReader(open(run + "/analysis/parity.csv"))}
for backend in backends:
    for model in models:
        p = parity.get((backend, model), {})
        print("parity", backend, model, p.get("verdict"), p.get("max_rel_error"), "of", p.get("tolerance"))
        if p.get("verdict") != "passed":
            bad.append(f"parity {backend} {model}: {p}")
for model in models:
    for ending in ("-F32.gguf", "-fp32.onnx"):
        if len(glob.glob(f"models/{model}*{ending}")) != 1:
            bad.append(f"the study made no {model}*{ending}")
for line in bad:
    print(line)
sys.exit(bool(bad))
PY
nothing_marked_left
"$inferlaw" verify run >out 2>&1 || fail "verify: $(tail -n 3 out)"
done_live
