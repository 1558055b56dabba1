# SPDX-License-Identifier: GPL-3.0-or-later
# What tests of real runtimes share; sourced. tools/test_live.sh calls each with the build directory
# as its argument and these variables:
#   IL_LIVE            the runtimes of the chosen set: a missing one of these is a failure
#   INFERLAW_RUNTIMES  where they are installed
#   IL_SOURCE_DIR      the source tree
# shellcheck shell=bash disable=SC2034
set -u
build=$1
inferlaw=$build/inferlaw
runtimes=$("$inferlaw" runtimes path)
models=$runtimes/models
gemma=$models/gemma3-270m-Q4_K_M.gguf
smollm=$models/SmolLM2-135M-Instruct.Q4_1.gguf
work=$(mktemp -d "${TMPDIR:-/tmp}/il-live.XXXXXX")
failures=0
trap 'rm -rf "$work"' EXIT

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# need NAME…: leaves with SKIP where one is no part of the set, fails where it is and is not there.
need() {
    local name
    for name in "$@"; do
        case " ${IL_LIVE:-} " in
        *" $name "*) ;;
        *)
            echo "SKIP: $name is no part of this set (${IL_LIVE:-none})"
            exit 77
            ;;
        esac
        if [ ! -s "$runtimes/$name/VERSION" ]; then
            echo "FAILED: $name is not installed: inferlaw runtimes install $name"
            exit 1
        fi
    done
}

# run_marked ARGUMENT…: inferlaw, whose whole offspring can be told by its environment.
run_marked() { IL_LIVE_MARK=$work "$inferlaw" "$@"; }

# No process that run_marked started lives.
nothing_marked_left() {
    local file left=""
    for _ in $(seq 50); do
        left=""
        for file in /proc/[0-9]*/environ; do
            if tr '\0' '\n' <"$file" 2>/dev/null | grep -qxF "IL_LIVE_MARK=$work"; then
                left="$left $(tr '\0' ' ' <"${file%environ}cmdline" 2>/dev/null | cut -c1-100)"
            fi
        done 2>/dev/null
        [ -n "$left" ] || break
        sleep 0.2
    done
    [ -z "$left" ] || fail "processes are left:$left"
}

# The last line of every test: done_live
done_live() {
    [ $failures -eq 0 ] || exit 1
}
