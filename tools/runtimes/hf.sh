#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The current PyTorch and transformers. Usage: tools/runtimes/hf.sh RUNTIMES_DIR [--force]
. "$(dirname "$0")/lib.sh"

prerequisites() { packages g++=g++; } # torch.compile calls it
version() { "$build/bin/python" -c 'import torch, transformers; print(f"torch {torch.__version__}, transformers {transformers.__version__}")'; }

begin hf 1 "$@"
venv "${IL_PYTHON:-python3}"
step installing torch and transformers '(6 GB)' -- pip_install torch transformers safetensors
finish
