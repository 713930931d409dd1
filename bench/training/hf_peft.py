"""The PyTorch + HF PEFT side of bench/training: a training loop as the HF Trainer runs it, one step for each line of standard
input after the first, which is its plan; see scripts/measuring/processes.ts.

The plan: {"model": HF folder, "dtype": "float32" | "bfloat16", "device": "cpu" | "cuda", "peft": fields of a PEFT config,
            "learning_rate", "labels": classes of a classifier or null, "layout": "padded" | "flat",
            "checkpointed": whether blocks are computed again for their gradients,
            "nf4": whether bitsandbytes holds the base in nf4, with double quantisation,
            "steps": [[{"ids", "labelled"}, or {"ids", "label"}, or {"input", "labels"}, ...] per step]}
"padded": every example to the longest of its batch, as the HF Trainer's collators do. "flat": all examples of a batch one after
the other without padding, as TRL's padding-free collator does: positions begin again with each, and attention stays within one.
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
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    BitsAndBytesConfig,
)

transformers.utils.logging.disable_progress_bar()


MODEL_CLASSES = {
    "CAUSAL_LM": AutoModelForCausalLM,
    "SEQ_CLS": AutoModelForSequenceClassification,
    "SEQ_2_SEQ_LM": AutoModelForSeq2SeqLM,
}


def labels_of(example):
    if "label" in example:
        return example["label"]
    if "labels" in example:
        return example["labels"]
    return [token if on else -100 for token, on in zip(example["ids"], example["labelled"])]


def rectangle(rows, filler):
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])


def padded(examples):
    """The Trainer's padding: to the longest of the batch; padding has no label."""
    ids = [e["input"] if "input" in e else e["ids"] for e in examples]
    labels = [labels_of(e) for e in examples]
    return {
        "input_ids": rectangle(ids, 0),
        "attention_mask": rectangle([[1] * len(row) for row in ids], 0),
        "labels": torch.tensor(labels) if isinstance(labels[0], int) else rectangle(labels, -100),
    }


def flat(examples):
    """One row. transformers makes a mask of blocks of positions that begin again at 0."""
    ids = [token for e in examples for token in e["ids"]]
    labels = [label for e in examples for label in [-100, *labels_of(e)[1:]]]
    positions = [i for e in examples for i in range(len(e["ids"]))]
    return {
        "input_ids": torch.tensor([ids]),
        "labels": torch.tensor([labels]),
        "position_ids": torch.tensor([positions]),
    }


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tell(**what):
    print(json.dumps(what), flush=True)


plan = json.loads(sys.stdin.readline())
collate = {"padded": padded, "flat": flat}[plan["layout"]]
torch.manual_seed(0)
device = plan["device"]
peft = {"task_type": "CAUSAL_LM", **plan["peft"]}
dtype = getattr(torch, plan["dtype"])
options = {"dtype": dtype}
if plan["labels"] is not None:
    options["num_labels"] = plan["labels"]
if plan["nf4"]:
    options["quantization_config"] = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
model = MODEL_CLASSES[peft["task_type"]].from_pretrained(plan["model"], **options).to(device)
model.config.use_cache = False
model = get_peft_model(model, get_peft_config(peft))
if plan["checkpointed"]:
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.enable_input_require_grads()
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=plan["learning_rate"], weight_decay=0.0)
unit = 1 if sys.platform == "darwin" else 1024

tell(ready=True)
for examples, line in zip(plan["steps"], sys.stdin):
    if line.strip() != "go":
        break
    started = time.perf_counter()
    batch = {name: tensor.to(device) for name, tensor in collate(examples).items()}
    loss = model(**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    value = loss.item()
    tell(
        seconds=time.perf_counter() - started,
        loss=value,
        resident=resident(),
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    )
