#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ONNX files as a person makes them: model make --format onnx and model convert --format onnx.
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

shape=family=gpt2,n_layer=2,d_model=64,n_head=4,vocab_size=96,n_positions=32
expect 0 'a-fp32.onnx: made, fp32, contrib operators' model make --shape $shape --format hf,onnx --out m/a/
[ "$(ls m | tr '\n' ' ')" = 'a a-fp32.onnx ' ] || fail "m holds $(ls m)"
expect 0 'kept, identical, fp32' model make --shape $shape --format onnx --out m/a
expect 1 'try: --force replaces it' model make --shape $shape --format onnx --out m/a --seed 1
expect 0 'made, fp32' model convert m/a --format onnx --out again.onnx
cmp m/a-fp32.onnx again.onnx || fail 'make and convert give two files'
expect 0 'made, fp16, standard operators' model convert m/a --format onnx --dtype fp16 --onnx-ops standard --out half.onnx
expect 0 'made, bf16' model make --shape $shape --format onnx --dtype bf16 --out m/a

expect 0 'standard operators' model make --suite tr121/tiny-gpt2 --format onnx --out t
[ "$(ls t)" = tiny-gpt2-fp32.onnx ] || fail "t holds $(ls t)"
expect 1 'multiples of 8' model make --suite tr121/tiny-gpt2 --format onnx --onnx-ops contrib --out u
expect 1 'another file stands here' model convert m/a --format onnx --out again.onnx --dtype fp16
expect 1 'needs --out' model convert m/a --format onnx
expect 1 '--gguf-type says nothing' model convert m/a --format onnx --gguf-type Q8_0 --out y.onnx
expect 1 '--dtype says nothing' model convert m/a --dtype fp16 --out y.gguf
expect 1 'without an ONNX file' model make --shape $shape --onnx-ops standard --out y
expect 1 'gpt-oss models with attention sinks are not written as ONNX' model make \
    --shape family=gpt-oss,n_layer=2,d_model=64,n_head=4 --format onnx --out o
printf '\0\0\300\177' | dd of=m/a/model.safetensors bs=1 seek=$(($(stat -c %s m/a/model.safetensors) - 4)) conv=notrunc 2>/dev/null
expect 2 'is not finite' model convert m/a --format onnx --out nan.onnx
[ -z "$(ls | grep -E 'nan|tmp|^y|^o$')" ] || fail "a refusal left $(ls)"

[ $failures -eq 0 ] && echo ok
exit $((failures > 0))
