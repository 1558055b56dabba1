#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs the Debian or Ubuntu packages inferlaw needs: tools/deps.sh build | study | test | live
# Optional for tests, never installed by this: chromium (with python3), in which one test opens
# report.html; without it that test says so and is skipped.
# Packages that are there already cost nothing; root is asked for only when one is missing.
set -eu

build="gcc libc6-dev make cmake ninja-build pkg-config libgsl-dev libjansson-dev libyaml-dev
       libssl-dev libcurl4-openssl-dev libhwloc-dev libpcre2-dev libutf8proc-dev zlib1g-dev"
study="$build gnuplot-nox"
test="$study libcmocka-dev clang-format"
# What the installers of runtimes (tools/runtimes) and the tests of them ask for.
live="$test g++ python3 python3-venv python3-torch nlohmann-json3-dev libstb-dev"

case "${1:-build}" in
build) wanted=$build ;;
study) wanted=$study ;;
test) wanted=$test ;;
live) wanted=$live ;;
*)
    echo "usage: tools/deps.sh build|study|test|live" >&2
    exit 1
    ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "This is no Debian or Ubuntu. inferlaw needs these packages, by their Debian names:" >&2
    echo "$wanted" >&2
    echo "Install them with your package manager, then run 'make' again." >&2
    exit 0
fi

missing=""
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "Missing packages:$missing" >&2
        echo "Run as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "Root is needed once, to install:$missing" >&2
    as_root=sudo
fi
install="env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends"
# shellcheck disable=SC2086
if ! $as_root $install $missing; then
    # Package lists may be absent or old on a fresh machine.
    $as_root apt-get -q update
    # shellcheck disable=SC2086
    $as_root $install $missing
fi
