#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The hf worker on real PyTorch and transformers, the light pair: the same weights must give the same
# answers as the engine's, in both loops.
. "$(dirname "$0")/lib.sh"
need hf-light
. "$(dirname "$0")/hf_models.sh"
for model in tiny-gpt2 gpt2-5m llama qwen2.5 pythia opt; do
    parity hf-light 0 $model
done
parity hf-light 0 gpt2-5m logits=all
parity hf-light 0 gpt2-5m logits=all compat=tr121
parity hf-light 0 gpt2-5m dtype=bf16 tolerance=0.05
# What this pair cannot do is refused with a sentence.
parity hf-light 3 gemma3
parity hf-light 3 gpt2-5m dtype=fp16
parity hf-light 3 gpt2-5m attention=sdpa
parity hf-light 3 gpt2-5m kv_cache=static
parity hf-light 3 gpt2-5m launch=compile
parity hf-light 3 gpt2-5m launch=graph

cat >"$work/study.yaml" <<EOF
run_name: hf_live
gen_tokens: 8
repetitions: 2
warmup_repetitions: 1
schedule: {blocks: 1, parity: false, closure: true}
scenarios: [{name: p9, prompt_tokens: 9}]
models: [{name: models/tiny-gpt2, kind: hf}, {name: models/gpt2-5m, kind: hf}]
backends:
- {name: hf, kind: hf, python: $runtimes/hf-light/bin/python}
- {name: batch, kind: hf, python: $runtimes/hf-light/bin/python, batch_size: 4}
- {name: original, kind: hf, python: $runtimes/hf-light/bin/python, compat: tr121}
- {name: native, kind: native}
EOF
(cd "$work" && "$inferlaw" run study.yaml --out-dir run --no-plots --no-analysis >out.txt 2>err.txt) ||
    { fail "the study"; cat "$work/err.txt"; }
python3 - "$work/run" <<'EOF' || fail "rows of the study"
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1] + "/metrics.csv")))
bad = [r for r in rows if r["status"] != "ok" or not float(r["latency_ms"]) > 0]
cold = [json.loads(l) for l in open(sys.argv[1] + "/journal.jsonl")]
names = {s["name"] for l in cold if l["kind"] == "cold" and l["backend"] == "hf" for s in l["stages"]}
if bad or len(rows) != 4 * 2 * 9 or not {"spawn", "hello", "import", "config", "weights"} <= names:
    print(bad[:1], len(rows), names)
    sys.exit(1)
EOF
done_live
