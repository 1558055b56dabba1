#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# inferlaw compare as a person meets it: stored runs whose truth is known, refusals, exit codes, and
# two sides interleaved in one run. The argument is the build directory.
set -u
bin=$1/inferlaw
make=${IL_SOURCE_DIR:?}/tools/synthetic_run.py
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export INFERLAW_MODELS=$dir/models TMPDIR=$dir/tmp
mkdir tmp
failed=0

expect() { # expect CODE TEXT COMMAND…
    local code=$1 text=$2
    shift 2
    "$@" >out.txt 2>err.txt </dev/null
    local rc=$?
    if [ $rc -ne "$code" ] || ! grep -qF -- "$text" out.txt err.txt; then
        echo "FAILED: $* gave $rc, wanted $code and \"$text\""
        cat out.txt err.txt
        failed=1
    fi
}
check() {
    if ! eval "$1"; then
        echo "FAILED: $1"
        cat out.txt err.txt
        failed=1
    fi
}
# verdicts: how many rows of the CSV on stdout have each verdict, as "SAME 12"
verdicts() {
    python3 -c 'import collections, csv, sys
for v, n in sorted(collections.Counter(r["verdict"] for r in csv.DictReader(sys.stdin)).items()):
    print(v, n)' <out.txt
}

# --- stored runs: the journals are made, so that the truth is known ---
synth() { # synth DIR SEED SCALE: times multiplied by SCALE
    python3 "$make" "$1" --seed "$2" --models 4 --scenarios 1 --blocks 12 --repetitions 1 \
        --block-sd 0.004 --call-sd 0.002 --model-sd 0 --slope 0.7 >/dev/null || exit 1
    python3 - "$1" "$3" <<'PY'
import json, sys, zlib
path, scale = sys.argv[1] + "/journal.jsonl", float(sys.argv[2])
out = []
for line in open(path):
    d = json.loads(line)
    d.pop("crc32")
    if d.get("t0_ns") is not None and d["kind"] in ("call", "closure", "aa"):
        t0 = d["t0_ns"]
        for key in ("t_first_ns", "t_end_ns"):
            if d.get(key):
                d[key] = t0 + int((d[key] - t0) * scale)
        if d.get("t_step_ns"):
            d["t_step_ns"] = [t0 + int((t - t0) * scale) for t in d["t_step_ns"]]
    body = json.dumps(d, separators=(",", ":"))[:-1]
    out.append('%s,"crc32":"%08x"}\n' % (body, zlib.crc32(body.encode())))
open(path, "w").writelines(out)
machine = {"host": "h", "cpu": {"model": "c", "cpus_allowed": 2}, "kernel": "k"}
json.dump({"machine": machine, "study_sha256": "0" * 64, "started_at_unix": 1e9,
           "source_hash": "s"}, open(sys.argv[1] + "/manifest.json", "w"))
PY
}
synth a 1 1; synth again 2 1; synth slow 3 1.2; synth fast 4 0.8

expect 0 'backend,model,scenario,mode,batch_size,n_a,n_b,ratio,ci_low,ci_high,p,q,verdict' \
    "$bin" compare a again --format csv
check '! verdicts | grep -q "FASTER\|SLOWER" && verdicts | grep -q "^SAME"'
check 'grep -q "noise between sittings was not measured" err.txt'
expect 0 '' "$bin" compare a slow --format csv
check '[ "$(verdicts)" = "SLOWER 12" ]'
expect 0 '' "$bin" compare a fast --format csv
check '[ "$(verdicts)" = "FASTER 12" ]'
check 'python3 -c "import csv
for r in csv.DictReader(open(\"out.txt\")):
    assert float(r[\"ci_low\"]) < 0.8 < float(r[\"ci_high\"]) or abs(float(r[\"ratio\"]) - 0.8) < 0.02, r
    assert r[\"n_a\"] == r[\"n_b\"] == \"12\" and float(r[\"q\"]) < 0.001"'
# the way there is the way back
"$bin" compare slow a --format csv >out.txt 2>err.txt
check '[ "$(verdicts)" = "FASTER 12" ]'
# a run against itself is the same
expect 0 '' "$bin" compare a a --format csv
check '[ "$(verdicts)" = "SAME 12" ]'
# exit codes
expect 5 '' "$bin" compare a slow --fail-on slower
expect 0 '' "$bin" compare a fast --fail-on slower
expect 0 '' "$bin" compare a again --fail-on slower
expect 1 'outside' "$bin" compare a slow --margin 7
# formats
expect 0 '| backend | model | scenario | mode | batch_size | n_a | n_b | ratio |' "$bin" compare a slow
expect 0 '"verdict": "SLOWER"' "$bin" compare a slow --format json
check 'python3 -c "import json; rows = json.load(open(\"out.txt\")); assert len(rows) == 12 and rows[0][\"n_a\"] == 12"'
expect 0 '"verdict": "SLOWER"' "$bin" compare a slow --json
expect 1 'must be one of' "$bin" compare a slow --format xml
# noise between sittings: five sittings that differ by more than the change leave it open
for i in 1 2 3 4 5; do synth s$i $((10 + i)) "$(python3 -c "print([1.0, 1.15, 0.9, 1.2, 0.85][$i - 1])")"; done
expect 0 '' "$bin" compare a slow --format csv --sittings s1,s2,s3,s4,s5
check '[ "$(verdicts)" = "AMBIGUOUS 12" ]'
rm -r s?
# … and sittings that agree do not
for i in 1 2 3 4 5; do synth s$i $((20 + i)) 1; done
expect 0 '' "$bin" compare a slow --format csv --sittings s1,s2,s3,s4,s5
check '[ "$(verdicts)" = "SLOWER 12" ]'
expect 1 'takes 3 to' "$bin" compare a slow --sittings s1,s2

# --- refusals ---
expect 1 'compare needs A B' "$bin" compare
expect 1 'no such run directory' "$bin" compare a nowhere
expect 1 'NAME@a' "$bin" compare a
cp -r slow other && sed -i 's/"host": "h"/"host": "g"/' other/manifest.json
expect 1 'different machines' "$bin" compare a other
expect 0 'compared because of --force' "$bin" compare a other --force
cp -r slow study && sed -i 's/"00/"01/' study/manifest.json
expect 1 'different studies' "$bin" compare a study
cp -r slow bare && rm bare/manifest.json
expect 1 'no manifest' "$bin" compare a bare
expect 5 'no manifest' "$bin" compare a bare --force --fail-on slower
cp -r a broken && sed -i '9s/"ok"/"OK"/' broken/journal.jsonl
expect 4 'broken/journal.jsonl:9' "$bin" compare a broken
# the head at every position is other work in prefill, and the same in decode
cp -r slow headed && python3 - <<'PY'
import json, zlib
lines = open("headed/journal.jsonl").readlines()
for i, line in enumerate(lines):
    d = json.loads(line)
    if d["kind"] == "plan":
        d.pop("crc32")
        for backend in d["backends"]:
            backend["logits"] = "all"
        body = json.dumps(d, separators=(",", ":"))[:-1]
        lines[i] = '%s,"crc32":"%08x"}\n' % (body, zlib.crc32(body.encode()))
open("headed/journal.jsonl", "w").writelines(lines)
PY
expect 0 'not the same work: logits' "$bin" compare a headed --force --format csv
check '[ "$(verdicts | tr "\n" " ")" = "AMBIGUOUS 8 SLOWER 4 " ]'
# foreign runs: a repetition is a replicate
mkdir f g
python3 - <<'PY'
import random
rng = random.Random(5)
for name, scale in (("f", 1.0), ("g", 1.3)):
    with open(name + "/metrics.csv", "w") as out:
        out.write("backend,model,mode,status,latency_ms,rep\n")
        for rep in range(10):
            out.write("x,m,prefill,ok,%.4f,%d\n" % (scale * 10 * rng.gauss(1, 0.01), rep))
            out.write("x,m,kv_decode,ok,%.4f,%d\n" % (50 * rng.gauss(1, 0.01), rep))
        out.write("%s,alone,prefill,ok,1,0\n" % name)
PY
expect 1 'no manifest' "$bin" compare f g
expect 0 'not compared: 1 cells that A has alone, 1 that B has alone' "$bin" compare f g --force --format csv
check 'grep -q "x,m,__none__,prefill,1,10,10,1.*SLOWER" out.txt'
check 'grep -q "x,m,__none__,kv_decode,1,10,10,.*SAME" out.txt'
check '[ ! -e f/analysis ] && [ -z "$(ls tmp)" ]'

# --- live ---
cat >live.yaml <<'YAML'
run_name: live
gen_tokens: 8
repetitions: 1
schedule: {blocks: 10, sentinel: false, aa: false, closure: false}
suites: [tr121/gpt2-5m]
scenarios: [{name: p64, prompt_tokens: 64}]
backends:
- {name: x, kind: native, threads: 1, isa: auto}
- {name: y, kind: native, threads: 1, isa: reference}
YAML
expect 1 'needs two sides' "$bin" compare --live live.yaml
expect 1 'go together' "$bin" compare --live live.yaml --a x
expect 1 'no backend entry "z"' "$bin" compare --live live.yaml --a x --b z
expect 1 'did you mean threads' "$bin" compare --live live.yaml --set-a thread=1
expect 1 'is no setting' "$bin" compare --live live.yaml --set-a threads
expect 1 'never compared' "$bin" compare --live live.yaml --set-b batch_size=2
expect 1 'never compared' "$bin" compare --live live.yaml --set-b logits=all
expect 1 'inferlaw-worker-native' "$bin" compare --live live.yaml --build-a "$1" --build-b nowhere
expect 1 'belongs to --live' "$bin" compare a slow --set-a threads=1
expect 1 'one STUDY' "$bin" compare --live a b --set-a threads=1
check '[ -z "$(ls -d runs 2>/dev/null)" ]'

# two backends: the reference kernels are slower, whatever else the machine does
expect 5 'x vs y,gpt2-5m,p64,prefill' "$bin" compare --live live.yaml --a x --b y --fail-on slower \
    --format csv -o l1 --blocks 12
check 'verdicts | grep -q SLOWER && ! verdicts | grep -q FASTER'
# the same from the other side, by settings; the kept run shows it again
expect 0 '' "$bin" compare --live live.yaml --backends y --set-b isa=auto --format csv -o l2 --blocks 12 -q
check 'grep -q "^y,gpt2-5m,p64,prefill" out.txt && verdicts | grep -q FASTER'
cp out.txt first.txt
expect 0 '' "$bin" compare l2 --format csv
check 'cmp -s first.txt out.txt'
check 'grep -q "\"y@a\"" l2/manifest.json && [ -s l2/analysis/medians.csv ]'
# both sides of a pair stand next to each other, in both orders
check 'python3 - <<PY
import json
order = [(d["block"], d["cell"]) for d in map(json.loads, open("l2/journal.jsonl"))
         if d["kind"] == "call" and not d["is_warmup"]]
assert len(order) == 24 and all(order[i][0] == order[i + 1][0] for i in range(0, 24, 2)), order
assert len({order[i][1] for i in range(0, 24, 2)}) == 2, order
PY'
# two builds: the same program twice gives no change
expect 0 '' "$bin" compare --live live.yaml --backends x --build-a "$1" --build-b "$1" --format csv -o l3 -q
check '! verdicts | grep -q "FASTER\|SLOWER"'
check 'grep -q "inferlaw-worker-native" l3/manifest.json'
# what on: says of an entry holds for both of its sides
sed 's/^suites.*/models: [{name: m, on: [x]}]/; s/kind: native/kind: noop/' live.yaml >on.yaml
expect 0 'x,m,p64,e2e_kv' "$bin" compare --live on.yaml --set-b threads=2 --format csv -o l4 -q --blocks 3
check '! grep -q "^y," out.txt'
exit $failed
