#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Real servers, started and stopped as a backend does it: ready when they say so, one answer, and
# nothing left afterwards: no process, no open port, no directory. Also after inferlaw is killed.
. "$(dirname "$0")/lib.sh"
need models ollama
case " $IL_LIVE " in *" llama.cpp "*) need llama.cpp ;; *) need llama.cpp-light ;; esac

fetch() { # URL [BODY]
    python3 - "$@" <<'PY'
import sys, urllib.request
body = sys.argv[2].encode() if len(sys.argv) > 2 else None
request = urllib.request.Request(sys.argv[1], body, {"Content-Type": "application/json"})
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).read().decode())
PY
}

# up KIND MODEL: $pid, $url; the server lives until its standard input is closed by down.
up() {
    rm -f "$work/in" "$work/out"
    mkfifo "$work/in"
    "$build/tests/live_serve" "$@" <"$work/in" >"$work/out" 2>"$work/err" &
    tool=$!
    exec 8>"$work/in"
    for _ in $(seq 6000); do
        grep -q '^ready' "$work/out" && break
        kill -0 $tool 2>/dev/null || break
        sleep 0.1
    done
    if ! read -r _ seconds pid url < <(grep '^ready' "$work/out"); then
        fail "$1 does not start: $(cat "$work/err")"
        exec 8>&-
        return 1
    fi
    echo "$1 ready after $seconds s"
}

group_is_gone() {
    for _ in $(seq 100); do
        ps -e -o pgid=,stat= | awk -v g="$pid" '$1 == g && $2 !~ /^Z/ { found = 1 } END { exit found }' && return 0
        sleep 0.1
    done
    return 1
}

nothing_left() {
    group_is_gone || fail "$1 left processes: $(ps -e -o pid=,pgid=,args= | awk -v g="$pid" '$2 == g')"
    # A killed process is a zombie to ps while its other threads, and its sockets, are still going.
    for _ in $(seq 50); do
        (exec 3<>"/dev/tcp/127.0.0.1/${url##*:}") 2>/dev/null || return 0
        sleep 0.2
    done
    fail "$1 left its port open"
}

down() {
    exec 8>&-
    wait $tool || fail "$1: the tool left with $?"
    nothing_left "$1"
    compgen -G "$runtimes/.serve/serve-$tool-*" >/dev/null && fail "$1 left its directory"
    echo "$1 $(grep stopped "$work/out") s"
}

if up ollama -; then
    fetch "$url/api/version" | grep -q '"version"' || fail "ollama tells no version"
    fetch "$url/api/tags" | grep -q '"models":\[\]' || fail "ollama has models of somebody else's"
    down ollama
fi
if up llama.cpp "$smollm"; then
    fetch "$url/v1/completions" '{"prompt":"The capital of France is","max_tokens":8,"temperature":0}' >"$work/answer"
    grep -q Paris "$work/answer" || fail "SmolLM2 does not know France: $(cat "$work/answer")"
    grep -q '"completion_tokens":8' "$work/answer" || fail "no usage: $(cat "$work/answer")"
    down llama.cpp
fi

# vLLM is three processes; it compiles for a minute or two before it is ready.
case " $IL_LIVE " in
*" vllm "*)
    need vllm
    "$inferlaw" model make --suite tr121/gpt2-45m --out "$work/models" >/dev/null 2>&1 || fail "no checkpoint"
    if up vllm "$work/models/gpt2-45m" 512 580; then
        fetch "$url/v1/completions" '{"model":"under-test","prompt":"one two","max_tokens":8,"ignore_eos":true}' >"$work/answer"
        grep -q '"completion_tokens":8' "$work/answer" || fail "vllm: no usage: $(cat "$work/answer")"
        down vllm
    fi
    ;;
esac

# inferlaw is killed: the server's whole group ends by itself.
if up llama.cpp "$smollm"; then
    kill -KILL $tool
    wait $tool 2>/dev/null
    exec 8>&-
    nothing_left "llama.cpp of a killed driver"
fi

# A file that is no model: the server's own words, at once.
echo nonsense >"$work/bad.gguf"
"$build/tests/live_serve" llama.cpp "$work/bad.gguf" </dev/null >"$work/out" 2>"$work/err"
[ $? -eq 2 ] && grep -q '^CRASHED' "$work/err" || fail "a bad file: $(cat "$work/out" "$work/err")"
cat "$work/err"
done_live
