#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ONNX Runtime; with a card of NVIDIA's, or IL_ONNXRUNTIME=onnxruntime-gpu, the build that uses it.
# Usage: tools/runtimes/onnxruntime.sh RUNTIMES_DIR [--force]
. "$(dirname "$0")/lib.sh"

version() { "$build/bin/python" -c 'import onnxruntime as o; p = [n.replace("ExecutionProvider", "") for n in o.get_available_providers() if n[:5] != "Azure"]; print("onnxruntime", o.__version__, "(" + ", ".join(p) + ")")'; }

begin onnxruntime 1 "$@"
package=${IL_ONNXRUNTIME:-}
if [ -z "$package" ]; then
    package=onnxruntime
    [ ! -e /proc/driver/nvidia/version ] || package=onnxruntime-gpu
fi
venv "${IL_PYTHON:-python3}"
step installing "$package" -- pip_install "$package" numpy onnx
finish
