"""Scores token sequences with transformers and PEFT.

usage: score.py PLAN.json

PLAN.json: {"runs": [{"model": a HF folder or GGUF file, "adapter": a PEFT folder or null, "task": CAUSAL_LM by default,
  "inputs": [[token ids], ...] or for SEQ_2_SEQ_LM [{"input_ids", "labels"}, ...], "greedy": false to leave that out, "num_labels": of a head that only the adapter has}]}
Writes to standard output one JSON object per run: {"mismatch": how the adapter's keys, shapes and values differ from what
PEFT expects (null without adapter), "logprobs": [[...], ...], "greedy": the ids that follow the first input, at most 8}. For
classifiers "logprobs" holds logits, row after row, and for FEATURE_EXTRACTION the vector of the sequence.
"""

import json
import sys

from reference import attach_adapter, fault_becomes, load_base, outputs, write_json

import torch


@torch.no_grad()
def greedy(model, ids, count=8):
    pair = isinstance(ids, dict)
    ids = ids["input_ids"] if pair else ids
    inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    if getattr(model, "active_peft_config", None) and model.active_peft_config.is_prompt_learning:
        return greedy_by_forward(model, inputs, count, pair)
    output = model.generate(**inputs, do_sample=False, max_new_tokens=count, pad_token_id=0)
    # A decoder's own sequence begins with its start token.
    return output[0, 1 if pair else len(ids) :].tolist()


def greedy_by_forward(model, inputs, count, pair):
    """
    One forward pass of the PEFT model for each token. PEFT 0.21.2's own generate does not agree with its forward for soft prompts
    from transformers 5.24 on, which ignores the past_key_values that PEFT hands it beside its new `cache`.
    """
    found = []
    while len(found) < count and (not found or found[-1] != model.config.eos_token_id):
        new = torch.tensor([found], dtype=torch.long)
        if pair:
            start = torch.tensor([[model.config.decoder_start_token_id]])
            given = {**inputs, "decoder_input_ids": torch.cat([start, new], dim=1)}
        else:
            ids = torch.cat([inputs["input_ids"], new], dim=1)
            given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        found.append(int(model(**given).logits[0, -1].argmax()))
    return found


with open(sys.argv[1]) as source:
    plan = json.load(source)
for run in plan["runs"]:
    with fault_becomes(plan, {"mismatch": None, "logprobs": [], "greedy": None}):
        config = {"num_labels": run["num_labels"]} if "num_labels" in run else {}
        model, mismatch = load_base(run["model"], task=run.get("task", "CAUSAL_LM"), **config), None
        if run.get("adapter"):
            model, mismatch = attach_adapter(model, run["adapter"])
            model.eval()
        write_json(
            {
                "mismatch": mismatch,
                "logprobs": [outputs(model, run.get("task", "CAUSAL_LM"), ids) for ids in run["inputs"]],
                "greedy": greedy(model, run["inputs"][0]) if run.get("greedy", True) else None,
            }
        )
