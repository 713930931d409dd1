"""The PyTorch + HF PEFT side of bench/training: a training loop as the HF Trainer runs it.

usage: hf_peft.py PLAN.json

PLAN.json: {"model": HF folder, "dtype": "float32" | "bfloat16", "peft": fields of a PEFT config, "learning_rate",
            "steps": [[{"ids", "labelled"}, ...] per step]}
Writes {"seconds": [per step], "losses": [per step], "max_rss_bytes"} to standard output.
"""

import json
import os
import resource
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
import transformers
from peft import get_peft_config, get_peft_model
from transformers import AutoModelForCausalLM

transformers.utils.logging.disable_progress_bar()


def collate(examples):
    """The Trainer's padding: to the longest of the batch; padding has no label."""
    longest = max(len(e["ids"]) for e in examples)
    ids, mask, labels = [], [], []
    for e in examples:
        pad = longest - len(e["ids"])
        ids.append(e["ids"] + [0] * pad)
        mask.append([1] * len(e["ids"]) + [0] * pad)
        labels.append([t if on else -100 for t, on in zip(e["ids"], e["labelled"])] + [-100] * pad)
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}


with open(sys.argv[1]) as source:
    plan = json.load(source)
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(plan["model"], dtype=getattr(torch, plan["dtype"]))
model = get_peft_model(model, get_peft_config({"task_type": "CAUSAL_LM", **plan["peft"]}))
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=plan["learning_rate"], weight_decay=0.0)

seconds, losses = [], []
for examples in plan["steps"]:
    started = time.perf_counter()
    loss = model(**collate(examples), use_cache=False).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
    seconds.append(time.perf_counter() - started)
    print(f"  step {len(seconds)}/{len(plan['steps'])}  loss {losses[-1]:.4f}  {seconds[-1]:.2f} s", file=sys.stderr)

unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(json.dumps({"seconds": seconds, "losses": losses, "max_rss_bytes": peak}))
