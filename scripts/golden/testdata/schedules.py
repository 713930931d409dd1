"""Learning rates of transformers' schedules, step by step.

usage: schedules.py

Writes packages/peft-core/src/train/update/testdata/schedules.json; format it with `npx biome check --write`.
"""

import json
import pathlib

import torch
from transformers import get_scheduler

OUT = pathlib.Path(__file__).parents[3] / "packages/peft-core/src/train/update/testdata/schedules.json"
RATE, WARMUP, STEPS = 3e-3, 4, 24

CASES = [
    ("linear", {}),
    ("cosine", {}),
    ("cosine_with_min_lr", {"min_lr": 1e-4}),
    ("cosine_with_min_lr", {"min_lr_rate": 0.2, "num_cycles": 1.5}),
    ("warmup_stable_decay", {"num_decay_steps": 7, "num_stable_steps": 9, "num_cycles": 1}),
] + [
    ("warmup_stable_decay", {"num_decay_steps": 9, "warmup_type": shape, "decay_type": shape, "min_lr_ratio": 0.1})
    for shape in ["linear", "cosine", "1-sqrt"]
]


def rates(kind, kwargs):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    schedule = get_scheduler(kind, optimizer, WARMUP, STEPS, scheduler_specific_kwargs=kwargs)
    for _ in range(STEPS):
        yield schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()


if __name__ == "__main__":
    cases = [
        {"lr_scheduler_type": kind, "lr_scheduler_kwargs": kwargs, "rates": list(rates(kind, kwargs))}
        for kind, kwargs in CASES
    ]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    golden = {"script": "scripts/golden/testdata/schedules.py", "learning_rate": RATE, "warmup_steps": WARMUP, "cases": cases}
    OUT.write_text(json.dumps(golden) + "\n")
