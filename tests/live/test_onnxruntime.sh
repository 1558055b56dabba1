#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The onnxruntime worker on a real ONNX Runtime and files of our own exporter: the same answers as
# the engine's, and providers that are not there refused, never replaced.
. "$(dirname "$0")/lib.sh"
need onnxruntime
source=${IL_SOURCE_DIR:?}
script=$source/workers/python/onnxruntime_worker.py
small=n_layer=4,d_model=128,n_head=4,vocab_size=1000,n_positions=256
make_one() {
    "$inferlaw" model make -q "$@" && "$inferlaw" model convert -q --format onnx "$work/models/$name" \
        --out "$work/models/$name.onnx" || fail "ONNX file of $name"
}
for name in tiny-gpt2 gpt2-5m; do
    make_one --suite tr121/$name --out "$work/models"
done
for name in llama qwen2.5; do
    make_one --shape "family=$name,$small,n_kv_head=2" --out "$work/models/$name"
done

# parity STATUS MODEL [key=value…]
parity() {
    local wanted=$1 model=$2 said
    shift 2
    said=$(python3 "$source/tests/live/worker_parity.py" "$build/inferlaw-worker-native" \
        "$runtimes/onnxruntime/bin/python" "$script" "$work/models/$model" \
        model="$work/models/$model.onnx" "$@" 2>>"$work/stderr")
    local status=$?
    echo "$model $*: $said"
    [ $status -eq "$wanted" ] || fail "$model $*: status $status, not $wanted"
}
for name in tiny-gpt2 gpt2-5m llama qwen2.5; do
    parity 0 $name
done
parity 3 gpt2-5m provider=cuda
parity 3 gpt2-5m device=cuda
parity 3 gpt2-5m dtype=fp16
parity 0 gpt2-5m logits=all
printf 'no model' >"$work/models/torn.onnx"
parity 3 gpt2-5m model="$work/models/torn.onnx"

cat >"$work/study.yaml" <<EOF
run_name: onnxruntime_live
gen_tokens: 8
repetitions: 2
warmup_repetitions: 1
schedule: {blocks: 1, parity: false, closure: true}
scenarios: [{name: p9, prompt_tokens: 9}]
models: [{name: models/gpt2-5m, kind: hf}]
backends:
- {name: ort, kind: onnxruntime, python: $runtimes/onnxruntime/bin/python}
- {name: batch, kind: onnxruntime, python: $runtimes/onnxruntime/bin/python, batch_size: 4}
EOF
(cd "$work" && "$inferlaw" run study.yaml --out-dir run --no-plots --no-analysis >out.txt 2>err.txt) ||
    { fail "the study"; cat "$work/err.txt"; }
python3 - "$work/run" <<'EOF' || fail "rows of the study"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1] + "/metrics.csv")))
bad = [r for r in rows if r["status"] != "ok" or not float(r["latency_ms"]) > 0]
if bad or len(rows) != 18:
    print(bad[:1], len(rows))
    sys.exit(1)
EOF
done_live
