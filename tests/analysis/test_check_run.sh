#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The program's numbers against tools/check_run.py, which works them out again from the journal: on
# a measured run of the noop backend and on synthetic journals of known truth. Then the other way:
# each number changed by hand must be noticed. The argument is the build directory.
set -u
bin=$1/inferlaw
root=$(cd "$(dirname "$0")/../.." && pwd)
python=$(command -v python3) || { echo "skipped: python3 is not here"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export INFERLAW_MODELS=$dir/models
failed=0

check() { "$python" "$root/tools/check_run.py" "$1" >check.txt 2>&1; }
agrees() {
    if ! check "$1"; then
        echo "FAILED: $1 differs"
        tail -n 20 check.txt
        failed=1
    fi
}
# notices FILE SED: after the edit the check fails; the file comes back.
notices() {
    cp "$1" keep
    sed -i "$2" "$1"
    if cmp -s keep "$1"; then
        echo "FAILED: $2 changes nothing in $1"
        failed=1
    elif check "${1%%/*}"; then
        echo "FAILED: $2 in $1 goes unnoticed"
        failed=1
    fi
    cp keep "$1"
}

# Six cells of a backend that computes nothing, one of them unable to run; flags and A/A as they
# come.
cat >noop.yaml <<'YAML'
run_name: noop
gen_tokens: 5
repetitions: 3
warmup_repetitions: 1
schedule: {blocks: 7}
scenarios: [{name: a, prompt_tokens: 3}, {name: b, prompt_tokens: 9}]
backends: [{name: x, kind: noop, batch_size: 2}, {name: y, kind: ollama}]
models: [{name: m1, kind: hf, params_millions: 1}, {name: m2, kind: hf, params_millions: 2},
  {name: m3, kind: hf, params_millions: 8}, {name: m4, kind: hf, params_millions: 9},
  {name: m5, kind: hf, params_millions: 90}, {name: o, kind: ollama}]
YAML
"$bin" run noop.yaml --out-dir noop --no-plots -q >out.txt 2>err.txt
if [ ! -s noop/report.md ]; then
    echo "FAILED: the run wrote no report"
    cat out.txt err.txt
    exit 1
fi
agrees noop

# Known truth: without deviations the exponent is exactly the one put in.
synthetic() {
    local out=$1
    shift
    "$python" "$root/tools/synthetic_run.py" "$out" "$@" &&
        "$bin" analyze "$out" --no-plots -q >/dev/null 2>err.txt || failed=1
}
synthetic exact --models 6 --slope 0.6 --model-sd 0 --block-sd 0 --call-sd 0
agrees exact
if ! grep -q '^x,1,kv_decode,params_total,power,6,10,process,slope,0\.\(60000\|59999\)' \
    exact/analysis/laws.csv; then
    echo "FAILED: the exponent 0.6 is not found"
    grep params_total exact/analysis/laws.csv
    failed=1
fi
synthetic noisy --seed 11 --repetitions 3 --block-sd 0.05 --models 5 --scenarios 1
agrees noisy
synthetic once --blocks 1 --repetitions 8 --scenarios 1
agrees once
synthetic four --models 4 --blocks 2
agrees four
if grep -q supported four/analysis/laws.csv; then
    echo "FAILED: a law of four models is supported"
    failed=1
fi

# The check itself: every kind of number, wrong by one digit.
notices noisy/metrics.csv '5s/ok/error/'
notices noisy/analysis/noise_floor.csv '2s/p8|b1|g8,10,\([01]\.[0-9]\)[0-4]/p8|b1|g8,10,\19/;2s/p8|b1|g8,10,\([01]\.[0-9]\)[5-9]/p8|b1|g8,10,\10/'
notices noisy/analysis/laws.csv '3s/slope,0\.\(.\)\(.\)/slope,0.\2\1/'
notices noisy/analysis/laws.csv 's/,supported,/,not_identifiable,/'
notices noisy/analysis/leave_one_out.csv '2s/False/True/'
notices noisy/analysis/tails.csv '2s/,30,/,31,/'
notices noisy/journal.jsonl '3s/"t0_ns":1/"t0_ns":2/'
notices noop/report.md 's/| m1 | 1\.00 | 2 | \([0-9]\)/| m1 | 1.00 | 2 | 9\1/'
notices noop/analysis/medians.csv '2s/,7,42,0\.\(.\)/,7,42,0.1\1/'

[ $failed -eq 0 ] && echo "all agree"
exit $failed
