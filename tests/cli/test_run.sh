#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# run, sweep and bench as a person meets them: exit codes, messages for bad input, Ctrl-C, a killed
# worker, a full disk. The argument is the build directory.
set -u
bin=$1/inferlaw
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export INFERLAW_MODELS=$dir/models
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

noop='run_name: n
gen_tokens: 4
scenarios: [{name: a, prompt: Hello}]
backends: [{name: x, kind: noop}]
models: [{name: m}]'
echo "$noop" >noop.yaml

# usage
expect 1 'run needs STUDY' "$bin" run
expect 1 'no study file of this name' "$bin" run missing.yaml
expect 1 'did you mean --gen-tokens' "$bin" run noop.yaml --gen-token 3
expect 1 'outside 1 to' "$bin" run noop.yaml --repetitions 0
expect 1 'did you mean "m"' "$bin" run noop.yaml --models mm
expect 1 'no backend of this study is of kind' "$bin" run noop.yaml --map hf=native
expect 1 'needs --out-dir' "$bin" run noop.yaml --resume
expect 1 'nothing to sweep' "$bin" sweep noop.yaml
expect 1 'bench needs a model' "$bin" bench
expect 1 'no checkpoint directory' "$bin" bench -m nowhere/nothing
printf 'seed: 1\n  bad: [\n' >broken.yaml
expect 1 'broken.yaml:' "$bin" run broken.yaml
: >empty.yaml
expect 1 'the file is empty' "$bin" run empty.yaml
expect 1 'inferlaw model make' "$bin" model
expect 0 'inferlaw model make' "$bin" model --help
expect 1 'did you mean "inferlaw model make"' "$bin" model mkae
expect 1 'at: --repetitions x' "$bin" run noop.yaml --repetitions x
printf '\xef\xbb\xbf%s\n' "$noop" >mark.yaml
expect 0 '1 cells' "$bin" run mark.yaml --plan
mkfifo fifo.yaml
expect 1 'not a regular file' "$bin" run fifo.yaml
check '[ -z "$(ls -d runs models 2>/dev/null)" ]'

# a plan writes nothing
expect 0 '1 cells, 0 skipped' "$bin" run noop.yaml --plan
# the program's own studies are found from any directory, by path or by name
expect 0 '10 cells, 0 skipped' "$bin" run configs/quick.yaml --plan
expect 0 '10 cells, 0 skipped' "$bin" run quick --plan
for study in scaling boundary_shift_batch8 boundary_shift_gen512 gemma_family; do
    expect 0 ' skipped' "$bin" run "$study" --plan
done
expect 0 'gen 128' "$bin" sweep decode_sweep --plan
check '[ ! -e runs ]'

# a run; its directory is refused the second time; a resume has nothing to do
expect 0 '4 calls ok' "$bin" run noop.yaml --out-dir r1 --no-analysis
check '[ -s r1/manifest.json ] && [ "$(wc -l <r1/journal.jsonl)" -eq 7 ]'
expect 1 'not empty' "$bin" run noop.yaml --out-dir r1
expect 0 '4 calls ok' "$bin" run noop.yaml --out-dir r1 --resume --no-analysis
expect 1 'begun with another study' "$bin" run noop.yaml --out-dir r1 --resume --seed 7
sed -i '4s/"ok"/"OK"/' r1/journal.jsonl
expect 4 'r1/journal.jsonl:4' "$bin" run noop.yaml --out-dir r1 --resume

# a missing model: skipped rows, and exit 3 when nothing else is there
sed 's/noop/native/; s/name: m}/name: nowhere\/gpt2-5m, kind: hf}/' <<<"$noop" >missing.yaml
expect 3 'inferlaw model make --suite tr121' "$bin" run missing.yaml --out-dir r2 --no-analysis
check '[ "$(grep -c "\"status\":\"skipped\"" r2/journal.jsonl)" -eq 4 ]'

# Skipped cells of one reason are told once, with their models.
sed 's/name: nowhere\/gpt2-5m, kind: hf}/name: m1}, {name: m2}/' missing.yaml >missing2.yaml
expect 0 '2 cells of x (m1, m2): no checkpoint directory of this name' "$bin" run missing2.yaml --plan

# no permission, no space
expect 1 'cannot create the directory' "$bin" run noop.yaml --out-dir /proc/nowhere/run
if [ "$(id -u)" -eq 0 ] && mkdir small && mount -t tmpfs -o size=256k tmpfs small 2>/dev/null; then
    expect 2 'free' "$bin" run noop.yaml --out-dir small/run
    check '[ -z "$(ls small)" ]'
    umount small
else
    echo "skipped: no free space (needs root and mount)"
fi
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod 555 locked
    expect 1 'ermission denied' "$bin" run noop.yaml --out-dir locked/run
else
    echo "skipped: no permission (root may write everywhere)"
fi

# a truncated checkpoint: its calls fail, the others run
cat >two.yaml <<'YAML'
run_name: two
gen_tokens: 4
repetitions: 1
scenarios: [{name: a, prompt: Hello}]
backends: [{name: x, kind: native}]
models: [{name: good}, {name: bad}]
YAML
expect 0 'made' "$bin" model make --suite tr121/tiny-gpt2 --out suite
cp -r suite/tiny-gpt2 good && cp -r good bad && truncate -s 1000 bad/model.safetensors
expect 2 '2 calls ok' "$bin" run two.yaml --out-dir r3 --no-analysis
check 'grep -q "\"kind\":\"failure\".*\"cell\":1" r3/journal.jsonl || grep -q "\"reason\":\"DAMAGED\"\|\"reason\":\"INVALID\"\|\"skip\":{" r3/journal.jsonl'

# Ctrl-C: the call is finished, the run is valid, and it can go on
cat >long.yaml <<'YAML'
run_name: long
gen_tokens: 200
repetitions: 1
schedule: {blocks: 400, sentinel: false, aa: false}
scenarios: [{name: a, prompt: Hello}]
backends: [{name: x, kind: native}]
models: [{name: good}]
YAML
"$bin" run long.yaml --out-dir r4 --no-analysis >out.txt 2>err.txt &
pid=$!
for _ in $(seq 100); do
    [ "$(grep -c '"kind":"call"' r4/journal.jsonl 2>/dev/null || true)" -gt 3 ] 2>/dev/null && break
    sleep 0.1
done
# Meanwhile a second writer is turned away.
expect 1 'another inferlaw is writing' "$bin" run long.yaml --out-dir r4 --resume
kill -INT $pid
wait $pid
check "[ $? -eq 2 ]"
check 'grep -q -- "--resume --out-dir r4" err.txt'
check 'tail -c1 r4/journal.jsonl | od -An -c | grep -q "\\\\n"'
check 'grep -q "\"interrupted\": true" r4/manifest.json'
# It has its table already: three rows a planned call, and the command to go on can be pasted.
check '[ "$(wc -l <r4/metrics.csv)" -eq 2401 ]'
check 'grep -q "run long.yaml --no-analysis --resume --out-dir r4" err.txt'

# the worker is killed: an error row, and the study goes on with a fresh one
n_before=$(wc -l <r4/journal.jsonl)
"$bin" run long.yaml --out-dir r4 --resume --no-analysis >out.txt 2>err.txt &
pid=$!
for _ in $(seq 100); do
    worker=$(pgrep -P $pid 2>/dev/null | head -1)
    [ -n "$worker" ] && [ "$(wc -l <r4/journal.jsonl)" -gt "$n_before" ] && break
    sleep 0.1
done
n=0
while [ $n -lt 40 ] && ! grep -q '"reason":"CRASHED"' r4/journal.jsonl; do
    worker=$(pgrep -P $pid 2>/dev/null | head -1)
    [ -n "$worker" ] && kill -9 "$worker" 2>/dev/null
    sleep 0.2
    n=$((n + 1))
done
check 'grep -q "\"reason\":\"CRASHED\"" r4/journal.jsonl'
n_before=$(grep -c '"status":"ok"' r4/journal.jsonl)
for _ in $(seq 100); do
    [ "$(grep -c '"status":"ok"' r4/journal.jsonl)" -gt "$n_before" ] && break
    sleep 0.1
done
check '[ "$(grep -c "\"status\":\"ok\"" r4/journal.jsonl)" -gt "$n_before" ]'
# twice: at once, and no worker is left
worker=$(pgrep -P $pid | head -1)
kill -INT $pid
kill -INT $pid
wait $pid
check "[ $? -eq 2 ]"
for _ in $(seq 50); do # killed at once, but init may be slow to reap it
    [ -n "$worker" ] && kill -0 "$worker" 2>/dev/null || break
    sleep 0.1
done
check '[ -z "$worker" ] || ! kill -0 "$worker" 2>/dev/null'

# a sweep: one directory per value
cat >sweep.yaml <<'YAML'
run_name: s
gen_tokens_list: [2, 4]
scenarios: [a]
backends: [x]
models: [m]
base: noop.yaml
YAML
expect 0 'gen 4' "$bin" sweep sweep.yaml --out-dir sw --no-analysis
check '[ -s sw/gen_2/s/journal.jsonl ] && [ -s sw/gen_4/s/manifest.json ]'
expect 1 'inferlaw sweep' "$bin" run sweep.yaml
# One JSON document on stdout, however many steps.
expect 0 '"cells"' "$bin" sweep sweep.yaml --plan --json
check '[ "$(grep -c "^[][,]$" out.txt)" -eq 3 ] && [ "$(head -1 out.txt)$(tail -1 out.txt)" = "[]" ]'
expect 0 '"decode_fraction_median"' "$bin" sweep sweep.yaml --out-dir sw2 --json --no-plots
check '[ "$(grep -c "^\[" out.txt)" -eq 1 ]'

# A sweep over something else: the runs' summaries, or one JSON document.
sed 's/^gen_tokens: 4/gen_tokens: 4\nbatch_sizes: [1, 2]/' noop.yaml >batches.yaml
expect 0 'What this run cannot tell' "$bin" sweep batches.yaml --out-dir sw3 --no-plots
expect 0 '"latency_median_ms"' "$bin" sweep batches.yaml --out-dir sw4 --json --no-plots
check '[ "$(grep -c "^\[" out.txt)" -eq 1 ]'

# bench: stdout is the table alone, and JSON when asked
expect 0 'p8' "$bin" bench -m good -p 8 -n 4 -d 0,16 -r 6
check '[ "$(wc -l <out.txt)" -eq 5 ]'
expect 0 '"tokens_per_s"' "$bin" bench -m good -p 8 -n 4 -r 2 --json
check 'head -c1 out.txt | grep -q "\["'
check '[ -z "$(ls -d runs 2>/dev/null)" ]'

exit $failed
