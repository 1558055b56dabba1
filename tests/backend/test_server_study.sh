#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A study and a bench against the mock server: prompts of their own beat a prefix cache, the probe
# finds it, load is measured from the schedule, and failures are rows with a sentence.
set -eu
build=$1
inferlaw=$build/inferlaw
mock=${IL_SOURCE_DIR:?}/tests/backend/mock_server.py
command -v python3 >/dev/null || exit 77
dir=$(mktemp -d /tmp/il-test-server-XXXXXX)
mkfifo "$dir/in"
python3 "$mock" --ttft-ms 30 --itl-ms 5 --set prefix_cache=1 <"$dir/in" >"$dir/port" &
pid=$!
exec 9>"$dir/in"
trap 'exec 9>&-; wait $pid 2>/dev/null || true; rm -rf "$dir"' EXIT
for _ in $(seq 100); do [ -s "$dir/port" ] && break; sleep 0.1; done
url=http://127.0.0.1:$(cat "$dir/port")

cat >"$dir/study.yaml" <<YAML
run_name: servers
gen_tokens: 6
repetitions: 4
warmup_repetitions: 1
schedule: {blocks: 2, aa: false, sentinel: false}
scenarios:
  - {name: p24, prompt_tokens: 24}
  - {name: text, prompt: "sent as it stands"}
backends:
  - {name: one, kind: openai, url: "$url"}
  - {name: three, kind: openai, url: "$url/v1", concurrency: 3}
  - {name: open, kind: openai, url: "$url", rate_per_s: 50}
  - {name: nobody, kind: openai, url: "http://127.0.0.1:1"}
models:
  - {name: mock, kind: openai}
YAML
code=0
"$inferlaw" run "$dir/study.yaml" -o "$dir/run" --no-plots -q 2>"$dir/err" || code=$?
[ "$code" = 2 ] || { echo "exit $code, not 2"; cat "$dir/err"; exit 1; }
"$inferlaw" verify "$dir/run" >"$dir/verify" || { cat "$dir/verify"; exit 1; }

python3 - "$dir" "$url" <<'PY'
import csv, json, sys, urllib.request
dir, url = sys.argv[1:]
log = json.load(urllib.request.urlopen(url + "/mock/log"))
lines = [json.loads(l) for l in open(dir + "/run/journal.jsonl")]
rows = list(csv.DictReader(open(dir + "/run/metrics.csv")))

# Every prompt of ids begins alike with none but the probe's own repetition.
prompts = [q["body"]["prompt"] for q in log if q["path"] == "/v1/completions"]
ids = [tuple(p) for p in prompts if isinstance(p, list)]
texts = {p for p in prompts if isinstance(p, str)}
assert texts == {"sent as it stands"}, texts
probes = [l for l in lines if l["kind"] == "cache_probe" and l["status"] == "ok"]
assert len(probes) == 6, len(probes)
assert len({p[0] for p in ids}) == len(set(ids)) == len(ids) - len(probes)
assert all(len(p) == 24 for p in ids)

# The probe sees the cache that the prompts avoid.
for p in probes:
    assert p["repeat_cached_tok"] == 23 and p["fresh_cached_tok"] == [0, 0], p
    assert p["repeat_ttft_ms"] < 0.5 * min(p["fresh_ttft_ms"]), p

# So does the table, by the server's own count.
judged = list(csv.DictReader(open(dir + "/run/analysis/prefix_cache.csv")))
assert sum(int(r["n"]) for r in judged) == 6 and all(r["verdict"] == "on" for r in judged), judged
assert all(float(r["ratio"]) > 1.5 and r["n_hits"] == r["n"] for r in judged), judged

calls = [l for l in lines if l["kind"] == "call"]
salts = [c["salt"] for c in calls if c["salt"] is not None]
assert len(set(salts)) == len(salts) == 30, len(salts)
ok = [r for r in rows if r["status"] == "ok" and r["scenario"] == "p24"]
assert {r["cached_tok"] for r in ok} == {"0"}
assert {r["prefill_source"] for r in ok} == {"client_ttft"}
for r in ok:
    assert float(r["ttft_ms"]) >= 29.5 and float(r["response_ms"]) >= 59, r
    if r["backend"] == "one":
        assert r["ttft_ms"] == r["prefill_ms"], r
text = [r for r in rows if r["scenario"] == "text" and r["backend"] == "one"]
assert {r["status"] for r in text} <= {"ok", "flagged"}  # the first one is new to the cache
assert {r["reason"] for r in text if r["status"] == "flagged"} == {"cached_prompt"}

# Open loop: due in order, sent no earlier, latency from the schedule.
due = [c for c in calls if c["t_scheduled_ns"] is not None]
assert len(due) == 16, len(due)
for c in due:
    assert c["t0_ns"] >= c["t_scheduled_ns"]
    assert abs(c["ttft_ms"] - (c["t_first_ns"] - c["t_scheduled_ns"]) / 1e6) < 1e-6

# Nobody there: rows with a sentence and no number.
gone = [r for r in rows if r["backend"] == "nobody"]
assert len(gone) == 60 and {r["status"] for r in gone} == {"error"}
assert {r["reason"] for r in gone} == {"NOT_FOUND"} and all(not r["latency_ms"] for r in gone)
assert all("127.0.0.1:1" in r["error"] and r["hint"] for r in gone)
PY

# One line, no study file; exact times come back.
"$inferlaw" bench --url "$url" -p 16 -n 8 -r 6 -q --json >"$dir/bench.json"
python3 - "$dir/bench.json" <<'PY'
import json, sys
rows = {r["measure"]: r for r in json.load(open(sys.argv[1]))}
assert set(rows) >= {"first token (TTFT)", "between tokens (ITL)", "end to end"}
ttft, itl = rows["first token (TTFT)"], rows["between tokens (ITL)"]
assert 29.5 < ttft["low"] <= ttft["median"] <= ttft["high"], ttft
assert abs(itl["median"] - 5) < 0.5, itl
assert ttft["calls"] == 6 and ttft["failed"] == 0 and ttft["prefix_cache"] == "on"
assert ttft["model"] == "mock"
PY
code=0
"$inferlaw" bench --url "$url" -m other -p 4 -n 4 -r 1 -q >"$dir/out" 2>"$dir/err" || code=$?
[ "$code" = 3 ] && grep -q "no model 'other'" "$dir/err" || { cat "$dir/err"; exit 1; }
echo "a study and a bench against the mock server: fine"
