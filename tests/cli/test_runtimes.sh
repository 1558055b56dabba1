#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# inferlaw runtimes with installers that install nothing but a shell script: whole or not at all,
# resumed, repeated, renewed by --force or another recipe. No package index is asked.
set -u
build=$1
source=${IL_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
export INFERLAW_DATA=$work/data INFERLAW_RUNTIMES="$work/run times"
mkdir -p "$work/data/tools/runtimes"
cp "$source/tools/runtimes/lib.sh" "$work/data/tools/runtimes/"
runtimes() { "$build/inferlaw" runtimes "$@" >"$work/out" 2>"$work/err"; }

# A runtime whose second step fails as long as $work/broken is there.
installer() { # RECIPE
    cat >"$work/data/tools/runtimes/ollama.sh" <<SCRIPT
. "\$(dirname "\$0")/lib.sh"
version() { "\$build/bin/ollama"; }
first() { echo x >>"$work/first"; touch "\$build/first-done"; }
second() { [ ! -e "$work/broken" ] || { echo "no space, says the compiler"; return 1; }; printf '#!/bin/sh\necho ollama $1.0\n' >"\$build/bin/ollama"; chmod +x "\$build/bin/ollama"; }
begin ollama $1 "\$@"
[ -e "\$build/first-done" ] || step the first -- first
step the second -- second
finish
SCRIPT
}
installer 1

runtimes list || fail "list: $(cat "$work/err")"
grep -q '^ollama .*inferlaw runtimes install ollama$' "$work/out" || fail "list: $(cat "$work/out")"
runtimes path && [ "$(cat "$work/out")" = "$INFERLAW_RUNTIMES" ] || fail "path: $(cat "$work/out")"
runtimes path ollama && fail "a path of what is not there"
grep -q 'inferlaw runtimes install ollama' "$work/err" || fail "no command: $(cat "$work/err")"
runtimes install olama
[ $? -eq 1 ] && grep -q 'runtimes list' "$work/err" || fail "an unknown name"

touch "$work/broken"
runtimes install ollama
[ $? -eq 1 ] || fail "a failing installer: exit $?"
grep -q 'says the compiler' "$work/err" || fail "the compiler's words are lost: $(cat "$work/err")"
[ ! -s "$work/out" ] || fail "talk on stdout: $(cat "$work/out")"
[ ! -e "$INFERLAW_RUNTIMES/ollama" ] || fail "half a runtime is there"
rm "$work/broken"
runtimes install ollama || fail "resumed: $(cat "$work/err")"
[ "$(cat "$work/first")" = x ] || fail "what was done is done again"
runtimes path ollama && [ "$("$(cat "$work/out")")" = "ollama 1.0" ] || fail "the program does not run"
[ ! -e "$INFERLAW_RUNTIMES/ollama/.work" ] || fail "what was needed on the way stays"

runtimes install ollama && grep -q 'already there' "$work/err" || fail "again: $(cat "$work/err")"
runtimes list --json
python=$(command -v python3 || true)
[ -z "$python" ] || "$python" -c "
import json, sys
row = [r for r in json.load(open('$work/out')) if r['name'] == 'ollama'][0]
sys.exit(row['version'] != 'ollama 1.0' or row['install'] is not None)" || fail "list --json: $(cat "$work/out")"

runtimes install --force ollama || fail "--force: $(cat "$work/err")"
[ "$(wc -l <"$work/first")" = 2 ] || fail "--force did not begin anew"
installer 2
runtimes install ollama || fail "another recipe: $(cat "$work/err")"
[ "$(cat "$INFERLAW_RUNTIMES/ollama/VERSION")" = "ollama 2.0" ] || fail "the old one is still there"
[ ! -e "$INFERLAW_RUNTIMES/.builds/ollama-1" ] || fail "the old build stays"

# What answers no more is installed again.
rm "$INFERLAW_RUNTIMES/ollama/bin/ollama"
runtimes install ollama || fail "mending: $(cat "$work/err")"
runtimes path ollama || fail "mended, and not there"

# The shipped scripts: well formed, one for each name of the list.
unset INFERLAW_DATA
for name in $("$build/inferlaw" runtimes list | awk 'NR > 1 { print $1 }'); do
    bash -n "$source/tools/runtimes/$name.sh" || fail "$name.sh"
done
[ $failures -eq 0 ]
