"""The noise that transformers' NEFTune puts on embeddings, in numbers.

usage: neftune.py

Writes packages/peft-core/src/train/objectives/testdata/neftune.json; format it with `npx biome check --write`.
"""

import json
import pathlib

import torch
from transformers.integrations.neftune import neftune_post_forward_hook

OUT = pathlib.Path(__file__).parents[3] / "packages/peft-core/src/train/objectives/testdata/neftune.json"


def noise(alpha, tokens, width):
    """Maximum and deviation of the noise of many sequences of one length."""
    table = torch.nn.Embedding(8, width)
    table.neftune_noise_alpha = alpha
    ids = torch.zeros(400, tokens, dtype=torch.long)
    plain = table(ids)
    drawn = neftune_post_forward_hook(table, (ids,), plain) - plain
    return {"alpha": alpha, "tokens": tokens, "width": width, "most": drawn.abs().max().item(), "deviation": drawn.std().item()}


if __name__ == "__main__":
    torch.manual_seed(1)
    cases = [noise(alpha, tokens, width) for alpha, tokens, width in [(5, 7, 16), (5, 28, 16), (15, 3, 64)]]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"script": "scripts/golden/testdata/neftune.py", "cases": cases}) + "\n")
