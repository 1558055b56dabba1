#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Real weights that packages carry, gemma3-270m (Q4_K_M) and SmolLM2-135M (Q4_1): the same files on
# the engine, Ollama and llama.cpp's server, with parity on each that can be checked: Ollama names
# tokens by their text, and we read no SentencePiece vocabulary, which Gemma's is.
. "$(dirname "$0")/lib.sh"
need models ollama llama.cpp-light
cd "$work" || exit 1
cat >study.yaml <<YAML
run_name: live_real
gen_tokens: 8
repetitions: 1
warmup_repetitions: 1
schedule: {blocks: 1}
scenarios: [{name: p24, prompt_tokens: 24}]
backends:
- {name: native, kind: native, threads: 1}
- {name: ollama, kind: ollama, serve: auto, threads: 1}
- {name: llamacpp, kind: openai, server: llama.cpp, serve: auto, threads: 1}
models:
- {name: $smollm, kind: hf, params_millions: 134.5}
- {name: $gemma, kind: hf, params_millions: 268.1}
YAML
run_marked run study.yaml -o run --no-plots -q >out 2>&1 || fail "the run left with $?: $(tail -n 5 out)"
python3 - run <<'PY' || fail "the run is not as it should be"
import csv, sys
bad = []
rows = list(csv.DictReader(open(sys.argv[1] + "/metrics.csv")))
models = sorted({r["model"] for r in rows})
if len(rows) != 3 * 2 * 2 * 3 or len(models) != 2:
    bad.append(f"{len(rows)} rows of {models}")
for r in rows:
    early = "early_stop" in r["flags"].split()
    if r["status"] != "ok" or not float(r["latency_ms"]) > 0 or (int(r["decode_steps"]) != 8 and not early):
        bad.append(f"{r['backend']} {r['model']} {r['mode']}: {r['status']} {r['reason']} {r['error']} "
                   f"{r['decode_steps']} {r['flags']}")
parity = list(csv.DictReader(open(sys.argv[1] + "/analysis/parity.csv")))
for p in parity:
    print("parity", p["backend"], p["model"].split("/")[-1], p["verdict"], p["max_rel_error"], p["median_rel_error"],
          "of", p["tolerance"], p["top1_match"], p["because"])
    unread = p["backend"] == "ollama" and "gemma" in p["model"] and "no tokenizer here" in p["because"]
    if p["verdict"] != ("not_checkable" if unread else "passed"):
        bad.append(f"parity: {p}")
if len(parity) != 6:
    bad.append(f"{len(parity)} rows of parity")
for line in bad:
    print(line)
sys.exit(bool(bad))
PY
nothing_marked_left
done_live
