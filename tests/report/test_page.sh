#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# report.md and report.html of the fixture hold the same numbers, and the page works in a browser:
# no network, a silent console, columns that sort, both themes, a narrow window, paper. The pictures
# stay in BUILD/report_pictures to be looked at. Exit 77 (skipped) where no Chromium is installed.
set -uo pipefail
build=$1
here=${IL_SOURCE_DIR:?}/tests/report
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here/fixture/run" "$work/run"
fail() { echo "FAIL $1"; exit 1; }

"$build/inferlaw" report "$work/run" --format html >"$work/out" 2>"$work/err" || fail "report: $(cat "$work/err")"
[ -f "$work/run/report.html" ] || fail "no report.html"
[ ! -f "$work/run/report.md" ] || fail "--format html wrote report.md too"
"$build/inferlaw" report "$work/run" >"$work/out" 2>"$work/err" || fail "report: $(cat "$work/err")"

# The same artifacts give the same bytes, wherever the directory lies.
mkdir -p "$work/else/where"
cp -r "$here/fixture/run" "$work/else/where/other"
"$build/inferlaw" report "$work/else/where/other" >/dev/null 2>&1 || fail "report elsewhere"
for file in report.md report.html analysis/plots/report_step_time.svg; do
    cmp "$work/run/$file" "$work/else/where/other/$file" || fail "$file depends on where it is"
done

python3=$(command -v python3) || { echo "skipped: python3 is not here"; exit 77; }
"$python3" "$here/structure.py" "$work/run/report.md" "$work/run/report.html" || fail "the two differ"
# The check itself sees a single changed digit.
sed 's/0\.291 to 0\.123/0.291 to 0.124/' "$work/run/report.html" >"$work/changed.html"
cmp -s "$work/run/report.html" "$work/changed.html" && fail "nothing was changed"
"$python3" "$here/structure.py" "$work/run/report.md" "$work/changed.html" >/dev/null && fail "a changed digit passes"

for name in chromium chromium-browser google-chrome; do
    browser=$(command -v "$name") && break
done
if [ -z "${browser:-}" ]; then
    echo "skipped: no chromium here, so the page was not opened (apt-get install chromium)"
    exit 77
fi
timeout 300 "$python3" "$here/browser.py" "$browser" "$work/run/report.html" "$build/report_pictures" || fail "the page in $browser"
# And the check sees a page that asks for something.
sed 's|<main id="content">|<main id="content"><img src="http://127.0.0.1:9/x.png" alt="">|' "$work/run/report.html" >"$work/asks.html"
timeout 300 "$python3" "$here/browser.py" "$browser" "$work/asks.html" "$work/pictures" >"$work/said" && fail "a page that asks for a picture passes"
grep -q -e "asks for" -e "Content Security Policy" "$work/said" || fail "the request was not seen: $(cat "$work/said")"
exit 0
