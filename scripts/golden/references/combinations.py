"""Combinations of adapters by PEFT's add_weighted_adapter, for test/golden/adapters/combinations.test.ts.

usage: combinations.py PLAN make FOLDER      writes a tiny random model and the plan's "adapters" ({name: options of LoraConfig}),
                                             with random factors: FOLDER/{model,adapters/NAME}
       combinations.py PLAN combine FOLDER   combines adapters as the plan's "cases" say: {"name", "adapters", "weights",
                                             "options": of add_weighted_adapter, "masks": a safetensors file whose tensors "0", "1", …
                                             replace the results of torch.bernoulli, or null}: FOLDER/theirs/NAME
       combinations.py PLAN compare FOLDER   loads FOLDER/{ours,theirs}/NAME of each case with PEFT; on standard output
                                             {"name", "difference": largest of the logits, "effect": that of the base model's}
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from reference import load_base, write_json
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

CONFIG = LlamaConfig(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    vocab_size=64, tie_word_embeddings=False,
)  # fmt: skip


def make(plan: dict, folder: Path) -> None:
    torch.manual_seed(0)
    LlamaForCausalLM(CONFIG).save_pretrained(folder / "model")
    for name, options in plan["adapters"].items():
        config = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **options)
        get_peft_model(load_base(str(folder / "model")), config).save_pretrained(folder / "adapters" / name)


def combine(plan: dict, folder: Path) -> None:
    bernoulli = torch.bernoulli
    for case in plan["cases"]:
        base = load_base(str(folder / "model"))
        first, *others = case["adapters"]
        model = PeftModel.from_pretrained(base, folder / "adapters" / first, adapter_name=first)
        for name in others:
            model.load_adapter(folder / "adapters" / name, adapter_name=name)
        masks = load_file(case["masks"]) if case["masks"] else {}
        drawn = iter(masks[str(i)] for i in range(len(masks)))
        if masks:
            torch.bernoulli = lambda chances: next(drawn).reshape(chances.shape)
        model.add_weighted_adapter(case["adapters"], case["weights"], "combined", **case["options"])
        torch.bernoulli = bernoulli
        if masks and next(drawn, None) is not None:
            raise SystemExit(f"{case['name']}: PEFT drew fewer masks than there are")
        target = folder / "theirs" / case["name"]
        model.save_pretrained(target, selected_adapters=["combined"])
        shutil.copytree(target / "combined", target, dirs_exist_ok=True)


def compare(plan: dict, folder: Path) -> None:
    ids = torch.arange(12)[None] * 5 % CONFIG.vocab_size
    with torch.no_grad():
        before = load_base(str(folder / "model"))(ids).logits
        for case in plan["cases"]:
            ours, theirs = (
                PeftModel.from_pretrained(load_base(str(folder / "model")), folder / side / case["name"])(ids).logits
                for side in ("ours", "theirs")
            )
            write_json({
                "name": case["name"],
                "difference": (ours - theirs).abs().max().item(),
                "effect": (theirs - before).abs().max().item(),
            })  # fmt: skip


plan = json.loads(Path(sys.argv[1]).read_text())
{"make": make, "combine": combine, "compare": compare}[sys.argv[2]](plan, Path(sys.argv[3]))
