"""Writes tiny random llama models, adapters made by PEFT for them, and what transformers computes with each.

usage: tiny.py OUT

OUT/models/NAME      HF folders, tokenizer included
OUT/adapters/NAME    PEFT folders; B and every other trained tensor is random, so that each one matters
OUT/expected.json    {"scores": [{"name", "model", "adapter" | null, "inputs": [{"input_ids", "logprobs"}]}]}
"""

import json
import os
import sys

from reference import attach_adapter, load_base, log_probabilities, write_json

import torch
from peft import LoraConfig, get_peft_model
from tiny_tokenizer import make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

def make_model(folder, seed, dtype=torch.float32, shard="5GB", old_config=False, **options):
    """A random llama with weights wide enough, and norms and biases uneven enough, that every part shows in the logits."""
    vocabulary = make_tokenizer(folder)
    torch.manual_seed(seed)
    defaults = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.15,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
        "tie_word_embeddings": True,
    }
    model = LlamaForCausalLM(LlamaConfig(**(defaults | options)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            elif name.endswith("bias"):
                parameter.copy_(0.3 * torch.randn_like(parameter))
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    if old_config:
        # transformers 4, and so most folders on the Hub, write rope_theta and rope_scaling instead.
        file = os.path.join(folder, "config.json")
        with open(file) as source:
            config = json.load(source)
        rope = config.pop("rope_parameters")
        config["rope_theta"] = rope.pop("rope_theta")
        config["rope_scaling"] = rope if rope.get("rope_type", "default") != "default" else None
        config["torch_dtype"] = config.pop("dtype")
        with open(file, "w") as target:
            json.dump(config, target, indent=2)


MODELS = {
    "tied": {"seed": 1},
    "untied": {"seed": 2, "tie_word_embeddings": False, "num_hidden_layers": 3, "old_config": True, "head_dim": 24},
    "biased": {"seed": 3, "attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4},
    "bf16-sharded": {"seed": 4, "dtype": torch.bfloat16, "shard": "60KB", "tie_word_embeddings": False},
    "llama3-rope": {
        "seed": 5,
        "old_config": True,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
}

QV = ["q_proj", "v_proj"]
ADAPTERS = {
    "plain": ("tied", {"r": 4, "lora_alpha": 8, "target_modules": QV}),
    "rslora": ("tied", {"r": 8, "lora_alpha": 8, "target_modules": QV, "use_rslora": True}),
    "all-linear": ("tied", {"r": 2, "lora_alpha": 4, "target_modules": "all-linear"}),
    "regex": ("untied", {"r": 2, "lora_alpha": 4, "target_modules": r".*\.(self_attn\.[qk]_proj|mlp\.down_proj)"}),
    "exclude": ("untied", {"r": 2, "lora_alpha": 4, "target_modules": QV, "exclude_modules": ["layers.0.self_attn.q_proj"]}),
    "patterns": (
        "untied",
        {
            "r": 4,
            "lora_alpha": 8,
            "target_modules": [*QV, "up_proj"],
            "rank_pattern": {"layers.1.self_attn.q_proj": 2, "up_proj": 6},
            "alpha_pattern": {"layers.2.self_attn.v_proj": 32, "^model.layers.0.mlp.up_proj": 3},
        },
    ),
    "layers": ("untied", {"r": 4, "lora_alpha": 8, "target_modules": QV, "layers_to_transform": [1]}),
    "gaussian": ("tied", {"r": 4, "lora_alpha": 4, "target_modules": ["k_proj", "o_proj"], "init_lora_weights": "gaussian"}),
    "bias-all": ("biased", {"r": 4, "lora_alpha": 8, "target_modules": QV, "bias": "all"}),
    "bias-lora-only": ("biased", {"r": 4, "lora_alpha": 8, "target_modules": [*QV, "gate_proj"], "bias": "lora_only"}),
    "lm-head-saved": ("untied", {"r": 4, "lora_alpha": 8, "target_modules": QV, "modules_to_save": ["lm_head"]}),
    "on-bf16": ("bf16-sharded", {"r": 4, "lora_alpha": 8, "target_modules": QV}),
}


def make_adapter(model_folder, folder, seed, options):
    torch.manual_seed(seed)
    model = get_peft_model(load_base(model_folder), LoraConfig(task_type="CAUSAL_LM", **options))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)


def main(out):
    inputs = []
    generator = torch.Generator().manual_seed(11)
    for length in (1, 5, 33, 70):
        inputs.append(torch.randint(4, 300, (length,), generator=generator).tolist())

    scores = []

    def score(name, model_name, adapter):
        model = load_base(os.path.join(out, "models", model_name))
        if adapter is not None:
            model, mismatch = attach_adapter(model, os.path.join(out, "adapters", adapter))
            assert not any(mismatch.values()), mismatch
            model.eval()
        rows = [{"input_ids": ids, "logprobs": log_probabilities(model, ids)} for ids in inputs]
        scores.append({"name": name, "model": model_name, "adapter": adapter, "inputs": rows})

    for name, options in MODELS.items():
        make_model(os.path.join(out, "models", name), **options)
        score(f"base {name}", name, None)
    for seed, (name, (model_name, options)) in enumerate(ADAPTERS.items()):
        make_adapter(os.path.join(out, "models", model_name), os.path.join(out, "adapters", name), 100 + seed, options)
        score(f"adapter {name}", model_name, name)
    write_json({"scores": scores}, os.path.join(out, "expected.json"))


main(sys.argv[1])
