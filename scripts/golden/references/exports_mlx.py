"""Scores token sequences with mlx-lm and an adapter in its format.

usage: exports_mlx.py PLAN.json

PLAN.json: {"runs": [{"model": a HF folder, "adapter": an mlx-lm folder or null, "inputs": [[token ids], ...]}]}
Writes to standard output one JSON object per run: {"logprobs": [[of each token but the first], ...]}.
"""

import json
import sys
from pathlib import Path

import mlx.core as mx
from mlx_lm.tuner.utils import load_adapters
from mlx_lm.utils import load_model


def log_probabilities(model, ids):
    logits = model(mx.array([ids]))[0].astype(mx.float32)
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    return [logprobs[i, token].item() for i, token in enumerate(ids[1:])]


mx.set_default_device(mx.cpu)
with open(sys.argv[1]) as source:
    for run in json.load(source)["runs"]:
        model, _ = load_model(Path(run["model"]))
        if run["adapter"]:
            model = load_adapters(model, run["adapter"])
        model.eval()
        print(json.dumps({"logprobs": [log_probabilities(model, ids) for ids in run["inputs"]]}))
