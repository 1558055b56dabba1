#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# PyTorch 1.13 as Debian packages it, with a transformers of its time: small and quick to install,
# right for checking results, not for speed. Usage: tools/runtimes/hf-light.sh RUNTIMES_DIR [--force]
. "$(dirname "$0")/lib.sh"

prerequisites() {
    packages /usr/bin/python3=python3 py:torch=python3-torch py:ensurepip=python3-venv
}
version() { "$build/bin/python" -c 'import torch, transformers; print(f"torch {torch.__version__}, transformers {transformers.__version__}")'; }

begin hf-light 1 "$@"
venv /usr/bin/python3 --system-site-packages
step installing transformers -- pip_install transformers==4.40.2 'numpy<2' safetensors
finish
