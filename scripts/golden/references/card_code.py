"""Runs the Python code of model cards, and scores with the model that it loads.

usage: card_code.py PLAN.json

PLAN.json: {"runs": [{"folder": that the code runs in, "code": Python that loads `model`, "task", "inputs" as in score.py}]}
Writes to standard output one JSON object per run: {"logprobs" as in score.py, "zeros": names of parameters of low-rank
updates that are 0 after loading}.
"""

import json
import os
import sys

from reference import outputs, write_json

import torch

with open(sys.argv[1]) as source:
    plan = json.load(source)
for run in plan["runs"]:
    os.chdir(run["folder"])
    names = {}
    exec(run["code"], names)
    model = names["model"].eval()
    with torch.no_grad():
        logprobs = [outputs(model, run["task"], ids) for ids in run["inputs"]]
    zeros = [name for name, value in model.named_parameters() if "lora_" in name and not value.any()]
    write_json({"logprobs": logprobs, "zeros": zeros})
