#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The verb `model logits`: size of its file, the same bytes again, exit codes, nothing half-written.
set -u
inferlaw="$1/inferlaw"
dir=$(mktemp -d /tmp/il-test-logits-XXXXXX)
trap 'rm -rf "$dir"' EXIT
failures=0

expect() { # exit code, what, command…
    local want=$1 what=$2
    shift 2
    "$@" >"$dir/stdout" 2>"$dir/stderr"
    local got=$?
    if [ "$got" -ne "$want" ]; then
        echo "$what: exit code $got, not $want"
        cat "$dir/stderr"
        failures=$((failures + 1))
    fi
}

fail() {
    echo "$1"
    failures=$((failures + 1))
}

shape=family=llama,n_layer=2,d_model=24,n_head=4,n_kv_head=2,vocab_size=50,n_positions=16
expect 0 "make" "$inferlaw" model make --shape "$shape" --out "$dir/m" --quiet
expect 0 "logits" "$inferlaw" model logits "$dir/m" --ids 1,2,3 --steps 4 --out "$dir/a"
[ "$(stat -c %s "$dir/a")" = $((7 * 50 * 4)) ] || fail "7 rows of 50 floats are not in the file"
[ -s "$dir/stdout" ] && fail "stdout is not empty"
expect 0 "again" "$inferlaw" model logits "$dir/m" --ids 1,2,3 --steps 4 --out "$dir/b"
cmp -s "$dir/a" "$dir/b" || fail "the same call gives other bytes"

expect 1 "no ids" "$inferlaw" model logits "$dir/m" --out "$dir/c"
expect 1 "no model" "$inferlaw" model logits "$dir/none" --ids 1 --out "$dir/c"
expect 1 "id outside" "$inferlaw" model logits "$dir/m" --ids 1,50 --out "$dir/c"
grep -q "vocabulary of 50" "$dir/stderr" || fail "the complaint does not name the vocabulary"
expect 1 "context" "$inferlaw" model logits "$dir/m" --ids 1,2 --steps 15 --out "$dir/c"
grep -q "16 positions" "$dir/stderr" || fail "the complaint does not name the positions"
expect 1 "dtype" "$inferlaw" model logits "$dir/m" --ids 1 --dtype fp16 --out "$dir/c"
expect 1 "no directory for the output" \
    "$inferlaw" model logits "$dir/m" --ids 1 --out "$dir/none/c"
[ -e "$dir/c" ] && fail "a failed call left its file"

# A NaN in the last tensor of the file reaches the logits.
truncate -s -4 "$dir/m/model.safetensors"
printf '\377\377\377\377' >>"$dir/m/model.safetensors"
expect 2 "NaN weight" "$inferlaw" model logits "$dir/m" --ids 1,2,3 --out "$dir/c"
grep -q "not finite" "$dir/stderr" || fail "the complaint does not say what is wrong"
[ -e "$dir/c" ] && fail "logits that are not finite were written"
exit $((failures > 0))
