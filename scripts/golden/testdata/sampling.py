"""Probabilities of the next token as transformers' generate makes them; expected values of packages/peft-core/src/generate/sampling.

usage: sampling.py

Writes packages/peft-core/src/generate/sampling/testdata/sampling.json: logits, tokens that are there already, options, and the probabilities that
transformers' own list of logits processors, in its own order, leaves to each token. Format it with `npx biome check --write`.
"""

import json
import pathlib

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

OUT = pathlib.Path(__file__).parents[3] / "packages/peft-core/src/generate/sampling/testdata/sampling.json"
VOCABULARY = 40

OPTIONS = [
    {"temperature": 1.0},
    {"temperature": 0.6},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 3, "temperature": 2.0},
    {"top_k": 1000},
    {"top_p": 0.8},
    {"top_k": 8, "top_p": 0.7},
    {"min_p": 0.1},
    {"min_p": 1.0},
    {"min_p": 0.05, "temperature": 1.5},
    {"temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.02},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8, "temperature": 0.7},
    {"repetition_penalty": 1.1, "temperature": 0.7, "top_k": 6, "top_p": 0.8},
]


def main():
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    model = LlamaForCausalLM(config)
    spread = torch.randn(VOCABULARY) * 3
    # Quarters, so that many are the same.
    tied = torch.round(torch.randn(VOCABULARY) * 4) / 4
    ids = [[3, 11, 3, 25, 39]]
    cases = []
    for logits in (spread, tied):
        for options in OPTIONS:
            # transformers' own default of top_k is 50.
            given = GenerationConfig(**{"do_sample": True, "top_k": 0, **options})
            processors = model._get_logits_processor(given, input_ids_seq_length=len(ids[0]))
            scores = processors(torch.tensor(ids), logits[None].clone())
            probabilities = torch.softmax(scores[0].double(), dim=-1)
            cases.append({"logits": logits.tolist(), "ids": ids[0], "options": options, "probabilities": probabilities.tolist()})
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"script": "scripts/golden/testdata/sampling.py", "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
