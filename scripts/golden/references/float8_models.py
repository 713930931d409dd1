"""Makes tiny random models whose matrices are in float8 with scales, and unpacks them as transformers does.

usage: float8_models.py PLAN.json

PLAN.json: {"models": [{"output": folder, "config": fields of config.json, "task", "seed", "scales": "tensor", "row" or "block", "end": how names of
scales end, "inputs": [[token ids], ...]}]}
Writes a line of JSON for each model: {"weights": {name: the first 4,096 values}, "logprobs"}, of the unpacked model.
"""

import json
import sys
from pathlib import Path

from reference import outputs, write_json
from tiny_models import make_model

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.integrations.finegrained_fp8 import Fp8Dequantize

LARGEST = 448.0
KINDS = ("proj.weight",)


def packed(weight, scales):
    """Codes and scales of a matrix: all, each row, or blocks of 16 by 16 share a scale."""
    rows, columns = weight.shape
    height, width = {"tensor": (rows, columns), "row": (1, columns), "block": (16, 16)}[scales]
    blocks = weight.float().reshape(rows // height, height, columns // width, width)
    own = (blocks.abs().amax(dim=(1, 3)) / LARGEST).clamp(min=1e-12)
    codes = (blocks / own[:, None, :, None]).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn)
    return codes.reshape(rows, columns), own.reshape(()) if scales == "tensor" else own


@torch.no_grad()
def run(one):
    make_model(one)
    folder = Path(one["output"])
    file = folder / "model.safetensors"
    stored, plain = {}, {}
    unpack = Fp8Dequantize(None)
    for name, weight in load_file(file).items():
        if not name.endswith(KINDS):
            stored[name] = plain[name] = weight.to(torch.bfloat16)
            continue
        codes, scales = packed(weight, one["scales"])
        stored[name], stored[name + one["end"]] = codes, scales
        stored[name.replace(".weight", ".activation_scale")] = torch.tensor(1.0)
        plain[name] = unpack._dequantize_one(codes, scales, output_dtype=torch.bfloat16)
    save_file(stored, file, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    fields = {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None}
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16", "quantization_config": fields}))
    # from_pretrained itself unpacks on a card only.
    unpacked = folder.with_name(folder.name + "-unpacked")
    unpacked.mkdir(parents=True, exist_ok=True)
    save_file(plain, unpacked / "model.safetensors", metadata={"format": "pt"})
    (unpacked / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    model = AutoModelForCausalLM.from_pretrained(unpacked, dtype=torch.float32).eval()
    return {
        "weights": {name: weight.float().flatten().tolist()[:4096] for name, weight in plain.items() if name.endswith(KINDS)},
        "logprobs": [outputs(model, "CAUSAL_LM", ids) for ids in one["inputs"]],
    }


with open(sys.argv[1]) as source:
    for each in json.load(source)["models"]:
        write_json(run(each))
