"""Graft's SELECTIVE method, told again in plain PyTorch: chosen parameters of a transformers model are trained themselves.

What is chosen is found by the classes of modules, not by their names, so that it checks Graft's reading of names.
"""

import json
import os
import re

import torch
from safetensors.torch import load_file, save_file

PRESETS = {"bitfit": ["bias"], "retrain_embeddings": ["head"]}


class Selective(torch.nn.Module):
    """The model with only the chosen parameters trainable; like a PeftModel as far as the scripts use one."""

    def __init__(self, model, fields):
        super().__init__()
        self.model = model
        self.config = model.config
        self.fields = dict(fields)
        names = set(chosen(model, self.fields))
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in names)

    def forward(self, **inputs):
        return self.model(**inputs)

    def state(self):
        """The trained parameters by their keys in an adapter's file."""
        return {
            f"base_model.{name}": p.detach().clone().contiguous()
            for name, p in self.named_parameters()
            if p.requires_grad
        }

    def save_pretrained(self, folder):
        os.makedirs(folder, exist_ok=True)
        save_file(self.state(), os.path.join(folder, "adapter_model.safetensors"))
        with open(os.path.join(folder, "adapter_config.json"), "w") as out:
            json.dump(self.fields, out)


def attach_selective(model, folder):
    """As attach_adapter of reference.py."""
    with open(os.path.join(folder, "adapter_config.json")) as source:
        selective = Selective(model, json.load(source))
    expected = selective.state()
    found = load_file(os.path.join(folder, "adapter_model.safetensors"))
    shared = set(found) & set(expected)
    mismatch = {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "shapes": sorted(k for k in shared if found[k].shape != expected[k].shape),
        "values": [],
    }
    with torch.no_grad():
        for name, parameter in selective.named_parameters():
            if f"base_model.{name}" in shared:
                parameter.copy_(found[f"base_model.{name}"])
    return selective, mismatch


def chosen(model, fields):
    """Names of the parameters to train. Unties the head when it is chosen apart from the embedding it is tied to."""
    kinds = PRESETS.get(fields.get("preset")) or fields.get("kinds") or []
    trainable, layers = fields.get("trainable"), fields.get("layers")
    layers = [layers] if isinstance(layers, int) else layers
    heads = head_modules(model)
    if not layers and ("head" in kinds or any(matches(trainable, f"{name}.weight") for name, _ in heads)):
        for _, head in heads:
            if head is model.get_output_embeddings():
                head.weight = torch.nn.Parameter(head.weight.detach().clone())
    by_kind = {kind: set(parameters_of(model, kind, heads)) for kind in kinds}
    names = []
    for name, _ in model.named_parameters():
        if unread(model, name):
            continue
        wanted = matches(trainable, name) or any(name in found for found in by_kind.values())
        if trainable is None and not kinds:
            wanted = True
        if layers is not None and layer_of(model, name) not in layers:
            wanted = False
        names += [name] if wanted else []
    task_heads = [name for name, head in heads if head is not model.get_output_embeddings()]
    return names + [n for n, _ in model.named_parameters() if any(n.startswith(f"{head}.") for head in task_heads)]


def matches(trainable, name):
    if trainable is None:
        return False
    if isinstance(trainable, str):
        return re.fullmatch(trainable, name) is not None
    return any(f".{part}." in f".{name}." for part in trainable)


def head_modules(model):
    named = dict(model.named_modules())
    output = model.get_output_embeddings()
    found = [(name, module) for name, module in named.items() if output is not None and module is output]
    return found + [(name, named[name]) for name in ("score", "classifier") if name in named]


def parameters_of(model, kind, heads):
    for path, module in model.named_modules():
        of_kind = {
            "norm": type(module).__name__.endswith(("RMSNorm", "RMSNormGated", "LayerNorm")),
            "embedding": isinstance(module, torch.nn.Embedding) and layer_of(model, f"{path}.weight") is None,
            "head": any(module is head for _, head in heads),
            "attention": re.search(r"(?<!Layer)(Self|Cross)?Attention$|GatedDeltaNet$|MambaLayer$", type(module).__name__) is not None
            and not type(module).__name__.startswith("T5Layer"),
            "mlp": type(module).__name__.endswith(("MLP", "SparseMoeBlock", "MoE", "ActDense", "Intermediate"))
            or type(module).__name__ in ("BertOutput", "RobertaOutput"),
            "bias": True,
        }[kind]
        if of_kind:
            for name, _ in module.named_parameters(prefix=path):
                if kind != "bias" or name.endswith((".bias", "_proj_bias")):
                    yield name


def layer_of(model, name):
    """The number of the outermost list of modules that the parameter lies in."""
    path = ""
    for part in name.split("."):
        if path and isinstance(model.get_submodule(path), torch.nn.ModuleList):
            return int(part)
        path = f"{path}.{part}" if path else part
    return None


def unread(model, name):
    """BERT's pooler is there without a head, and nothing reads it."""
    return name.startswith("pooler.")
