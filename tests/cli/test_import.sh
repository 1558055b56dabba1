#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# import llama-bench: every format and age of its output, what becomes of a test, bad input; then
# claims on the run. Fixtures by tools/llama_bench_fixture.py. The argument is the build directory.
set -u
bin=$1/inferlaw
data=${IL_SOURCE_DIR:?}/tests/cli/data/llama_bench
claims=$IL_SOURCE_DIR/claims/tr121.yaml
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

expect() { # expect CODE TEXT COMMAND…: the exit code, and TEXT in stdout or stderr
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
import() { "$bin" import llama-bench "$@" --no-plots; }
# cell FILE WHERE COLUMN: the column of the first row that holds column=value, values without commas
cell() {
    python3 - "$@" <<'PY'
import csv, sys
path, where, column = sys.argv[1:]
wanted = dict(pair.split("=", 1) for pair in where.split("&"))
for row in csv.DictReader(open(path)):
    if all(row[k] == v for k, v in wanted.items()):
        print(row[column])
        break
PY
}

# the three formats say the same
for format in json jsonl csv; do
    expect 0 "Findings" import "$data/new.$format" --out-dir "$format"
    check '[ -s '$format'/report.md ] && [ -s '$format'/analysis/laws.csv ]'
done
check '[ "$(wc -l <json/metrics.csv)" -eq 91 ]' # 18 tests of 5 samples
check '[ "$(wc -l <csv/metrics.csv)" -eq 19 ]'
check 'cmp -s json/metrics.csv jsonl/metrics.csv'
expect 0 "averages only" import "$data/new.csv" --out-dir averages
check 'grep -q "\"averages_only\": true" averages/manifest.json'
# what becomes of a test
decode='model=llama-3.2-1b-q8_0&mode=kv_decode'
check '[ "$(cell json/metrics.csv "$decode" decode_steps)" = 128 ]'
check '[ "$(cell json/metrics.csv "$decode" params_total)" = 1235814400 ]'
check '[ "$(cell json/metrics.csv "$decode" bytes_read)" = 1313000000 ]'
check '[ "$(cell json/metrics.csv "$decode" scenario)" = tg128 ]'
check '[ "$(cell json/metrics.csv "$decode" dtype)" = Q8_0 ]'
check '[ "$(cell json/metrics.csv "$decode" backend)" = llama.cpp_CPU ]'
check '[ -z "$(cell json/metrics.csv "mode=prefill" decode_steps)" ]'
check '[ "$(cell json/metrics.csv "mode=prefill" prompt_tokens)" = 512 ]'
check '[ "$(cell json/metrics.csv "mode=e2e_kv" scenario)" = pp512+tg128 ]'
# the law of the fixture: prefill goes as the parameters
slope=$(cell json/analysis/laws.csv "mode=prefill&x=params_total&term=slope&form=power" estimate)
check 'python3 -c "import sys; sys.exit(not abs($slope - 1) < 0.01)"'
check '[ "$(cell json/analysis/laws.csv "mode=prefill&x=params_total&term=slope&form=power" replication)" = call ]'
# several executions are blocks
expect 0 "Findings" import "$data/new.jsonl" "$data/again.jsonl" --out-dir blocks
check '[ "$(cell blocks/analysis/laws.csv "mode=prefill&x=params_total&term=slope&form=power" replication)" = process ]'
check '[ "$(cell blocks/analysis/laws.csv "mode=prefill&x=params_total&term=slope&form=power" n_blocks)" = 2 ]'
# depth of context is a scenario of its own; builds of 2023
expect 0 "Findings" import "$data/deep.jsonl" --out-dir deep
check '[ "$(cell deep/metrics.csv "scenario=tg32@d4096" decode_steps)" = 32 ]'
expect 0 "Findings" import "$data/old.json" --out-dir old
check '[ "$(cell old/metrics.csv "mode=kv_decode" backend)" = llama.cpp_CPU ]'
# settings that vary name the backend, those told in one file alone do not
sed 's/"n_threads": 8/"n_threads": 4/' "$data/new.jsonl" >four.jsonl
expect 0 "n_threads=4" import "$data/new.jsonl" four.jsonl --out-dir threads
expect 0 "llama.cpp_CPU" import "$data/new.json" "$data/new.csv" --out-dir mixed
check '[ "$(cell mixed/metrics.csv "mode=prefill" backend)" = llama.cpp_CPU ]'
check '[ "$(cut -d, -f2 mixed/metrics.csv | sort -u | wc -l)" -eq 2 ]'
# stdout is one JSON document with --json
"$bin" import llama-bench "$data/new.jsonl" --out-dir as_json --no-plots --json 2>/dev/null >out.json
check 'python3 -m json.tool out.json >/dev/null'

# bad input: what, where, the next step
printf '| model | size | t/s |\n' >table.md
expect 1 "this is the markdown table" import table.md --out-dir bad
expect 1 "-o jsonl" import table.md --out-dir bad
echo 'CREATE TABLE IF NOT EXISTS test (' >t.sql
expect 1 "this is the SQL output" import t.sql --out-dir bad
: >empty
expect 1 "the file is empty" import empty --out-dir bad
echo '[]' >none.json
expect 1 "no test" import none.json --out-dir bad
head -c 4000 "$data/new.json" >cut.json
expect 1 "cut.json:" import cut.json --out-dir bad
expect 1 "leaves the list open" import cut.json --out-dir bad
sed '3s/"n_gen": [0-9]*/"n_gen": -1/' "$data/new.jsonl" >minus.jsonl
expect 1 "minus.jsonl:3" import minus.jsonl --out-dir bad
sed '2s/"samples_ns": \[[0-9]*/"samples_ns": [0/' "$data/new.jsonl" >zero.jsonl
expect 1 "nanoseconds above 0" import zero.jsonl --out-dir bad
sed '4s/"model_n_params"/"params"/' "$data/new.jsonl" >lacks.jsonl
expect 1 "model_n_params is missing" import lacks.jsonl --out-dir bad
sed '5s/$/,"7"/' "$data/new.csv" >wide.csv
expect 1 "wide.csv:5" import wide.csv --out-dir bad
sed '2s/"model_n_params": [0-9]*/"model_n_params": 7/' "$data/new.jsonl" >two.jsonl
expect 1 "two models of one name" import two.jsonl --out-dir bad
check '[ ! -e bad ]'
expect 1 "not empty" import "$data/new.jsonl" --out-dir json
expect 1 "--out-dir" import "$data/new.jsonl"
expect 1 "not_there" import not_there --out-dir bad

# claims on it, kept with the run and judged by every analysis
expect 1 "no claims.yaml" "$bin" claims json --no-plots
expect 0 "cpu-follows-params" "$bin" claims json --claims "$claims" --no-plots
check 'cmp -s json/claims.yaml "$claims"'
cp json/analysis/claims.csv first.csv
expect 0 "params_total" "$bin" analyze json --no-plots
check 'cmp -s first.csv json/analysis/claims.csv'
check '[ "$(cell first.csv "id=shapes-at-10m" verdict)" = ill_posed ]'
"$bin" claims json --no-plots --json 2>/dev/null >out.json
check 'python3 -m json.tool out.json >/dev/null'
echo 'claims: [{id: a, statement: s, test: rato, mode: prefill}]' >wrong.yaml
expect 1 "wrong.yaml:1:" "$bin" claims json --claims wrong.yaml
check 'cmp -s json/claims.yaml "$claims"'
# one file of a study
cat >study.yaml <<Y
run_name: n
gen_tokens: 4
claims: mine.yaml
scenarios: [{name: a, prompt: Hello}]
backends: [{name: x, kind: noop}]
models: [{name: m}]
Y
expect 1 "claims file is not there" "$bin" run study.yaml --out-dir with --no-plots
echo 'claims: [{id: a, statement: s, test: ratio, mode: kv_decode, versus: {mode: prefill}}]' >mine.yaml
"$bin" run study.yaml --out-dir with --no-plots >out.txt 2>err.txt
check '[ "$(cell with/analysis/claims.csv "id=a" verdict)" = not_identifiable ]'
check '! grep -q "not acted on" err.txt'

exit $failed
