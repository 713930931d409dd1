"""Trains adapters with PyTorch + HF PEFT on given batches, as the HF Trainer would, and reports every step.

usage: train.py PLAN.json

PLAN.json: {"runs": [{
  "model": a HF folder or GGUF file,
  "adapter": a PEFT folder to start from, and
  "config": fields of the method's PEFT config when the folder has a start.safetensors (see matrix_models.py),
  "task": CAUSAL_LM by default,
  "steps": see train_steps in training_loop.py,
  "options": {learning_rate, lr_scheduler_type, warmup_steps, weight_decay, adam_beta1, adam_beta2, adam_epsilon, max_grad_norm},
  "output": a folder for the trained adapter
}]}
Writes to standard output one JSON array per run: [{"loss", "learning_rate", "grad_norm", "token_accuracy"} per step].
"""

import json
import sys

from reference import attach_adapter, fault_becomes, load_base, restart_adapter, write_json
from training_loop import train_steps


def train(run):
    task = run.get("task", "CAUSAL_LM")
    base = load_base(run["model"], task=task)
    if "config" in run:
        model = restart_adapter(base, run["config"], run["adapter"])
    else:
        model, mismatch = attach_adapter(base, run["adapter"], trainable=True)
        assert not any(mismatch.values()), mismatch
    records = train_steps(model, task, run["steps"], run["options"])
    model.save_pretrained(run["output"])
    return records


with open(sys.argv[1]) as source:
    plan = json.load(source)
for one in plan["runs"]:
    with fault_becomes(plan, []):
        write_json(train(one))
