#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far transformers' own half-precision logits are from its fp32 ones, as the parity gate counts.

    parity_noise.py DIR...        (needs torch and transformers)

One line a checkpoint and dtype: the largest difference of a row over the row's largest absolute
fp32 logit, over 32 random tokens, and the same divided by the square root of the layers. It is the
runtime that rounds most (weights, activations, residual stream and cache), so it bounds from below
what a tolerance must allow (docs/parity.md).
"""
import sys

import torch
from transformers import AutoModelForCausalLM


def logits(path, dtype, ids):
    model = AutoModelForCausalLM.from_pretrained(path, torch_dtype=dtype)
    model.eval()
    with torch.no_grad():
        out = model(ids).logits[0].float()
    layers = model.config.num_hidden_layers
    vocab = model.config.vocab_size
    del model
    return out[:, :vocab], layers


def main(paths):
    torch.manual_seed(42)
    print("checkpoint,dtype,layers,max_rel_error,per_sqrt_layer")
    for path in paths:
        name = path.rstrip("/").split("/")[-1]
        ids = torch.randint(2, 50000, (1, 32))
        reference, layers = logits(path, torch.float32, ids)
        scale = reference.abs().max(dim=1).values
        for dtype in (torch.bfloat16, torch.float16):
            try:
                row, _ = logits(path, dtype, ids)
            except RuntimeError as error:
                print(f"{name},{dtype},,,{error}", file=sys.stderr)
                continue
            worst = ((row - reference).abs().max(dim=1).values / scale).max().item()
            print(f"{name},{str(dtype)[6:]},{layers},{worst:.3g},{worst / layers ** 0.5:.3g}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
