#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The hf worker on current PyTorch and transformers: every attention, both caches, torch.compile.
. "$(dirname "$0")/lib.sh"
need hf
. "$(dirname "$0")/hf_models.sh"
for model in gpt2-5m llama qwen2.5 pythia opt gemma3; do
    parity hf 0 $model
done
parity hf 0 gpt2-5m kv_cache=static
parity hf 0 gemma3 kv_cache=static
parity hf 0 gpt2-5m attention=eager
parity hf 0 gpt2-5m attention=flash
parity hf 0 gpt2-5m logits=all compat=tr121
parity hf 0 gpt2-5m dtype=fp16 tolerance=0.01
parity hf 0 gpt2-5m launch=compile
done_live
