#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Everything that can be wrong with a runtime or a model file, in one study each: every planned call
# is a row with a status and a sentence that says the next step, none is a number, the tables are
# built, and a resume adds nothing to what was settled.
set -u
inferlaw=$1/inferlaw
source=${IL_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
python=$(command -v python3) || { echo "SKIP: no python3"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/il-bad-runtimes.XXXXXX")
mocks=
cleanup() {
    for pid in $mocks; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    rm -rf "$work"
}
trap cleanup EXIT
export INFERLAW_RUNTIMES=$work/runtimes
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
cd "$work" || exit 1

# --- servers -----------------------------------------------------------------------------------
mock() { # NAME OPTIONS…: its address into $url
    local name=$1
    shift
    "$python" "$source/tests/backend/mock_server.py" --ttft-ms 2 --itl-ms 1 "$@" <hold >"$name.port" 2>/dev/null &
    mocks="$mocks $!"
    for _ in $(seq 100); do [ -s "$name.port" ] && break; sleep 0.05; done
    url=http://127.0.0.1:$(cat "$name.port")
}
mkfifo hold
exec 9<>hold # the mocks read from it until they are ended
{
    cat <<'YAML'
run_name: bad_servers
gen_tokens: 4
repetitions: 2
warmup_repetitions: 1
schedule: {blocks: 1, aa: false, sentinel: false, closure: true}
scenarios: [{name: p8, prompt_tokens: 8}]
models: [{name: mock, kind: openai}]
backends:
YAML
    entry() { # NAME MORE OPTIONS…
        local name=$1 more=$2
        shift 2
        mock "$name" "$@"
        echo "- {name: $name, kind: openai, url: \"$url\"$more}"
    }
    entry good ""
    entry refuses "" --set status=500
    entry denies "" --set status=401
    entry inside "" --set error_after=2
    entry plain "" --set plain=1
    entry cut "" --set cut_after=2
    entry endless "" --set no_end=1
    entry other ", concurrency: 2" --set answer_model=another
    entry hangs ", deadline_s: 0.3" --set hang=1
    entry crowd ", concurrency: 2, deadline_s: 0.3" --set hang=1
    entry absurd "" --set 'usage_says="completion_tokens":2000000000'
    entry huge "" --set 'usage_says="prompt_tokens":2000000000'
    entry minus "" --like llama.cpp --set 'timings_say="prompt_ms":-1'
    entry nan "" --like llama.cpp --set 'timings_say="prompt_ms":NaN'
    entry wrong "" --set model=llama-405b --set status=404
    echo '- {name: absent, kind: openai, url: "http://127.0.0.1:1"}'
    echo '- {name: dies, kind: openai, serve: auto, server: vllm}'
} >servers.yaml
"$inferlaw" run servers.yaml -o servers --no-plots -q >out 2>err
status=$?
[ $status -eq 2 ] || { fail "servers: exit $status, not 2"; cat err; }
cat >check.py <<'PY'
import collections, csv, json, sys
sys.path.insert(0, ".")
run, per_backend = sys.argv[1], int(sys.argv[2])
wanted = {}
for line in open(sys.argv[3], encoding="utf-8"):
    backend, status, reason, part = line.rstrip("\n").split("|")
    wanted[backend] = (set(status.split(",")), reason, part)
rows, bad = collections.defaultdict(list), 0
for row in csv.DictReader(open(run + "/metrics.csv", encoding="utf-8")):
    rows[row[sys.argv[4]]].append(row)
for backend, (status, reason, part) in wanted.items():
    if len(rows[backend]) != per_backend:
        bad += 1
        print("FAILED:", backend, "has", len(rows[backend]), "rows, not", per_backend)
    for row in rows[backend]:
        good = row["status"] in status and row["reason"] == reason and part in row["error"]
        if row["status"] in ("error", "skipped"):
            good = good and row["latency_ms"] == "" and row["error"] != "" and row["hint"] != ""
        if not good:
            bad += 1
            print("FAILED:", backend, row["mode"], row["status"], row["reason"], row["latency_ms"],
                  "|", row["error"], "|", row["hint"])
extra = set(rows) - set(wanted)
if extra:
    bad += 1
    print("FAILED: rows of", extra)
sys.exit(bad > 0)
PY
# Three modes, (1 warm-up +) 2 measured calls.
cat >servers.txt <<'EOF'
good|ok||
refuses|error|IO|answered 500: the mock says no
denies|error|ACCESS|401
inside|error|IO|KV cache is full
plain|error|IO|out of blocks
cut|error|CRASHED|cut short
endless|error|CRASHED|without its end
other|error|INVALID|the answer is of another
hangs|error|TIMEOUT|no answer within 0.3 s
crowd|error|TIMEOUT|no answer within 0.3 s
absurd|error|INVALID|counts 2000000000
huge|flagged|counters_absurd|
minus|flagged|counters_absurd|
nan|error|PROTOCOL|not JSON
wrong|error|NOT_FOUND|no model 'mock'
absent|error|NOT_FOUND|nobody answers at http://127.0.0.1:1
dies|skipped|UNSUPPORTED|checkpoint directory
EOF
"$python" check.py servers 9 servers.txt backend || fail "servers: rows"
"$inferlaw" verify servers >out 2>&1 || fail "servers: verify: $(cat out)"
"$inferlaw" run servers.yaml -o servers --resume --no-plots -q >out 2>&1
"$python" check.py servers 9 servers.txt backend || fail "servers: rows after a resume"

# --- a server of ours that dies: its rows say so, and another one is started --------------------
mkdir -p "$INFERLAW_RUNTIMES/llama.cpp/bin"
echo mock >"$INFERLAW_RUNTIMES/llama.cpp/VERSION"
cat >"$INFERLAW_RUNTIMES/llama.cpp/bin/llama-server" <<SCRIPT
#!/bin/bash
while [ \$# -gt 0 ]; do
    case \$1 in --port) port=\$2 ;; --alias) alias=\$2 ;; esac
    shift
done
exec "$python" "$source/tests/backend/mock_server.py" --port "\$port" --like llama.cpp \\
    --ttft-ms 2 --itl-ms 1 --set "model=\$alias" --set die_after=4
SCRIPT
chmod +x "$INFERLAW_RUNTIMES/llama.cpp/bin/llama-server"
shape=family=llama,n_layer=1,d_model=64,n_head=2,n_kv_head=2,d_ff=64,vocab_size=256,n_positions=64
"$inferlaw" model make -q --shape $shape --format hf,gguf --gguf-type F32 --out tiny || fail "model make"
cat >dies.yaml <<YAML
run_name: dies
gen_tokens: 4
repetitions: 3
warmup_repetitions: 1
schedule: {blocks: 3, aa: false, sentinel: false, closure: false, parity: false}
scenarios: [{name: p8, prompt_tokens: 8}]
models: [{name: tiny}]
backends:
- {name: one, kind: openai, serve: auto, server: llama.cpp, restart: study}
- {name: crowd, kind: openai, serve: auto, server: llama.cpp, concurrency: 2, restart: study}
YAML
"$inferlaw" run dies.yaml -o dies --no-plots -q >out 2>err
[ $? -eq 2 ] || { fail "dies: the exit code"; cat err; }
"$python" - <<'PY' || fail "dies: rows"
import csv, json
rows = [r for r in csv.DictReader(open("dies/metrics.csv")) if r["mode"] == "e2e_kv"]
for backend in ("one", "crowd"):
    own = [r for r in rows if r["backend"] == backend]
    states = [r["status"] for r in own]
    print(backend, states)
    assert len(own) == 12 and states.count("ok") >= 6 and "error" in states, states
    for r in own:
        assert (r["latency_ms"] == "") == (r["status"] == "error"), r
        assert r["status"] == "ok" or (r["reason"] in ("CRASHED", "NOT_FOUND") and r["hint"]), r
loads = [l for l in map(json.loads, open("dies/journal.jsonl")) if l["kind"] == "cold"]
assert len({l["t_spawn_ns"] for l in loads}) == len(loads) >= 4, len(loads)
PY

# --- GGUF files and workers -----------------------------------------------------------------------
mkdir files && "$python" - <<'PY' || fail "the GGUF files"
import struct
good = open("tiny-F32.gguf", "rb").read()
def put(name, data):
    assert data != good, name
    open(f"files/{name}.gguf", "wb").write(data)
def replaced(old, new):
    assert good.count(old) >= 1 and len(old) == len(new), old
    return good.replace(old, new)
def info(name):  # where the type and the offset of a tensor's description stand
    text = name.encode()
    at = good.index(struct.pack("<Q", len(text)) + text) + 8 + len(text)
    return at + 4 + 8 * struct.unpack_from("<I", good, at)[0]
def patched(at, data):
    return good[:at] + data + good[at + len(data):]
put("arch", replaced(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0llamo"))
put("cut", good[:len(good) // 2])
put("head", good[:40])
at = info("token_embd.weight")
put("offset", patched(at + 4, struct.pack("<Q", 2**64 - 32)))
put("beyond", patched(at + 4, struct.pack("<Q", 2**40)))
put("type", patched(at, struct.pack("<I", 16)))   # IQ2_XXS
put("unknown", patched(at, struct.pack("<I", 999)))
put("dims", patched(at - 16, struct.pack("<QQ", 2**63, 2**63)))
put("version", patched(4, struct.pack("<I", 1)))
put("swapped", patched(4, struct.pack(">I", 3)))
put("text", b"this is no model\n" * 10)
PY
fake=$source/tests/worker/fake_runtime.py
mkdir -p noprovider/onnxruntime noprovider/numpy
echo 'def get_available_providers(): return ["AzureExecutionProvider"]' >noprovider/onnxruntime/__init__.py
touch noprovider/numpy/__init__.py
printf '#!/bin/sh\nexport PYTHONPATH=%s\nexec %s -S "$@"\n' "$work/noprovider" "$python" >azure
printf '#!/bin/sh\necho "Loading checkpoint shards: 100%%"\nexec sleep 60\n' >garbage
printf '#!/bin/sh\nexec sleep 60\n' >mute
printf '#!/bin/sh\nyes "{}" | tr -d "\\n" | head -c 100000000\n' >flood
printf '#!/bin/sh\necho "no such library" >&2\nexit 7\n' >leaves
printf '#!/bin/sh\nexec head -c 4096 /dev/urandom\n' >noise
chmod +x azure garbage mute flood leaves noise
{
    cat <<'YAML'
run_name: bad_files
gen_tokens: 4
repetitions: 2
warmup_repetitions: 0
schedule: {blocks: 1, aa: false, sentinel: false, closure: false, parity: true}
scenarios: [{name: p8, prompt_tokens: 8}]
backends: [{name: native, kind: native, threads: 1}]
models:
- {name: tiny-F32.gguf}
YAML
    for f in files/*.gguf; do echo "- {name: $f}"; done
} >files.yaml
cat >workers.yaml <<YAML
run_name: bad_workers
gen_tokens: 4
repetitions: 2
warmup_repetitions: 0
schedule: {blocks: 1, aa: false, sentinel: false, closure: false, parity: true}
scenarios: [{name: p8, prompt_tokens: 8}]
models: [{name: tiny, kind: hf}]
backends:
- {name: garbage, kind: hf, command: [$work/garbage]}
- {name: mute, kind: hf, command: [$work/mute], deadline_s: 0.5}
- {name: flood, kind: hf, command: [$work/flood]}
- {name: leaves, kind: hf, command: [$work/leaves]}
- {name: noise, kind: hf, command: [$work/noise]}
- {name: absent, kind: hf, command: [$work/absent]}
- {name: memory, kind: hf, command: [$python, -B, $fake], options: {fail: memory}}
- {name: provider, kind: onnxruntime, python: $work/azure}
- {name: device, kind: onnxruntime, provider: tensorrt}
- {name: python, kind: onnxruntime, python: $work/absent}
YAML
for study in files workers; do
    "$inferlaw" run $study.yaml -o run-$study --no-plots -q >out 2>err
    status=$?
    [ $status -eq $([ $study = files ] && echo 0 || echo 3) ] || { fail "$study: exit $status"; cat err; }
    "$inferlaw" verify run-$study >out 2>&1 || fail "$study: verify: $(cat out)"
done
cat >files.txt <<'EOF'
tiny-F32.gguf|ok||
files/arch.gguf|skipped|UNSUPPORTED|"llamo" is not supported
files/cut.gguf|skipped|DAMAGED|beyond the end of the file
files/head.gguf|skipped|DAMAGED|the metadata does not hold together
files/offset.gguf|skipped|DAMAGED|token_embd.weight lies beyond
files/beyond.gguf|skipped|DAMAGED|token_embd.weight lies beyond
files/type.gguf|skipped|UNSUPPORTED|of the unknown type 16
files/unknown.gguf|skipped|UNSUPPORTED|of the unknown type 999
files/dims.gguf|skipped|DAMAGED|a tensor's description
files/version.gguf|skipped|UNSUPPORTED|GGUF version 1 is not read
files/swapped.gguf|skipped|UNSUPPORTED|GGUF version 50331648
files/text.gguf|skipped|DAMAGED|this is no GGUF file
EOF
cat >workers.txt <<'EOF'
garbage|error|PROTOCOL|no JSON object: "Loading checkpoint shards
mute|error|TIMEOUT|did not answer start in time
flood|error|PROTOCOL|longer than 64 MiB
leaves|error|CRASHED|its last words: no such library
noise|error|PROTOCOL|no JSON object
absent|error|NOT_FOUND|cannot start the program
memory|error|NOMEM|can't allocate memory
provider|error|UNSUPPORTED|has no CPUExecutionProvider, it has AzureExecutionProvider
device|skipped|UNSUPPORTED|provider: tensorrt does not compute on device: cpu
python|skipped|NOT_FOUND|names no program
EOF
grep -q 'nearest supported one is ""llama""' run-files/metrics.csv || fail "files: no nearest architecture"
"$python" check.py run-files 6 files.txt model || fail "files: rows"
"$python" check.py run-workers 6 workers.txt backend || fail "workers: rows"
[ $failures -eq 0 ]
