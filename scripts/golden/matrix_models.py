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

from reference import load_base, new_adapter, start_file, MODEL_CLASSES
from tiny_tokenizer import make_tokenizer

import torch
from safetensors.torch import save_file
from transformers import AutoConfig


def make_model(run):
    """Weights wide enough, and norms and biases uneven enough, that every part shows in the logits."""
    vocabulary = make_tokenizer(run["output"])
    torch.manual_seed(run["seed"])
    fields = {"vocab_size": vocabulary, "initializer_range": 0.15, **run["config"]}
    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    model = MODEL_CLASSES[run["task"]].from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1 and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            elif name.endswith("bias"):
                parameter.copy_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(run["output"])


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
    make_adapter(one)
