"""Expected weights of packages/peft-core/src/hub/packaged-models.test.ts: digests of every parameter of SmolLM2-135M-Instruct as
transformers unpacks it from GGUF (names, layout, order of q and k rows), and its config.

usage: gguf_weights.py MODEL.gguf
Writes packages/peft-core/src/gguf/testdata/smollm2-weights.json.
"""

import hashlib
import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "references"))
from reference import load_base

OUT = Path(__file__).parents[3] / "packages/peft-core/src/gguf/testdata/smollm2-weights.json"
CONFIG = (
    "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim vocab_size "
    "max_position_embeddings rms_norm_eps tie_word_embeddings bos_token_id eos_token_id pad_token_id model_type hidden_act "
    "attention_bias mlp_bias"
).split()


def main() -> None:
    model = load_base(sys.argv[1])
    config = {field: getattr(model.config, field) for field in CONFIG}
    config["rope_theta"] = model.config.rope_parameters["rope_theta"]
    weights = {
        name: [list(value.shape), hashlib.sha256(value.detach().contiguous().numpy().tobytes()).hexdigest()[:16]]
        for name, value in sorted(model.named_parameters())
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in weights.items())
    OUT.write_text(f'{{\n "config": {json.dumps(config)},\n "weights": {{\n{lines}\n }}\n}}\n')


if __name__ == "__main__":
    main()
