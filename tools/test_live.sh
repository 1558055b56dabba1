#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Tests against real runtimes: installs those of a set (they stay in the runtimes directory, or in
# $IL_RUNTIMES) and runs tests/live/test_*.sh.
#   tools/test_live.sh BUILD_DIR light|all [--where-possible]
# A runtime of the set that is not there is a failure. With --where-possible it is only said, in
# capitals: what others ship may be out of reach, or broken, for a day. IL_LIVE_ONLY=WORD runs the tests whose
# names hold WORD. IL_LIVE_TIMEOUT_S: for one test, IL_LIVE_INSTALL_S: for one installation.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(cd "$1" && pwd)
light="models llama.cpp-light onnxruntime hf-light ollama"
case $2 in
light) set_names=$light longest=480 ;; # seconds, of one test, on a machine that does much else
all) set_names="$light llama.cpp hf vllm" longest=1200 ;;
*) echo "usage: tools/test_live.sh BUILD_DIR light|all [--where-possible]" >&2; exit 1 ;;
esac
where_possible=${3:-}
[ -z "${IL_RUNTIMES:-}" ] || export INFERLAW_RUNTIMES=$IL_RUNTIMES
runtimes=$("$build/inferlaw" runtimes path)
log=$build/live
mkdir -p "$log"

# Asked once, and quickly: pip's own patience with an index that is silent is many minutes.
answers=
index_answers() {
    if [ -z "$answers" ]; then
        local probe
        probe=$(mktemp -d)
        answers=no
        if python3 -m venv "$probe" >"$log/probe.log" 2>&1 && timeout 60 "$probe/bin/pip" --timeout 15 --retries 0 \
            index versions onnxruntime >>"$log/probe.log" 2>&1; then
            answers=yes
        fi
        rm -rf "$probe"
    fi
    [ $answers = yes ]
}

# Did the installation of $1 fail because nobody answered (Go modules come from elsewhere)?
unreachable() {
    cat "$log/install-$1.log" "$runtimes/.builds/$1"-[0-9]*/install.log 2>/dev/null |
        grep -Eqi 'temporary failure in name|name or service not known|no such host|connection (refused|reset|timed out)|network is unreachable|i/o timeout|tls handshake timeout|proxyconnect|403 forbidden|disabled by GOPROXY'
}

live="" absent=""
for name in $set_names; do
    if [ "$where_possible" = --where-possible ] && [ ! -s "$runtimes/$name/VERSION" ] && ! index_answers; then
        absent="$absent $name"
    elif timeout -k 10 "${IL_LIVE_INSTALL_S:-1800}" "$build/inferlaw" runtimes install "$name" 2>&1 | tee "$log/install-$name.log"; then
        live="$live $name"
    elif [ "$where_possible" = --where-possible ]; then
        unreachable "$name" || echo "INSTALLATION FAILED: $name, see $log/install-$name.log" >&2
        absent="$absent $name"
    else
        echo "FAILED: $name cannot be installed" >&2
        exit 1
    fi
done

export IL_LIVE=${live# } INFERLAW_RUNTIMES=$runtimes IL_SOURCE_DIR=$PWD
passed=0 failed="" skipped=""
for script in tests/live/test_*"${IL_LIVE_ONLY:-}"*.sh; do
    [ -e "$script" ] || continue
    name=$(basename "$script" .sh)
    began=$(date +%s) rc=0
    timeout -k 10 "${IL_LIVE_TIMEOUT_S:-$longest}" bash "$script" "$build" >"$log/$name.log" 2>&1 </dev/null || rc=$?
    if [ $rc -ne 0 ] && [ $rc -ne 77 ] && [ "$where_possible" = --where-possible ]; then
        # Real servers on a machine that others share: one more try, and it is said.
        echo "again    $name (rc $rc): $(tail -n 1 "$log/$name.log")"
        mv "$log/$name.log" "$log/$name.first.log"
        rc=0
        timeout -k 10 "${IL_LIVE_TIMEOUT_S:-$longest}" bash "$script" "$build" >"$log/$name.log" 2>&1 </dev/null || rc=$?
    fi
    took="$(($(date +%s) - began)) s"
    case $rc in
    0)
        echo "passed   $name ($took)"
        passed=$((passed + 1))
        ;;
    77)
        echo "SKIPPED  $name: $(grep '^SKIP' "$log/$name.log" | tail -n 1)"
        skipped="$skipped $name"
        ;;
    *)
        [ $rc -ne 124 ] || echo "timed out" >>"$log/$name.log"
        tail -n 40 "$log/$name.log"
        echo "FAILED   $name ($took), all it said: $log/$name.log"
        failed="$failed $name"
        ;;
    esac
done
[ -z "$absent" ] || echo "LIVE TESTS DID NOT RUN FOR:$absent (not to be had here today; $log)" >&2
[ -z "$failed" ] || { echo "live tests failed:$failed" >&2; exit 1; }
[ "$passed" -gt 0 ] || [ -n "$absent" ] || { echo "no live test ran" >&2; exit 1; }
echo "live tests: $passed passed${skipped:+, skipped:$skipped} with ${IL_LIVE:-nothing}"
