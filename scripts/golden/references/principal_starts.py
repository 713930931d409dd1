"""Trains LoRA adapters from PiSSA's, OLoRA's, LoftQ's and EVA's start values with PyTorch + HF PEFT, and publishes them as plain LoRA.

usage: principal_starts.py PLAN.json

PLAN.json: {"runs": [{"model": a HF folder, "config": fields of LoraConfig, "output": a folder for the converted adapter,
  "original": for LoftQ the model whose weights "model" has quantised and unpacked again,
  "eva": for EVA the fields of EvaConfig, "batches": and the examples whose inputs are read, [[example, ...]], in order,
  "steps", "options": see train_steps in training_loop.py}]}
Writes one JSON object per run: {"steps": [{"loss", "learning_rate", "grad_norm", "token_accuracy"} per step],
  "starts": {module: the Frobenius norm of scale · B A at the start; for LoftQ its values, flat; for EVA A, flat},
  "read": for EVA the number of batches that were read}.

EVA in PEFT repeats the data until all directions are stable; here that is an error, since Graft reads each example once. Its labels are moved by one
position, so that it takes the positions that predict a target, as Graft does. Its incremental decomposition is exact instead of a random
approximation.
"""

import json
import sys
import tempfile

from reference import load_base, write_json
from training_loop import collate, train_steps

import torch
from peft import EvaConfig, LoraConfig, get_peft_model, initialize_lora_eva_weights
from peft.tuners.lora import LoraLayer, eva
from peft.utils.incremental_pca import IncrementalPCA
from peft.utils.loftq_utils import _low_rank_decomposition


def start_from_error(model, original):
    """
    The arithmetic of PEFT's replace_lora_weights_loftq, which needs bitsandbytes and a GPU, with PEFT's decomposition. PEFT leaves the scale out; to divide the
    factors by its root changes nothing where it is 1.
    """
    with torch.no_grad():
        for name, module in model.named_modules():
            if not isinstance(module, LoraLayer):
                continue
            weight = original.get_submodule(name.removeprefix("base_model.model.")).weight
            error = weight - module.get_base_layer().weight
            factors = _low_rank_decomposition(error, reduced_rank=module.r["default"])
            root = module.scaling["default"] ** 0.5
            module.lora_A["default"].weight.copy_(factors["R"] / root)
            module.lora_B["default"].weight.copy_(factors["L"] / root)


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


def train_from_inputs(run):
    """A run with "eva"."""
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


with open(sys.argv[1]) as source:
    for run in json.load(source)["runs"]:
        if "eva" in run:
            train_from_inputs(run)
            continue
        base = load_base(run["model"])
        torch.manual_seed(0)
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **run["config"]))
        quantised = "original" in run
        if quantised:
            start_from_error(model, load_base(run["original"]))
        deltas = {
            name.removeprefix("base_model.model."): module.get_delta_weight("default")
            for name, module in model.named_modules()
            if isinstance(module, LoraLayer)
        }
        starts = {name: d.flatten().tolist() if quantised else d.norm().item() for name, d in deltas.items()}
        with tempfile.TemporaryDirectory() as initial:
            model.save_pretrained(initial)
            steps = train_steps(model, "CAUSAL_LM", run["steps"], run["options"])
            # LoftQ leaves the quantised weights as they are: nothing is to be converted.
            conversion = {} if quantised else {"path_initial_model_for_weight_conversion": initial}
            model.save_pretrained(run["output"], **conversion)
        write_json({"steps": steps, "starts": starts})
