"""Makes fresh LoRA adapters with PEFT's own initial values, to start trainings from.

usage: new_adapter.py PLAN.json

PLAN.json: {"runs": [{"model": a HF folder or GGUF file, "output": folder, "seed": int, "config": fields of peft.LoraConfig,
  task_type CAUSAL_LM by default}]}
"""

import json
import sys

from reference import load_base

import torch
from peft import LoraConfig, get_peft_model

with open(sys.argv[1]) as source:
    for run in json.load(source)["runs"]:
        config = {"task_type": "CAUSAL_LM", **run["config"]}
        base = load_base(run["model"], task=config["task_type"])
        torch.manual_seed(run["seed"])
        get_peft_model(base, LoraConfig(**config)).save_pretrained(run["output"])
