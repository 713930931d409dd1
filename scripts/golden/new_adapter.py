"""Makes a fresh LoRA adapter with PEFT's own initial values, to start a training from.

usage: new_adapter.py MODEL OUT SEED CONFIG.json       (CONFIG.json: the fields of peft.LoraConfig)
"""

import json
import sys

from reference import load_base

import torch
from peft import LoraConfig, get_peft_model

model, out, seed, config = sys.argv[1:5]
with open(config) as source:
    options = json.load(source)
torch.manual_seed(int(seed))
get_peft_model(load_base(model), LoraConfig(task_type="CAUSAL_LM", **options)).save_pretrained(out)
