#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Writes tests/report/golden from the fixture: tools/make_report_golden.sh [BUILD], after it wrote the
# fixture's medians.csv and outcomes.csv with "inferlaw analyze". Read the difference (git diff
# tests/report) before committing it.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-$root/build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$root/tests/report/fixture/run" "$work/run"
# Two tables of the fixture are what the analysis makes of its metrics.csv; the others are invented.
mkdir "$work/analyzed"
cp "$root/tests/report/fixture/run/metrics.csv" "$work/analyzed/"
"$build/inferlaw" analyze "$work/analyzed" >"$work/laws.txt"
for table in medians outcomes; do
    cp "$work/analyzed/analysis/$table.csv" "$work/run/analysis/"
    cp "$work/analyzed/analysis/$table.csv" "$root/tests/report/fixture/run/analysis/"
done
"$build/inferlaw" report "$work/run" >"$work/summary.txt"
mkdir -p "$root/tests/report/golden"
cp "$work/run/report.md" "$work/run/report.html" "$work/run/analysis/plots/report_step_time.svg" \
    "$root/tests/report/golden/"
sed "s|$work/run|RUN|" "$work/summary.txt" >"$root/tests/report/golden/summary.txt"
