"""The gated delta rule and its convolution as transformers computes them, with gradients.

usage: delta_rule.py

Writes packages/peft-core/src/nn/delta-rule/testdata/delta-rule.json; format it with `npx biome check --write`.
"""

import json
import pathlib

import torch
from transformers.models.qwen3_5.modeling_qwen3_5 import (
    causal_conv1d_fn,
    torch_chunk_gated_delta_rule,
    torch_recurrent_gated_delta_rule,
)

OUT = pathlib.Path(__file__).parents[3] / "packages/peft-core/src/nn/delta-rule/testdata/delta-rule.json"


def numbers(x):
    return [round(value, 7) for value in x.detach().flatten().tolist()]


def drawn(generator, *shape):
    return torch.round(torch.randn(*shape, generator=generator) * 1000) / 1000


def rule(rule_of, tokens, key_heads, value_heads, key_size, value_size, forgetting, seed):
    generator = torch.Generator().manual_seed(seed)
    given = {
        "q": drawn(generator, 1, tokens, key_heads, key_size),
        "k": drawn(generator, 1, tokens, key_heads, key_size),
        "v": drawn(generator, 1, tokens, value_heads, value_size),
        "decay": -torch.round(drawn(generator, 1, tokens, value_heads).abs() * forgetting * 1e4) / 1e4,
        "rate": torch.round(torch.sigmoid(drawn(generator, 1, tokens, value_heads)) * 1000) / 1000,
    }
    inputs = {name: x.clone().requires_grad_() for name, x in given.items()}
    y, state = rule_of(
        inputs["q"], inputs["k"], inputs["v"], g=inputs["decay"], beta=inputs["rate"],
        output_final_state=True, use_qk_l2norm_in_kernel=True,
    )
    weights = torch.cos(1 + 1.7 * torch.arange(y.numel())).reshape(y.shape)
    (y * weights).sum().backward()
    return {
        "tokens": tokens,
        "heads": {"keyHeads": key_heads, "valueHeads": value_heads, "keySize": key_size, "valueSize": value_size},
        "inputs": {name: numbers(x) for name, x in given.items()},
        "y": numbers(y),
        "state": numbers(state),
        "gradients": {name: numbers(x.grad) for name, x in inputs.items()},
    }


def convolution(tokens, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    x, weight = drawn(generator, 1, tokens, channels), drawn(generator, channels, 1, 4)
    y = causal_conv1d_fn(x.transpose(1, 2), weight.squeeze(1), activation="silu").transpose(1, 2)
    return {"tokens": tokens, "channels": channels, "x": numbers(x), "weight": numbers(weight), "y": numbers(y)}


if __name__ == "__main__":
    cases = {
        "script": "scripts/golden/testdata/delta_rule.py",
        # Longer than two chunks of 64, not whole ones, with states that last over chunks; shorter than a chunk.
        "chunked": [
            rule(torch_chunk_gated_delta_rule, 150, 1, 2, 4, 3, 0.01, 1),
            rule(torch_chunk_gated_delta_rule, 9, 2, 2, 3, 5, 1, 2),
        ],
        "recurrent": [rule(torch_recurrent_gated_delta_rule, 70, 1, 2, 4, 3, 0.1, 3)],
        "convolution": convolution(6, 3, 4),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(cases) + "\n")
