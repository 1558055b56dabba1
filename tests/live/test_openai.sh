#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A real llama.cpp server under `serve: auto`, on a checkpoint of ours: every call new to its cache,
# as many steps as asked for, its own counters beside ours, alone and under load.
. "$(dirname "$0")/lib.sh"
need llama.cpp-light
cat >"$work/study.yaml" <<YAML
run_name: live_openai
gen_tokens: 24
repetitions: 3
warmup_repetitions: 1
schedule: {blocks: 1, aa: false, sentinel: false}
scenarios:
  - {name: p48, prompt_tokens: 48}
  - {name: text, prompt: "Hello there, how are you?"}
backends:
  - {name: alone, kind: openai, server: llama.cpp, serve: auto, threads: 1}
  - {name: pair, kind: openai, server: llama.cpp, serve: auto, threads: 1, concurrency: 2}
suites: [tr121/gpt2-25m]
YAML
"$inferlaw" run "$work/study.yaml" -o "$work/run" --no-plots -q 2>"$work/err" >/dev/null
code=$?
[ $code -eq 0 ] || { cat "$work/err"; fail "exit $code"; }
python3 - "$work/run" <<'PY' || fail "the journal or the rows"
import csv, json, sys
lines = [json.loads(l) for l in open(sys.argv[1] + "/journal.jsonl")]
calls = [l for l in lines if l["kind"] == "call"]
assert len(calls) == 16, [l.get("message") for l in lines if l["kind"] == "failure"]
for c in calls:
    assert c["status"] == "ok" and c["server"]["kind"] == "llama.cpp", c
    assert c["decode_steps"] == 24 or "first_chunk_many" in c["flags"], c["decode_steps"]
    assert c["server"]["usage"]["completion_tokens"] == 25
    assert c["cached_tok"] == 0 and c["pid"]
    # The client's clock cannot be ahead of the server's own counter.
    assert (c["t_first_ns"] - c["t0_ns"]) / 1e6 >= c["server"]["prefill_ms"] * 0.999
for c in calls:
    if c["salt"] is not None:
        assert c["seq_len"] == 48, c["seq_len"]
probes = [l for l in lines if l["kind"] == "cache_probe"]
assert len(probes) == 2 and all(p["repeat_cached_tok"] == 0 for p in probes)
rows = list(csv.DictReader(open(sys.argv[1] + "/metrics.csv")))
assert len(rows) == 48 and {r["prefill_source"] for r in rows} == {"server"}
ok = [c for c in calls if not c["is_warmup"] and c["cell"] == 0]
print("llama.cpp, gpt2-25m, 48 tokens: prefill", [round(c["server"]["prefill_ms"], 1) for c in ok],
      "ttft", [round(c["ttft_ms"], 1) for c in ok], "ms")
PY
done_live
