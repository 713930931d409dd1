"""Draws the random projections of HF PEFT's VeRA for given keys and sizes, and reports how this PyTorch computes them.

usage: shared_projections.py PLAN.json

PLAN.json: {"draws": [{"key", "rank", "width", "out"}]}
Writes one JSON object per draw: {"sha256": [of A, of B], little-endian float32, row by row, "first", "last": four numbers of each,
  "bfloat16": largest difference after rounding to the base model's bfloat16, as PEFT does with such a base, "capability": the CPU's
  instructions that PyTorch uses}.
"""

import hashlib
import json
import sys

import torch
from peft import VeraConfig, get_peft_model
from peft.tuners.vera.model import _kaiming_init


def both(key, rank, width, out):
    """As VeraModel._init_vera_A_vera_B does."""
    generator = torch.Generator(device="cpu").manual_seed(key)
    return [_kaiming_init((rank, width), generator=generator), _kaiming_init((out, rank), generator=generator)]


def of_model(key, rank, width, out, dtype):
    """Those of an adapter on a model with one layer of this size."""
    base = torch.nn.Sequential(torch.nn.Linear(width, out, bias=False, dtype=dtype))
    model = get_peft_model(base, VeraConfig(r=rank, projection_prng_key=key, target_modules=["0"]))
    return [model.base_model.vera_A["default"], model.base_model.vera_B["default"]]


with open(sys.argv[1]) as source:
    for draw in json.load(source)["draws"]:
        drawn = both(**draw)
        assert all(torch.equal(a, b) for a, b in zip(drawn, of_model(**draw, dtype=torch.float32)))
        narrow = of_model(**draw, dtype=torch.bfloat16)
        drawing = {
            "sha256": [hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for tensor in drawn],
            "first": [tensor.flatten()[:4].tolist() for tensor in drawn],
            "last": [tensor.flatten()[-4:].tolist() for tensor in drawn],
            "bfloat16": max((a - b.float()).abs().max().item() for a, b in zip(drawn, narrow)),
            "capability": torch.backends.cpu.get_cpu_capability(),
        }
        print(json.dumps(drawing), flush=True)
