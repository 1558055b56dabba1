#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# llama.cpp's server out of a Python package: seconds to install, AVX2 code, right for checking
# results, not for speed. Usage: tools/runtimes/llama.cpp-light.sh RUNTIMES_DIR [--force]
. "$(dirname "$0")/lib.sh"

version() {
    "$build/bin/python" -c 'import xllamacpp' || return 1
    python_versions xllamacpp
}

begin llama.cpp-light 1 "$@"
venv "${IL_PYTHON:-python3}"
step installing xllamacpp -- pip_install xllamacpp
finish
