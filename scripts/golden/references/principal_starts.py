"""Trains LoRA adapters from PiSSA's, OLoRA's and LoftQ's start values with PyTorch + HF PEFT, and publishes them as plain LoRA.

usage: principal_starts.py PLAN.json

PLAN.json: {"runs": [{"model": a HF folder, "config": fields of LoraConfig, "output": a folder for the converted adapter,
  "original": for LoftQ the model whose weights "model" has quantised and unpacked again,
  "steps", "options": see train_steps in training_loop.py}]}
Writes one JSON object per run: {"steps": [{"loss", "learning_rate", "grad_norm", "token_accuracy"} per step],
  "starts": {module: the Frobenius norm of scale · B A at the start; for LoftQ its values, flat}}.
"""

import json
import sys
import tempfile

from reference import load_base, write_json
from training_loop import train_steps

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils.loftq_utils import _low_rank_decomposition


def start_from_error(model, original):
    """
    The arithmetic of PEFT's replace_lora_weights_loftq, which needs bitsandbytes and a GPU, with PEFT's decomposition. PEFT leaves the scale out; to divide the
    factors by its root changes nothing where it is 1.
    """
    with torch.no_grad():
        for name, module in model.named_modules():
            if not isinstance(module, LoraLayer):
                continue
            weight = original.get_submodule(name.removeprefix("base_model.model.")).weight
            error = weight - module.get_base_layer().weight
            factors = _low_rank_decomposition(error, reduced_rank=module.r["default"])
            root = module.scaling["default"] ** 0.5
            module.lora_A["default"].weight.copy_(factors["R"] / root)
            module.lora_B["default"].weight.copy_(factors["L"] / root)


with open(sys.argv[1]) as source:
    for run in json.load(source)["runs"]:
        base = load_base(run["model"])
        torch.manual_seed(0)
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **run["config"]))
        quantised = "original" in run
        if quantised:
            start_from_error(model, load_base(run["original"]))
        deltas = {
            name.removeprefix("base_model.model."): module.get_delta_weight("default")
            for name, module in model.named_modules()
            if isinstance(module, LoraLayer)
        }
        starts = {name: d.flatten().tolist() if quantised else d.norm().item() for name, d in deltas.items()}
        with tempfile.TemporaryDirectory() as initial:
            model.save_pretrained(initial)
            steps = train_steps(model, "CAUSAL_LM", run["steps"], run["options"])
            # LoftQ leaves the quantised weights as they are: nothing is to be converted.
            conversion = {} if quantised else {"path_initial_model_for_weight_conversion": initial}
            model.save_pretrained(run["output"], **conversion)
        write_json({"steps": steps, "starts": starts})
