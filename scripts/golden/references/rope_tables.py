"""Cosines and sines of rotary positions, by transformers.

usage: rope_tables.py PLAN.json

PLAN.json: {"configs": [fields of a config.json with one small layer or more, ...], "positions": [[positions of a sequence], ...]}
Writes to standard output a line for each config: {"layers": [index in "tables", or null without a rotation, of each layer], "tables":
[{"cosines": [a list for each sequence], "sines": the same}, ...]}. A list has R/2 numbers for each position, one position after the other.
"""

import json
import sys

import torch
from transformers import AutoConfig, AutoModel


def table(rotate, positions, *layer_type):
    """The tables of each sequence alone: a scaling may depend on the longest position of a batch."""
    found = {"cosines": [], "sines": []}
    for each in positions:
        values = rotate(torch.zeros(1), torch.tensor([each]), *layer_type)
        for name, value in zip(found, values):
            # Both halves of a head have the same angles; some architectures return one.
            half = value.shape[-1] // 2
            is_twice = torch.equal(value[..., :half], value[..., half:])
            found[name].append((value[0, :, :half] if is_twice else value[0]).flatten().tolist())
    return found


def main():
    with open(sys.argv[1], encoding="utf-8") as source:
        plan = json.load(source)
    for fields in plan["configs"]:
        model = AutoModel.from_config(AutoConfig.for_model(**fields))
        types = getattr(model.config, "layer_types", None)
        rotated = getattr(model.config, "no_rope_layers", None)
        count = model.config.num_hidden_layers
        if hasattr(model.rotary_emb, "layer_types"):
            kinds = sorted(set(types))
            tables = [table(model.rotary_emb, plan["positions"], kind) for kind in kinds]
            layers = [kinds.index(kind) for kind in types]
        else:
            tables = [table(model.rotary_emb, plan["positions"])]
            layers = [None if rotated and not rotated[i] else 0 for i in range(count)]
        print(json.dumps({"layers": layers, "tables": tables}))


main()
