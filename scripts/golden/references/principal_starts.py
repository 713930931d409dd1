"""Trains LoRA adapters from PiSSA's and OLoRA's start values with PyTorch + HF PEFT, and publishes them as plain LoRA.

usage: principal_starts.py PLAN.json

PLAN.json: {"runs": [{"model": a HF folder, "config": fields of LoraConfig, "output": a folder for the converted adapter,
  "steps", "options": see train_steps in training_loop.py}]}
Writes one JSON object per run: {"steps": [{"loss", "learning_rate", "grad_norm", "token_accuracy"} per step],
  "starts": {module: the Frobenius norm of scale · B A at the start}}.
"""

import json
import sys
import tempfile

from reference import load_base, write_json
from training_loop import train_steps

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer

with open(sys.argv[1]) as source:
    for run in json.load(source)["runs"]:
        base = load_base(run["model"])
        torch.manual_seed(0)
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **run["config"]))
        starts = {
            name.removeprefix("base_model.model."): module.get_delta_weight("default").norm().item()
            for name, module in model.named_modules()
            if isinstance(module, LoraLayer)
        }
        with tempfile.TemporaryDirectory() as initial:
            model.save_pretrained(initial)
            steps = train_steps(model, "CAUSAL_LM", run["steps"], run["options"])
            model.save_pretrained(run["output"], path_initial_model_for_weight_conversion=initial)
        write_json({"steps": steps, "starts": starts})
