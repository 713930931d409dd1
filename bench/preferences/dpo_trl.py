"""TRL's side of bench/preferences: its DPOTrainer with PEFT, one step for each line of standard input after the first two: its plan, and
one for the reference that is computed beforehand; see scripts/measuring/processes.ts.

The plan: {"packages": folder of the packages of peft's environment, which those of TRL's own precede,
            "model": HF folder, "dtype": "float32" | "bfloat16", "peft": fields of a PEFT config,
            "start": safetensors file with the adapter to start from, "beta", "learning_rate", "max_length", "batch_size",
            "checkpointed": whether blocks are computed again for their gradients,
            "precomputed": whether the reference is computed before the first step,
            "pairs": [{"prompt_ids", "chosen_ids", "rejected_ids"}] in the order of the batches}
"""

import json
import os
import resource
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TQDM_DISABLE"] = "1"

plan = json.loads(sys.stdin.readline())
sys.path.append(plan["packages"])

import torch  # noqa: E402
import transformers  # noqa: E402
from datasets import Dataset, disable_progress_bars  # noqa: E402
from peft import get_peft_config  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402

disable_progress_bars()
transformers.utils.logging.disable_progress_bar()
# Output of libraries must not come between the lines of the protocol.
protocol, sys.stdout = sys.stdout, sys.stderr
unit = 1 if sys.platform == "darwin" else 1024


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tell(**what):
    print(json.dumps(what), file=protocol, flush=True)


class Clock:
    """Seconds since it was made, on the wall and of the processor in all threads."""

    def __init__(self):
        self.started = time.perf_counter(), time.process_time()

    def read(self):
        return time.perf_counter() - self.started[0], time.process_time() - self.started[1]


def tell_step(taken, loss):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    seconds, cpu = taken
    tell(seconds=seconds, cpu=cpu, loss=loss, resident=resident(), peak=peak)


def wait():
    """Until the next step is asked for; ends the process where none is."""
    if sys.stdin.readline().strip() != "go":
        os._exit(0)


class SteppingTrainer(DPOTrainer):
    """DPOTrainer as it is, on tokens that are given, with a clock."""

    reference_taken = 0.0, 0.0

    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset

    def _precompute_ref_logps(self, *args, **kwargs):
        clock = Clock()
        dataset = super()._precompute_ref_logps(*args, **kwargs)
        self.reference_taken = clock.read()
        return dataset

    def get_batch_samples(self, *args, **kwargs):
        wait()
        self.clock = Clock()
        return super().get_batch_samples(*args, **kwargs)

    def training_step(self, *args, **kwargs):
        self.loss = super().training_step(*args, **kwargs)
        return self.loss


class TellSteps(TrainerCallback):
    def on_step_end(self, *args, **kwargs):
        loss = trainer.loss.item()
        tell_step(trainer.clock.read(), loss)


dtype = getattr(torch, plan["dtype"])
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(plan["model"], dtype=dtype)
tokenizer = AutoTokenizer.from_pretrained(plan["model"])
with tempfile.TemporaryDirectory() as folder:
    arguments = DPOConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=dtype == torch.bfloat16,
        per_device_train_batch_size=plan["batch_size"],
        max_length=plan["max_length"],
        beta=plan["beta"],
        learning_rate=plan["learning_rate"],
        lr_scheduler_type="constant",
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        gradient_checkpointing=plan["checkpointed"],
        precompute_ref_log_probs=plan["precomputed"],
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    tell(ready=True)
    wait()
    trainer = SteppingTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(plan["pairs"]),
        processing_class=tokenizer,
        peft_config=get_peft_config(dict(plan["peft"])),
        callbacks=[TellSteps()],
    )
    trainer.remove_callback(PrinterCallback)
    start = load_file(plan["start"])
    trained = {name: p for name, p in trainer.model.named_parameters() if p.requires_grad}
    assert trained.keys() == start.keys(), set(trained) ^ set(start)
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(start[name])
    tell_step(trainer.reference_taken, 0.0)
    trainer.train()
