#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# inferlaw verify: an untouched run follows from its journal; one changed digit anywhere is caught
# and named; nothing is written into the run. The argument is the build directory.
set -u
bin=$1/inferlaw
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export INFERLAW_MODELS=$dir/models TMPDIR=$dir/tmp
mkdir tmp
failed=0

# expect CODE TEXT COMMAND…: the exit code, and TEXT somewhere in stdout or stderr.
expect() {
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
        failed=1
    fi
}
# copy of the run under a new name
copy() { rm -rf "$1" && cp -r run "$1"; }
# alter FILE PYTHON: the text is s; what the expression makes of it is written back
alter() {
    python3 - "$1" "$2" <<'PY'
import json, re, sys, zlib
path, code = sys.argv[1:]
s = open(path).read()

def digit(text, pattern):
    """Changes the last digit of the first match's group."""
    m = re.search(pattern, text)
    at = m.end(1) - 1
    return text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1:]

def sealed(text):
    """Gives each line the checksum of what it now says."""
    out = []
    for line in text.splitlines():
        body = line[:line.rindex(',"crc32":')]
        out.append('%s,"crc32":"%08x"}' % (body, zlib.crc32(body.encode())))
    return "\n".join(out) + "\n"

altered = eval(code)
open(path, "w").write(altered)
PY
}

cat >study.yaml <<'YAML'
run_name: tamper
gen_tokens: 4
repetitions: 1
schedule: {blocks: 6, sentinel: false}
suites: [tr121/tiny-gpt2, tr121/gpt2-5m]
scenarios: [{name: p8, prompt_tokens: 8}]
backends: [{name: x, kind: native}]
YAML
expect 0 'calls ok' "$bin" run study.yaml --out-dir run --no-plots

expect 1 'verify needs RUN' "$bin" verify
expect 1 'no such run directory' "$bin" verify nowhere

# Nothing changed, nothing written, also where nothing can be written.
find run -exec stat -c '%n %Y %s' {} + | sort >before.txt
chmod -R a-w run
expect 0 'follow from the journal' "$bin" verify run
check '! grep -q "^differs" out.txt'
check 'grep -q "^ok       metrics.csv" out.txt && grep -q "^ok       report.md" out.txt'
check 'grep -q "^ok       analysis/laws.csv" out.txt'
chmod -R u+w run
find run -exec stat -c '%n %Y %s' {} + | sort >after.txt
check 'cmp -s before.txt after.txt'
check '[ -z "$(ls tmp)" ]'
(cd run && expect 0 'follow from the journal' "$bin" verify . && rm -f out.txt err.txt)
expect 0 '"state": "ok"' "$bin" verify run --json

# one digit of the report
copy t1 && alter t1/report.md 'digit(s, r"\| tiny-gpt2 \| [0-9.]+ \| 1 \| ([0-9.]*[0-9])")'
expect 4 'a number: stored' "$bin" verify t1
check 'grep -q "^differs  report.md:[0-9]*: a number: stored .*, recomputed " out.txt'
check '[ "$(grep -c ^differs out.txt)" -eq 1 ]'
# one digit of the page, and of a plot that the report draws
copy t1h && alter t1h/report.html 'digit(s, r">([0-9]+\.[0-9]+)<")'
expect 4 'differs  report.html:' "$bin" verify t1h
check '[ "$(grep -c ^differs out.txt)" -eq 1 ]'
plot=$(ls run/analysis/plots/report_*.svg 2>/dev/null | head -1)
if [ -n "$plot" ]; then
    copy t1p && alter "t1p${plot#run}" 'digit(s, r"=\"([0-9]+\.[0-9]+)\"")'
    expect 4 "differs  ${plot#run/}" "$bin" verify t1p
fi
# one word of it
copy t2 && sed -i 's/What this run cannot tell/What this run can tell/' t2/report.md
expect 4 'the text' "$bin" verify t2
# one digit of a table
copy t3 && alter t3/analysis/medians.csv 'digit(s, r",([0-9]+\.[0-9]+),")'
expect 4 'differs  analysis/' "$bin" verify t3
check 'grep -q "^differs  analysis/[a-z]*.csv:[0-9]*, column [a-z_]*: stored .*, recomputed " out.txt'
copy t4 && alter t4/analysis/medians.csv 's.replace("x,", "y,", 1)'
expect 4 'differs  analysis/medians.csv:2, column backend: stored y, recomputed x' "$bin" verify t4
# rows that vanish, rows that appear, a table that is gone, one from nowhere
copy t5 && sed -i '$d' t5/analysis/tails.csv
expect 4 'rows are missing' "$bin" verify t5
copy t6 && tail -1 run/analysis/tails.csv >>t6/analysis/tails.csv
expect 4 'rows that the journal does not give' "$bin" verify t6
copy t7 && rm t7/analysis/outcomes.csv && cp run/metrics.csv t7/analysis/mine.csv
expect 4 'differs  analysis/outcomes.csv: is missing' "$bin" verify t7
check 'grep -q "^differs  analysis/mine.csv" out.txt'
# one digit of metrics.csv and of its twin
copy t8 && alter t8/metrics.csv 'digit(s, r"ok,,[0-9.]+,1,8,8,8,4,,([0-9.]+)")'
expect 4 'differs  metrics.csv:' "$bin" verify t8
check 'grep -q "column prefill_ms: stored" out.txt'
copy t9 && alter t9/runs.jsonl 'digit(s, r"\"latency_ms\": ?([0-9.]+)")'
expect 4 'column latency_ms: stored' "$bin" verify t9
# a table that is no table any more
copy t10 && printf 'a,"b\n' >t10/analysis/tails.csv
expect 4 'differs  analysis/tails.csv' "$bin" verify t10
# the journal, with its checksum as it was
copy t11 && alter t11/journal.jsonl 'digit(s, r"\"t_first_ns\":([0-9]+)")'
expect 4 'differs  journal.jsonl:' "$bin" verify t11
check 'grep -q "CRC-32" out.txt && grep -q "not checked" out.txt'
# the journal, with a checksum that fits: what was made from it does not
copy t12 && alter t12/journal.jsonl 'sealed(digit(s, r"\"rep\":0.*?\"t_first_ns\":([0-9]+)"))'
expect 4 'differs  metrics.csv:' "$bin" verify t12
check 'grep -q "^ok       journal.jsonl" out.txt'
# a line taken out
copy t13 && sed -i 5d t13/journal.jsonl
expect 4 'differs  journal.jsonl:5' "$bin" verify t13
# the last line cut short, though the run was finished
copy t14 && truncate -s -9 t14/journal.jsonl
expect 4 'after the last intact line of a finished run' "$bin" verify t14
# the manifest: another study, another count
copy t15 && sed -i 's/"prompt_tokens": 8/"prompt_tokens": 9/' t15/manifest.json
expect 4 'differs  manifest.json, column study_sha256' "$bin" verify t15
copy t16 && alter t16/manifest.json 's.replace("\"blocks\": 6", "\"blocks\": 7")'
expect 4 'differs  manifest.json' "$bin" verify t16
# tables made with other options verify too: analysis.json names them
copy t17 && expect 0 'rows' "$bin" analyze t17 --seed 7 --bootstrap 200 --no-plots -v
expect 0 '' "$bin" report t17
expect 0 'follow from the journal' "$bin" verify t17
# another version says so
copy t18 && sed -i 's/"version": "[^"]*"/"version": "0.0.1"/' t18/analysis/analysis.json
expect 0 'were made by inferlaw 0.0.1' "$bin" verify t18
# a foreign run: its tables follow from metrics.csv
mkdir foreign && cp run/metrics.csv foreign/ && "$bin" analyze foreign --no-plots >/dev/null 2>&1
expect 0 'a foreign run' "$bin" verify foreign
alter foreign/analysis/medians.csv 'digit(s, r",([0-9]+\.[0-9]+),")'
expect 4 'differs  analysis/medians.csv' "$bin" verify foreign
# a run with a target that stops before the most blocks, and one cut short among its A/A calls
cat >target.yaml <<'END'
gen_tokens: 4
repetitions: 2
warmup_repetitions: 1
schedule: {blocks: 12, target_ci: 1, sentinel: false}
scenarios: [{name: s, prompt_tokens: 3}]
backends: [{name: x, kind: noop}]
models: [{name: a}, {name: b}]
END
expect 0 '' "$bin" run target.yaml --out-dir target --no-plots -q
expect 0 'follow from the journal' "$bin" verify target
last=$(grep -n '"kind":"aa".*"rep":0' target/journal.jsonl | tail -1 | cut -d: -f1)
head -n "$last" target/journal.jsonl >cut.jsonl && mv cut.jsonl target/journal.jsonl
expect 0 '' "$bin" run target.yaml --out-dir target --no-plots -q --resume
expect 0 'follow from the journal' "$bin" verify target
check 'test "$(grep -c "\"kind\":\"aa\".*\"rep\":1" target/journal.jsonl)" -ge 32'
exit $failed
