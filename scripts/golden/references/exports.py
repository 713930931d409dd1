"""Contents of exported files, as transformers and PEFT read them.

usage: exports.py PLAN.json

PLAN.json: {"runs": [{"model": a HF folder, "adapter": a PEFT folder, "exported": a folder, "inputs": [[token ids], ...]}]}
Writes to standard output one JSON object per run. For a merged model: {"difference": the largest one between its weights and those of PEFT's
merge_and_unload, "missing", "unexpected": names of weights, "dtypes": their types, "logprobs"}. For an adapter: {"mismatch": as in score.py, "rank",
"logprobs"}.
"""

import json
import os
import sys

from reference import attach_adapter, load_base, outputs, write_json

import torch


@torch.no_grad()
def merged(run):
    peft, _ = attach_adapter(load_base(run["model"]), run["adapter"])
    expected = peft.merge_and_unload().state_dict()
    model = load_base(run["exported"])
    found = model.state_dict()
    shared = expected.keys() & found.keys()
    differences = [(expected[name].float() - found[name].float()).abs().max().item() for name in shared]
    return {
        "difference": max(differences),
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "logprobs": [outputs(model, "CAUSAL_LM", ids) for ids in run["inputs"]],
    }


@torch.no_grad()
def adapter(run):
    peft, mismatch = attach_adapter(load_base(run["model"]), run["exported"])
    peft.eval()
    ranks = sorted({rank for module in peft.modules() for rank in getattr(module, "r", {}).values()})
    return {
        "mismatch": mismatch,
        "ranks": ranks,
        "logprobs": [outputs(peft, "CAUSAL_LM", ids) for ids in run["inputs"]],
    }


with open(sys.argv[1]) as source:
    for each in json.load(source)["runs"]:
        is_adapter = os.path.exists(os.path.join(each["exported"], "adapter_config.json"))
        write_json(adapter(each) if is_adapter else merged(each))
