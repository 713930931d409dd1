"""Adapter files, both ways between PEFT and packages/peft-core/src/formats.

usage: adapter_files.py configs                     writes ../../packages/peft-core/src/adapter-files/testdata/adapter-configs.json:
                                                    adapter_config.json as PEFT writes it
       adapter_files.py write FOLDER                a tiny random model and a LoRA adapter of it, by PEFT: FOLDER/{model,adapter},
                                                    and on standard output {"keys": {key: [shape, sum]}}
       adapter_files.py methods FOLDER              a tiny random model and an adapter of it by each of PEFT's methods that Graft
                                                    takes as uploads: FOLDER/{model,adapters/NAME}, and {"names"}
       adapter_files.py check MODEL ADAPTER OTHER   loads ADAPTER (by Graft) with PEFT; on standard output {"warnings", "same":
                                                    tensors equal to OTHER's bit for bit, "identical": the safetensors files
                                                    are, "differing": keys of the configs}
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from reference import load_base, write_json
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

OUT = Path(__file__).parents[2] / "packages/peft-core/src/adapter-files/testdata/adapter-configs.json"

CONFIGS = {
    "default": {"peft_type": "LORA"},
    "full": {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        # One name each: PEFT keeps these as sets and writes them in no particular order.
        "target_modules": ["q_proj"],
        "exclude_modules": ["v_proj"],
        "bias": "lora_only",
        "use_rslora": True,
        "layers_to_transform": [0, 1],
        "layers_pattern": "layers",
        "rank_pattern": {"k_proj": 4, "a.b": 2},
        "alpha_pattern": {"k_proj": 8},
        "modules_to_save": ["lm_head"],
        "init_lora_weights": "gaussian",
    },
    "regex": {"peft_type": "LORA", "target_modules": r".*\.(q|v)_proj", "lora_dropout": 0.1},
}


def write_configs() -> None:
    cases = {}
    for name, given in CONFIGS.items():
        config = LoraConfig(**{k: v for k, v in given.items() if k != "peft_type"})
        config.task_type = "CAUSAL_LM"
        config.base_model_name_or_path = "some/model"
        config.inference_mode = True
        with tempfile.TemporaryDirectory() as folder:
            config.save_pretrained(folder)
            cases[name] = {"given": given, "text": (Path(folder) / "adapter_config.json").read_text()}
    OUT.write_text(json.dumps(cases, indent=1) + "\n")


def write(folder: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=64, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.save_pretrained(folder / "model")
    lora = LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], rank_pattern={"v_proj": 2},
        modules_to_save=["lm_head"], use_rslora=True, task_type="CAUSAL_LM", init_lora_weights=False,
    )  # fmt: skip
    get_peft_model(model, lora).save_pretrained(folder / "adapter")
    tensors = load_file(folder / "adapter/adapter_model.safetensors")
    write_json({"keys": {key: [list(value.shape), value.double().sum().item()] for key, value in tensors.items()}})


METHODS = {
    "lora": lambda peft: peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False),
    "lora, all linear": lambda peft: peft.LoraConfig(r=2, target_modules="all-linear", lora_bias=True),
    "lora, dora of everything": lambda peft: peft.LoraConfig(r=2, target_modules=["embed_tokens", "lm_head", "v_proj"], use_dora=True),
    "lora, tokens and whole modules": lambda peft: peft.LoraConfig(
        r=2, target_modules=["k_proj"], trainable_token_indices=[1, 5], modules_to_save=["norm"]
    ),
    "ia3": lambda peft: peft.IA3Config(target_modules=["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "norms": lambda peft: peft.LNTuningConfig(target_modules=["input_layernorm"]),
    "tokens": lambda peft: peft.TrainableTokensConfig(token_indices=[1, 2, 3], target_modules=["embed_tokens"]),
    "prompt": lambda peft: peft.PromptTuningConfig(num_virtual_tokens=3),
    "p-tuning": lambda peft: peft.PromptEncoderConfig(num_virtual_tokens=3, encoder_hidden_size=8),
    "prefix": lambda peft: peft.PrefixTuningConfig(num_virtual_tokens=3),
}


def methods(folder: Path) -> None:
    config = LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=64, tie_word_embeddings=False,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    for name, make in METHODS.items():
        for dtype in (torch.float32, torch.bfloat16):
            torch.manual_seed(0)
            adapter = make(peft)
            adapter.task_type = "CAUSAL_LM"
            made = get_peft_model(LlamaForCausalLM(config), adapter).to(dtype)
            made.save_pretrained(folder / "adapters" / f"{name} {str(dtype).removeprefix('torch.')}")
    write_json({"names": sorted(path.name for path in (folder / "adapters").iterdir())})


def check(model: str, adapter: Path, other: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        base = load_base(model)
        before = len(caught)
        peft_model = PeftModel.from_pretrained(base, adapter)
    loaded = peft_model.state_dict()
    name = "adapter_model.safetensors"
    files = load_file(adapter / name)
    others = load_file(other / name)
    configs = [json.loads((folder / "adapter_config.json").read_text()) for folder in (adapter, other)]
    for config in configs:
        config["target_modules"] = sorted(config["target_modules"])
    result = {
        # PEFT 0.21 itself uses what transformers 5.24 will remove.
        "warnings": [str(w.message) for w in caught[before:] if not issubclass(w.category, FutureWarning)],
        "unused": sorted(key for key in files if not any(torch.equal(files[key], v) for v in loaded.values())),
        "same": sorted(files) == sorted(others) and all(torch.equal(files[key], others[key]) for key in files),
        "identical": (adapter / name).read_bytes() == (other / name).read_bytes(),
        "differing": sorted(
            key for key in configs[0] | configs[1] if configs[0].get(key, "absent") != configs[1].get(key, "absent")
        ),
    }
    write_json(result)


if __name__ == "__main__":
    command, *paths = sys.argv[1:]
    if command == "configs":
        write_configs()
    elif command == "methods":
        methods(Path(paths[0]))
    elif command == "write":
        write(Path(paths[0]))
    else:
        check(paths[0], Path(paths[1]), Path(paths[2]))
