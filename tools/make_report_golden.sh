#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Writes tests/report/golden from the fixture: tools/make_report_golden.sh [BUILD]. Read the difference
# (git diff tests/report/golden) before committing it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/tests/report/fixture/run" "$work/run"
"$build/inferlaw" report "$work/run" >"$work/summary.txt"
mkdir -p "$root/tests/report/golden"
cp "$work/run/report.md" "$root/tests/report/golden/report.md"
sed "s|$work/run|RUN|" "$work/summary.txt" >"$root/tests/report/golden/summary.txt"
