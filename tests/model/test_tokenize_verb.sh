#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# model tokenize as a person calls it.
set -u
inferlaw=$1/inferlaw
golden=$IL_SOURCE_DIR/tests/golden/tokenizer
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

one=$(printf 'the law' | "$inferlaw" model tokenize "$golden/gpt2.json") || fail "exit $?"
lines=$(printf '"the law"\n""\n"a\\nb"\n' | "$inferlaw" model tokenize "$golden/gpt2.json" --lines) || fail "exit $?"
[ "$(sed -n 1p <<<"$lines")" = "$one" ] || fail "a line has other ids than the text: $lines"
[ "$(wc -l <<<"$lines")" -eq 3 ] || fail "three texts, not three lines: $lines"
[ -z "$(sed -n 2p <<<"$lines")" ] || fail "an empty text has ids"
special=$(printf 'the law' | "$inferlaw" model tokenize "$golden/llama3.json" --special)
[ "${special%% *}" = 0 ] || fail "no begin token in: $special"

printf 'the\n' | "$inferlaw" model tokenize "$golden/gpt2.json" --lines >out 2>err
[ $? -eq 1 ] && grep -q 'stdin:1' err || fail "a line that is no JSON: $(cat err)"
printf 'x' | "$inferlaw" model tokenize . >out 2>err
[ $? -eq 1 ] && grep -q 'vocab.json' err || fail "no tokenizer there: $(cat err)"
[ ! -s out ] || fail "something on stdout beside an error"
[ $failures -eq 0 ]
