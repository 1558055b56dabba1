#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# model make, list and inspect as a person calls them, from a directory that is not the source tree.
set -u
inferlaw=$1/inferlaw
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# expect CODE TEXT ARGUMENTS…: the exit code, and a text on stdout or stderr
expect() {
    local code=$1 text=$2
    shift 2
    "$inferlaw" "$@" >out 2>err
    local got=$?
    [ $got -eq "$code" ] || fail "inferlaw $*: exit $got, wanted $code: $(cat err)"
    grep -qF -- "$text" out err || fail "inferlaw $*: no \"$text\" in: $(cat out err)"
}

expect 0 'made, 0.103M parameters' model make --suite tr121/tiny-gpt2 --out m
[ "$(ls m)" = tiny-gpt2 ] || fail "m holds $(ls m)"
[ "$(ls m/tiny-gpt2 | tr '\n' ' ')" = 'config.json inferlaw.json model.safetensors tokenizer.json tokenizer_config.json ' ] ||
    fail "the model holds $(ls m/tiny-gpt2)"
expect 0 'kept, identical' model make --suite tr121/tiny-gpt2 --out m
expect 1 'try: --force replaces it' model make --suite tr121/tiny-gpt2 --out m --seed 1
expect 0 'made' model make --suite tr121/tiny-gpt2 --out m --seed 1 --force
expect 0 'made' model make --hf-config m/tiny-gpt2/config.json --out copy --seed 1
cmp m/tiny-gpt2/model.safetensors copy/model.safetensors || fail 'config.json does not remake the model'
expect 0 'made' model make --shape family=gpt2,n_layer=2,d_model=2,n_head=2 --out flags --seed 1
cmp m/tiny-gpt2/model.safetensors flags/model.safetensors || fail 'the shape in flags is another model'
"$inferlaw" model make -q --suite tr121/tiny-gpt2 --out quiet >out 2>err
[ -s out ] || [ -s err ] && fail 'quiet is not quiet'

expect 1 'one of --suite, --hf-config, --shape' model make --out x
expect 1 'needs --out' model make --suite tr121
expect 1 'did you mean "tr121/tiny-gpt2"?' model make --suite tr121/tiny-gpt --out x
expect 1 'did you mean "tr121"?' model make --suite tr12 --out x
echo '{"model_type":"gpt5"}' >gpt5.json
expect 1 'the nearest supported one is "gpt2"' model make --hf-config gpt5.json --out x
expect 2 'free some space' model make --suite llama/llama-3.1-405b --out x
[ -e x ] && fail 'a refusal left something behind'

expect 0 'gpt2-100m' model list --suite tr121
expect 0 'ladder11' model list
expect 0 '"params_total": 96088320' model list --suite 'tr121>=100m' --json
expect 1 'no suite' model list --suite nothing
expect 0 'parameters, measured' model inspect m/tiny-gpt2
expect 0 '"params_measured": 102714' model inspect m/tiny-gpt2 --json
expect 0 '"params_active": 3353032704' model inspect --suite qwen3/qwen3-30b-a3b --json
expect 1 'names 7 models' model inspect --suite tr121
expect 1 'heads do not divide' model inspect --shape family=gpt2,n_layer=2,d_model=10,n_head=3
expect 1 'no such directory' model inspect nowhere
truncate -s 1000 m/tiny-gpt2/model.safetensors
expect 4 'damaged or incomplete' model inspect m/tiny-gpt2

# Ctrl-C: nothing half-written stays.
"$inferlaw" model make -q --suite gpt2/gpt2-xl --out big 2>err &
pid=$!
for _ in $(seq 100); do
    [ -n "$(ls big 2>/dev/null)" ] && break
    sleep 0.02
done
kill -INT $pid
wait $pid
[ $? -ne 0 ] || fail 'an interrupted make says it is done'
[ -z "$(ls big)" ] || fail "an interrupted make left $(ls big)"

[ $failures -eq 0 ] && echo ok
exit $((failures > 0))
