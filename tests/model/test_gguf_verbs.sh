#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# GGUF files as a person makes them: model make --format and model convert.
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
expect 0 'made, Q8_0, 28 tensors (9 quantised)' model make --shape $shape --format hf,gguf --gguf-type Q8_0 --out m/a/
[ "$(ls m | tr '\n' ' ')" = 'a a-Q8_0.gguf ' ] || fail "m holds $(ls m)"
expect 0 'kept, identical, Q8_0' model make --shape $shape --format gguf --gguf-type Q8_0 --out m/a
expect 1 'try: --force replaces it' model make --shape $shape --format gguf --gguf-type Q8_0 --out m/a --seed 1
expect 0 'made, Q4_K_M' model convert m/a --format gguf --gguf-type Q4_K_M --out m/k.gguf
expect 0 '7 tensors have another type' model convert m/a --gguf-type Q4_K_M --out k2.gguf
cmp m/k.gguf k2.gguf || fail 'converting twice gives two files'
grep -qaF 'blk.0.attn_qkv.weight Q5_K Q5_0' k2.gguf || fail 'the fallback is not in the metadata'

# the engine reads them
expect 0 'Q4_K_M' model inspect m/k.gguf
expect 0 '"gguf_type": "Q8_0"' model inspect m/a-Q8_0.gguf --json
expect 0 'rows of 96 float32 logits' model logits m/a-Q8_0.gguf --ids 1,2,3 --steps 2 --out q.f32
expect 0 ', Q8_0, expanded)' model logits m/a-Q8_0.gguf --ids 1,2,3 --steps 2 --out e.f32 --expand
[ "$(stat -c %s q.f32)" = $((5 * 96 * 4)) ] || fail "q.f32 has $(stat -c %s q.f32) bytes"
sed 's/gpt2/gpt3/' m/k.gguf >strange.gguf
expect 1 'architecture "gpt3" is not supported' model logits strange.gguf --ids 1 --out no.f32
expect 1 'the nearest supported one is "gpt2"' model inspect strange.gguf
head -c 5000 m/k.gguf >cut.gguf
expect 4 'beyond the end of the file' model logits cut.gguf --ids 1 --out no.f32
[ ! -e no.f32 ] || fail 'a refusal left logits'

expect 0 'not made: no tensor of tiny-gpt2' model make --suite tr121/tiny-gpt2 --format hf,gguf --gguf-type Q4_0 --out t
[ "$(ls t)" = tiny-gpt2 ] || fail "t holds $(ls t)"
expect 1 'no tensor of tiny-gpt2' model convert t/tiny-gpt2 --gguf-type Q8_0 --out t.gguf
expect 0 'made, F32' model convert t/tiny-gpt2 --out t.gguf
expect 1 'another file stands here' model convert m/a --out t.gguf
expect 1 'needs --out' model convert t/tiny-gpt2
expect 1 'without a GGUF file' model make --shape $shape --gguf-type Q8_0 --out y
expect 1 'opt models are not written' model make --shape family=opt,n_layer=2,d_model=64,n_head=4 --format gguf --out o
expect 1 'F32|F16|BF16' model convert m/a --gguf-type Q9 --out y.gguf
printf '\0\0\300\177' | dd of=m/a/model.safetensors bs=1 seek=$(($(stat -c %s m/a/model.safetensors) - 4)) conv=notrunc 2>/dev/null
expect 2 'is not finite' model convert m/a --gguf-type Q8_0 --out nan.gguf
[ -z "$(ls | grep -E 'nan|tmp|^y|^o$')" ] || fail "a refusal left $(ls)"

[ $failures -eq 0 ] && echo ok
exit $((failures > 0))
