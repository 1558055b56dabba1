# SPDX-License-Identifier: GPL-3.0-or-later
# What both tests of the hf worker share: small models, and the comparison with the engine; sourced.
# shellcheck shell=bash
source=${IL_SOURCE_DIR:?}
script=$source/workers/python/hf_transformers.py
small=n_layer=4,d_model=128,n_head=4,vocab_size=1000,n_positions=256
"$inferlaw" model make -q --suite tr121/tiny-gpt2 --out "$work/models" &&
    "$inferlaw" model make -q --suite tr121/gpt2-5m --out "$work/models" || fail "model make"
for family in llama qwen2.5; do
    "$inferlaw" model make -q --shape "family=$family,$small,n_kv_head=2" --out "$work/models/$family" ||
        fail "model make $family"
done
for family in pythia opt; do
    "$inferlaw" model make -q --shape "family=$family,$small" --out "$work/models/$family" ||
        fail "model make $family"
done
"$inferlaw" model make -q --shape "family=gemma3,n_layer=6,d_model=128,n_head=4,vocab_size=1000,n_positions=256,n_kv_head=1,sliding_window=16,d_head=32" \
    --out "$work/models/gemma3" || fail "model make gemma3"

# parity RUNTIME STATUS MODEL [key=value…]
parity() {
    local runtime=$1 wanted=$2 model=$3 said
    shift 3
    said=$(python3 "$source/tests/live/worker_parity.py" "$build/inferlaw-worker-native" \
        "$runtimes/$runtime/bin/python" "$script" "$work/models/$model" "$@" 2>>"$work/stderr")
    local status=$?
    echo "$runtime $model $*: $said"
    [ $status -eq "$wanted" ] || fail "$runtime $model $*: status $status, not $wanted"
}
