#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The manual page and the completions say what the program knows, and an installed copy works: the
# programs find their suites, and another C program finds the engine by pkg-config.
set -u
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

"$build/inferlaw" man >"$work/man" || fail "man: exit $?"
for word in 'inferlaw compare' 'fail\\-on' 'target_ci' 'EXIT STATUS'; do
    grep -q -- "$word" "$work/man" || fail "the manual has no $word"
done
if command -v groff >/dev/null; then
    groff -k -man -Tutf8 -ww "$work/man" 2>&1 >/dev/null | grep . && fail "groff complains"
fi

"$build/inferlaw" completion bash >"$work/bash" || fail "completion: exit $?"
complete_at() { # WORDS…: what completes the last of them
    bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _inferlaw; echo "${COMPREPLY[*]}"' - "$work/bash" "$@"
}
[ "$(complete_at inferlaw ver)" = verify ] || fail "verbs: $(complete_at inferlaw ver)"
[ "$(complete_at inferlaw model insp)" = inspect ] || fail "second words"
[ "$(complete_at inferlaw run s.yaml --out)" = --out-dir ] || fail "flags: $(complete_at inferlaw run s.yaml --out)"
[ "$(complete_at inferlaw bench --dtype b)" = bf16 ] || fail "values"
"$build/inferlaw" completion fish | grep -q "__fish_use_subcommand -a verify" || fail "fish"
"$build/inferlaw" completion tcsh >/dev/null 2>"$work/err"
[ $? -eq 1 ] && grep -q 'bash, zsh or fish' "$work/err" || fail "an unknown shell"

DESTDIR="$work/root" cmake --install "$build" --prefix /usr/local >"$work/install" 2>&1 || fail "install: $(tail -n 3 "$work/install")"
root=$work/root/usr/local
[ -s "$root/share/man/man1/inferlaw.1" ] || fail "no manual page"
(cd "$work" && env -u INFERLAW_DATA "$root/bin/inferlaw" model list --suite tr121 >list 2>&1) || fail "suites: $(cat "$work/list")"
cat >"$work/try.c" <<'C'
#include <inferlaw/engine.h>
#include <stdio.h>
int main(void)
{
    il_engine_model *model;
    il_error err = {0};
    il_engine_options options = {.dtype = IL_DTYPE_F32, .n_threads = 1};
    int rc = il_engine_model_open("nothing/here", &options, &model, &err);
    puts(il_code_name(rc));
    return rc == IL_E_NOT_FOUND ? 0 : 1;
}
C
export PKG_CONFIG_PATH=$root/lib/pkgconfig
flags=$(pkg-config --define-variable=prefix="$root" --cflags --libs inferlaw 2>"$work/err") || fail "pkg-config: $(cat "$work/err")"
sanitize=
grep -q 'IL_SANITIZE:BOOL=ON' "$build/CMakeCache.txt" && sanitize=-fsanitize=address,undefined
# shellcheck disable=SC2086
cc $sanitize -o "$work/try" "$work/try.c" $flags 2>"$work/err" || fail "cc: $(head -n 3 "$work/err")"
"$work/try" >/dev/null || fail "the engine in another program"
# The example: a model whose file holds its own vocabulary writes the prompt and four tokens more.
# shellcheck disable=SC2086
cc $sanitize -o "$work/generate" "$root/share/inferlaw/examples/generate.c" $flags 2>"$work/err" ||
    fail "generate.c: $(head -n 3 "$work/err")"
"$build/inferlaw" model make --suite tr121/gpt2-5m --format gguf --gguf-type Q8_0 --out "$work" >/dev/null 2>&1
"$work/generate" "$work/gpt2-5m-Q8_0.gguf" Hello 4 >"$work/text" 2>"$work/err" || fail "generate: $(cat "$work/err")"
[ "$(head -c 5 "$work/text")" = Hello ] && [ "$(wc -c <"$work/text")" -gt 9 ] || fail "generate wrote $(cat "$work/text")"
"$work/generate" "$work/nothing.gguf" Hello 4 2>&1 | grep -q '^generate: ' || fail "generate takes a file that is not there"
[ $failures -eq 0 ]
