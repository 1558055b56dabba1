#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A real Ollama: models that packages ship, a synthetic one of ours, and what goes wrong.
. "$(dirname "$0")/lib.sh"
need models ollama

cd "$work" || exit 1
cat >study.yaml <<YAML
run_name: live_ollama
gen_tokens: 12
repetitions: 2
warmup_repetitions: 1
suites: [tr121/gpt2-5m]
scenarios:
- {name: short, prompt: Summarize RLHF in one sentence.}
- {name: ids, prompt_tokens: 16}
backends:
- {name: ollama, kind: ollama, serve: auto, threads: 1}
models:
- {name: $smollm, kind: ollama, params_millions: 134.5}
- {name: $gemma, kind: ollama, params_millions: 268.1}
- {name: 'no-such-model:1b', kind: ollama, params_millions: 1000}
YAML
"$inferlaw" run study.yaml -o run >out 2>&1 || fail "the run left with $?: $(tail -n 5 out)"
python3 - run <<'PY' || fail "the rows are not as they should be"
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1] + "/metrics.csv")))
bad = []
for r in rows:
    where = f"{r['model']} {r['scenario']} {r['mode']}"
    if r["model"] == "no-such-model:1b":
        told = r["scenario"] == "ids" or "ollama pull no-such-model:1b" in r["hint"]
        if r["status"] != "skipped" or not told:
            bad.append(f"{where}: {r['status']} {r['hint']}")
        continue
    if r["status"] == "skipped":
        continue
    if r["status"] != "ok":
        bad.append(f"{where}: {r['status']} {r['error']}")
        continue
    early = "early_stop" in r["flags"].split()
    steps = int(r["decode_steps"])
    if steps != 12 and not early or steps > 12 or not float(r["latency_ms"]) > 0:
        bad.append(f"{where}: {steps} steps in {r['latency_ms']} ms, {r['flags']}")
    if float(r["ttft_ms"]) < float(r["prefill_ms"]) or "prompt_cache_hit" in r["flags"]:
        bad.append(f"{where}: ttft {r['ttft_ms']} prefill {r['prefill_ms']} {r['flags']}")
    if r["prefill_source"] != "server" or not float(r["params_millions_measured"]) > 0:
        bad.append(f"{where}: {r['prefill_source']} {r['params_millions_measured']}")
ok = {r["model"] for r in rows if r["status"] == "ok"}
if len(ok) != 3:
    bad.append(f"only these ran: {sorted(ok)}")
counters = list(csv.DictReader(open(sys.argv[1] + "/analysis/server_counters.csv")))
if len(counters) != 3 or any(int(c["n_lengths"]) < 3 or c["verdict"] == "N" for c in counters):
    bad.append(f"counters: {counters}")
for line in bad:
    print(line)
sys.exit(bool(bad))
PY
"$inferlaw" verify run >out 2>&1 || fail "verify: $(tail -n 3 out)"

# Nobody there: rows that say how to start one, no number.
sed -e "s#serve: auto#url: 'http://127.0.0.1:9'#" -e '/^suites/d' study.yaml >absent.yaml
"$inferlaw" run absent.yaml -o absent >out 2>&1
grep -q 'ollama serve' absent/metrics.csv || fail "an absent server is not told: $(tail -n 3 out)"
! grep -q ',ok,' absent/metrics.csv || fail "an absent server has ok rows"
done_live
