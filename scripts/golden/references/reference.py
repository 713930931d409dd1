"""Shared part of the reference scripts: a base model with a PEFT adapter, by the real libraries."""

import json
import os

from base_models import fault_becomes, load_base, load_tokenizer, log_probabilities, outputs, write_json  # noqa: F401
from selective import Selective, attach_selective

import torch
from peft import PeftModel, get_peft_config, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file


def attach_adapter(model, folder, trainable=False):
    """The PEFT model, and how the file's keys differ from those that PEFT itself would write for this adapter."""
    with open(os.path.join(folder, "adapter_config.json")) as source:
        if json.load(source)["peft_type"] == "SELECTIVE":
            return attach_selective(model, folder)
    peft_model = PeftModel.from_pretrained(model, folder, is_trainable=trainable)
    expected = get_peft_model_state_dict(peft_model)
    found = load_file(os.path.join(folder, "adapter_model.safetensors"))
    mismatch = {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "shapes": sorted(k for k in set(found) & set(expected) if found[k].shape != expected[k].shape),
        # Values that PEFT loads are those of the file: nothing was silently left at its initial value.
        "values": sorted(
            k
            for k in set(found) & set(expected)
            if found[k].shape == expected[k].shape and not torch.equal(found[k].float(), expected[k].float().cpu())
        ),
    }
    return peft_model, mismatch


def start_file(folder):
    """Where a new adapter's trained parameters are, under PyTorch's own names: with encoders that PEFT does not save."""
    return os.path.join(folder, "start.safetensors")


def new_adapter(model, fields):
    """The PEFT model of a fresh adapter; `fields` are those of the method's config, peft_type and task_type included."""
    if fields["peft_type"] == "SELECTIVE":
        return Selective(model, fields)
    return get_peft_model(model, get_peft_config(dict(fields)))


def restart_adapter(model, fields, folder):
    """The PEFT model as `new_adapter` made it, with the parameters of start_file(folder)."""
    peft_model = new_adapter(model, fields)
    start = load_file(start_file(folder))
    trained = {name: p for name, p in peft_model.named_parameters() if p.requires_grad}
    assert trained.keys() == start.keys(), set(trained) ^ set(start)
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(start[name])
    return peft_model
