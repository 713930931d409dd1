"""Makes the tiny random models of the matrix test, and a fresh adapter for each of its cells.

usage: matrix_models.py PLAN.json

PLAN.json: {
  "models": [{"output": folder, "config": fields of config.json, "task", "seed"}],
  "adapters": [{"model": folder, "task", "config": fields of the method's PEFT config, "output": folder, "seed"}]
}
An adapter folder holds what PEFT saves, and start.safetensors: every trained parameter under PyTorch's name. Trained
parameters are random, not at PEFT's start (zeros, ones), so that each one matters.
"""

import json
import sys

from reference import fault_becomes, load_base, new_adapter, start_file
from tiny_models import make_model

import torch
from safetensors.torch import save_file


def make_adapter(run):
    torch.manual_seed(run["seed"])
    model = new_adapter(load_base(run["model"], task=run["task"]), run["config"])
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for parameter in trained.values():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(run["output"])
    save_file({name: p.detach().clone().contiguous() for name, p in trained.items()}, start_file(run["output"]))


with open(sys.argv[1]) as source:
    plan = json.load(source)
for one in plan["models"]:
    make_model(one)
for one in plan["adapters"]:
    with fault_becomes(plan, None):
        make_adapter(one)
