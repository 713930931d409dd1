"""The state space of Mamba-2 and a convolution with a bias as transformers computes them, with gradients.

usage: state_space.py

Writes packages/peft-core/src/nn/state-space/testdata/state-space.json; format it with `npx biome check --write`.
"""

import json
import pathlib

import torch
from delta_rule import drawn, numbers
from transformers.models.granitemoehybrid.modeling_granitemoehybrid import causal_conv1d_fn, mamba2_chunk_scan

OUT = pathlib.Path(__file__).parents[3] / "packages/peft-core/src/nn/state-space/testdata/state-space.json"


def weighted(y):
    return (y * torch.cos(1 + 1.7 * torch.arange(y.numel(), dtype=torch.float64)).float().reshape(y.shape)).sum()


def scan(tokens, key_heads, value_heads, key_size, value_size, forgetting, seed):
    """`factors`: the decay of a head is its factor times its rate."""
    generator = torch.Generator().manual_seed(seed)
    given = {
        "q": drawn(generator, 1, tokens, key_heads, key_size),
        "k": drawn(generator, 1, tokens, key_heads, key_size),
        "v": drawn(generator, 1, tokens, value_heads, value_size),
        "rate": torch.round(torch.nn.functional.softplus(drawn(generator, 1, tokens, value_heads)) * 1000) / 1000,
        "factors": -torch.round(drawn(generator, value_heads).abs() * forgetting * 1e4) / 1e4,
    }
    inputs = {name: x.clone().requires_grad_() for name, x in given.items()}
    y, state = mamba2_chunk_scan(
        inputs["v"], inputs["rate"], inputs["factors"], inputs["k"], inputs["q"],
        chunk_size=32, return_final_states=True,
    )
    weighted(y).backward()
    return {
        "tokens": tokens,
        "heads": {"keyHeads": key_heads, "valueHeads": value_heads, "keySize": key_size, "valueSize": value_size},
        "inputs": {name: numbers(x) for name, x in given.items()},
        "y": numbers(y),
        "gradients": {name: numbers(x.grad) for name, x in inputs.items()},
    }


def convolution(tokens, channels, seed):
    generator = torch.Generator().manual_seed(seed)
    given = {
        "x": drawn(generator, 1, tokens, channels),
        "weight": drawn(generator, channels, 1, 4),
        "bias": drawn(generator, channels),
    }
    inputs = {name: x.clone().requires_grad_() for name, x in given.items()}
    y = causal_conv1d_fn(
        inputs["x"].transpose(1, 2), inputs["weight"].squeeze(1), inputs["bias"], activation="silu"
    ).transpose(1, 2)
    weighted(y).backward()
    return {
        "tokens": tokens,
        "channels": channels,
        "inputs": {name: numbers(x) for name, x in given.items()},
        "y": numbers(y),
        "gradients": {name: numbers(x.grad) for name, x in inputs.items()},
    }


if __name__ == "__main__":
    cases = {
        "script": "scripts/golden/testdata/state_space.py",
        # Longer than two chunks of 64, not whole ones, with states that last over chunks; one shorter than a chunk.
        "scans": [scan(150, 1, 2, 4, 3, 0.02, 1), scan(150, 2, 4, 3, 5, 0.1, 2), scan(9, 1, 3, 3, 5, 1, 3)],
        "convolution": convolution(6, 3, 4),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(cases) + "\n")
