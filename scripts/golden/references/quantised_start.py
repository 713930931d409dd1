"""Trains LoRA from LoftQ's start values with PyTorch + HF PEFT, on a base model whose weights are quantised and unpacked again.

usage: quantised_start.py PLAN.json

PLAN.json: {"runs": [{"original": a HF folder, "model": the same with the quantised weights, "config": fields of LoraConfig,
  "output": a folder for the adapter, "steps", "options": see train_steps in training_loop.py}]}
Writes one JSON object per run: {"steps": [{"loss", "learning_rate", "grad_norm", "token_accuracy"} per step], "starts": {module: scale · B A at
  the start, flat}}.

PEFT's replace_lora_weights_loftq needs bitsandbytes on a GPU; this is its arithmetic, with its own decomposition. PEFT leaves the scale out; dividing the factors
by its root changes nothing where it is 1.
"""

import json
import sys

from reference import load_base, write_json
from training_loop import train_steps

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils.loftq_utils import _low_rank_decomposition

with open(sys.argv[1]) as source:
    for run in json.load(source)["runs"]:
        original = load_base(run["original"])
        model = get_peft_model(load_base(run["model"]), LoraConfig(task_type="CAUSAL_LM", **run["config"]))
        starts = {}
        with torch.no_grad():
            for name, module in model.named_modules():
                if not isinstance(module, LoraLayer):
                    continue
                name = name.removeprefix("base_model.model.")
                error = original.get_submodule(name).weight - module.get_base_layer().weight
                factors = _low_rank_decomposition(error, reduced_rank=module.r["default"])
                root = module.scaling["default"] ** 0.5
                module.lora_A["default"].weight.copy_(factors["R"] / root)
                module.lora_B["default"].weight.copy_(factors["L"] / root)
                starts[name] = module.get_delta_weight("default").flatten().tolist()
        steps = train_steps(model, "CAUSAL_LM", run["steps"], run["options"])
        model.save_pretrained(run["output"])
        write_json({"steps": steps, "starts": starts})
