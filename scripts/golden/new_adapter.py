"""Makes fresh LoRA adapters with PEFT's own initial values, to start trainings from.

usage: new_adapter.py PLAN.json

PLAN.json: {"runs": [{"model": a HF folder or GGUF file, "output": folder, "seed": int, "config": fields of peft.LoraConfig}]}
"""

import json
import sys

from reference import load_base

import torch
from peft import LoraConfig, get_peft_model

with open(sys.argv[1]) as source:
    for run in json.load(source)["runs"]:
        base = load_base(run["model"])
        torch.manual_seed(run["seed"])
        get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **run["config"])).save_pretrained(run["output"])
