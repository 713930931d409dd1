"""Which modules HF PEFT adapts, and with which rank and alpha, for many LoraConfigs on a small llama.

usage: target_modules.py

Writes packages/peft-core/src/tuners/testdata/target-modules.json; format it with `npx biome check --write`.
"""

import json
import pathlib
import warnings

from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

OUT = pathlib.Path(__file__).parents[3] / "packages/peft-core/src/tuners/testdata/target-modules.json"

CASES = [
    {},
    {"target_modules": None},
    {"target_modules": ["q_proj", "v_proj"]},
    {"target_modules": ["proj"]},
    {"target_modules": ["self_attn.q_proj", "model.layers.1.mlp.up_proj"]},
    {"target_modules": ["lm_head", "q_proj"]},
    {"target_modules": "all-linear"},
    {"target_modules": "All-Linear", "exclude_modules": ["down_proj"]},
    {"target_modules": r".*\.(q|k)_proj"},
    {"target_modules": r"q_proj"},
    {"target_modules": r"model\.layers\.(0|11)\..*_proj"},
    {"target_modules": r".*layers\.\d\.self_attn\.(?:q|v)_proj$"},
    {"target_modules": ["q_proj", "k_proj"], "exclude_modules": r".*layers\.1\d?\..*"},
    {"target_modules": ["q_proj"], "exclude_modules": ["model.layers.0.self_attn.q_proj", "layers.1.self_attn.q_proj"]},
    {"target_modules": ["q_proj"], "exclude_modules": ["self_attn"]},
    {"target_modules": ["q_proj"], "layers_to_transform": 3},
    {"target_modules": ["q_proj"], "layers_to_transform": [0, 11]},
    {"target_modules": ["q_proj"], "layers_to_transform": []},
    {"target_modules": ["q_proj", "lm_head"], "layers_to_transform": [1]},
    {"target_modules": ["q_proj", "model.layers.5.self_attn.v_proj"], "layers_to_transform": [1]},
    {"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": "layers"},
    {"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["h", "layers"]},
    {"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": "h"},
    {"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": "lay.*"},
    {"target_modules": ["q_proj"], "layers_to_transform": [99]},
    {"target_modules": ["query"]},
    {"target_modules": r".*\.query"},
    {"target_modules": ["q_proj", "up_proj"], "modules_to_save": ["mlp"]},
    {"target_modules": "all-linear", "modules_to_save": ["lm_head"]},
    {"target_modules": ["q_proj", "up_proj"], "modules_to_save": ["layers.2"]},
    {"target_modules": ["q_proj", "up_proj"], "modules_to_save": ["wn_proj", "model.norm"]},
    {"target_modules": ["q_proj"], "modules_to_save": ["q_proj"]},
    {
        "target_modules": ["q_proj", "v_proj"],
        "rank_pattern": {"q_proj": 4, "model.layers.1.self_attn.q_proj": 2, "^model.layers.0.self_attn.v_proj": 16},
        "alpha_pattern": {r"layers\.1.*": 64, "v_proj": 1},
    },
    {
        "target_modules": ["q_proj", "v_proj"],
        "r": 3,
        "lora_alpha": 7,
        "rank_pattern": {"proj": 4, r".*\.1\d\..*": 5, "q_proj|v_proj": 6},
        "alpha_pattern": {"layers.1.self_attn.q_proj": 9, "self_attn": 10, "[qk]_proj": 11},
    },
]


def main():
    cases = []
    for options in CASES:
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=16,
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=12,
                num_attention_heads=2,
                num_key_value_heads=1,
                tie_word_embeddings=False,
            )
        )
        try:
            peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options)).base_model
        except ValueError as error:
            cases.append({"options": options, "error": str(error).split(".")[0]})
            continue
        adapted = []
        for name in peft.targeted_module_names:
            layer = peft.model.get_submodule(name)
            adapted.append([name, layer.r["default"], layer.lora_alpha["default"]])
        saved = [name for name, module in peft.model.named_modules() if type(module).__name__ == "ModulesToSaveWrapper"]
        cases.append({"options": options, "adapted": adapted, "saved": saved})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    OUT.write_text(f'{{"script": "scripts/golden/testdata/target_modules.py", "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
