"""Trains adapters on preferences with the trainers of TRL, and reports every step.

usage: preferences.py PLAN.json

PLAN.json: {"packages": folder of the packages of requirements.txt, which those of TRL's own environment precede, "runs": [{
  "model": a HF folder, "template": its chat template, if it is another,
  "adapter": a PEFT folder to start from, and
  "config": fields of its PEFT config, for an adapter that is new: the reference is then the base model (see start_file in reference.py);
    absent: the reference is the adapter as it is,
  "method": dpo, orpo, simpo or kto,
  "rows": [{prompt, chosen, rejected} or {prompt, completion, label}],
  "order": numbers of the rows, in the order of the batches, each as often as it is trained on; for kto on pairs the numbers of the rows
    that TRL unpairs,
  "training": the options of Graft's training, those of the method in "preference",
  "texts": [[token ids], ...] to score with the trained adapter,
  "output": a folder for the trained adapter
}]}
Writes to standard output one JSON object per run: {"steps": [what the trainer logs], "logprobs": see score.py}.
"""

import json
import sys
import tempfile

with open(sys.argv[1]) as source:
    plan = json.load(source)
sys.path.append(plan["packages"])

from reference import attach_adapter, load_base, load_tokenizer, log_probabilities, start_file, write_json  # noqa: E402

import torch  # noqa: E402
from datasets import Dataset, disable_progress_bars  # noqa: E402
from peft import get_peft_config  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import PrinterCallback  # noqa: E402
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer  # noqa: E402
from trl.data_utils import unpair_preference_dataset  # noqa: E402
from trl.experimental.cpo import CPOConfig, CPOTrainer  # noqa: E402
from trl.experimental.orpo import ORPOConfig, ORPOTrainer  # noqa: E402

TRAINERS = {
    "dpo": (DPOTrainer, DPOConfig, {}),
    "kto": (KTOTrainer, KTOConfig, {}),
    "orpo": (ORPOTrainer, ORPOConfig, {}),
    "simpo": (CPOTrainer, CPOConfig, {"loss_type": "simpo"}),
}
# Names that Graft's training and transformers' TrainingArguments share.
SHARED = [
    "gradient_accumulation_steps",
    "learning_rate",
    "lr_scheduler_type",
    "warmup_steps",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "max_grad_norm",
    "max_steps",
]


def make_arguments(config, fixed, training, folder):
    return config(
        output_dir=folder,
        per_device_train_batch_size=training["batch_size"],
        max_length=training["max_seq_length"],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        train_sampling_strategy="sequential",
        **{name: training[name] for name in SHARED},
        **training["preference"],
        **fixed,
    )


def make_dataset(run):
    dataset = Dataset.from_list(run["rows"])
    if run["method"] == "kto" and "chosen" in run["rows"][0]:
        dataset = unpair_preference_dataset(dataset)
    return dataset.select(run["order"])


def make_tokenizer(run):
    tokenizer = load_tokenizer(run["model"])
    if "template" in run:
        tokenizer.chat_template = run["template"]
    if run["method"] in ("orpo", "simpo"):
        # These trainers put a beginning-of-sequence token before every prompt, though the tokenizer does not.
        tokenizer.bos_token = None
    return tokenizer


def make_trainer(run, folder):
    trainer_class, config, fixed = TRAINERS[run["method"]]
    base = load_base(run["model"])
    if "config" in run:
        model, peft = base, get_peft_config(dict(run["config"]))
    else:
        model, peft = attach_adapter(base, run["adapter"], trainable=True)[0], None
    trainer = trainer_class(
        model=model,
        args=make_arguments(config, fixed, run["training"], folder),
        train_dataset=make_dataset(run),
        processing_class=make_tokenizer(run),
        peft_config=peft,
    )
    trainer.remove_callback(PrinterCallback)
    if "config" in run:
        start = load_file(start_file(run["adapter"]))
        trained = {name: p for name, p in trainer.model.named_parameters() if p.requires_grad}
        assert trained.keys() == start.keys(), set(trained) ^ set(start)
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(start[name])
    return trainer


def train(run):
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(run, folder)
        trainer.train()
    model = trainer.model.eval()
    # TRL may have a second adapter in it, the reference.
    model.save_pretrained(run["output"], selected_adapters=["default"])
    steps = [{k: v for k, v in row.items() if v == v} for row in trainer.state.log_history if "loss" in row]
    return {"steps": steps, "logprobs": [log_probabilities(model, ids) for ids in run["texts"]]}


disable_progress_bars()
for one in plan["runs"]:
    write_json(train(one))
