"""Tiny random models of every architecture, made by transformers."""

import os

from base_models import model_class
from tiny_tokenizer import make_tokenizer

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig


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
            elif name.endswith("bias"):
                parameter.copy_(0.3 * torch.randn_like(parameter))
            elif name.endswith("A_log"):
                # States that last over many positions.
                parameter.copy_(-1 + 0.3 * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if name.endswith("layer_scalar"):
                buffer.copy_(0.8 + 0.2 * torch.rand_like(buffer))
    model.save_pretrained(run["output"])
    if config.model_type == "t5" and run["config"].get("tie_word_embeddings") is False:
        # transformers 5 ties every T5 that it makes, but not one whose file has a separate head, as FLAN-T5's has.
        file = os.path.join(run["output"], "model.safetensors")
        weights = load_file(file)
        weights["lm_head.weight"] = 0.15 * torch.randn_like(weights["shared.weight"])
        save_file(weights, file, metadata={"format": "pt"})
