"""Bottleneck adapters by the `adapters` library: makes, trains and scores them. Runs in the environment of `adapters`.

usage: adapters_library.py PLAN.json

PLAN.json, each list optional: {
  "models": [{"output": folder, "config": fields of config.json, "task", "seed"}],
  "adapters": [{"model": folder, "task", "config": fields of BnConfig, with "preset", "output": folder, "seed"}],
  "trainings": [{"model": folder, "task", "adapter": folder to start from, "steps" and "options" (see training_loop.py), "output": folder}],
  "scores": [{"model": folder, "task", "adapter": folder or null, "inputs": [[token ids], ...]}],
  "keep_going": see fault_becomes
}
Adapters are made with random values, not at the library's start, so that each one matters. Writes one JSON value a line: for
each training a list of its steps, for each score {"mismatch": how the adapter's files differ from what the library would
write (null without adapter), "logprobs": what base_models.outputs gives for each input}.
"""

import json
import os
import sys

from base_models import fault_becomes, load_base, outputs, write_json
from tiny_models import make_model
from training_loop import train_steps

import adapters
import torch
from adapters import AdapterConfig, BnConfig
from safetensors.torch import load_file, save_file

# Not the name that Graft gives adapters: it has to read others' names.
NAME = "reference"


def old_fields(config):
    """Fields of config.json as transformers 4 names them."""
    fields = dict(config)
    if "rope_parameters" in fields:
        rope = fields.pop("rope_parameters")
        fields["rope_theta"] = rope.pop("rope_theta")
        fields["rope_scaling"] = rope
    return fields


def load_with_adapters(run):
    model = load_base(run["model"], task=run["task"])
    adapters.init(model)
    return model


def save(model, folder, **options):
    os.makedirs(folder, exist_ok=True)
    try:
        model.save_adapter(folder, NAME, use_safetensors=True, **options)
    except RuntimeError:
        # The library holds a norm before the bottleneck in two places, which torch.save takes and safetensors does not.
        model.save_adapter(folder, NAME, **options)
        for pickled, name in (("pytorch_adapter.bin", "adapter"), ("pytorch_model_head.bin", "model_head")):
            if os.path.exists(os.path.join(folder, pickled)):
                state = torch.load(os.path.join(folder, pickled), weights_only=True)
                save_file({k: v.clone() for k, v in state.items()}, os.path.join(folder, f"{name}.safetensors"))
                os.remove(os.path.join(folder, pickled))


def load(model, folder):
    """Loads a folder as a user would; returns what the library, and its state dict afterwards, miss or do not know."""
    info = {}
    name = model.load_adapter(folder, set_active=True, use_safetensors=True, loading_info=info)
    expected = {k: v for k, v in model.state_dict().items() if f".adapters.{name}." in k}
    found = load_file(os.path.join(folder, "adapter.safetensors"))
    head = os.path.join(folder, "model_head.safetensors")
    trained = load_file(head) if os.path.exists(head) else {}
    expected |= {k: v for k, v in model.state_dict().items() if k in trained}
    found |= trained
    both = set(expected) & set(found)
    return name, {
        "missing": sorted({*info["missing_keys"], *(set(expected) - set(found))}),
        "unexpected": sorted({*info["unexpected_keys"], *(set(found) - set(expected))}),
        "shapes": sorted(k for k in both if found[k].shape != expected[k].shape),
        "values": sorted(k for k in both if not torch.equal(found[k], expected[k])),
    }


def make_adapter(run):
    torch.manual_seed(run["seed"])
    model = load_with_adapters(run)
    fields = dict(run["config"])
    preset = fields.pop("preset")
    model.add_adapter(NAME, AdapterConfig.load(preset, **fields) if preset else BnConfig(**fields))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if f".adapters.{NAME}." in name:
                parameter.add_(0.05 * torch.randn_like(parameter))
    # A language model's head is not trained; a classifier's is.
    save(model, run["output"], with_head=run["task"] in ("SEQ_CLS", "TOKEN_CLS"))


def train(run):
    model = load_with_adapters(run)
    name, mismatch = load(model, run["adapter"])
    assert not any(mismatch.values()), mismatch
    model.train_adapter(name)
    records = train_steps(model, run["task"], run["steps"], run["options"])
    # As the library saves it by default: with the head, trained or not.
    save(model, run["output"])
    return records


def score(run):
    model = load_with_adapters(run)
    mismatch = load(model, run["adapter"])[1] if run["adapter"] else None
    model.eval()
    return {"mismatch": mismatch, "logprobs": [outputs(model, run["task"], ids) for ids in run["inputs"]]}


with open(sys.argv[1]) as source:
    plan = json.load(source)
for one in plan.get("models", []):
    make_model({**one, "config": old_fields(one["config"])})
for one in plan.get("adapters", []):
    make_adapter(one)
for one in plan.get("trainings", []):
    with fault_becomes(plan, []):
        write_json(train(one))
for one in plan.get("scores", []):
    with fault_becomes(plan, {"mismatch": None, "logprobs": []}):
        write_json(score(one))
