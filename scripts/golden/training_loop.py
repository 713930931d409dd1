"""Training with PyTorch on given batches, as the HF Trainer would do it."""

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


def train_steps(model, task, steps, options):
    """
    Trains what requires a gradient. steps: [[[{"ids": [...], "labelled": [0|1, ...]}, ...] per micro-batch] per optimizer step].
    Returns [{"loss", "learning_rate", "grad_norm", "token_accuracy"} per step].
    """
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
        num_training_steps=len(steps),
    )
    records = []
    for micro_batches in steps:
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
    return records
