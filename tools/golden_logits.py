#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden logits of the native engine, made by transformers in float32.

    golden_logits.py make  --inferlaw build/inferlaw --out tests/golden
    golden_logits.py check --inferlaw build/inferlaw --dirs DIR… [--dtype bf16] [--isa avx2]

Weights are not stored: `inferlaw model make` regenerates them from the config and the seed in the
golden file. `make` writes one file a case; `check` compares the engine with transformers live, for
shapes too large for a golden. Every sequence runs alone here, without padding, so a golden knows
nothing of how the engine batches.

Needs torch and transformers (4.40 or later, Mistral run eagerly so that the window is a mask; Qwen 3,
Gemma 3, OLMoE and yarn need 5.x).

File: "ILGOLD1\\n"; u32 n, n bytes of config.json; u64 seed; u32 dtype of the
checkpoint (0 fp32, 1 bf16, 2 fp16); u32 vocab, n_columns, batch, n_steps;
u32 lengths[batch]; i32 prompt ids, sequence after sequence; i32 step ids[n_steps][batch];
u32 columns[n_columns]; then rows, f32 largest |logit| of the whole row and f32 logits at the
columns: every prompt position in order, then n_steps times batch. Little endian.
"""
import argparse
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers

SEED = 7
N_COLUMNS = 48
LENGTHS = (7, 12, 3)
N_STEPS = 32
VOCAB = 101
DTYPES = {"fp32": 0, "bf16": 1, "fp16": 2}


def gpt2(n_layer, d_model, n_head, vocab=VOCAB, n_positions=64, tied=True, n_inner=None):
    return {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": n_layer,
        "n_embd": d_model, "n_head": n_head, "vocab_size": vocab, "n_positions": n_positions,
        "n_ctx": n_positions, "n_inner": n_inner, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5, "tie_word_embeddings": tied,
    }


def llama(n_layer, d_model, n_head, n_kv_head, d_ff, tied=False, theta=10000.0, family="llama",
          **more):
    architectures = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM",
                     "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM",
                     "qwen3_moe": "Qwen3MoeForCausalLM", "gemma3_text": "Gemma3ForCausalLM",
                     "mixtral": "MixtralForCausalLM", "olmoe": "OlmoeForCausalLM"}
    config = {
        "model_type": family, "architectures": [architectures[family]],
        "num_hidden_layers": n_layer, "hidden_size": d_model, "num_attention_heads": n_head,
        "num_key_value_heads": n_kv_head, "intermediate_size": d_ff, "vocab_size": VOCAB,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": theta,
        "hidden_act": "silu", "tie_word_embeddings": tied,
    }
    config.update(more)
    return config


def neox(n_layer, d_model, n_head, d_ff, rotary_pct=0.25, parallel=True, tied=False, bias=True):
    return {
        "model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"],
        "num_hidden_layers": n_layer, "hidden_size": d_model, "num_attention_heads": n_head,
        "intermediate_size": d_ff, "vocab_size": VOCAB, "max_position_embeddings": 64,
        "layer_norm_eps": 1e-5, "hidden_act": "gelu", "use_parallel_residual": parallel,
        "attention_bias": bias, "rotary_pct": rotary_pct, "rotary_emb_base": 10000.0,
        "tie_word_embeddings": tied,
    }


def opt(n_layer, d_model, n_head, d_ff, tied=True, bias=True):
    return {
        "model_type": "opt", "architectures": ["OPTForCausalLM"], "num_hidden_layers": n_layer,
        "hidden_size": d_model, "word_embed_proj_dim": d_model, "num_attention_heads": n_head,
        "ffn_dim": d_ff, "vocab_size": VOCAB, "max_position_embeddings": 64,
        "activation_function": "relu", "do_layer_norm_before": True, "enable_bias": bias,
        "tie_word_embeddings": tied,
    }


def gemma3(n_layer, d_model, n_head, n_kv_head, d_ff, head_dim, tied=True, **more):
    config = llama(n_layer, d_model, n_head, n_kv_head, d_ff, tied=tied, theta=100000.0,
                   family="gemma3_text", head_dim=head_dim, rope_local_base_freq=1000.0,
                   hidden_activation="gelu_pytorch_tanh", **more)
    del config["hidden_act"]
    return config


# fp32 checkpoints where the shape is one of the original study, else bf16 ones (one fp16), so that
# the engine's bf16 arithmetic is judged on weights it can hold.
CHECKPOINT_DTYPE = {"gpt2_tiny": "fp32", "gpt2_5m": "fp32", "gpt2_odd": "fp32", "qwen2_tied": "fp16"}

CASES = {
    "gpt2_tiny": gpt2(2, 2, 2, vocab=50257, n_positions=1024),
    "gpt2_5m": gpt2(12, 80, 2, vocab=50257, n_positions=1024),
    "gpt2_odd": gpt2(3, 15, 3, n_inner=37),
    "gpt2_head2_untied": gpt2(2, 24, 12, tied=False),
    "gpt2_head192": gpt2(2, 384, 2),
    "llama_gqa": llama(3, 64, 8, 2, 172),
    "llama_tied_head64": llama(2, 128, 2, 1, 200, tied=True, theta=500000.0),
    "llama_head2": llama(2, 14, 7, 7, 33),
    "llama_linear": llama(2, 48, 4, 4, 80,
                          rope_scaling={"type": "linear", "factor": 2.0}),
    "llama_llama3": llama(3, 96, 6, 3, 130, rope_scaling={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32}),
    "mistral_window": llama(3, 48, 6, 3, 100, family="mistral", sliding_window=5),
    "mistral_head40_full": llama(2, 120, 3, 1, 90, family="mistral", sliding_window=None),
    "qwen2_tied": llama(2, 56, 7, 1, 77, tied=True, theta=1000000.0, family="qwen2"),
    "neox_parallel_odd": neox(3, 44, 4, 77),
    "neox_sequential": neox(2, 90, 5, 128, rotary_pct=1.0, parallel=False),
    "neox_tied_head80_nobias": neox(2, 160, 2, 100, rotary_pct=0.4, tied=True, bias=False),
    "opt_tied_odd": opt(3, 35, 5, 51),
    "opt_untied_nobias": opt(2, 96, 2, 130, tied=False, bias=False),
    "opt_head1": opt(2, 6, 6, 29),
    "qwen3_gqa8_tied": llama(3, 72, 8, 1, 51, tied=True, theta=1000000.0, family="qwen3",
                             head_dim=10),
    "qwen3_head128": llama(2, 45, 2, 2, 130, theta=1000000.0, family="qwen3", head_dim=128),
    "qwen3_yarn": llama(2, 64, 4, 2, 96, family="qwen3", head_dim=32, rope_scaling={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}),
    "gemma3_window": gemma3(4, 60, 4, 1, 99, 24, sliding_window=5, sliding_window_pattern=3,
                            query_pre_attn_scalar=20),
    "gemma3_head256_untied": gemma3(2, 34, 2, 2, 64, 256, tied=False, sliding_window=6,
                                    sliding_window_pattern=2, query_pre_attn_scalar=256,
                                    rope_scaling={"rope_type": "linear", "factor": 8.0}),
    "mixtral_top2": llama(2, 40, 4, 2, 66, family="mixtral", num_local_experts=5,
                          num_experts_per_tok=2, sliding_window=None),
    "mixtral_top1_window": llama(2, 36, 6, 2, 50, family="mixtral", num_local_experts=3,
                                 num_experts_per_tok=1, sliding_window=7, tied=True),
    "qwen3_moe_norm": llama(2, 48, 6, 3, 77, family="qwen3_moe", head_dim=12, num_experts=6,
                            num_experts_per_tok=3, moe_intermediate_size=29, norm_topk_prob=True,
                            decoder_sparse_step=1, mlp_only_layers=[]),
    "olmoe_full_row": llama(2, 50, 5, 5, 37, family="olmoe", num_experts=8,
                            num_experts_per_tok=3, norm_topk_prob=False),
    "qwen2_head192": llama(2, 384, 2, 2, 160, theta=1000000.0, family="qwen2"),
}


# Families read from the config.json that `model make` wrote, whose spelling every version knows.
OWN_CONFIG = ("gpt_neox", "opt", "qwen3", "gemma3_text", "mixtral", "qwen3_moe", "olmoe")


def llama3_frequencies(config):
    """Llama 3.1's published rule in numpy, for a transformers that does not know it."""
    scaling = config["rope_scaling"]
    d_head = config["hidden_size"] // config["num_attention_heads"]
    plain = config["rope_theta"] ** (-np.arange(0, d_head, 2, dtype=np.float64) / d_head)
    wavelength = 2 * math.pi / plain
    context = scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    share = (context / wavelength - low) / (high - low)
    blended = (1 - share) * plain / scaling["factor"] + share * plain
    out = np.where(wavelength < context / high, plain,
                   np.where(wavelength > context / low, plain / scaling["factor"], blended))
    return torch.tensor(out, dtype=torch.float32)


def window_surplus():
    """Positions this transformers' window mask keeps beyond the window itself, the query's own
    position included: 1 up to 4.40's generation, 0 in Mistral's definition and current versions."""
    if int(transformers.__version__.split(".")[0]) >= 5:
        return 0  # its models no longer build their masks so
    from transformers.modeling_attn_mask_utils import AttentionMaskConverter
    mask = AttentionMaskConverter(is_causal=True, sliding_window=3).to_causal_4d(
        1, 8, 8, dtype=torch.float32)
    return int((mask[0, 0, -1] == 0).sum()) - 3


def load_reference(directory, config):
    """The checkpoint in float32; llama3 scaling by the rule above, whatever the version knows."""
    if config["model_type"] in OWN_CONFIG:
        hf_config = transformers.AutoConfig.from_pretrained(directory)
        if getattr(hf_config, "sliding_window", None) and config["model_type"] == "mixtral":
            hf_config.sliding_window -= window_surplus()
        more = {}
        if "num_experts_per_tok" in config and int(transformers.__version__.split(".")[0]) >= 5:
            more["experts_implementation"] = "eager"  # the grouped one wants aligned widths
        return transformers.AutoModelForCausalLM.from_pretrained(
            directory, config=hf_config, torch_dtype=torch.float32,
            attn_implementation="eager", **more).eval()
    loaded = dict(config)
    if loaded.get("sliding_window"):
        loaded["sliding_window"] -= window_surplus()
    scaling = loaded.get("rope_scaling") or {}
    is_llama3 = scaling.get("rope_type") == "llama3"
    if is_llama3:
        del loaded["rope_scaling"]
    kinds = {"gpt2": transformers.GPT2Config, "llama": transformers.LlamaConfig,
             "mistral": transformers.MistralConfig, "qwen2": transformers.Qwen2Config}
    hf_config = kinds[config["model_type"]](
        **{k: v for k, v in loaded.items() if k not in ("model_type", "architectures")})
    model = transformers.AutoModelForCausalLM.from_pretrained(
        directory, config=hf_config, torch_dtype=torch.float32, attn_implementation="eager")
    if is_llama3:
        frequencies = llama3_frequencies(config)
        for layer in model.model.layers:
            layer.self_attn.rotary_emb.inv_freq.copy_(frequencies)
    return model.eval()


@torch.no_grad()
def reference_rows(model, prompt, steps):
    """Logits of every prompt position, then of each step fed one token through the cache."""
    out = model(torch.tensor([prompt]), use_cache=True)
    rows = [out.logits[0].numpy()]
    for token in steps:
        out = model(torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True)
        rows.append(out.logits[0].numpy())
    return np.concatenate(rows).astype(np.float32)


def make_checkpoint(inferlaw, config, dtype, directory):
    path = os.path.join(directory, "source.json")
    with open(path, "w") as file:
        json.dump(config, file)
    target = os.path.join(directory, "model")
    subprocess.run([inferlaw, "model", "make", "--hf-config", path, "--out", target, "--seed",
                    str(SEED), "--dtype", dtype, "--quiet"], check=True)
    return target


class RouterMargins:
    """How far the last chosen expert's router logit stands above the first one left out, least over
    the layers, at every position of a forward pass."""

    def __init__(self, model, config):
        self.k = config["num_experts_per_tok"]
        n_experts = config.get("num_experts", config.get("num_local_experts"))
        gates = [m for m in model.modules()
                 if getattr(getattr(m, "weight", None), "shape", (0,))[0] == n_experts]
        assert len(gates) == config["num_hidden_layers"]
        for gate in gates:
            gate.register_forward_hook(self.seen)

    def seen(self, gate, inputs, _):
        logits = torch.nn.functional.linear(inputs[0], gate.weight).sort(dim=-1)[0]
        self.margins.append((logits[..., -self.k] - logits[..., -self.k - 1]).reshape(-1))

    @torch.no_grad()
    def least(self, model, sequences):
        self.margins = []
        model(torch.tensor(sequences), use_cache=False)
        return torch.stack(self.margins).min(dim=0)[0].reshape(len(sequences), -1)[:, -1]


def decided_tokens(model, config, rng, n_tokens):
    """Random ids at which no router is near a tie: bf16 arithmetic may choose another expert there,
    which says nothing about the engine. The best of 24 candidates a position."""
    margins = RouterMargins(model, config)
    tokens, least = [], np.inf
    for _ in range(n_tokens):
        candidates = rng.integers(0, config["vocab_size"], 24).tolist()
        found = margins.least(model, [tokens + [c] for c in candidates])
        good = (found > 0.15).nonzero().flatten()
        best = int(good[0]) if len(good) else int(found.argmax())
        tokens.append(candidates[best])
        least = min(least, float(found[best]))
    print(f"least margin of a router's choice {least:.3f}")
    return tokens


def make_golden(inferlaw, name, config, out_path):
    rng = np.random.default_rng(len(name))
    vocab = config["vocab_size"]
    prompts = [rng.integers(0, vocab, n).tolist() for n in LENGTHS]
    steps = rng.integers(0, vocab, (N_STEPS, len(LENGTHS)))
    dtype = CHECKPOINT_DTYPE.get(name, "bf16")
    with tempfile.TemporaryDirectory() as directory:
        model = load_reference(make_checkpoint(inferlaw, config, dtype, directory), config)
        if "num_experts_per_tok" in config:
            chosen = [decided_tokens(model, config, rng, n + N_STEPS) for n in LENGTHS]
            prompts = [c[:n] for c, n in zip(chosen, LENGTHS)]
            steps = np.array([c[n:] for c, n in zip(chosen, LENGTHS)]).T.copy()
        rows = [reference_rows(model, p, steps[:, i].tolist()) for i, p in enumerate(prompts)]
    columns = np.sort(rng.choice(vocab, min(N_COLUMNS, vocab), replace=False)).astype("<u4")
    ordered = [r[:n] for r, n in zip(rows, LENGTHS)]
    ordered += [r[n + s][None] for s in range(N_STEPS) for r, n in zip(rows, LENGTHS)]
    table = np.concatenate(ordered)
    text = json.dumps(config, sort_keys=True).encode()
    with open(out_path, "wb") as file:
        file.write(b"ILGOLD1\n" + struct.pack("<I", len(text)) + text)
        file.write(struct.pack("<Q5I", SEED, DTYPES[dtype], vocab, len(columns), len(LENGTHS), N_STEPS))
        file.write(np.array(LENGTHS, dtype="<u4").tobytes())
        file.write(np.concatenate(prompts).astype("<i4").tobytes())
        file.write(steps.astype("<i4").tobytes() + columns.tobytes())
        peaks = np.abs(table).max(axis=1, keepdims=True)
        file.write(np.concatenate([peaks, table[:, columns]], axis=1).astype("<f4").tobytes())
    print(f"{name}: {table.shape[0]} rows, logits' standard deviation {table.std():.2f}")


def check_live(inferlaw, directory, dtype, isa, n_prompt, n_steps):
    """Largest relative error of a row between the engine's and transformers' logits. With experts in
    bf16 the median: where a router is near a tie, rounding chooses another expert, and nothing but
    that row's luck is measured (transformers' own bf16 does the same)."""
    with open(os.path.join(directory, "config.json")) as file:
        config = json.load(file)
    vocab = config["vocab_size"]
    prompt = np.random.default_rng(1).integers(0, vocab, n_prompt).tolist()
    with tempfile.NamedTemporaryFile(suffix=".f32") as out:
        subprocess.run([inferlaw, "model", "logits", directory, "--ids",
                        ",".join(map(str, prompt)), "--steps", str(n_steps), "--dtype", dtype,
                        "--isa", isa, "--out", out.name, "--quiet"], check=True)
        ours = np.fromfile(out.name, dtype=np.float32).reshape(-1, vocab)
    steps = ours[n_prompt - 1:-1].argmax(axis=1).tolist()
    theirs = reference_rows(load_reference(directory, config), prompt, steps)
    errors = np.abs(ours - theirs).max(axis=1) / np.abs(theirs).max(axis=1)
    ties = "num_experts_per_tok" in config and dtype == "bf16"
    return float(np.median(errors) if ties else errors.max())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("--inferlaw", required=True)
    parser.add_argument("--out", default="tests/golden")
    parser.add_argument("--only", nargs="*", help="these cases of the goldens")
    parser.add_argument("--dirs", nargs="*", default=[], help="check: checkpoint directories")
    parser.add_argument("--dtype", default="fp32")
    parser.add_argument("--isa", default="auto")
    parser.add_argument("--prompt-tokens", type=int, default=40)
    parser.add_argument("--steps", type=int, default=32)
    args = parser.parse_args()
    torch.manual_seed(0)
    failed = False
    if args.what == "make":
        os.makedirs(args.out, exist_ok=True)
        for name, config in CASES.items():
            if args.only is None or name in args.only:
                path = os.path.join(args.out, name + ".bin")
                make_golden(args.inferlaw, name, config, path)
    for directory in args.dirs if args.what == "check" else []:
        error = check_live(args.inferlaw, directory, args.dtype, args.isa, args.prompt_tokens,
                           args.steps)
        limit = 1e-4 if args.dtype == "fp32" else 2e-2
        failed |= not error <= limit
        print(f"{directory}: {error:.2e} {'ok' if error <= limit else 'BEYOND %g' % limit}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
