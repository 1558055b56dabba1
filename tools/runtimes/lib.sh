# SPDX-License-Identifier: GPL-3.0-or-later
# What the installers of runtimes share; sourced by tools/runtimes/NAME.sh, which is called with the
# runtimes directory (and --force: from scratch). Everything is built in DIR/.builds/NAME-RECIPE and
# DIR/NAME becomes a link to it at the very end, so that a runtime is there whole or not at all. What
# a broken installation left is used by the next one. Talk goes to stderr.
# shellcheck shell=bash
set -euo pipefail

say() { echo "$name: $*" >&2; }
die() {
    say "$*"
    exit 1
}

# begin NAME RECIPE "$@": RECIPE changes whenever the script would make something else.
begin() {
    name=$1
    recipe=$2
    shift 2
    [ $# -ge 1 ] || { echo "usage: $0 RUNTIMES_DIR [--force]" >&2; exit 1; }
    mkdir -p "$1/.builds" || die "cannot make $1"
    runtimes=$(cd "$1" && pwd)
    build=$runtimes/.builds/$name-$recipe
    work=$build/.work
    log=$build/install.log
    exec 9>"$runtimes/.builds/$name.lock"
    flock -n 9 || { say "another installation is under way, waiting for it"; flock 9; }
    if [ "${2:-}" = --force ]; then
        discard "$build"
    elif [ "$(readlink "$runtimes/$name" 2>/dev/null)" = ".builds/$name-$recipe" ] && [ -s "$build/VERSION" ]; then
        if now=$(version 2>/dev/null) && [ -n "$now" ]; then
            [ "$now" = "$(cat "$build/VERSION")" ] || printf '%s\n' "$now" >"$build/VERSION"
            say "$now is already there"
            exit 0
        fi
        say "is there but does not answer: installing it again"
        discard "$build"
    fi
    rm -f "$build/VERSION"
    mkdir -p "$build/bin" "$work"
    : >"$log"
    cd "$work" # whatever becomes of the directory this was called in
    started=$(date +%s)
    [ -z "$(type -t prerequisites)" ] || prerequisites
}

discard() {
    [ ! -e "$1" ] || { chmod -R u+w "$1"; rm -rf "$1"; }
}

# packages PROGRAM_OR_FILE_OR_py:MODULE=DEBIAN_PACKAGE…: one sentence for all that is missing.
packages() {
    local pair missing=""
    for pair in "$@"; do
        case ${pair%%=*} in
        py:*) # a module of Debian's own interpreter
            /usr/bin/python3 -c "import importlib.util as u, sys; sys.exit(not u.find_spec('${pair#py:}'.split('=')[0]))" \
                2>/dev/null || missing="$missing ${pair#*=}"
            ;;
        /*) [ -e "${pair%%=*}" ] || missing="$missing ${pair#*=}" ;;
        *) command -v "${pair%%=*}" >/dev/null || missing="$missing ${pair#*=}" ;;
        esac
    done
    [ -z "$missing" ] || die "needs packages that are missing: sudo apt-get install$missing"
}

# step WORDS -- COMMAND…: runs it with its output in the log; says how long it took.
step() {
    local words="" from rc=0
    while [ "$1" != -- ]; do
        words="$words $1"
        shift
    done
    shift
    from=$(date +%s)
    echo "== $*" >>"$log"
    if [ -t 2 ]; then
        "$@" >>"$log" 2>&1 9>&- </dev/null &
        local child=$!
        while kill -0 $child 2>/dev/null; do
            printf '\r%s:%s … %d s ' "$name" "$words" $(($(date +%s) - from)) >&2
            sleep 1
        done
        wait $child || rc=$?
        printf '\r\033[K' >&2
    else
        say "${words# } …"
        "$@" >>"$log" 2>&1 9>&- </dev/null || rc=$?
    fi
    if [ $rc -ne 0 ]; then
        tail -n 15 "$log" >&2
        die "failed at: ${words# } (all of it: $log); the same command again goes on from there"
    fi
    say "${words# }: $(($(date +%s) - from)) s"
}

# make_venv PLACE PYTHON [FLAG…]
make_venv() {
    local place=$1 python=$2
    shift 2
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        die "needs a python3 with venv: sudo apt-get install python3-venv"
    "$place/bin/python" -m pip --version >/dev/null 2>&1 ||
        step making a Python environment -- "$python" -m venv "$@" "$place"
}
# venv PYTHON [FLAG…]: the runtime itself, at the path it will keep.
venv() { make_venv "$build" "$@"; }
# A pip for what is only needed on the way: tool_pip; "$pip" download …
tool_pip() {
    make_venv "$work/tools" "${IL_PYTHON:-python3}"
    pip=$work/tools/bin/pip
}

pip_install() {
    "$build/bin/python" -m pip install --disable-pip-version-check --progress-bar off "$@"
}

# One line of versions from the environment: python_versions torch transformers
python_versions() {
    "$build/bin/python" - "$@" <<'PY'
import sys
from importlib.metadata import version
print(", ".join(f"{name} {version(name)}" for name in sys.argv[1:]))
PY
}

# Asks for the version, publishes, removes older builds of the same runtime.
finish() {
    local line
    line=$(version 2>>"$log") || { tail -n 15 "$log" >&2; die "is installed but does not answer (all of it: $log)"; }
    [ -n "$line" ] || die "is installed but tells no version"
    discard "$work"
    printf '%s\n' "$line" >"$build/VERSION.tmp"
    mv "$build/VERSION.tmp" "$build/VERSION"
    if [ -e "$runtimes/$name" ] && [ ! -L "$runtimes/$name" ]; then
        die "$runtimes/$name is in the way: it was not made by this; move it away"
    fi
    ln -sfn ".builds/$name-$recipe" "$runtimes/.builds/$name.link"
    mv -T "$runtimes/.builds/$name.link" "$runtimes/$name"
    local old
    for old in "$runtimes/.builds/$name"-[0-9]*; do
        [ "$old" = "$build" ] || discard "$old"
    done
    say "$line, $(du -sm "$build" | cut -f1) MB, $(($(date +%s) - started)) s: $runtimes/$name"
}
