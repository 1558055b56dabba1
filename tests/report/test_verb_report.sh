#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Exit codes and streams of `inferlaw report`.
set -uo pipefail
build=$1
fixture=${IL_SOURCE_DIR:?}/tests/report/fixture/run
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

expect() { # expect CODE DESCRIPTION COMMAND…
    local want=$1 what=$2 got=0
    shift 2
    "$@" >"$work/out" 2>"$work/err" || got=$?
    if [ "$got" != "$want" ]; then
        echo "FAIL $what: exit $got, wanted $want"
        sed 's/^/  /' "$work/err"
        failed=1
    fi
}

holds() { # holds FILE PATTERN DESCRIPTION
    grep -q -- "$2" "$1" || { echo "FAIL $3: no \"$2\""; sed 's/^/  /' "$1" | head -20; failed=1; }
}

cp -r "$fixture" "$work/run"
expect 0 "a whole run" "$build/inferlaw" report "$work/run"
holds "$work/out" "^Findings" "the summary is on stdout"
holds "$work/out" "^report: $work/run/report.html" "the summary says where the page is"
holds "$work/out" "^        $work/run/report.md" "the summary says where the text is"
holds "$work/run/report.md" "## What this run cannot tell" "the report is written"

# A second time gives the same bytes: the report depends on the artifacts alone.
cp "$work/run/report.md" "$work/first.md"
expect 0 "again" "$build/inferlaw" report "$work/run"
cmp -s "$work/first.md" "$work/run/report.md" || { echo "FAIL the second report differs"; failed=1; }

expect 1 "no argument" "$build/inferlaw" report
expect 1 "a directory that is not there" "$build/inferlaw" report "$work/nowhere"
holds "$work/err" "try:" "it says what to try"
expect 1 "a format that is not there" "$build/inferlaw" report "$work/run" --format pdf
mkdir "$work/empty"
expect 4 "an empty directory" "$build/inferlaw" report "$work/empty"
holds "$work/err" "inferlaw analyze" "it names the command that makes the tables"
rm -r "$work/run/analysis"
expect 4 "no analysis" "$build/inferlaw" report "$work/run"
holds "$work/err" "inferlaw analyze" "it names the command that makes it"
[ -s "$work/out" ] && { echo "FAIL something on stdout after an error"; failed=1; }

cp -r "$fixture/analysis" "$work/run/"
mkdir "$work/bin"
ln -s "$(command -v env)" "$work/bin/env"
expect 0 "no gnuplot" env PATH="$work/bin" "$build/inferlaw" report "$work/run"
holds "$work/err" "gnuplot is not installed" "one sentence about it"
expect 1 "--help is no run" "$build/inferlaw" report --nonsense
exit $failed
