#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The Python workers without their runtimes: the protocol on a runtime of the standard library, the
# same under inferlaw, and interpreters that lack what they need: rows with a status and a sentence.
set -u
inferlaw=$1/inferlaw
source=${IL_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
export IL_SOURCE_DIR=$source
work=$(mktemp -d "${TMPDIR:-/tmp}/il-pyworker.XXXXXX")
trap 'rm -rf "$work"' EXIT
export INFERLAW_RUNTIMES=$work/runtimes
failures=0
fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}
python=$(command -v python3) || { echo "SKIP: no python3"; exit 77; }

for script in "$source"/workers/python/*.py; do
    "$python" -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), feature_version=(3, 9))' "$script" ||
        fail "$script is not Python 3.9"
done
"$python" -B "$source/tests/worker/drive_python_worker.py" "$source/tests/worker/fake_runtime.py" "$work" ||
    fail "the protocol"

# Interpreters: one without packages, one whose torch does not load, one that is none.
printf '#!/bin/sh\nexec %s -S "$@"\n' "$python" >"$work/bare"
mkdir -p "$work/broken/torch" "$work/broken/transformers" "$work/broken/onnxruntime" "$work/broken/numpy"
for package in torch transformers onnxruntime numpy; do
    echo 'raise ImportError("libmissing.so.1: cannot open shared object file", name="'$package'")' \
        >"$work/broken/$package/__init__.py"
done
printf '#!/bin/sh\nexport PYTHONPATH=%s\nexec %s -S "$@"\n' "$work/broken" "$python" >"$work/torn"
chmod +x "$work/bare" "$work/torn"
# A finished installation, which is taken when the entry names no interpreter.
mkdir -p "$INFERLAW_RUNTIMES/hf/bin"
cp "$work/bare" "$INFERLAW_RUNTIMES/hf/bin/python"
echo bare >"$INFERLAW_RUNTIMES/hf/VERSION"

"$inferlaw" model make -q --suite tr121/tiny-gpt2 --out "$work/models" || fail "model make"
cat >"$work/study.yaml" <<EOF
run_name: python_workers
gen_tokens: 4
repetitions: 2
warmup_repetitions: 1
schedule: {blocks: 1, parity: false, closure: true}
scenarios: [{name: p5, prompt_tokens: 5}]
models: [{name: models/tiny-gpt2, kind: hf}]
backends:
- {name: fake, kind: hf, command: [$python, -B, $source/tests/worker/fake_runtime.py]}
- {name: fails, kind: hf, command: [$python, -B, $source/tests/worker/fake_runtime.py], options: {fail: nan}}
- {name: bare, kind: hf, python: $work/bare}
- {name: installed, kind: hf}
- {name: torn, kind: hf, python: $work/torn}
- {name: none, kind: hf, python: $work/absent}
- {name: silent, kind: hf, python: /bin/true}
- {name: graph, kind: hf, launch: graph}
EOF
(cd "$work" && "$inferlaw" run study.yaml --out-dir run --no-plots --no-analysis >out.txt 2>err.txt)
status=$?
[ $status -eq 2 ] || fail "the run ends with status $status, not 2"
cat >"$work/check.py" <<'EOF'
import collections, csv, json, sys
rows = collections.defaultdict(list)
for row in csv.DictReader(open(sys.argv[1] + "/metrics.csv")):
    rows[row["backend"]].append(row)
bad = 0
def check(backend, status, reason, part):
    global bad
    for row in rows[backend]:
        good = row["status"] == status and row["reason"] == reason and part in row["error"]
        good = good and (row["latency_ms"] != "") == (status == "ok")
        if not good:
            bad += 1
            print("FAILED:", backend, row["mode"], row["status"], row["reason"], row["error"])
    if len(rows[backend]) != 9:
        bad += 1
        print("FAILED:", backend, len(rows[backend]), "rows")
check("fake", "ok", "", "")
check("fails", "error", "NONFINITE", "decode step 1")
check("bare", "skipped", "NOT_FOUND", "no package torch, transformers")
check("installed", "skipped", "NOT_FOUND", "no package torch, transformers")
check("torn", "error", "NOT_FOUND", "libmissing.so.1")
check("none", "skipped", "NOT_FOUND", "names no program")
check("silent", "skipped", "NOT_FOUND", "answers nothing")
check("graph", "skipped", "UNSUPPORTED", "CUDA graph")
kinds = [json.loads(line)["kind"] for line in open(sys.argv[1] + "/journal.jsonl")]
if "closure" not in kinds:
    bad += 1
    print("FAILED: no unsplit call")
sys.exit(bad > 0)
EOF
"$python" "$work/check.py" "$work/run" || { fail "rows"; cat "$work/err.txt"; }
grep -q 'inferlaw runtimes install hf' "$work/err.txt" || fail "no sentence with the next step"
grep -q 'map hf=native' "$work/err.txt" || fail "the built-in engine is not offered"
[ $failures -eq 0 ]
