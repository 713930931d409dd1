"""Tiny random models of every architecture, made by transformers."""

import json
import os

from base_models import model_class
from tiny_tokenizer import make_tokenizer

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig


CODES = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def pack_experts(folder):
    """Rounds the matrices of experts in a model's folder to MXFP4, and stores them as gpt-oss' published checkpoints do."""
    file = os.path.join(folder, "model.safetensors")
    weights = load_file(file)
    for name in [each for each in weights if each.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        blocks = weights.pop(name).transpose(1, 2).unflatten(-1, (-1, 32))  # (E, out, in / 32, 32)
        exponents = torch.floor(torch.log2(blocks.abs().amax(-1, keepdim=True))) - 2
        scaled = blocks / 2**exponents
        codes = (scaled.abs()[..., None] - CODES).abs().argmin(-1) + 8 * (scaled < 0)
        weights[f"{name}_blocks"] = (codes[..., 0::2] + 16 * codes[..., 1::2]).to(torch.uint8)
        weights[f"{name}_scales"] = (exponents[..., 0] + 127).to(torch.uint8)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, file, metadata={"format": "pt"})
    with open(os.path.join(folder, "config.json")) as source:
        config = json.load(source)
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]}
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(config, out)


def make_model(run):
    """Weights wide enough, and norms and biases uneven enough, that every part shows in the logits."""
    vocabulary = make_tokenizer(run["output"])
    torch.manual_seed(run["seed"])
    fields = {"vocab_size": vocabulary, "initializer_range": 0.15, **run["config"]}
    if "text_config" in fields:
        fields["text_config"] = {"vocab_size": vocabulary, "initializer_range": 0.15, **fields["text_config"]}
    for each in (fields, fields.get("text_config", {})):
        if "hidden_size_per_layer_input" in each:
            each["vocab_size_per_layer_input"] = vocabulary
    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    model = model_class(run["task"], config).from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1 and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
                if config.model_type.startswith("gemma4") and name.endswith("q_norm.weight"):
                    # Scores are not divided by the root of a head's size: queries are as much smaller.
                    parameter.mul_(0.25)
            elif name.endswith("bias"):
                parameter.copy_(0.3 * torch.randn_like(parameter))
            elif name.endswith("sinks") or name.endswith("proj_bias"):
                # Sinks as large as the scores of keys.
                parameter.copy_(0.5 * torch.randn_like(parameter))
            elif name.endswith("mamba.D"):
                parameter.copy_(1 + 0.5 * torch.randn_like(parameter))
            elif name.endswith("A_log"):
                # States that last over many positions.
                parameter.copy_(-1 + 0.3 * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if name.endswith("layer_scalar"):
                buffer.copy_(0.8 + 0.2 * torch.rand_like(buffer))
    model.save_pretrained(run["output"])
    if run.get("packed"):
        pack_experts(run["output"])
    if config.model_type == "t5" and run["config"].get("tie_word_embeddings") is False:
        # transformers 5 ties every T5 that it makes, but not one whose file has a separate head, as FLAN-T5's has.
        file = os.path.join(run["output"], "model.safetensors")
        weights = load_file(file)
        weights["lm_head.weight"] = 0.15 * torch.randn_like(weights["shared.weight"])
        save_file(weights, file, metadata={"format": "pt"})
