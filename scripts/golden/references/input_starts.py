"""Trains LoRA adapters from EVA's start values with PyTorch + HF PEFT.

usage: input_starts.py PLAN.json

PLAN.json: {"runs": [{"model": a HF folder, "config": fields of LoraConfig, "eva": fields of EvaConfig, "output": a folder for the adapter,
  "batches": [[example, ...]]: the examples whose inputs are read, in order, "steps", "options": see train_steps in training_loop.py}]}
Writes one JSON object per run: {"steps": [{"loss", "learning_rate", "grad_norm", "token_accuracy"} per step],
  "starts": {module: A, flat}, "read": the number of batches that were read}.

PEFT repeats the data until all directions are stable; here that is an error, since Graft reads each example once. Its labels are moved by one
position, so that it takes the positions that predict a target, as Graft does. Its incremental decomposition is exact instead of a random
approximation.
"""

import json
import sys

from reference import load_base, write_json
from training_loop import collate, train_steps

import torch
from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights
from peft.tuners.lora import LoraLayer, eva
from peft.utils.incremental_pca import IncrementalPCA


class ExactPCA(IncrementalPCA):
    def __init__(self, **options):
        super().__init__(**{**options, "lowrank": False})


eva.IncrementalPCA = ExactPCA


class Once:
    """The batches, of which no more may be read than there are: PEFT takes one more before it sees that all directions are stable."""

    def __init__(self, batches):
        self.batches = batches
        self.read = 0

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.read = 0
        for examples in [*self.batches, self.batches[0]]:
            yield inputs_of(examples)
            self.read += 1
        raise RuntimeError("not all directions are stable after one pass")


def inputs_of(examples):
    ids, mask, labels = collate(examples)
    # The last token of an example is only predicted.
    return {"input_ids": ids[:, :-1], "attention_mask": mask[:, 1:], "labels": labels[:, 1:]}


with open(sys.argv[1]) as source:
    for run in json.load(source)["runs"]:
        base = load_base(run["model"])
        torch.manual_seed(0)
        config = LoraConfig(
            task_type="CAUSAL_LM", init_lora_weights="eva", eva_config=EvaConfig(**run["eva"]), **run["config"]
        )
        model = get_peft_model(base, config)
        batches = Once(run["batches"])
        initialize_lora_eva_weights(model, batches, show_progress_bar=False)
        starts = {
            name.removeprefix("base_model.model."): module.lora_A["default"].weight.flatten().tolist()
            for name, module in model.named_modules()
            if isinstance(module, LoraLayer)
        }
        steps = train_steps(model, "CAUSAL_LM", run["steps"], run["options"])
        model.save_pretrained(run["output"])
        write_json({"steps": steps, "starts": starts, "read": batches.read})
