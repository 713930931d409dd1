"""Trains adapters with PyTorch + HF PEFT on given batches, as the HF Trainer would, and reports every step.

usage: train.py PLAN.json

PLAN.json: {"runs": [{
  "model": a HF folder or GGUF file,
  "adapter": a PEFT folder to start from, and
  "config": fields of the method's PEFT config when the folder has a start.safetensors (see matrix_models.py),
  "task": CAUSAL_LM by default,
  "steps": [[[{"ids": [...], "labelled": [0|1, ...]}, ...] per micro-batch] per optimizer step],
  "options": {learning_rate, lr_scheduler_type, warmup_steps, weight_decay, adam_beta1, adam_beta2, adam_epsilon, max_grad_norm},
  "output": a folder for the trained adapter
}]}
Writes to standard output one JSON array per run: [{"loss", "learning_rate", "grad_norm", "token_accuracy"} per step].
"""

import json
import sys

from reference import attach_adapter, load_base, restart_adapter, write_json

import torch
from transformers import get_scheduler


def collate(examples):
    """Right-padded ids, attention mask and labels (-100 where the token is no target), each [examples, longest]."""
    longest = max(len(e["ids"]) for e in examples)
    ids, mask, labels = [], [], []
    for e in examples:
        pad = longest - len(e["ids"])
        ids.append(e["ids"] + [0] * pad)
        mask.append([1] * len(e["ids"]) + [0] * pad)
        labels.append([t if on else -100 for t, on in zip(e["ids"], e["labelled"])] + [-100] * pad)
    return torch.tensor(ids), torch.tensor(mask), torch.tensor(labels)


def train(run):
    options = run["options"]
    base = load_base(run["model"], task=run.get("task", "CAUSAL_LM"))
    if "config" in run:
        model = restart_adapter(base, run["config"], run["adapter"])
    else:
        model, mismatch = attach_adapter(base, run["adapter"], trainable=True)
        assert not any(mismatch.values()), mismatch
    model.train()
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    # The Trainer's groups: biases and norms are not decayed.
    decayed = [p for name, p in trained if not name.endswith("bias") and "norm" not in name]
    plain = [p for name, p in trained if name.endswith("bias") or "norm" in name]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": options["weight_decay"]}, {"params": plain, "weight_decay": 0.0}],
        lr=options["learning_rate"],
        betas=(options["adam_beta1"], options["adam_beta2"]),
        eps=options["adam_epsilon"],
    )
    kind = options["lr_scheduler_type"]
    schedule = get_scheduler(
        "constant_with_warmup" if kind == "constant" else kind,
        optimizer,
        num_warmup_steps=options["warmup_steps"],
        num_training_steps=len(run["steps"]),
    )
    records = []
    for micro_batches in run["steps"]:
        collated = [collate(examples) for examples in micro_batches]
        # The first token of an example is never predicted.
        targets = sum(int((labels[:, 1:] != -100).sum()) for _, _, labels in collated)
        loss_sum, right = 0.0, 0
        for ids, mask, labels in collated:
            # Virtual tokens of a soft prompt come before the sequence's own.
            logits = model(input_ids=ids, attention_mask=mask).logits[:, -ids.shape[1] : -1].float()
            wanted = labels[:, 1:]
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), wanted.flatten(), ignore_index=-100, reduction="sum"
            )
            (loss / targets).backward()
            loss_sum += loss.item()
            right += int(((logits.argmax(-1) == wanted) & (wanted != -100)).sum())
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in trained], options["max_grad_norm"])
        records.append(
            {
                "loss": loss_sum / targets,
                "learning_rate": schedule.get_last_lr()[0],
                "grad_norm": norm.item(),
                "token_accuracy": right / targets,
            }
        )
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.save_pretrained(run["output"])
    return records


with open(sys.argv[1]) as source:
    for one in json.load(source)["runs"]:
        write_json(train(one))
